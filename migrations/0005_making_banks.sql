-- What the operator does: three functions, and no table.

-- The row lock on the bank's row is what makes concurrent calls for one bank follow each other. (An advisory lock could be
-- held by any role that may connect.)
create function bank.lock_bank(p_id text) returns bank.banks
  language plpgsql set search_path = pg_catalog
as $$
declare
  found_bank bank.banks;
begin
  select * into found_bank from bank.banks where id = p_id for update;
  return found_bank;
end
$$;

-- Makes or repairs the login role of a bank. A role of that name that was not made here is refused (BH002): its password
-- or its grants could be anybody's.
create function bank.ensure_login_role(p_id text, p_role text, p_verifier text, p_digest text) returns boolean
  language plpgsql set search_path = pg_catalog
as $$
declare
  settings constant text[] := array[
    'statement_timeout=10s', 'lock_timeout=2s', 'idle_in_transaction_session_timeout=15s',
    'default_transaction_read_only=on', 'search_path=bank', 'jit=off'
  ];
  setting text;
  registered bank.login_roles;
  existing pg_catalog.pg_roles;
  changed boolean := false;
begin
  if p_role not in ('bank_' || p_id || '_a', 'bank_' || p_id || '_b') then
    raise exception 'the role % is not one of bank %: bank_%_a or bank_%_b', p_role, p_id, p_id, p_id
      using errcode = 'invalid_parameter_value';
  end if;
  if p_verifier !~ '^SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$' then
    raise exception 'the password of % must come as a SCRAM-SHA-256 verifier', p_role
      using errcode = 'invalid_parameter_value';
  end if;
  select * into registered from bank.login_roles where role = p_role;
  select * into existing from pg_catalog.pg_roles where rolname = p_role;
  if existing.oid is not null and registered.bank_id is distinct from p_id then
    raise exception 'a role % exists already and was not made for bank %', p_role, p_id
      using errcode = 'BH002', hint = 'Drop the role, or choose another bank id.';
  end if;

  if existing.oid is null then
    execute format('create role %I login connection limit 20 password %L', p_role, p_verifier);
    changed := true;
  elsif registered.credential_digest is distinct from p_digest
     or not existing.rolcanlogin or existing.rolconnlimit <> 20 then
    execute format('alter role %I login connection limit 20 password %L', p_role, p_verifier);
    changed := true;
  end if;
  if not exists (
    select from pg_catalog.pg_auth_members
     where roleid = 'bankhouse_bank'::regrole and member = quote_ident(p_role)::regrole
  ) then
    execute format('grant bankhouse_bank to %I', p_role);
    changed := true;
  end if;
  if existing.rolconfig is distinct from settings then
    foreach setting in array settings loop
      execute format('alter role %I set %I = %L', p_role, split_part(setting, '=', 1), split_part(setting, '=', 2));
    end loop;
    changed := true;
  end if;
  insert into bank.login_roles as l (role, bank_id, credential_digest) values (p_role, p_id, p_digest)
    on conflict (role) do update set credential_digest = excluded.credential_digest
    where l.credential_digest <> excluded.credential_digest;
  return changed;
end
$$;

-- Brings a bank to what is given and says 'created', 'configured' or 'unchanged'.
--   p_owner: namespace/name of the Bank; an id that belongs to another is refused (BH001)
--   p_vaults: [{"id", "displayName"}], added or renamed; a vault that is no longer given keeps its rows
--   p_role: bank_<id>_a or bank_<id>_b; p_verifier: SCRAM-SHA-256$…; p_credential_digest: stored, and compared next time
--   p_keys: {"<generation>": "<base64>"}, exactly these from now on
create function bank.ensure_bank(
  p_id text, p_owner text, p_display_name text, p_type text, p_vaults jsonb, p_role text, p_verifier text,
  p_credential_digest text, p_keys jsonb
) returns text
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  was bank.banks;
  outcome text := 'unchanged';
