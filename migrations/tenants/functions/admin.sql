-- What the operator does: these functions, and no table. An id is given away by control.claim_id; here a bank is made for an incarnation
-- of it, the uid of its Bank.

-- The row lock on the bank's row is what makes concurrent calls for one bank follow each other. (An advisory lock could be held by any
-- role that may connect.) No key lock: an open transaction of the bank's own must not hold the operator up.
create or replace function bank.lock_bank(p_id text) returns bank.banks
  language plpgsql set search_path = pg_catalog
as $$
declare
  found_bank bank.banks;
begin
  select * into found_bank from bank.banks where id = p_id for no key update;
  return found_bank;
end
$$;

-- Refuses what is done for another incarnation than the one that the bank is of (BH001).
create or replace function bank.check_incarnation(p_bank bank.banks, p_uid text) returns void
  language plpgsql set search_path = pg_catalog
as $$
begin
  if p_bank.uid <> p_uid then
    raise exception 'the id % belongs to another Bank', p_bank.id using errcode = 'BH001';
  end if;
end
$$;

-- Ends the connections of a login role; they are gone when this answers or five seconds later.
create or replace function bank.end_connections(p_role name) returns void
  language plpgsql set search_path = pg_catalog
as $$
begin
  -- Membership is what lets us end them, and drop what the role may have made.
  execute format('grant %I to %I', p_role, current_user);
  perform pg_stat_clear_snapshot();
  -- First all, without waiting: one that ends makes room for the next.
  perform pg_terminate_backend(a.pid) from pg_stat_activity a where a.usename = p_role;
  perform pg_terminate_backend(a.pid, 5000) from pg_stat_activity a where a.usename = p_role;
end
$$;

-- Alters a login role, also while one of its own transactions holds its row: it may set its password and its settings. That one ends.
create or replace function bank.alter_login_role(p_role name, p_change text) returns void
  language plpgsql set search_path = pg_catalog
as $$
declare
  patience constant text := current_setting('lock_timeout');
begin
  begin
    perform set_config('lock_timeout', '500ms', true);
    execute format('alter role %I %s', p_role, p_change);
    perform set_config('lock_timeout', patience, true);
    return;
  exception when lock_not_available then
    perform bank.end_connections(p_role);
  end;
  execute format('alter role %I %s', p_role, p_change);
end
$$;

-- A login role of the bank that is under quarantine, and so all of them; nulls where none is.
create or replace function bank.quarantine_of(p_id text) returns bank.login_roles
  language plpgsql stable set search_path = pg_catalog
as $$
declare
  found_role bank.login_roles;
begin
  select * into found_role from bank.login_roles where bank_id = p_id and quarantined_at is not null order by role limit 1;
  return found_role;
end
$$;

-- Makes or repairs the login role of a bank. A role of that name that was not made here is refused (BH002): its password
-- or its grants could be anybody's.
--   p_force: sets the password although its digest is the one in force, since a role can change its own
create or replace function bank.ensure_login_role(p_id text, p_role name, p_verifier text, p_digest text, p_force boolean)
  returns boolean
  language plpgsql set search_path = pg_catalog
as $$
declare
  settings constant text[] := array[
    'statement_timeout=10s', 'lock_timeout=2s', 'idle_in_transaction_session_timeout=15s',
    'default_transaction_read_only=on', 'search_path=api', 'jit=off'
  ];
  connections constant int := 12;
  setting text;
  registered bank.login_roles;
  existing pg_catalog.pg_roles;
  -- A quarantine is the bank's: a new form of its login is under it, too.
  quarantined constant bank.login_roles := bank.quarantine_of(p_id);
  stray name;
  changed boolean := false;
