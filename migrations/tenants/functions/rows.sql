-- Reading rows of the five entities, and of calls as one relation, as a page by any filter and order (R3.1, R3.10).

-- Every call that the reader may see, from both tables, once: api.get_unified_recordings as a relation, under the policies.
-- `migrated` says what NOT EXISTS would, but also where a policy hides the new row (ADR 7). A page is taken from each half by
-- an index of its own; over the union no index gives an order.
create or replace view bank.new_calls with (security_invoker = true) as
  select r.bank_id, r.call_id as id, 'recording'::text collate "C" as source, r.title, r.started_at, r.duration_seconds,
         r.participants,
         array(
           select e.vault_id::text from bank.vault_entries e
            where e.bank_id = r.bank_id and e.recording_id = r.id order by e.vault_id
         ) as vault_ids,
         r.summary, r.language, r.url
    from bank.recordings r;
create or replace view bank.legacy_calls with (security_invoker = true) as
  select f.bank_id, f.call_id as id, 'legacy'::text collate "C" as source, f.title, f.recording_start_time as started_at,
         extract(epoch from f.recording_end_time - f.recording_start_time)::int as duration_seconds,
         bank.invited(f.calendar_invitees) as participants, array_remove(array[f.vault_id::text], null) as vault_ids,
         f.summary, f.transcript_language as language, f.url
    from bank.fathom_calls f
   where not f.migrated;
create or replace view bank.unified_recordings with (security_invoker = true) as
  select * from bank.new_calls union all select * from bank.legacy_calls;

-- The same calls once for each vault that they are in: what a caller of some vaults reads, so that nothing of the others is read, not even
-- to be passed over. recording_id is null for a legacy one, which is in one vault at most.
create or replace view bank.new_calls_by_vault with (security_invoker = true) as
  select e.bank_id, r.call_id as id, 'recording'::text collate "C" as source, r.title, e.started_at, r.duration_seconds,
         r.participants,
         array(
           select o.vault_id::text from bank.vault_entries o
            where o.bank_id = e.bank_id and o.recording_id = e.recording_id order by o.vault_id
         ) as vault_ids,
         r.summary, r.language, r.url, e.vault_id, e.recording_id
    from bank.vault_entries e join bank.recordings r on r.bank_id = e.bank_id and r.id = e.recording_id;
create or replace view bank.legacy_calls_by_vault with (security_invoker = true) as
  select f.bank_id, f.call_id as id, 'legacy'::text collate "C" as source, f.title, f.recording_start_time as started_at,
         extract(epoch from f.recording_end_time - f.recording_start_time)::int as duration_seconds,
         bank.invited(f.calendar_invitees) as participants, array[f.vault_id::text] as vault_ids,
         f.summary, f.transcript_language as language, f.url, f.vault_id, null::uuid as recording_id
    from bank.fathom_calls f
   where not f.migrated;
create or replace view bank.unified_by_vault with (security_invoker = true) as
  select * from bank.new_calls_by_vault union all select * from bank.legacy_calls_by_vault;

-- The condition that a call which is in several of the caller's vaults ($3) is told in the first of them alone; v is the vault.
create or replace function bank.once_sql() returns text
  language sql immutable parallel safe
return ' and (t.recording_id is null or not exists (select from bank.vault_entries o
  where o.bank_id = $2 and o.recording_id = t.recording_id and o.vault_id = any ($3) and o.vault_id < v))';

-- The definition of a kind for a caller. What one of some vaults asks must not be asked of a row of which it isn't known yet whether it is
-- in one of them, nor find such rows by an index: that would show in what was read (D1). Indexes of the entities end with the vault; a
-- vault that is asked for by name is none of the index, and what a call says of itself is asked after its policy.
create or replace function bank.definition_for(p_definition jsonb, p_all_vaults boolean) returns jsonb
  language sql immutable parallel safe
return case
  when p_all_vaults then p_definition
  when p_definition ->> 'table' is not null then jsonb_set(p_definition, '{fields,vaultId,sql}', '"(t.vault_id || '''')"')
  else jsonb_set(jsonb_set(p_definition, '{fields,language,sql}', '"(t.language || '''')"'),
    '{fields,durationSeconds,sql}', '"(t.duration_seconds + 0)"')
end;

-- The definition of a kind; SQLSTATE 22023 for one that there isn't.
create or replace function bank.known_kind(p_kind text, p_writable boolean default false) returns jsonb
  language plpgsql immutable
as $$
declare
  definition constant jsonb := bank.definition_of(p_kind);
begin
  if definition is null or p_writable and definition ->> 'table' is null then perform bank.wrong_ask('there is no such kind'); end if;
  return definition;
end
$$;

-- The condition of a filter and the archive, ' and …' each.
create or replace function bank.conditions_of(p_definition jsonb, p_ask jsonb, inout p_values text[], out condition text)
  language plpgsql stable
