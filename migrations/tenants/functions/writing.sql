-- Writing rows of the five entities (R3.1), one function per operation. Values are {"<field>": value} of the definition's writable fields;
-- the vault and the version of a row, who wrote it and when are set by triggers and policies from the assertion.

-- What tools that write answer, as JSON over the row t.
create or replace function bank.receipt_sql() returns text
  language sql immutable parallel safe
return 'json_build_object(''id'', t.id, ''version'', t.version, ''status'', t.status, ''vaultId'', t.vault_id,
  ''archived'', t.archived_at is not null, ''updatedAt'', bank.instant(t.updated_at))';

-- The condition that a row is the caller's; $2 is the bank, $3 the vaults, null for all.
create or replace function bank.own_sql() returns text
  language sql immutable parallel safe
return 't.bank_id = $2 and ($3::text[] is null or t.vault_id = any ($3))';

-- Given values by column. SQLSTATE 22023 for a field that isn't there or may not be set so.
--   p_when: create, or always for a change
create or replace function bank.columns_of(p_definition jsonb, p_values jsonb, p_when text) returns jsonb
  language plpgsql immutable set search_path = pg_catalog
as $$
begin
  if exists (
    select from jsonb_object_keys(p_values) name
     where coalesce(p_definition #>> array['fields', name, 'writable'], 'never') <> all (array['always', p_when])
  ) then
    perform bank.wrong_ask('a field is not there, or can''t be set so');
  end if;
  return coalesce((
    select jsonb_object_agg(p_definition #>> array['fields', v.key, 'column'], v.value) from jsonb_each(p_values) v), '{}');
end
$$;

-- A row as it is now, for what did not change: {"changed": false, "receipt"}; null where the caller sees none.
create or replace function bank.state_of(p_definition jsonb, p_id uuid, p_bank text, p_vaults text[]) returns json
  language plpgsql stable set search_path = pg_catalog
as $$
declare
  answer json;
begin
  execute format('select json_build_object(''changed'', false, ''receipt'', %s) from bank.%I t where %s and t.id = $1',
    bank.receipt_sql(), p_definition ->> 'table', bank.own_sql()) into answer using p_id, p_bank, p_vaults;
  return answer;
end
$$;

-- Makes a row. With a key, what the same caller made by it before is answered instead.
--   p_digest: SHA-256 of the arguments, which must be the same then
--   answers {"receipt", "replayed": false}, or {"same", "receipt": null where it is gone, "replayed": true}
create or replace function api.create_row(p_kind text, p_values jsonb, p_key text default null, p_digest bytea default null)
  returns json
  language plpgsql security definer set search_path = pg_catalog set client_min_messages = warning
as $$
declare
  definition constant jsonb := bank.known_kind(p_kind, true);
  writer constant record := bank.writer();
  given constant jsonb := bank.columns_of(definition, p_values, 'create');
  row_id uuid;
  answer json;
begin
  if p_key is not null then
    insert into bank.idempotency_keys as k (bank_id, subject, key, digest, entity)
      values (writer.bank, writer.subject, p_key, p_digest, definition ->> 'plural')
      on conflict (bank_id, subject, key) do update
        set digest = excluded.digest, entity = excluded.entity, row_id = gen_random_uuid(), created_at = clock_timestamp(),
            outcome = null, outcome_all_vaults = null, outcome_vaults = null
        where k.created_at < clock_timestamp() - bank.idempotency_window()
      returning k.row_id into row_id;
    if not found then
      execute format('select json_build_object(''replayed'', true, ''same'', k.digest = $4 and k.entity = $5, ''receipt'', r.receipt)
          from bank.idempotency_keys k
          left join lateral (select %s as receipt from bank.%I t where %s and t.id = k.row_id) r on true
         where k.bank_id = $2 and k.subject = $6 and k.key = $1', bank.receipt_sql(), definition ->> 'table', bank.own_sql())
        into answer
        using p_key, writer.bank, case when not writer.all_vaults then writer.vaults end, p_digest, definition ->> 'plural', writer.subject;
      return answer;
    end if;
  end if;
  execute format('insert into bank.%1$I as t (bank_id, id%2$s)
      select $2, coalesce($3, gen_random_uuid())%3$s from jsonb_populate_record(null::bank.%1$I, $1) r
      returning json_build_object(''replayed'', false, ''receipt'', %4$s)',
    definition ->> 'table',
    (select string_agg(format(', %I', c), '' order by c) from jsonb_object_keys(given) c),
    (select string_agg(format(', r.%I', c), '' order by c) from jsonb_object_keys(given) c),
    bank.receipt_sql()) into answer using given, writer.bank, row_id;
  return answer;
end
$$;

-- Sets exactly the given fields of a row that is at this version. Two calls that read the same version can't both succeed: the second
-- waits for the first, and then finds another version.
--   answers {"changed", "receipt"}; null where the caller sees no such row
create or replace function api.change_row(p_kind text, p_id uuid, p_version int, p_values jsonb) returns json
  language plpgsql security definer set search_path = pg_catalog set client_min_messages = warning
as $$
declare
  definition constant jsonb := bank.known_kind(p_kind, true);
  writer constant record := bank.writer();
  vaults constant text[] := case when not writer.all_vaults then writer.vaults end;
  given constant jsonb := bank.columns_of(definition, p_values, 'always');
  answer json;
begin
  if given = '{}' then perform bank.wrong_ask('nothing is given to change'); end if;
  execute format('update bank.%1$I t set %2$s from jsonb_populate_record(null::bank.%1$I, $1) r
      where %3$s and t.id = $4 and t.version = $5 returning json_build_object(''changed'', true, ''receipt'', %4$s)',
    definition ->> 'table',
    (select string_agg(format('%I = r.%1$I', c), ', ' order by c) from jsonb_object_keys(given) c),
    bank.own_sql(), bank.receipt_sql()) into answer using given, writer.bank, vaults, p_id, p_version;
  return coalesce(answer, bank.state_of(definition, p_id, writer.bank, vaults));
end
$$;

-- Takes a row out of the lists, or back into them; one that is as it should be keeps its version.
create or replace function api.archive_row(p_kind text, p_id uuid, p_archived boolean) returns json
  language plpgsql security definer set search_path = pg_catalog set client_min_messages = warning
as $$
declare
  definition constant jsonb := bank.known_kind(p_kind, true);
  writer constant record := bank.writer();
  vaults constant text[] := case when not writer.all_vaults then writer.vaults end;
  answer json;
begin
  execute format('update bank.%I t set archived_at = case when $4 then clock_timestamp() end
      where %s and t.id = $1 and (t.archived_at is not null) <> $4 returning json_build_object(''changed'', true, ''receipt'', %s)',
    definition ->> 'table', bank.own_sql(), bank.receipt_sql()) into answer using p_id, writer.bank, vaults, p_archived;
  return coalesce(answer, bank.state_of(definition, p_id, writer.bank, vaults));
end
$$;

-- Moves a row on in its states, by an action of its definition.
--   p_version: only at this version
create or replace function api.process_row(p_kind text, p_id uuid, p_action text, p_version int default null) returns json
  language plpgsql security definer set search_path = pg_catalog set client_min_messages = warning
as $$
declare
  definition constant jsonb := bank.known_kind(p_kind, true);
  writer constant record := bank.writer();
  vaults constant text[] := case when not writer.all_vaults then writer.vaults end;
  action constant jsonb := definition #> array['actions', p_action];
  answer json;
begin
  if action is null then perform bank.wrong_ask('there is no such action'); end if;
  execute format('update bank.%I t set status = $4%s
      where %s and t.id = $1 and ($5::int is null or t.version = $5) and t.status = any ($6)
      returning json_build_object(''changed'', true, ''receipt'', %s)',
    definition ->> 'table',
    (select string_agg(format(', %I = %s', definition #>> array['fields', s.key, 'column'],
        case when s.value = '"now"' then 'clock_timestamp()' when s.value = '""' then '''''' else 'null' end), '' order by s.key)
       from jsonb_each(action -> 'sets') s),
    bank.own_sql(), bank.receipt_sql())
    into answer
    using p_id, writer.bank, vaults, action ->> 'to', p_version, array(select jsonb_array_elements_text(action -> 'from'));
  return coalesce(answer, bank.state_of(definition, p_id, writer.bank, vaults));
end
$$;

-- Deletes a row, with what is below it.
--   answers {"changed": true, "deleted": {"<plural>": n, of what the caller sees}}, {"changed": false, "receipt"}, or null
create or replace function api.delete_row(p_kind text, p_id uuid, p_version int default null) returns json
  language plpgsql security definer set search_path = pg_catalog set client_min_messages = warning
as $$
declare
  definition constant jsonb := bank.known_kind(p_kind, true);
  writer constant record := bank.writer();
  vaults constant text[] := case when not writer.all_vaults then writer.vaults end;
  counts constant text := (
    select string_agg(case when c.definition ->> 'kind' = 'comment'
        then format(', %L, (select count(*) from bank.comments c where c.bank_id = $2 and c.parent_type = %L and c.parent_id = $1::text)',
          c.definition ->> 'plural', p_kind)
        else format(', %L, (select count(*) from bank.%I c where c.bank_id = $2 and c.%I = $1)',
          c.definition ->> 'plural', c.definition ->> 'table', p_kind || '_id') end, '' order by c.place)
      from (
        select bank.definition_of(k.kind) as definition, k.place
          from jsonb_array_elements_text(definition -> 'children') with ordinality k (kind, place)
      ) c
  );
  state constant json := bank.state_of(definition, p_id, writer.bank, vaults);
  deleted json;
  gone int;
begin
  if state is null then return null; end if;
  execute format('select json_build_object(%L, 1%s)', definition ->> 'plural', counts) into deleted using p_id, writer.bank;
  execute format('delete from bank.%I t where %s and t.id = $1 and ($4::int is null or t.version = $4)',
    definition ->> 'table', bank.own_sql()) using p_id, writer.bank, vaults, p_version;
  get diagnostics gone = row_count;
  if gone > 0 then return json_build_object('changed', true, 'deleted', deleted); end if;
  return bank.state_of(definition, p_id, writer.bank, vaults);
end
$$;

-- Claims a key for a batch, for this transaction. Another batch that is under way with the same key is waited for.
--   answers {"claimed": true}, or {"claimed": false, "same", "outcome": of that batch, null where this token may not have it}
create or replace function api.claim_batch(p_key text, p_digest bytea) returns json
  language plpgsql security definer set search_path = pg_catalog set client_min_messages = warning
as $$
declare
  writer constant record := bank.writer();
begin
  insert into bank.idempotency_keys as k (bank_id, subject, key, digest, entity)
    values (writer.bank, writer.subject, p_key, p_digest, 'batch')
    on conflict (bank_id, subject, key) do update
      set digest = excluded.digest, entity = excluded.entity, created_at = clock_timestamp(),
          outcome = null, outcome_all_vaults = null, outcome_vaults = null
      where k.created_at < clock_timestamp() - bank.idempotency_window();
  if found then return json_build_object('claimed', true); end if;
  return (
    select json_build_object('claimed', false, 'same', k.digest = p_digest and k.entity = 'batch', 'outcome',
        case when k.entity = 'batch' and (writer.all_vaults or not k.outcome_all_vaults and k.outcome_vaults <@ writer.vaults)
             then k.outcome end)
      from bank.idempotency_keys k
     where k.bank_id = writer.bank and k.subject = writer.subject and k.key = p_key
  );
end
$$;

-- What the batch answered, for when it comes again.
create or replace function api.keep_outcome(p_key text, p_outcome jsonb) returns void
  language plpgsql security definer set search_path = pg_catalog set client_min_messages = warning
as $$
declare
  writer constant record := bank.writer();
begin
  update bank.idempotency_keys k
     set outcome = p_outcome, outcome_all_vaults = writer.all_vaults, outcome_vaults = writer.vaults
   where k.bank_id = writer.bank and k.subject = writer.subject and k.key = p_key and k.entity = 'batch';
end
$$;