begin
  if p_role !~ '^bank_[0-9a-f]{24}_[ab]$' then
    raise exception 'the name of a login role tells nothing: bank_, 24 hexadecimal digits, _a or _b'
      using errcode = 'invalid_parameter_value';
  end if;
  if p_verifier !~ '^SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$' then
    raise exception 'the password of % must come as a SCRAM-SHA-256 verifier', p_role
      using errcode = 'invalid_parameter_value';
  end if;
  select * into registered from bank.login_roles where role = p_role;
  select * into existing from pg_catalog.pg_roles where rolname = p_role;
  if (existing.oid is not null or registered.role is not null) and registered.bank_id is distinct from p_id then
    raise exception 'a role % exists already and was not made for this bank', p_role
      using errcode = 'BH002', hint = 'Drop the role.';
  end if;

  if existing.oid is null then
    execute format('create role %I %s connection limit %s password %L', p_role,
      case when quarantined.role is null then 'login' else 'nologin' end, connections, p_verifier);
    changed := true;
  elsif quarantined.role is not null then
    -- Until the quarantine is lifted it may not log in.
    if existing.rolcanlogin then
      perform bank.alter_login_role(p_role, 'nologin');
      changed := true;
    end if;
  elsif p_force or registered.credential_digest is distinct from p_digest
     or not existing.rolcanlogin or existing.rolconnlimit <> connections then
    perform bank.alter_login_role(p_role, format('login connection limit %s password %L', connections, p_verifier));
    changed := true;
  end if;
  if not exists (
    select from pg_catalog.pg_auth_members
     where roleid = 'bankhouse_bank'::regrole and member = quote_ident(p_role)::regrole
  ) then
    execute format('grant bankhouse_bank to %I', p_role);
    changed := true;
  end if;
  if not exists (
    select from pg_catalog.pg_auth_members
     where roleid = quote_ident(p_role)::regrole and member = 'bankhouse_watchdog'::regrole
  ) then
    execute format('grant %I to bankhouse_watchdog', p_role);
    changed := true;
  end if;
  -- A role may give itself to another one (before PostgreSQL 16).
  for stray in
    select pg_get_userbyid(m.member) from pg_catalog.pg_auth_members m
     where m.roleid = quote_ident(p_role)::regrole and m.member <> all (array['bankhouse_watchdog', quote_ident(current_user)]::regrole[])
  loop
    execute format('revoke %I from %I', p_role, stray);
    changed := true;
  end loop;
  -- A role can change its own settings, also those for one database, which count more: those that are not ours go.
  if existing.rolconfig is distinct from settings then
    if existing.rolconfig is not null then perform bank.alter_login_role(p_role, 'reset all'); end if;
    foreach setting in array settings loop
      perform bank.alter_login_role(p_role, format('set %I = %L', split_part(setting, '=', 1), split_part(setting, '=', 2)));
    end loop;
    changed := true;
  end if;
  for stray in
    select d.datname from pg_catalog.pg_db_role_setting s join pg_catalog.pg_database d on d.oid = s.setdatabase
     where s.setrole = quote_ident(p_role)::regrole
  loop
    perform bank.alter_login_role(p_role, format('in database %I reset all', stray));
    changed := true;
  end loop;
  insert into bank.login_roles as l (role, bank_id, credential_digest, quarantined_at, quarantined_for)
    values (p_role, p_id, p_digest, quarantined.quarantined_at, quarantined.quarantined_for)
    on conflict (role) do update set credential_digest = excluded.credential_digest
    where l.credential_digest <> excluded.credential_digest;
  return changed;
end
$$;

-- Brings a bank to what is given and says 'created', 'configured' or 'unchanged'. A bank of an earlier incarnation passes to this one where
-- it is retired: its roles and keys are gone, its rows are there. The earlier one is over then: nothing is erased in its name.
--   p_uid: of the Bank; while another one is in force, or when this one is over: BH001; while it is frozen for a move, arrives by one, or
--     when it has left by one: BH003
--   p_vaults: [{"id", "displayName"}], added or renamed; a vault that is no longer given keeps its rows
--   p_role: bank_<24 hexadecimal digits>_a or _b; p_verifier: SCRAM-SHA-256$…; p_credential_digest: stored, and compared next time
--   p_keys: {"<generation>": "<base64>"}, exactly these from now on
create or replace function admin.ensure_bank(
  p_id text, p_uid text, p_display_name text, p_type text, p_vaults jsonb, p_role name, p_verifier text,
  p_credential_digest text, p_keys jsonb, p_force boolean default false
) returns text
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
declare
  was bank.banks;
  outcome text := 'unchanged';
