-- Groups of rows and what is computed of each (R3.10).

-- What a group is of: its SQL over the rows, its type afterwards, and by what groups of it are sorted, where that isn't itself.
create or replace function bank.group_column(p_field jsonb, p_bucket text, p_zone text, out sql text, out type text, out place text)
  language plpgsql immutable set search_path = pg_catalog
as $$
begin
  sql := bank.field_sql(p_field);
  type := p_field ->> 'type';
  if p_bucket is not null then
    if type <> 'instant' or p_bucket <> all (array['day', 'week', 'month', 'quarter', 'year']) then
      perform bank.wrong_ask('a field has no such period');
    end if;
    sql := format('to_char(date_trunc(%L, %s at time zone %s), ''YYYY-MM-DD'')', p_bucket, sql, p_zone);
    type := 'text';
  elsif type = 'texts' then
    sql := 'entry';
    type := 'text';
  elsif type = 'enum' then
    place := format('min(%s)', bank.enum_place(p_field));
  elsif type is null or type = 'longText' then
    perform bank.wrong_ask('rows can''t be grouped by that');
  end if;
end
$$;

-- What is computed of a group.
create or replace function bank.aggregate_column(p_field jsonb, p_function text, out sql text, out type text)
  language plpgsql immutable set search_path = pg_catalog
as $$
begin
  type := p_field ->> 'type';
  if p_function = 'count' then
    sql := format('count(%s)::float8', case when p_field is null then '*' else bank.field_sql(p_field) end);
    type := 'number';
  elsif p_function in ('min', 'max') and type = 'instant' then
    sql := format('%s(%s)', p_function, bank.field_sql(p_field));
  elsif p_function in ('sum', 'avg', 'min', 'max') and type = 'integer' then
    sql := format('%s(%s)::float8', p_function, bank.field_sql(p_field));
    type := 'number';
  else
    perform bank.wrong_ask('that can''t be computed');
  end if;
end
$$;

-- Groups of the rows that the caller may see. A group by a list has a row in each of its entries' groups; a period is the day that it
-- begins on in the time zone.
--   p_ask: {"filter": node, "archived", "groupBy": [{"field", "bucket"}], "timeZone", "aggregate": [{"function", "field"}],
--           "having": node whose fields are places of columns, "0" …, "sort": [{"column": place, "direction"}], "limit": 1 to 1001}
--   answers the values of the columns of groupBy and aggregate, in this order, one array for each group
create or replace function api.group_rows(p_kind text, p_ask jsonb) returns setof json
  language plpgsql stable security definer rows 20 set search_path = pg_catalog set client_min_messages = warning
as $$
declare
  caller constant record := bank.caller();
  limited constant boolean := not caller.all_vaults;
  definition constant jsonb := bank.definition_for(bank.known_kind(p_kind), caller.all_vaults);
  fields constant jsonb := definition -> 'fields';
  relation constant text := coalesce('bank.' || quote_ident(definition ->> 'table'),
    case when limited then 'bank.unified_by_vault' else 'bank.unified_recordings' end);
  groups constant jsonb := coalesce(nullif(p_ask -> 'groupBy', 'null'), '[]');
  aggregates constant jsonb := coalesce(nullif(p_ask -> 'aggregate', 'null'), '[]');
  amount constant int := least(greatest((p_ask ->> 'limit')::int, 0), 1001);
  values text[] := array[coalesce(p_ask ->> 'timeZone', 'UTC')];
  columns jsonb := '[]';
  inner_columns text[] := '{}';
  keys text[] := '{}';
  list text;
  entry record;
  made record;
  found record;
  condition text;
  having_condition text := '';
  sort text[] := '{}';
