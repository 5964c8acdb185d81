-- Moving a bank into another database while it is used (docs/adr/0023). The operator calls these, in the database that the bank leaves and
-- in the one where it arrives; what is between them is operator/src/moving. Every one names the move: what an earlier try still does is
-- refused. Rows go as text of their table's row type, which says any value exactly, and are checked by a hash of what is stored.

-- Refuses to make or change a bank that isn't this database's any more, not yet, or not for the moment (BH003). A row that was left behind
-- by an earlier incarnation says nothing any more.
create or replace function bank.refuse_made_elsewhere(p_id text, p_uid text) returns void
  language plpgsql set search_path = pg_catalog
as $$
begin
  delete from bank.moves m where m.id = p_id and m.uid <> p_uid and m.state in ('gone', 'leaving');
  perform bank.refuse_moving(p_id, true);
end
$$;

-- The move of a bank, locked; refused (BH004) where it is another one, or not in one of these states.
create or replace function bank.lock_move(p_id text, p_move uuid, p_states text[]) returns bank.moves
  language plpgsql set search_path = pg_catalog
as $$
declare
  found_move bank.moves;
begin
  select * into found_move from bank.moves where id = p_id for update;
  if found_move.move is distinct from p_move or found_move.state <> all (p_states) then
    raise exception 'the bank % is % here, by %', p_id, coalesce(found_move.state, 'not moved'),
      case when found_move.move = p_move then 'this move' else 'another move' end using errcode = 'BH004';
  end if;
  return found_move;
end
$$;

-- From here on triggers leave alone what this transaction does to rows of banks.
create or replace function bank.begin_copying() returns void
  language plpgsql set search_path = pg_catalog
as $$
begin
  perform set_config('bankhouse.copying', 'on', true);
  if not bank.copying() then
    raise exception 'rows are moved by the operator alone' using errcode = 'insufficient_privilege';
  end if;
end
$$;

-- Tables whose rows move, those that others refer to first: all that have rows of banks. Positions in the order of one server's transactions
-- say nothing on another one: there, changes and those who listen for them stay behind, and a reader is told to read everything again.
create or replace function bank.moving_tables(p_same_server boolean) returns text[]
  language plpgsql stable set search_path = pg_catalog
as $$
begin
  return array(
    select t from unnest(bank.tables_of_banks()) with ordinality u (t, place)
     where p_same_server or t <> 'feeds' and not exists (
       select from pg_attribute a
        where a.attrelid = format('bank.%I', t)::regclass and a.atttypid = 'xid8'::regtype and not a.attisdropped)
     order by place desc
  );
end
$$;

-- How rows of a table are moved, from the catalog:
--   columns   those that are given; generated ones, and a number that is the whole primary key, are made where the rows arrive
--   primary   columns of the primary key; null where it is made there
--   keys      columns that tell a bank's rows apart
--   uniques   of a table whose primary key is made there: the columns of each other unique constraint
create or replace function bank.moving_shape(
  p_table text, out columns name[], out identities name[], out "primary" name[], out keys name[], out uniques jsonb
)
  language plpgsql stable set search_path = pg_catalog
as $$
declare
  relation constant oid := format('bank.%I', p_table)::regclass;
  made boolean;
begin
  "primary" := array(
    select a.attname from pg_constraint k, unnest(k.conkey) with ordinality u (attnum, place)
      join pg_attribute a on a.attnum = u.attnum
     where k.conrelid = relation and k.contype = 'p' and a.attrelid = relation order by u.place);
  identities := array(select a.attname from pg_attribute a where a.attrelid = relation and a.attidentity <> '' and not a.attisdropped);
  made := cardinality("primary") = 1 and "primary" <@ identities;
  columns := array(
    select a.attname from pg_attribute a
     where a.attrelid = relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
       and not (made and a.attname = "primary"[1])
     order by a.attnum);
  if made then
    uniques := (
      select jsonb_agg(k.names) from (
        select array(select a.attname::text from pg_attribute a where a.attrelid = relation and a.attnum = any (c.conkey) order by a.attnum) as names
          from pg_constraint c where c.conrelid = relation and c.contype = 'u') k
       where 'bank_id' = any (k.names));
    "primary" := null;
    keys := array(select distinct n::name from jsonb_array_elements(uniques) u, jsonb_array_elements_text(u) n where n <> 'bank_id' order by 1);
  else
    keys := array(select c from unnest("primary") with ordinality u (c, place) where c <> 'bank_id' order by place);
  end if;
  if cardinality(keys) = 0 and ("primary" is null or not 'bank_id' = any ("primary")) then
    raise exception 'nothing tells the rows of a bank in % apart', p_table;
  end if;