begin
  loop
    was := bank.lock_bank(p_id);
    exit when was.id is not null;
    insert into bank.banks (id, uid, display_name, type) values (p_id, p_uid, p_display_name, p_type)
      on conflict (id) do nothing;
    if found then
      outcome := 'created';
      was := bank.lock_bank(p_id);
      exit;
    end if;
  end loop;
  perform bank.refuse_made_elsewhere(p_id, p_uid);
  if was.retired_at is null then perform bank.check_incarnation(was, p_uid); end if;
  if exists (select from bank.erasures e where e.uid = p_uid) then
    raise exception 'the id % was given back by this Bank', p_id using errcode = 'BH001';
  end if;
  if was.uid <> p_uid then
    insert into bank.erasures (uid, tables) values (was.uid, '{}') on conflict do nothing;
  end if;

  if (was.uid, was.display_name, was.type) is distinct from (p_uid, p_display_name, p_type) or was.retired_at is not null then
    update bank.banks set uid = p_uid, display_name = p_display_name, type = p_type, retired_at = null where id = p_id;
    outcome := 'configured';
  end if;

  insert into bank.vaults as v (bank_id, id, display_name)
    select p_id, g ->> 'id', coalesce(g ->> 'displayName', g ->> 'id') from jsonb_array_elements(p_vaults) g
    on conflict (bank_id, id) do update set display_name = excluded.display_name
    where v.display_name <> excluded.display_name;
  if found and outcome = 'unchanged' then outcome := 'configured'; end if;

  if bank.ensure_login_role(p_id, p_role, p_verifier, p_credential_digest, p_force) and outcome = 'unchanged' then
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

-- What there is of a bank, or null. A role that somebody dropped is not listed; one whose password somebody else may have set can't be told.
create or replace function admin.bank_state(p_id text) returns jsonb
  language plpgsql stable security definer set search_path = pg_catalog
as $$
begin
  return (
    select jsonb_build_object(
      'uid', b.uid,
      'displayName', b.display_name,
      'type', b.type,
      'vaults', (
        select coalesce(jsonb_agg(jsonb_build_object('id', v.id, 'displayName', v.display_name) order by v.id), '[]')
          from bank.vaults v where v.bank_id = b.id
      ),
      'roles', (
        select coalesce(
            jsonb_agg(jsonb_build_object('role', l.role, 'credentialDigest', l.credential_digest,
              'quarantinedAt', l.quarantined_at, 'quarantinedFor', l.quarantined_for) order by l.role), '[]')
          from bank.login_roles l join pg_catalog.pg_roles r on r.rolname = l.role
         where l.bank_id = b.id and (r.rolcanlogin or l.quarantined_at is not null)
      ),
      'keyGenerations', (
        select coalesce(jsonb_agg(k.generation order by k.generation), '[]')
          from bank.bank_keys k where k.bank_id = b.id
      ),
      'retired', b.retired_at is not null
    )
    from bank.banks b where b.id = p_id
  );
end
$$;

-- Keeps a role from logging in, and drops it with what it may have made: large objects need no grant. False: a connection that came in
-- meanwhile holds the role; once this is committed, none can come any more.
create or replace function bank.drop_login_role(p_role name) returns boolean
  language plpgsql set search_path = pg_catalog
as $$
begin
  perform bank.end_connections(p_role);
  perform bank.alter_login_role(p_role, 'nologin');
  perform bank.end_connections(p_role);
  begin
    execute format('drop owned by %I', p_role);
    execute format('drop role %I', p_role);
  exception when lock_not_available or dependent_objects_still_exist then
    return false;
  end;
  perform bank.unlink_strays();
  return true;
end
$$;

-- Removes large objects that bank roles gave to their group: such a one belongs to nobody and is erased with no bank (D5). One that a
-- role of another bank holds is left for the next time.
create or replace function bank.unlink_strays() returns int
  language plpgsql set search_path = pg_catalog