begin
  loop
    was := bank.lock_bank(p_id);
    exit when was.id is not null;
    insert into bank.banks (id, owner, display_name, type) values (p_id, p_owner, p_display_name, p_type)
      on conflict (id) do nothing;
    if found then
      outcome := 'created';
      was := bank.lock_bank(p_id);
      exit;
    end if;
  end loop;
  if was.owner <> p_owner then
    raise exception 'the id % belongs to the Bank %', p_id, was.owner using errcode = 'BH001';
  end if;

  if (was.display_name, was.type) is distinct from (p_display_name, p_type) or was.retained_at is not null then
    update bank.banks set display_name = p_display_name, type = p_type, retained_at = null where id = p_id;
    outcome := 'configured';
  end if;

  insert into bank.vaults as v (bank_id, id, display_name)
    select p_id, g ->> 'id', coalesce(g ->> 'displayName', g ->> 'id') from jsonb_array_elements(p_vaults) g
    on conflict (bank_id, id) do update set display_name = excluded.display_name
    where v.display_name <> excluded.display_name;
  if found and outcome = 'unchanged' then outcome := 'configured'; end if;

  if bank.ensure_login_role(p_id, p_role, p_verifier, p_credential_digest) and outcome = 'unchanged' then
    outcome := 'configured';
  end if;

  delete from bank.bank_keys k where k.bank_id = p_id and not p_keys ? k.generation::text;
  if found and outcome = 'unchanged' then outcome := 'configured'; end if;
  insert into bank.bank_keys as k (bank_id, generation, key)
    select p_id, g.key::int, decode(g.value, 'base64') from jsonb_each_text(p_keys) g
    on conflict (bank_id, generation) do update set key = excluded.key where k.key <> excluded.key;
  if found and outcome = 'unchanged' then outcome := 'configured'; end if;
  return outcome;
end
$$;

-- What there is of a bank, or null. A role that somebody dropped is not listed.
create function bank.bank_state(p_id text) returns jsonb
  language plpgsql stable security definer set search_path = pg_catalog
as $$
begin
  return (
    select jsonb_build_object(
      'owner', b.owner,
      'displayName', b.display_name,
      'type', b.type,
      'vaults', (
        select coalesce(jsonb_agg(jsonb_build_object('id', v.id, 'displayName', v.display_name) order by v.id), '[]')
          from bank.vaults v where v.bank_id = b.id
      ),
      'roles', (
        select coalesce(
            jsonb_agg(jsonb_build_object('role', l.role, 'credentialDigest', l.credential_digest) order by l.role), '[]')
          from bank.login_roles l join pg_catalog.pg_roles r on r.rolname = l.role and r.rolcanlogin
         where l.bank_id = b.id
      ),
      'keyGenerations', (
        select coalesce(jsonb_agg(k.generation order by k.generation), '[]')
          from bank.bank_keys k where k.bank_id = b.id
      ),
      'retainedAt', b.retained_at
    )
    from bank.banks b where b.id = p_id
  );
end
$$;

create function bank.drop_login_role(p_role name) returns boolean
  language plpgsql set search_path = pg_catalog
as $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = p_role) then return false; end if;
  execute format('alter role %I nologin', p_role);
  -- Membership lets us end its connections and drop what it may have made (large objects need no grant).
  execute format('grant %I to %I', p_role, current_user);
  perform pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = p_role;
  execute format('drop owned by %I', p_role);
  execute format('drop role %I', p_role);
  return true;
end
$$;

-- Tables of schema bank with rows of banks: whatever has a bank_id, so that none is ever forgotten. First those that no
-- other refers to (a circle of references comes last, by name).
create function bank.tables_of_banks() returns text[]
  language plpgsql stable set search_path = pg_catalog
as $$
declare
  waiting oid[] := array(
    select c.oid from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'bank_id' and not a.attisdropped
     where c.relnamespace = 'bank'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
     order by c.relname
  );
  free oid[];
  sorted oid[] := '{}';
begin
  while cardinality(waiting) > 0 loop
    free := array(
      select w from unnest(waiting) with ordinality t (w, place)
       where not exists (
         select from pg_constraint f
          where f.contype = 'f' and f.confrelid = w and f.conrelid <> w and f.conrelid = any (waiting))
       order by place
    );
    if cardinality(free) = 0 then free := waiting; end if;
    sorted := sorted || free;
    waiting := array(select w from unnest(waiting) with ordinality t (w, place) where w <> all (free) order by place);
  end loop;
  return array(
    select c.relname::text from unnest(sorted) with ordinality s (id, place) join pg_class c on c.oid = s.id order by s.place
  );
end
$$;

-- What a table has of a bank, without telling it: {"rows": n, "keys": SHA-256 in hex}. The digest is over the primary keys
-- without bank_id in their own order, each ended by a line feed, its columns parted by tabs. (docs/export-format.md)
create function bank.digest_of(p_table text, p_bank text) returns jsonb
  language plpgsql stable set search_path = pg_catalog set timezone = 'UTC' set datestyle = 'ISO' set extra_float_digits = 1