begin
  -- A caller who sees nothing has no rows, and still a count of them.
  if amount is null then return; end if;
  if jsonb_array_length(groups) > 8 or jsonb_array_length(aggregates) not between 0 and 16 or jsonb_array_length(groups) + jsonb_array_length(aggregates) = 0
     or jsonb_array_length(coalesce(nullif(p_ask -> 'sort', 'null'), '[]')) > 16 then
    perform bank.wrong_ask('too many columns, or none');
  end if;
  for entry in select g.place, g.value, fields -> (g.value ->> 'field') as field from jsonb_array_elements(groups) with ordinality g (value, place) order by g.place loop
    if entry.field is null then perform bank.wrong_ask('a row has no such field'); end if;
    made := bank.group_column(entry.field, entry.value ->> 'bucket', '($1)[1]');
    if made.sql = 'entry' then
      if list is not null then perform bank.wrong_ask('groups can be of one list only'); end if;
      list := bank.field_sql(entry.field);
    end if;
    inner_columns := inner_columns || format('%s as c%s', made.sql, entry.place - 1);
    if made.place is not null then inner_columns := inner_columns || format('%s as p%s', made.place, entry.place - 1); end if;
    keys := keys || format('c%s', entry.place - 1);
    columns := columns || jsonb_build_object('sql', format('g.c%s', entry.place - 1), 'type', made.type, 'sorted',
      case when made.place is not null then format('g.p%s', entry.place - 1) when made.type in ('text', 'key') then format('g.c%s collate "C"', entry.place - 1) end);
  end loop;
  for entry in select a.place, a.value, fields -> (a.value ->> 'field') as field from jsonb_array_elements(aggregates) with ordinality a (value, place) order by a.place loop
    if entry.value ->> 'field' is not null and entry.field is null then perform bank.wrong_ask('a row has no such field'); end if;
    made := bank.aggregate_column(entry.field, entry.value ->> 'function');
    inner_columns := inner_columns || format('%s as c%s', made.sql, jsonb_array_length(columns));
    columns := columns || jsonb_build_object('sql', format('g.c%s', jsonb_array_length(columns)), 'type', made.type, 'aggregate', true,
      'sqlType', case made.type when 'instant' then 'timestamptz' else 'float8' end, 'nullable', entry.value ->> 'function' <> 'count');
  end loop;

  found := bank.conditions_of(definition, p_ask, values);
  condition := found.condition;
  values := found.p_values;
  if p_ask -> 'having' is not null and p_ask -> 'having' <> 'null' then
    found := bank.compile_filter(
      (select jsonb_object_agg((c.place - 1)::text, c.value) from jsonb_array_elements(columns) with ordinality c (value, place)
        where c.value -> 'aggregate' is not null), p_ask -> 'having', values);
    having_condition := ' where ' || found.condition;
    values := found.p_values;
  end if;
  for entry in select columns -> (s.value ->> 'column')::int as col, s.value from jsonb_array_elements(coalesce(nullif(p_ask -> 'sort', 'null'), '[]')) with ordinality s (value, place) order by s.place loop
    if entry.col is null then perform bank.wrong_ask('the answer has no such column'); end if;
    sort := sort || format('%s %s nulls last', coalesce(entry.col ->> 'sorted', entry.col ->> 'sql'), case when entry.value ->> 'direction' = 'desc' then 'desc' else 'asc' end);
  end loop;

  return query execute format('select json_build_array(%s) from (select %s from %s%s) g%s%s limit %s',
    (select string_agg(case c.value ->> 'type' when 'instant' then format('bank.instant(%s)', c.value ->> 'sql') else c.value ->> 'sql' end, ', ' order by c.place)
       from jsonb_array_elements(columns) with ordinality c (value, place)),
    array_to_string(inner_columns, ', '),
    -- Whatever is asked is asked within each vault; offset keeps it there.
    case when limited then format(
        'unnest($3::text[]) v cross join lateral (select t.* from %s t where t.bank_id = $2 and t.vault_id = v%s%s offset 0) t',
        relation, condition, case when definition ->> 'table' is null then bank.once_sql() end)
      else format('(select t.* from %s t where t.bank_id = $2%s) t', relation, condition) end
      || case when list is null then '' else format(' left join lateral unnest(%s) entry on true', list) end,
    case when cardinality(keys) = 0 then '' else ' group by ' || array_to_string(keys, ', ') end,
    having_condition,
    case when cardinality(sort) = 0 then '' else ' order by ' || array_to_string(sort, ', ') end,
    amount
  ) using values, caller.bank, caller.vaults;
end
$$;