as $$
declare
  archived constant text := coalesce(p_ask ->> 'archived', 'exclude');
  filter record;
begin
  condition := '';
  if p_ask -> 'filter' is not null and p_ask -> 'filter' <> 'null' then
    filter := bank.compile_filter(p_definition -> 'fields', p_ask -> 'filter', p_values);
    p_values := filter.p_values;
    condition := ' and ' || filter.condition;
  end if;
  if (p_definition ->> 'archive')::boolean then
    condition := condition || case archived
      when 'exclude' then ' and t.archived_at is null' when 'only' then ' and t.archived_at is not null' else '' end;
  end if;
end
$$;

-- The rows behind a position, null being last in either direction; ' and …'.
--   of each key its SQL, type, direction and whether it can be null, the last one the id; p_position: a text or null for each
create or replace function bank.behind(
  p_sql text[], p_types text[], p_descending boolean[], p_nullable boolean[], p_position jsonb, inout p_values text[], out condition text
)
  language plpgsql stable set search_path = pg_catalog
as $$
declare
  alternatives text[] := '{}';
  same text := '';
  first_bound text := '';
  at text;
  bound text;
  beyond text;
begin
  if jsonb_typeof(p_position) is distinct from 'array' or jsonb_array_length(p_position) <> cardinality(p_sql) then
    perform bank.wrong_ask('a position fits no order');
  end if;
  for place in 1 .. cardinality(p_sql) loop
    at := p_position ->> (place - 1);
    if at is null then
      same := same || format('%s is null and ', p_sql[place]);
      continue;
    end if;
    p_values := p_values || at;
    bound := format('($1)[%s]::%s', cardinality(p_values), p_types[place]);
    beyond := format('%s %s %s', p_sql[place], case when p_descending[place] then '<' else '>' end, bound);
    -- Says nothing new, but an index can begin there.
    if place = 1 and not p_nullable[place] then
      first_bound := format(' and %s %s %s', p_sql[place], case when p_descending[place] then '<=' else '>=' end, bound);
    end if;
    if p_nullable[place] then beyond := format('(%s or %s is null)', beyond, p_sql[place]); end if;
    alternatives := alternatives || (same || beyond);
    same := same || format('%s = %s and ', p_sql[place], bound);
  end loop;
  condition := first_bound || ' and (' || array_to_string(alternatives, ' or ') || ')';
end
$$;

-- The vault of a filter that asks for that alone, {"field": "vaultId", "op": "eq"} by itself or in an "and"; null: it asks for something else.
create or replace function bank.only_vault(p_filter jsonb) returns text
  language plpgsql immutable
as $$
declare
  node jsonb := p_filter;
begin
  if jsonb_typeof(p_filter -> 'and') = 'array' then
    if p_filter - 'and' <> '{}' or jsonb_array_length(p_filter -> 'and') <> 1 then return null; end if;
    node := p_filter #> '{and,0}';
  end if;
  if jsonb_typeof(node) <> 'object' or jsonb_typeof(node -> 'value') is distinct from 'string' then return null; end if;
  return case when node - 'value' = '{"field": "vaultId", "op": "eq"}' then node ->> 'value' end;
end
$$;

-- The vaults to look into (null: all) where an ask is for the newest entities, of a vault or of all, on from a position or not: is_newest,
-- and bank.newest_page answers it. Whatever else an ask is, also a wrong one, isn't.
create or replace function bank.newest_asked(
  p_kind text, p_ask jsonb, p_vaults text[], out is_newest boolean, out vaults text[]
)
  language plpgsql stable
as $$
declare
  filter constant jsonb := nullif(p_ask -> 'filter', 'null');
  after constant jsonb := nullif(p_ask -> 'after', 'null');
  vault text;