as $$
declare
  columns constant name[] := array(
    select a.attname
      from pg_constraint k, unnest(k.conkey) with ordinality u (attnum, place)
      join pg_attribute a on a.attnum = u.attnum
     where k.conrelid = format('bank.%I', p_table)::regclass and k.contype = 'p' and a.attrelid = k.conrelid
       and a.attname <> 'bank_id'
     order by u.place
  );
  answer jsonb;
begin
  execute format(
    $q$select jsonb_build_object('rows', count(*), 'keys',
         encode(sha256(convert_to(coalesce(string_agg(%s || chr(10), '' order by %s), ''), 'UTF8')), 'hex'))
       from bank.%I where bank_id = $1$q$,
    coalesce((select string_agg(format('%I::text', c), ' || chr(9) || ') from unnest(columns) c), 'null'),
    coalesce((select string_agg(format('%I', c), ', ') from unnest(columns) c), 'bank_id'),
    p_table
  ) into answer using p_bank;
  return answer;
end
$$;

-- Removes all rows of a bank but that in bank.banks.
create function bank.erase_rows(p_id text) returns void
  language plpgsql set search_path = pg_catalog
as $$
declare
  wanted text;
begin
  -- Triggers, also deferred ones, may write about what they saw erased: a second round finds that.
  for round in 1..2 loop
    foreach wanted in array bank.tables_of_banks() loop
      execute format('delete from bank.%I where bank_id = $1', wanted) using p_id;
    end loop;
    set constraints all immediate;
  end loop;
end
$$;

-- Ends a bank: its keys at once, its roles with their connections, and its rows where p_delete_rows. Without that the rows
-- stay for the same p_owner, and so do its tokens; with it they end too (control.bank_epochs), and a receipt says what was
-- erased (control.deletion_receipts). Repeating it is harmless.
-- Answers {"rolesDropped": n, "rowsDeleted": {"<table>": n}, "receipt": id or null}.
create function bank.delete_bank(p_id text, p_owner text, p_delete_rows boolean) returns jsonb
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  was bank.banks;
  dropped int := 0;
  held jsonb := '{}';
  receipt bigint;
  login name;
begin
  was := bank.lock_bank(p_id);
  if was.id is null then
    return jsonb_build_object('rolesDropped', 0, 'rowsDeleted', '{}'::jsonb, 'receipt', null);
  end if;
  if was.owner <> p_owner then
    raise exception 'the id % belongs to the Bank %', p_id, was.owner using errcode = 'BH001';
  end if;
  for login in select role from bank.login_roles where bank_id = p_id order by role loop
    if bank.drop_login_role(login) then dropped := dropped + 1; end if;
  end loop;

  if p_delete_rows then
    -- Before the first is gone, since some go with others. With its vaults locked too, nobody adds a row of this bank.
    perform from bank.vaults where bank_id = p_id for update;
    select jsonb_object_agg(t, bank.digest_of(t, p_id)) into held from unnest(bank.tables_of_banks()) t;
    perform bank.erase_rows(p_id);
    delete from bank.banks where id = p_id;
    -- Tokens of this bank must not open a later one of the same id.
    insert into control.bank_epochs as e (bank_id, not_before) values (p_id, now())
      on conflict (bank_id) do update set not_before = greatest(e.not_before, excluded.not_before);
    insert into control.deletion_receipts (bank_id, owner, tables) values (p_id, was.owner, held) returning id into receipt;
    held := held || '{"banks": {"rows": 1}}';
  else
    delete from bank.login_roles where bank_id = p_id;
    delete from bank.bank_keys where bank_id = p_id;
    update bank.banks set retained_at = coalesce(retained_at, now()) where id = p_id;
  end if;
  return jsonb_build_object(
    'rolesDropped', dropped,
    'rowsDeleted', (select coalesce(jsonb_object_agg(key, value -> 'rows'), '{}') from jsonb_each(held)),
    'receipt', receipt
  );
end
$$;

revoke all on all functions in schema bank from public;
grant execute on function bank.bank_state(text), bank.delete_bank(text, text, boolean),
  bank.ensure_bank(text, text, text, text, jsonb, text, text, text, jsonb) to bankhouse_operator;
-- An export says of each table what a receipt would.
grant execute on function bank.digest_of(text, text) to bankhouse_data;