end
$$;

-- row(t.a, t.b, …)::text
create or replace function bank.row_sql(p_columns name[]) returns text
  language sql immutable
return 'row(' || coalesce((select string_agg(format('t.%I', c), ', ' order by place) from unnest(p_columns) with ordinality u (c, place)), '')
  || ')::text';

-- Which of this server's clusters it is: two databases of one have the same.
create or replace function admin.server_identity() returns text
  language sql stable security definer set search_path = pg_catalog
return (select system_identifier::text from pg_control_system());

-- The bank is about to leave: it is used as before. An earlier try that did not come to its end is over, and what it froze is not any more.
-- Answers {"bank": its row, "tables": the tables whose rows move, in this order, "rows": about how many}.
create or replace function admin.begin_leaving(p_id text, p_uid text, p_move uuid, p_same_server boolean) returns jsonb
  language plpgsql security definer set search_path = pg_catalog set timezone = 'UTC' set datestyle = 'ISO' set lock_timeout = '5s'
as $$
declare
  was constant bank.banks := bank.lock_bank(p_id);
  before bank.moves;
  tables constant text[] := bank.moving_tables(p_same_server);
begin
  if was.id is null then
    raise exception 'the bank % is not in this database', p_id using errcode = 'BH004';
  end if;
  perform bank.check_incarnation(was, p_uid);
  if was.retired_at is not null then
    raise exception 'the bank % is deleted', p_id using errcode = 'BH004';
  end if;
  select * into before from bank.moves where id = p_id for update;
  if before.state in ('gone', 'arriving') then
    raise exception 'the bank % is % here', p_id, before.state using errcode = 'BH004';
  end if;
  insert into bank.moves as m (id, uid, move, state, same_server) values (p_id, p_uid, p_move, 'leaving', p_same_server)
    on conflict (id) do update
      set uid = excluded.uid, move = excluded.move, state = 'leaving', frozen_until = null, same_server = excluded.same_server,
          since = clock_timestamp();
  return jsonb_build_object('bank', was::text, 'tables', to_jsonb(tables));
end
$$;

-- The bank is about to arrive. What an earlier try has brought, or what was left behind when it went away from here, goes. A bank that is
-- in use here is left alone (BH004).
--   p_bank: its row, as admin.begin_leaving said
create or replace function admin.begin_arriving(p_id text, p_uid text, p_move uuid, p_same_server boolean, p_bank text) returns void
  language plpgsql security definer set search_path = pg_catalog set timezone = 'UTC' set datestyle = 'ISO'
as $$
declare
  given constant bank.banks := p_bank::bank.banks;
  was constant bank.banks := bank.lock_bank(p_id);
  before bank.moves;
begin
  perform bank.begin_copying();
  if given.id <> p_id or given.uid <> p_uid then
    raise exception 'the row is of another bank' using errcode = 'invalid_parameter_value';
  end if;
  select * into before from bank.moves where id = p_id for update;
  if before.state in ('leaving', 'frozen') or before.id is null and was.id is not null then
    raise exception 'the bank % is in use here', p_id using errcode = 'BH004';
  end if;
  if was.id is not null then
    perform bank.erase_rows(p_id);
    delete from bank.banks where id = p_id;
  end if;
  insert into bank.moves as m (id, uid, move, state, same_server, was_gone)
    values (p_id, p_uid, p_move, 'arriving', p_same_server, false)
    on conflict (id) do update
      set uid = excluded.uid, move = excluded.move, state = 'arriving', same_server = excluded.same_server,
          was_gone = m.uid = excluded.uid and (m.was_gone or m.state = 'gone'), since = clock_timestamp();
  insert into bank.banks select (given).*;
