-- Conditions over fields as JSON, compiled to SQL. What a condition may name comes from a whitelist of ours (bank.definition_of); what a
-- caller sends is a parameter and never text of a statement: all values of a statement are one text[] as $1, and value n stands in it
-- as ($1)[n]::type.

-- What a field of each type can be asked; isNull comes on top for one that can be null.
create or replace function bank.operators_of(p_type text) returns text[]
  language sql immutable parallel safe
return case p_type
  when 'text' then array['eq', 'ne', 'in', 'contains', 'startsWith', 'ieq', 'call']
  when 'longText' then array['eq', 'ne', 'contains', 'startsWith']
  when 'boolean' then array['eq', 'ne']
  when 'integer' then array['eq', 'ne', 'in', 'lt', 'lte', 'gt', 'gte']
  when 'number' then array['eq', 'ne', 'in', 'lt', 'lte', 'gt', 'gte']
  when 'instant' then array['eq', 'ne', 'in', 'lt', 'lte', 'gt', 'gte']
  when 'enum' then array['eq', 'ne', 'in', 'lt', 'lte', 'gt', 'gte']
  when 'texts' then array['has', 'hasAny', 'hasAll', 'isEmpty']
  when 'uuid' then array['eq', 'ne', 'in']
  when 'key' then array['eq', 'ne', 'in', 'startsWith', 'call']
  else '{}'::text[]
end;

create or replace function bank.wrong_ask(p_message text) returns void
  language plpgsql immutable set search_path = pg_catalog
as $$
begin
  raise exception '%', left(p_message, 200) using errcode = 'invalid_parameter_value';
end
$$;

-- A field's SQL over the row t. A column is only ever named by the whitelist; sql is set by our own functions alone. (Not strict and as
-- stable as format is: so these become part of the statements that call them.)
create or replace function bank.field_sql(p_field jsonb) returns text
  language sql stable parallel safe
return coalesce(p_field ->> 'sql', format('t.%I', p_field ->> 'column'));

-- The place of an enum's value among its values, from 1: enums compare in that order.
create or replace function bank.enum_place(p_field jsonb) returns text
  language sql stable parallel safe
return format('array_position(%L::text[], %s::text)', translate(p_field ->> 'values', '[]" ', '{}'), bank.field_sql(p_field));

-- A filter tree as a condition that is true or false and never null: a condition on a null field is false, except ne, which is true, and
-- isNull. So not gives exactly the rows that the filter without it doesn't.
--   p_fields: {"<name>": field}, as bank.definition_of has them
--   p_node: {"and": [nodes]}, {"or": [nodes]}, {"not": node} or {"field", "op", "value"}; values are typed JSON
--   p_values: the statement's values so far, and with those of the condition
-- What isn't on the whitelist is SQLSTATE 22023; the bank server says it in words before.
create or replace function bank.compile_filter(
  p_fields jsonb, p_node jsonb, inout p_values text[], out condition text, p_depth int default 1
)
  language plpgsql stable
as $$
declare
  forms constant text[] := array(
    select k from jsonb_object_keys(case when jsonb_typeof(p_node) = 'object' then p_node else '{}' end) k);
  parts text[] := '{}';
  node jsonb;
  part record;
begin
  if p_depth > 8 or cardinality(p_values) > 400 or coalesce(octet_length(p_node::text), 0) > 200000 then
    perform bank.wrong_ask('the filter is too deep or too large');
  end if;
  if forms = array['and'] or forms = array['or'] then
    if jsonb_typeof(p_node -> forms[1]) <> 'array' or jsonb_array_length(p_node -> forms[1]) = 0 then
      perform bank.wrong_ask('and, or take a list of conditions');
    end if;
    for node in select n from jsonb_array_elements(p_node -> forms[1]) n loop
      part := bank.compile_filter(p_fields, node, p_values, p_depth + 1);
      p_values := part.p_values;
      parts := parts || part.condition;
    end loop;
    condition := '(' || array_to_string(parts, ' ' || forms[1] || ' ') || ')';
  elsif forms = array['not'] then
    part := bank.compile_filter(p_fields, p_node -> 'not', p_values, p_depth + 1);
    p_values := part.p_values;
    condition := 'not (' || part.condition || ')';
  else
    part := bank.compile_condition(p_fields -> (p_node ->> 'field'), p_node ->> 'op', p_node -> 'value', p_values);
    p_values := part.p_values;
    condition := part.condition;
  end if;