as $$
declare
  patience constant text := current_setting('lock_timeout');
  stray oid;
  gone int := 0;
  failed int := 0;
begin
  for stray in select m.oid from pg_largeobject_metadata m where m.lomowner = 'bankhouse_bank'::regrole loop
    begin
      perform set_config('lock_timeout', '50ms', true);
      perform lo_unlink(stray);
      gone := gone + 1;
    exception when lock_not_available or undefined_object then
      failed := failed + 1;
      exit when failed = 20;
    end;
  end loop;
  perform set_config('lock_timeout', patience, true);
  return gone;
end
$$;

-- Tables of schema bank with rows of banks: whatever has a bank_id, so that none is ever forgotten. First those that no
-- other refers to (a circle of references comes last, by name).
create or replace function bank.tables_of_banks() returns text[]
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
create or replace function bank.digest_of(p_table text, p_bank text) returns jsonb
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

-- Removes all rows of a bank but that in bank.banks. Its keys are gone: changes are not written down any more.
create or replace function bank.erase_rows(p_id text) returns void
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

-- Ends access to a bank: its keys at once, its roles with their connections. Its rows stay, for the next incarnation or to be erased.
-- Repeating it is harmless, and so is an incarnation that is not in force. Answers how many roles were dropped; null: access has ended, but a
-- role is still held by a connection of its own, and the bank is not retired before this is called again.
create or replace function admin.retire_bank(p_id text, p_uid text) returns int
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
declare
  was constant bank.banks := bank.lock_bank(p_id);
  dropped int := 0;
  login name;
begin
  if was.id is null or was.uid <> p_uid then return 0; end if;
  delete from bank.bank_keys where bank_id = p_id;
  for login in
    select l.role from bank.login_roles l join pg_catalog.pg_roles r on r.rolname = l.role where l.bank_id = p_id order by 1
  loop
    if not bank.drop_login_role(login) then return null; end if;
    dropped := dropped + 1;
  end loop;
  delete from bank.login_roles where bank_id = p_id;
  update bank.banks set retired_at = now() where id = p_id and retired_at is null;
  return dropped;
end
$$;

-- Erases a bank with all its rows, and says what there was: {"rowsDeleted": n, "tables": {"<table>": {"rows", "keys"}}}, tables as
-- bank.digest_of says. It takes as long as there are rows. Retire it first: where a role is held still, this fails and changes nothing.
--   p_uid: the incarnation that the id is kept for, also where it never came so far that the bank was made its own; while another
--     one is in force: BH001. Repeating it answers the same; of a bank that never was, and of an incarnation whose rows passed to the next
--     one, nothing.
create or replace function admin.erase_bank(p_id text, p_uid text) returns jsonb
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  was constant bank.banks := bank.lock_bank(p_id);
  held jsonb;
begin
  if was.id is not null and not exists (select from bank.erasures e where e.uid = p_uid) then
    if was.retired_at is null then
      perform bank.check_incarnation(was, p_uid);
      if admin.retire_bank(p_id, p_uid) is null then
        raise exception 'a role of the bank % is still held by a connection', p_id using errcode = 'object_in_use', hint = 'Retire it.';
      end if;
    end if;
    -- Before the first is gone, since some go with others. With its vaults locked too, nobody adds a row of this bank.
    perform from bank.vaults where bank_id = p_id for update;
    select jsonb_object_agg(t, bank.digest_of(t, p_id)) into held from unnest(bank.tables_of_banks()) t;
    perform bank.erase_rows(p_id);
    delete from bank.banks where id = p_id;
    insert into bank.erasures (uid, tables) values (p_uid, held);
    insert into bank.erasures (uid, tables) values (was.uid, '{}') on conflict do nothing;
  end if;
  select e.tables into held from bank.erasures e where e.uid = p_uid;
  return jsonb_build_object(
    'rowsDeleted', (select coalesce(sum((value ->> 'rows')::bigint), 0) from jsonb_each(held)),
    'tables', coalesce(held, '{}')
  );
end
$$;