end
$$;

-- Opens the cursor leaving_rows over a table's rows: their text, and the hash of what is moved of them. To be fetched in this transaction,
-- under the session's timezone UTC and datestyle ISO.
--   p_since: only what transactions from this one on wrote; null: all. (Not what a snapshot doesn't see: it names no subtransactions.)
create or replace function admin.open_leaving_rows(p_id text, p_move uuid, p_table text, p_since xid8) returns refcursor
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  shape constant record := bank.moving_shape(p_table);
  leaving_rows refcursor := 'leaving_rows';
begin
  if not exists (select from bank.moves m where m.id = p_id and m.move = p_move and m.state in ('leaving', 'frozen')) then
    raise exception 'the bank % does not leave by this move', p_id using errcode = 'BH004';
  end if;
  open leaving_rows no scroll for execute format(
    'select t::text as value, hashtextextended(%s, 0)::text as hash from bank.%I t where t.bank_id = $1 %s',
    bank.row_sql(shape.columns), p_table, case when p_since is not null then 'and age(t.xmin) <= age($2::xid)' end)
    using p_id, p_since;
  return leaving_rows;
end
$$;

-- Puts rows where they arrive, in place of those of the same keys. Answers the sum of the hashes of what is stored. A transaction that finds
-- nothing of the bank in a table, as the first round does, brings each key once, and needn't look for those that are there.
create or replace function admin.put_arriving_rows(p_id text, p_move uuid, p_table text, p_rows text[]) returns numeric
  language plpgsql security definer set search_path = pg_catalog set timezone = 'UTC' set datestyle = 'ISO'
as $$
declare
  shape constant record := bank.moving_shape(p_table);
  other name[];
  is_empty boolean := current_setting('bankhouse.arriving_empty', true) is not distinct from p_table;
  stored numeric;
  foreign_rows bigint;
begin
  perform bank.lock_move(p_id, p_move, array['arriving']);
  perform bank.begin_copying();
  -- Rows of one table may refer to each other.
  set constraints all deferred;
  if shape."primary" is null and not is_empty then
    execute format('select not exists (select from bank.%I t where t.bank_id = $1)', p_table) into is_empty using p_id;
    perform set_config('bankhouse.arriving_empty', case when is_empty then p_table else '' end, true);
  end if;
  if shape."primary" is null and not is_empty then
    for other in select array(select jsonb_array_elements_text(u)) from jsonb_array_elements(shape.uniques) u loop
      execute format('delete from bank.%I t using (select v::bank.%1$I as r from unnest($1) v offset 0) g where t.bank_id = $2 and %s', p_table,
        (select string_agg(format('t.%I = (g.r).%1$I', c), ' and ') from unnest(other) c)) using p_rows, p_id;
    end loop;
  end if;
  execute format(
    $q$with put as (
         insert into bank.%1$I as t (%2$s) overriding system value
           select %3$s from (select v::bank.%1$I as r from unnest($1) v offset 0) g where (g.r).bank_id = $2
           %4$s
           returning %5$s as value
       ) select count(*), coalesce(sum(hashtextextended(value, 0)), 0) from put$q$,
    p_table,
    (select string_agg(format('%I', c), ', ' order by place) from unnest(shape.columns) with ordinality u (c, place)),
    (select string_agg(format('(g.r).%I', c), ', ' order by place) from unnest(shape.columns) with ordinality u (c, place)),
    case when shape."primary" is not null then format('on conflict (%s) do update set %s',
      (select string_agg(format('%I', c), ', ') from unnest(shape."primary") c),
      (select string_agg(format('%I = excluded.%1$I', c), ', ') from unnest(shape.columns) c
        where c = 'bank_id' or c <> all (shape."primary") and c <> all (shape.identities))) end,
    bank.row_sql(shape.columns)) into foreign_rows, stored using p_rows, p_id;
  if foreign_rows <> cardinality(p_rows) then
    raise exception 'rows of another bank came with those of %', p_id using errcode = 'invalid_parameter_value';
  end if;
  return stored;
end
$$;

-- The row in bank.banks as it is now, where it leaves; and put where it arrives.
create or replace function admin.leaving_bank(p_id text, p_move uuid) returns text
  language plpgsql stable security definer set search_path = pg_catalog set timezone = 'UTC' set datestyle = 'ISO'
as $$
begin
  return (select b::text from bank.banks b join bank.moves m on m.id = b.id where b.id = p_id and m.move = p_move);
end
$$;

create or replace function admin.put_arriving_bank(p_id text, p_move uuid, p_bank text) returns void
  language plpgsql security definer set search_path = pg_catalog set timezone = 'UTC' set datestyle = 'ISO'
as $$
declare
  given constant bank.banks := p_bank::bank.banks;
begin
  perform bank.lock_move(p_id, p_move, array['arriving']);
  perform bank.begin_copying();
  update bank.banks
     set display_name = given.display_name, type = given.type, created_at = given.created_at, retired_at = given.retired_at,
         tokens_not_before = greatest(tokens_not_before, given.tokens_not_before)
   where id = p_id and given.id = p_id and uid = given.uid;
end
$$;

-- What tells where two databases differ in a table: of each of 1,024 parts of its keys, how many there are and the sum of their hashes.
create or replace function admin.moving_keys(p_id text, p_move uuid, p_table text) returns table (part int, keys bigint, hashes numeric)
  language plpgsql stable security definer rows 1024
  set search_path = pg_catalog set timezone = 'UTC' set datestyle = 'ISO'
as $$
begin
  if not exists (select from bank.moves m where m.id = p_id and m.move = p_move) then
    raise exception 'the bank % does not move so', p_id using errcode = 'BH004';
  end if;
  return query execute format(
    'select (h & 1023)::int, count(*), sum(h) from (select hashtextextended(%s, 0) as h from bank.%I t where t.bank_id = $1) k group by 1',
    bank.row_sql((bank.moving_shape(p_table)).keys), p_table) using p_id;
end
$$;

-- The keys of such parts.
create or replace function admin.moving_keys_in(p_id text, p_move uuid, p_table text, p_parts int[]) returns setof text
  language plpgsql stable security definer set search_path = pg_catalog set timezone = 'UTC' set datestyle = 'ISO'
as $$
declare
  key constant text := bank.row_sql((bank.moving_shape(p_table)).keys);
begin
  if not exists (select from bank.moves m where m.id = p_id and m.move = p_move) then
    raise exception 'the bank % does not move so', p_id using errcode = 'BH004';
  end if;
  return query execute format('select %1$s from bank.%2$I t where t.bank_id = $1 and (hashtextextended(%1$s, 0) & 1023)::int = any ($2)',
    key, p_table) using p_id, p_parts;
end
$$;

-- Removes what is in such parts and not among these keys; answers how much.
create or replace function admin.keep_arriving_keys(p_id text, p_move uuid, p_table text, p_parts int[], p_keys text[]) returns bigint
  language plpgsql security definer set search_path = pg_catalog set timezone = 'UTC' set datestyle = 'ISO'
as $$
declare
  key constant text := bank.row_sql((bank.moving_shape(p_table)).keys);
  removed bigint;
begin
  perform bank.lock_move(p_id, p_move, array['arriving']);
  perform bank.begin_copying();
  execute format('delete from bank.%2$I t where t.bank_id = $1 and (hashtextextended(%1$s, 0) & 1023)::int = any ($2)
      and not exists (select from unnest($3) k where k = %1$s)', key, p_table) using p_id, p_parts, p_keys;
  get diagnostics removed = row_count;
  return removed;
end
$$;

-- Fresh statistics of the tables, which a database that was empty has none of.
create or replace function admin.analyze_arriving(p_id text, p_move uuid) returns void
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  wanted text;
begin
  perform bank.lock_move(p_id, p_move, array['arriving']);
  foreach wanted in array bank.tables_of_banks() loop
    execute format('analyze bank.%I', wanted);
  end loop;
end
$$;

-- Nothing of the bank is written from now on, for so many seconds and not longer, whatever becomes of who moves it. Once this is committed,
-- what began before may still write: admin.writers_before says who. Answers when it ends.
create or replace function admin.freeze_leaving(p_id text, p_move uuid, p_seconds float8) returns timestamptz
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
declare
  until timestamptz;
begin
  -- Behind whom the operator's own changes of the bank follow each other.
  perform bank.lock_bank(p_id);
  perform bank.lock_move(p_id, p_move, array['leaving', 'frozen']);
  update bank.moves set state = 'frozen', frozen_until = clock_timestamp() + make_interval(secs => p_seconds) where id = p_id
    returning frozen_until into until;
  return until;
end
$$;

-- Transactions under way in this database that may write rows of the bank: those of its login roles, and of roles that are no bank's. Each by
-- a name that none has again.
create or replace function admin.writers_before(p_id text) returns text[]
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  perform pg_stat_clear_snapshot();
  return array(
    select l.virtualtransaction from pg_locks l join pg_stat_get_activity(null) a on a.pid = l.pid
     where l.locktype = 'virtualxid' and l.granted and l.virtualxid = l.virtualtransaction and l.pid <> pg_backend_pid()
       and a.datid = (select d.oid from pg_database d where d.datname = current_database())
       and pg_get_userbyid(a.usesysid) not in ('bankhouse_operator', 'bankhouse_control', 'bankhouse_gateway')
       and not exists (
         select from bank.login_roles r where r.role = pg_get_userbyid(a.usesysid) and r.bank_id <> p_id)
    union
    select 'prepared ' || p.gid from pg_prepared_xacts p where p.database = current_database()
  );
end
$$;

-- Ends the sessions of the bank's login roles: what they had begun is undone, and nobody was told that it was done.
create or replace function admin.end_writers(p_id text, p_move uuid) returns int
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  perform bank.lock_move(p_id, p_move, array['frozen']);
  return (select coalesce(sum(admin.end_sessions(l.role)), 0)::int from bank.login_roles l where l.bank_id = p_id);
end
$$;

-- Makes the freeze one that lasts until the move says otherwise. Answers until when it was frozen before: who calls it asks the clock again
-- behind the commit, and had it passed by then, somebody may have written. Null: too late.
create or replace function admin.seal_leaving(p_id text, p_move uuid) returns timestamptz
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '2s'
as $$
declare
  frozen constant bank.moves := bank.lock_move(p_id, p_move, array['frozen']);
begin
  if frozen.frozen_until <= clock_timestamp() then return null; end if;
  update bank.moves set frozen_until = null where id = p_id;
  return frozen.frozen_until;
end
$$;

-- Whether it is not yet then, by this database's clock.
create or replace function admin.is_before(p_at timestamptz) returns boolean
  language sql volatile security definer set search_path = pg_catalog
return coalesce(clock_timestamp() < p_at, false);

-- Nothing of the move is in force here any more: the bank is used as before. Repeating it is harmless, also for a bank that never was to
-- leave. Once the bank is elsewhere: BH004.
create or replace function admin.stay(p_id text, p_uid text) returns boolean
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
declare
  before bank.moves;
begin
  select * into before from bank.moves where id = p_id for update;
  if before.id is null or before.uid <> p_uid then return false; end if;
  if before.state not in ('leaving', 'frozen') then
    raise exception 'the bank % is % here', p_id, before.state using errcode = 'BH004';
  end if;
  delete from bank.moves where id = p_id;
  return true;
end
$$;

-- What has been brought goes again; the bank did not arrive. Repeating it is harmless; a bank that is in use here is left alone.
create or replace function admin.discard_arriving(p_id text, p_uid text) returns boolean
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  was constant bank.banks := bank.lock_bank(p_id);
  before bank.moves;
begin
  perform bank.begin_copying();
  select * into before from bank.moves where id = p_id for update;
  if before.state is distinct from 'arriving' or before.uid <> p_uid then return false; end if;
  if was.id is not null then
    perform bank.erase_rows(p_id);
    delete from bank.banks where id = p_id;
  end if;
  if before.was_gone then
    update bank.moves set state = 'gone' where id = p_id;
  else
    delete from bank.moves where id = p_id;
  end if;
  return true;
end
$$;

-- Where the bank goes: what its server is told once it is gone. (A URL without a login.)
create or replace function admin.say_where(p_id text, p_move uuid, p_to text) returns void
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
begin
  perform bank.lock_move(p_id, p_move, array['leaving', 'frozen', 'gone']);
  update bank.moves set moved_to = p_to where id = p_id and moved_to is distinct from p_to;
end
$$;

-- The bank is elsewhere from now on: nothing of it is read or written here. Repeating it is harmless.
create or replace function admin.finish_leaving(p_id text, p_move uuid) returns void
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
declare
  before constant bank.moves := bank.lock_move(p_id, p_move, array['frozen', 'gone']);
begin
  if before.state = 'frozen' and before.frozen_until is not null then
    raise exception 'the bank % may be written still', p_id using errcode = 'BH004';
  end if;
  update bank.moves set state = 'gone', frozen_until = null where id = p_id and state <> 'gone';
end
$$;

-- The bank is here from now on. Repeating it is harmless.
create or replace function admin.finish_arriving(p_id text, p_move uuid) returns boolean
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
declare
  before bank.moves;
begin
  select * into before from bank.moves where id = p_id for update;
  if before.id is null and exists (select from bank.banks b where b.id = p_id) then return false; end if;
  before := bank.lock_move(p_id, p_move, array['arriving']);
  if not before.same_server then
    -- Whoever has a position of the other server has missed something.
    insert into bank.change_floors (bank_id, pruned) values (p_id, pg_current_xact_id())
      on conflict (bank_id) do update set pruned = excluded.pruned;
  end if;
  delete from bank.moves where id = p_id;
  return true;
end
$$;

-- Erases the rows of a bank that is elsewhere. Its login roles go too, unless the other database has the same. That it is gone from here
-- stays written down. Repeating it is harmless. Null: a role is still held by a connection of its own; call it again. Else how many rows went.
create or replace function admin.erase_left(p_id text, p_uid text) returns bigint
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  was constant bank.banks := bank.lock_bank(p_id);
  before bank.moves;
  login name;
  rows_deleted bigint;
begin
  perform bank.begin_copying();
  select * into before from bank.moves where id = p_id for update;
  if before.state is distinct from 'gone' or before.uid <> p_uid then
    raise exception 'the bank % is not gone from here', p_id using errcode = 'BH004';
  end if;
  if was.id is null or was.uid <> p_uid then return 0; end if;
  if not before.same_server then
    for login in
      select l.role from bank.login_roles l join pg_catalog.pg_roles r on r.rolname = l.role where l.bank_id = p_id order by 1
    loop
      if not bank.drop_login_role(login) then return null; end if;
    end loop;
  end if;
  select coalesce(sum((bank.digest_of(t, p_id) ->> 'rows')::bigint), 0) into rows_deleted from unnest(bank.tables_of_banks()) t;
  update bank.moves set roles = array(select l.role from bank.login_roles l where l.bank_id = p_id) where id = p_id;
  perform bank.erase_rows(p_id);
  delete from bank.banks where id = p_id;
  return rows_deleted;
end
$$;
