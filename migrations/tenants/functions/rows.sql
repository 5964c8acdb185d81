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

-- The definition of a kind; SQLSTATE 22023 for one that there isn't.
create or replace function bank.known_kind(p_kind text, p_writable boolean default false) returns jsonb
  language plpgsql immutable set search_path = pg_catalog
as $$
declare
  definition constant jsonb := bank.definition_of(p_kind);
begin
  if definition is null or p_writable and definition ->> 'table' is null then perform bank.wrong_ask('there is no such kind'); end if;
  return definition;
end
$$;

-- A field's value as JSON: instants as text with microseconds, long texts as far as p_cut.
create or replace function bank.shown_sql(p_field jsonb, p_cut int) returns text
  language sql immutable parallel safe
return case
  when p_field ->> 'type' = 'instant' then format('bank.instant(%s)', bank.field_sql(p_field))
  when p_field ->> 'type' = 'longText' and p_cut is not null then format('left(%s, %s)', bank.field_sql(p_field), p_cut)
  else bank.field_sql(p_field)
end;

-- What rows are sorted by: its SQL, the type that a position is compared in, and how the position goes over the wire.
create or replace function bank.sort_key(p_field jsonb, out sql text, out type text, out wire text)
  language plpgsql immutable set search_path = pg_catalog
as $$
declare
  plain constant text := bank.field_sql(p_field);
begin
  type := p_field ->> 'sqlType';
  case p_field ->> 'type'
    when 'instant' then sql := plain; wire := format('bank.instant(%s)', plain);
    when 'enum' then sql := bank.enum_place(p_field); type := 'int4'; wire := format('(%s)::text', sql);
    when 'text', 'key' then sql := format('left(%s, 100) collate "C"', plain); wire := sql;
    when 'integer', 'boolean', 'uuid' then sql := plain; wire := format('%s::text', plain);
    else perform bank.wrong_ask('rows can''t be sorted by that');
  end case;
end
$$;

-- The condition of a filter and the archive, ' and …' each.
create or replace function bank.conditions_of(p_definition jsonb, p_ask jsonb, inout p_values text[], out condition text)
  language plpgsql stable set search_path = pg_catalog
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

-- The rows behind a position, null being last in either direction.
--   p_keys: [{"sql", "type", "descending", "nullable"}], the last one the id; p_position: a text or null for each
create or replace function bank.behind(p_keys jsonb, p_position jsonb, inout p_values text[], out condition text)
  language plpgsql immutable set search_path = pg_catalog
as $$
declare
  alternatives text[] := '{}';
  same text := '';
  first_bound text := '';
  key record;
  bound text;
  beyond text;
begin
  if jsonb_array_length(p_position) <> jsonb_array_length(p_keys) then perform bank.wrong_ask('a position fits no order'); end if;
  for key in
    select k.place, k.value ->> 'sql' as sql, k.value ->> 'type' as type, (k.value ->> 'descending')::boolean as descending,
           (k.value ->> 'nullable')::boolean as nullable, p_position ->> (k.place - 1)::int as at
      from jsonb_array_elements(p_keys) with ordinality k (value, place) order by k.place
  loop
    if key.at is null then
      same := same || format('%s is null and ', key.sql);
      continue;
    end if;
    p_values := p_values || key.at;
    bound := format('($1)[%s]::%s', cardinality(p_values), key.type);
    beyond := format('%s %s %s', key.sql, case when key.descending then '<' else '>' end, bound);
    -- Says nothing new, but an index can begin there.
    if key.place = 1 and not key.nullable then
      first_bound := format(' and %s %s %s', key.sql, case when key.descending then '<=' else '>=' end, bound);
    end if;
    if key.nullable then beyond := format('(%s or %s is null)', beyond, key.sql); end if;
    alternatives := alternatives || (same || beyond);
    same := same || format('%s = %s and ', key.sql, bound);
  end loop;
  condition := first_bound || ' and (' || array_to_string(alternatives, ' or ') || ')';
end
$$;

-- A page of the rows that the caller may see.
--   p_ask: {"fields": [names], "cut": characters of long texts, "filter": node, "archived": exclude | include | only,
--           "sort": [{"field", "direction": asc | desc}], "after": {"values": [text or null for each sort], "id"}, "limit": 1 to 1000}
--   answers {"row": {"<field>": value, "truncated": with cut, whether the long text went on}, "keys": [texts of sort], "id"}
-- A caller of some vaults reads so many of each and nothing of the others, as far as an index gives the order.
create or replace function api.read_rows(p_kind text, p_ask jsonb) returns setof json
  language plpgsql stable security definer rows 20 set search_path = pg_catalog set client_min_messages = warning
  set bankhouse.scope = ''