begin
  vaults := p_vaults;
  is_newest := p_kind <> 'recording' and coalesce(p_ask ->> 'archived', 'exclude') = 'exclude'
    and coalesce(nullif(p_ask -> 'sort', 'null') = '[{"field": "createdAt", "direction": "desc"}]', true);
  if is_newest and after is not null then
    is_newest := after -> 'values' = jsonb_build_array(after #> '{values,0}') and after #>> '{values,0}' is not null and after ->> 'id' is not null;
  end if;
  if is_newest and filter is not null then
    vault := bank.only_vault(filter);
    is_newest := vault is not null;
    vaults := case when p_vaults is null or vault = any (p_vaults) then array[vault] else '{}' end;
  end if;
end
$$;

-- A page of the rows that the caller may see, each whole, as JSON by field, and all in one text, parted by commas; with cut also truncated,
-- whether the long text went on. (One text, since rows that go through sets of functions are kept and copied in each of them.)
--   p_ask: {"cut": characters of long texts, negative for rows without them, "filter": node, "archived": exclude | include | only,
--           "sort": [{"field", "direction": asc | desc}], "after": {"values": [text or null for each sort], "id"}, "limit": 1 to 1000}
-- Left out, sort is newest first; null comes last in either direction, and the id decides in the direction of the last key.
-- A caller of some vaults reads so many of each and nothing of the others, as far as an index gives the order.
create or replace function api.read_page(p_kind text, p_ask jsonb) returns text
  language plpgsql stable security definer set search_path = pg_catalog set client_min_messages = warning
as $$
declare
  caller constant record := bank.caller();
  definition jsonb;
  fields jsonb;
  relation text;
  by_vault constant boolean := not caller.all_vaults;
  cut constant int := (p_ask ->> 'cut')::int;
  page constant int := least(greatest((p_ask ->> 'limit')::int, 0), 1000);
  newest record;
  keys record;
  found record;
  condition text;
  values text[];
  rest text;
  statement text;
begin
  if not caller.may_see or page is null then
    perform bank.known_kind(p_kind);
    return '';
  end if;
  newest := bank.newest_asked(p_kind, p_ask, case when by_vault then caller.vaults end);
  if newest.is_newest then
    return bank.newest_page(p_kind, caller.bank, newest.vaults, (p_ask #>> '{after,values,0}')::timestamptz,
      (p_ask #>> '{after,id}')::uuid, cut, page);
  end if;
  definition := bank.definition_for(bank.known_kind(p_kind), caller.all_vaults);
  fields := definition -> 'fields';
  relation := 'bank.' || (definition ->> 'table');
  -- Only what can be null says where null goes: an index of the order that is meant has nulls first.
  select array_agg(k.sql order by k.place) as sql, array_agg(k.type order by k.place) as types,
         array_agg(k.descending order by k.place) as descending, array_agg(k.nullable order by k.place) as nullable,
         string_agg(concat(k.sql, case when k.descending then ' desc' else ' asc' end, case when k.nullable then ' nulls last' end), ', '
           order by k.place) as ordered
    into keys
    from (
      select s.place, fields -> (s.entry ->> 'field') #>> '{sort,sql}' as sql, fields -> (s.entry ->> 'field') #>> '{sort,type}' as type,
             s.entry ->> 'direction' = 'desc' as descending, (fields -> (s.entry ->> 'field') -> 'nullable')::boolean as nullable
        from jsonb_array_elements(coalesce(nullif(p_ask -> 'sort', 'null'),
          jsonb_build_array(jsonb_build_object('field', definition -> 'newest', 'direction', 'desc')))) with ordinality s (entry, place)
      union all
      -- So that no two rows are alike.
      select 10, 't.id', fields -> 'id' ->> 'sqlType', coalesce(p_ask -> 'sort' -> -1 ->> 'direction', 'desc') = 'desc', false
    ) k
   having bool_and(k.sql is not null) and count(*) between 2 and 5;
  if keys is null then perform bank.wrong_ask('rows can''t be sorted by that'); end if;
  found := bank.conditions_of(definition, p_ask, '{}');
  condition := found.condition;
  values := found.p_values;
  if coalesce(p_ask -> 'after', 'null') <> 'null' then
    found := bank.behind(keys.sql, keys.types, keys.descending, keys.nullable,
      (p_ask #> '{after,values}') || jsonb_build_array(p_ask #> '{after,id}'), values);
    condition := condition || found.condition;
    values := found.p_values;
  end if;

  rest := concat(' t where t.bank_id = $2', case when by_vault then ' and t.vault_id = v' end, condition,
    case when by_vault and relation is null then bank.once_sql() end, ' order by ', keys.ordered, ' limit ', page);
  statement := case
    when by_vault and relation is not null then concat('select t.* from unnest($3::text[]) v cross join lateral (select t.* from ', relation, rest,
      ') t order by ', keys.ordered, ' limit ', page)
    when by_vault then concat('select t.bank_id, t.id, t.source, t.title, t.started_at, t.duration_seconds, t.participants, t.vault_ids, t.summary,
        t.language, t.url from unnest($3::text[]) v cross join lateral ((select t.* from bank.new_calls_by_vault', rest,
      ') union all (select t.* from bank.legacy_calls_by_vault', rest, ')) t order by ', keys.ordered, ' limit ', page)
    when relation is not null then concat('select t.* from ', relation, rest)
    else concat('select t.* from ((select t.* from bank.new_calls', rest, ') union all (select t.* from bank.legacy_calls', rest,
      ')) t order by ', keys.ordered, ' limit ', page)
  end;
  return array_to_string(array(select bank.rows_as_json(p_kind, statement, values, caller.bank, caller.vaults, cut)), ',');
end
$$;

-- The same, a row each, for servers before read_page.
create or replace function api.read_rows(p_kind text, p_ask jsonb) returns setof json
  language plpgsql stable security definer rows 20 set search_path = pg_catalog set client_min_messages = warning
as $$
begin
  return query select json_array_elements(('[' || api.read_page(p_kind, p_ask) || ']')::json);
end
$$;