end
$$;

-- One condition of a filter tree on one field.
create or replace function bank.compile_condition(
  p_field jsonb, p_op text, p_value jsonb, inout p_values text[], out condition text
)
  language plpgsql stable
as $$
declare
  type constant text := p_field ->> 'type';
  nullable constant boolean := coalesce((p_field ->> 'nullable')::boolean, false);
  element constant text := case type when 'texts' then 'text' else p_field ->> 'sqlType' end;
  -- texteq is leakproof and would be asked before a policy. What a long text is compared with must not be asked of a row that is
  -- hidden: unpacking it can be seen.
  sql constant text := case when type in ('text', 'longText') and p_op in ('eq', 'ne', 'in')
    then format('(%s || '''')', bank.field_sql(p_field)) else bank.field_sql(p_field) end;
  is_list constant boolean := p_op in ('in', 'hasAny', 'hasAll');
  is_flag constant boolean := p_op in ('isEmpty', 'isNull');
  given constant text := p_value #>> '{}';
  kept text;
  bound text;
begin
  if type is null then perform bank.wrong_ask('a condition names no field that there is'); end if;
  if p_op is null or not (p_op = any (bank.operators_of(type)) or nullable and p_op = 'isNull') then
    perform bank.wrong_ask('a field is asked what it can''t be asked');
  end if;
  if jsonb_typeof(p_value) is distinct from (
       case when is_list then 'array' when is_flag or type = 'boolean' then 'boolean'
            when type in ('integer', 'number') then 'number' else 'string' end)
     or is_list and (jsonb_array_length(p_value) not between 1 and 200
       or exists (select from jsonb_array_elements(p_value) e where jsonb_typeof(e) not in ('string', 'number'))) then
    perform bank.wrong_ask('a condition has a value of the wrong type');
  end if;

  kept := case
    when is_list then array(select jsonb_array_elements_text(p_value))::text
    when p_op in ('contains', 'startsWith') then
      case p_op when 'contains' then '%' else '' end || regexp_replace(given, '([\\%_])', '\\\1', 'g') || '%'
    when type = 'enum' and p_op in ('lt', 'lte', 'gt', 'gte') then
      (select p.place::text from jsonb_array_elements_text(p_field -> 'values') with ordinality p (value, place) where p.value = given)
    else given
  end;
  p_values := p_values || kept;
  bound := format('($1)[%s]::%s', cardinality(p_values),
    case when is_list then element || '[]' when is_flag then 'boolean' when p_op in ('contains', 'startsWith', 'ieq', 'call') then 'text'
         when type = 'enum' and p_op in ('lt', 'lte', 'gt', 'gte') then 'int4' else element end);
  condition := case p_op
    when 'eq' then format('%s = %s', sql, bound)
    when 'ne' then format('%s is distinct from %s', sql, bound)
    when 'in' then format('%s = any (%s)', sql, bound)
    when 'contains' then format('%s ilike %s', sql, bound)
    when 'startsWith' then format('%s ilike %s', sql, bound)
    when 'has' then format('%s @> array[%s]', sql, bound)
    when 'hasAny' then format('%s && %s', sql, bound)
    when 'hasAll' then format('%s @> %s', sql, bound)
    when 'isEmpty' then format('(cardinality(%s) = 0) = %s', sql, bound)
    when 'isNull' then format('(%s is null) = %s', sql, bound)
    when 'ieq' then format('lower(%s) = lower(%s)', sql, bound)
    when 'call' then format('%s = coalesce((select r.id from api.get_recording(%s) r where %2$s like ''fathom-%%''), %2$s)', sql, bound)
    else format('%s %s %s', case type when 'enum' then bank.enum_place(p_field) else sql end,
      case p_op when 'lt' then '<' when 'lte' then '<=' when 'gt' then '>' else '>=' end, bound)
  end;
  if nullable and p_op not in ('ne', 'isNull') then
    condition := format('(%s and %s is not null)', condition, bank.field_sql(p_field));
  end if;
end
$$;
