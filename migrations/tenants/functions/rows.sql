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

-- A page of the rows that the caller may see.
--   p_ask: {"fields": [names], "cut": characters of long texts, "filter": node, "archived": exclude | include | only,
--           "sort": [{"field", "direction": asc | desc}], "after": {"values": [text or null for each sort], "id"}, "limit": 1 to 1000}
--   answers {"row": {"<field>": value, "truncated": with cut, whether the long text went on}, "keys": [texts of sort], "id"}
-- A caller of some vaults reads so many of each and nothing of the others, as far as an index gives the order.
create or replace function api.read_rows(p_kind text, p_ask jsonb) returns setof json
  language plpgsql stable security definer rows 20 set search_path = pg_catalog set client_min_messages = warning
as $$
declare
  definition constant jsonb := bank.known_kind(p_kind);
  fields constant jsonb := definition -> 'fields';
  caller constant record := bank.caller();
  of_table constant boolean := definition ->> 'table' is not null;
  by_vault constant boolean := of_table and not caller.all_vaults;
  sort constant jsonb := coalesce(nullif(p_ask -> 'sort', 'null'),
    jsonb_build_array(jsonb_build_object('field', definition -> 'newest', 'direction', 'desc')));
  cut constant int := (p_ask ->> 'cut')::int;
  page constant int := least(greatest((p_ask ->> 'limit')::int, 0), 1000);
  members text;
  unknown boolean;
  field jsonb;
  key record;
  sql text[] := '{}';
  types text[] := '{}';
  wires text[] := '{}';
  descending boolean[] := '{}';
  nullable boolean[] := '{}';
  -- as in order by, over the row and over the page
  ordered text := '';
  page_order text := '';
  found record;
  condition text;
  values text[];
  half text;
begin
  if not caller.may_see or page is null then return; end if;
  if jsonb_array_length(sort) not between 1 and 4 or jsonb_array_length(p_ask -> 'fields') not between 0 and 40 then
    perform bank.wrong_ask('too many fields or orders');
  end if;
  select coalesce(string_agg(format('%L, %s', f.name, bank.shown_sql(fields -> f.name, cut)), ', ' order by f.place), ''),
         bool_or(not fields ? f.name)
    into members, unknown
    from jsonb_array_elements_text(p_ask -> 'fields') with ordinality f (name, place);
  if cut is not null and p_ask -> 'fields' ? (definition ->> 'long') then
    members := members || format(', ''truncated'', coalesce(length(%s) > %s, false)', bank.field_sql(fields -> (definition ->> 'long')), cut);
  end if;

  for place in 1 .. jsonb_array_length(sort) + 1 loop
    if place <= jsonb_array_length(sort) then
      field := fields -> (sort -> (place - 1) ->> 'field');
      if field is null then unknown := true; exit; end if;
      key := bank.sort_key(field);
      sql := sql || key.sql;
      types := types || key.type;
      wires := wires || key.wire;
      descending := descending || (sort -> (place - 1) ->> 'direction' = 'desc');
      nullable := nullable || (field -> 'nullable')::boolean;
    else
      -- The last key, so that no two rows are alike.
      sql := sql || 't.id'::text;
      types := types || (fields -> 'id' ->> 'sqlType');
      descending := descending || descending[place - 1];
      nullable := nullable || false;
    end if;
    -- Only what can be null says where null goes: an index of the order that is meant has nulls first.
    field := to_jsonb(case when descending[place] then ' desc' else ' asc' end || case when nullable[place] then ' nulls last' else '' end);
    ordered := concat(ordered, case when place > 1 then ', ' end, sql[place], field #>> '{}');
    page_order := concat(page_order, case when place > 1 then ', ' end, 's', place, field #>> '{}');
  end loop;
  if unknown then perform bank.wrong_ask('a row has no such field'); end if;

  found := bank.conditions_of(definition, p_ask, '{}');
  condition := found.condition;
  values := found.p_values;
  if coalesce(p_ask -> 'after', 'null') <> 'null' then
    found := bank.behind(sql, types, descending, nullable, (p_ask #> '{after,values}') || jsonb_build_array(p_ask #> '{after,id}'), values);
    condition := condition || found.condition;
    values := found.p_values;
  end if;

  -- One relation's part of the page; %1$s is the relation.
  half := format('(select json_build_object(''row'', json_build_object(%s), ''keys'', json_build_array(%s), ''id'', t.id) as answer%s
      from %%1$s t where t.bank_id = $2%s%s order by %s limit %s)',
    replace(members, '%', '%%'), array_to_string(wires, ', '),
    case when of_table and not by_vault then '' else (select string_agg(format(', %s as s%s', u.part, u.place), '' order by u.place)
      from unnest(sql) with ordinality u (part, place)) end,
    case when by_vault then ' and t.vault_id = v' else '' end, replace(condition, '%', '%%'), ordered, page);
  return query execute case
      when by_vault then format('select p.answer from unnest($3::text[]) v cross join lateral ' || half || ' p order by %2$s limit %3$s',
        format('bank.%I', definition ->> 'table'), page_order, page)
      when of_table then format(half, format('bank.%I', definition ->> 'table'))
      else 'select p.answer from (' || format(half, 'bank.new_calls') || ' union all ' || format(half, 'bank.legacy_calls')
        || format(') p order by %s limit %s', page_order, page)
    end using values, caller.bank, caller.vaults;
end
$$;
