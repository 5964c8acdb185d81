-- Groups of rows and what is computed of each (R3.10).

-- What a group is of: its SQL over the rows, its type afterwards, and by what groups of it are sorted, where that isn't itself.
create or replace function bank.group_column(p_field jsonb, p_bucket text, p_zone text, out sql text, out type text, out place text)
  language plpgsql immutable
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
  language plpgsql immutable
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
  sorting constant jsonb := coalesce(nullif(p_ask -> 'sort', 'null'), '[]');
  group_count constant int := jsonb_array_length(groups);
  amount constant int := least(greatest((p_ask ->> 'limit')::int, 0), 1001);
  values text[] := array[coalesce(p_ask ->> 'timeZone', 'UTC')];
  -- Of column n, what it shows, and what it is sorted by; of each that is computed, what "having" asks.
  shown text[] := '{}';
  sorted text[] := '{}';
  computed jsonb := '{}';
  inner_columns text[] := '{}';
  keys text[] := '{}';
  list text;
  field jsonb;
  entry jsonb;
  made record;
  found record;
  condition text;
  having_condition text := '';
  sort text[] := '{}';
begin
  -- A caller who sees nothing has no rows, and still a count of them.
  if amount is null then return; end if;
  if group_count > 8 or jsonb_array_length(aggregates) not between 0 and 16 or group_count + jsonb_array_length(aggregates) = 0
     or jsonb_array_length(sorting) > 16 then
    perform bank.wrong_ask('too many columns, or none');
  end if;
  -- (Loops by number, since each query in them would cost as much as a small answer.)
  for n in 0 .. group_count - 1 loop
    entry := groups -> n;
    field := fields -> (entry ->> 'field');
    if field is null then perform bank.wrong_ask('a row has no such field'); end if;
    made := bank.group_column(field, entry ->> 'bucket', '($1)[1]');
    if made.sql = 'entry' then
      if list is not null then perform bank.wrong_ask('groups can be of one list only'); end if;
      list := bank.field_sql(field);
    end if;
    inner_columns := inner_columns || concat(made.sql, ' as c', n, case when made.place is not null then concat(', ', made.place, ' as p', n) end);
    keys := keys || concat('c', n);
    shown := shown || case made.type when 'instant' then concat('bank.instant(g.c', n, ')') else concat('g.c', n) end;
    sorted := sorted || case when made.place is not null then concat('g.p', n)
      when made.type in ('text', 'key') then concat('g.c', n, ' collate "C"') else concat('g.c', n) end;
  end loop;
  for n in group_count .. group_count + jsonb_array_length(aggregates) - 1 loop
    entry := aggregates -> (n - group_count);
    field := fields -> (entry ->> 'field');
    if entry ->> 'field' is not null and field is null then perform bank.wrong_ask('a row has no such field'); end if;
    made := bank.aggregate_column(field, entry ->> 'function');
    inner_columns := inner_columns || concat(made.sql, ' as c', n);
    shown := shown || case made.type when 'instant' then concat('bank.instant(g.c', n, ')') else concat('g.c', n) end;
    sorted := sorted || concat('g.c', n);
    computed := computed || jsonb_build_object(n, jsonb_build_object('sql', concat('g.c', n), 'type', made.type,
      'sqlType', case made.type when 'instant' then 'timestamptz' else 'float8' end, 'nullable', entry ->> 'function' <> 'count'));
  end loop;

  found := bank.conditions_of(definition, p_ask, values);
  condition := found.condition;
  values := found.p_values;
  if p_ask -> 'having' is not null and p_ask -> 'having' <> 'null' then
    found := bank.compile_filter(computed, p_ask -> 'having', values);
    having_condition := ' where ' || found.condition;
    values := found.p_values;
  end if;
  for n in 0 .. jsonb_array_length(sorting) - 1 loop
    entry := sorting -> n;
    if sorted[(entry ->> 'column')::int + 1] is null then perform bank.wrong_ask('the answer has no such column'); end if;
    sort := sort || concat(sorted[(entry ->> 'column')::int + 1],
      case when entry ->> 'direction' = 'desc' then ' desc nulls last' else ' asc nulls last' end);
  end loop;

  return query execute concat('select json_build_array(', array_to_string(shown, ', '), ') from (select ', array_to_string(inner_columns, ', '), ' from ',
    -- Whatever is asked is asked within each vault; offset keeps it there.
    case when limited then concat('unnest($3::text[]) v cross join lateral (select t.* from ', relation, ' t where t.bank_id = $2 and t.vault_id = v',
        condition, case when definition ->> 'table' is null then bank.once_sql() end, ' offset 0) t')
      else concat('(select t.* from ', relation, ' t where t.bank_id = $2', condition, ') t') end,
    case when list is not null then concat(' left join lateral unnest(', list, ') entry on true') end,
    case when group_count > 0 then ' group by ' || array_to_string(keys, ', ') end, ') g', having_condition,
    case when cardinality(sort) > 0 then ' order by ' || array_to_string(sort, ', ') end, ' limit ', amount
  ) using values, caller.bank, caller.vaults;
end
$$;