as $$
declare
  definition constant jsonb := bank.known_kind(p_kind);
  fields constant jsonb := definition -> 'fields';
  caller constant record := bank.caller();
  relations constant text[] := case when definition ->> 'table' is null
    then array['bank.new_calls', 'bank.legacy_calls'] else array[format('bank.%I', definition ->> 'table')] end;
  sort constant jsonb := coalesce(nullif(p_ask -> 'sort', 'null'),
    jsonb_build_array(jsonb_build_object('field', definition -> 'newest', 'direction', 'desc')));
  cut constant int := (p_ask ->> 'cut')::int;
  page constant int := least(greatest((p_ask ->> 'limit')::int, 0), 1000);
  by_vault constant boolean := not caller.all_vaults and definition ->> 'table' is not null;
  long constant jsonb := case when cut is not null and p_ask -> 'fields' ? (definition ->> 'long') then fields -> (definition ->> 'long') end;
  keys jsonb := '[]';
  key record;
  entry jsonb;
  field jsonb;
  name text;
  members text[] := '{}';
  found record;
  condition text;
  values text[];
  ordered text := '';
  outer_order text := '';
  statement text;
begin
  if not caller.may_see or page is null then return; end if;
  if jsonb_array_length(sort) not between 1 and 4 or jsonb_array_length(p_ask -> 'fields') not between 0 and 40 then
    perform bank.wrong_ask('too many fields or orders');
  end if;
  for name in select jsonb_array_elements_text(p_ask -> 'fields') loop
    if not fields ? name then perform bank.wrong_ask('a row has no such field'); end if;
    members := members || format('%L, %s', name, bank.shown_sql(fields -> name, cut));
  end loop;
  if long is not null then members := members || format('''truncated'', coalesce(length(%s) > %s, false)', bank.field_sql(long), cut); end if;

  for entry in select jsonb_array_elements(sort) loop
    field := fields -> (entry ->> 'field');
    if field is null then perform bank.wrong_ask('a row has no such field'); end if;
    key := bank.sort_key(field);
    keys := keys || jsonb_build_object('sql', key.sql, 'type', key.type, 'wire', key.wire,
      'descending', entry ->> 'direction' = 'desc', 'nullable', field -> 'nullable');
  end loop;
  keys := keys || jsonb_build_object('sql', 't.id', 'type', fields -> 'id' ->> 'sqlType', 'wire', 't.id::text',
    'descending', keys -> -1 -> 'descending', 'nullable', false);
  -- Only what can be null says where null goes: an index of the order that is meant has nulls first.
  select string_agg(o.sql || o.way, ', ' order by o.place), string_agg('s' || o.place || o.way, ', ' order by o.place)
    into ordered, outer_order
    from (
      select k.place, k.value ->> 'sql' as sql,
             case when (k.value ->> 'descending')::boolean then ' desc' else ' asc' end
             || case when (k.value ->> 'nullable')::boolean then ' nulls last' else '' end as way
        from jsonb_array_elements(keys) with ordinality k (value, place)
    ) o;

  found := bank.conditions_of(definition, p_ask, '{}');
  condition := found.condition;
  values := found.p_values;
  if p_ask -> 'after' is not null and p_ask -> 'after' <> 'null' then
    found := bank.behind(keys, (p_ask #> '{after,values}') || jsonb_build_array(p_ask #> '{after,id}'), values);
    condition := condition || found.condition;
    values := found.p_values;
  end if;

  select string_agg(format(
      '(select json_build_object(''row'', json_build_object(%s), ''keys'', json_build_array(%s), ''id'', t.id) as answer, %s
          from %s t where t.bank_id = $2%s%s order by %s limit %s)',
      array_to_string(members, ', '),
      (select string_agg(k.value ->> 'wire', ', ' order by k.place)
         from jsonb_array_elements(keys - -1) with ordinality k (value, place)),
      (select string_agg(format('%s as s%s', k.value ->> 'sql', k.place), ', ' order by k.place)
         from jsonb_array_elements(keys) with ordinality k (value, place)),
      relation, case when by_vault then ' and t.vault_id = v' else '' end, condition, ordered, page
    ), ' union all ' order by relation desc)
    into statement from unnest(relations) relation;
  return query execute case
      when by_vault then format('select p.answer from unnest($3::text[]) v cross join lateral %s p order by %s limit %s', statement, outer_order, page)
      when cardinality(relations) > 1 then format('select p.answer from (%s) p order by %s limit %s', statement, outer_order, page)
      else format('select p.answer from %s p', statement)
    end using values, caller.bank, caller.vaults;
end
$$;
