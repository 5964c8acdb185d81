-- The watchdog: ends sessions of banks' login roles that do what no bank server does (docs/adr/0021). What it ends for can't happen to a
-- server of ours, however slow the database is: such a session took its time-outs off, or sent statements of its own.
--
-- It must work while somebody holds everybody up. A session whose lock on a catalog another one waits to take exclusively (`create rule`
-- queues before it looks at privileges), or that has filled the shared table of locks, stops every statement that needs a lock it does
-- not hold. So the watchdog's connection stays in one transaction, which holds ACCESS SHARE on each catalog and its indexes from its
-- beginning: what a transaction holds it gets again without asking. It reads functions and no tables but bank.login_roles and bank.moves, which no bank can
-- lock; it writes nothing, so it keeps no snapshot and no transaction number, and holds vacuum up nowhere.
--
-- Sessions and locks are the server's, so the one that looks in the common database sees those of banks with databases of their own too. A
-- login role of a bank is what bankhouse_watchdog is a member of, whichever database has made it; where such a one may be, the entries of
-- pg_database say, which let it in by name (admin.let_in).

-- Takes ACCESS SHARE on every catalog that can be read, and on its indexes, for the rest of the transaction: planning a statement
-- does. First call of a watchdog's transaction. Answers how many catalogs there are.
create or replace function admin.hold_catalogs() returns int
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  catalog record;
  held int := 0;
begin
  for catalog in
    select c.relname from pg_class c
     where c.relnamespace = 'pg_catalog'::regnamespace and (c.relkind = 'r' or c.relname in ('pg_roles', 'pg_locks'))
       and has_table_privilege(c.oid, 'SELECT') order by c.oid
  loop
    execute format('select from pg_catalog.%I limit 0', catalog.relname);
    held := held + 1;
  end loop;
  return held;
end
$$;

-- Ends every session of the login roles of which one does what it has no business with, and says why, one row a role. A row without a
-- role: somebody else waits for what this transaction holds, so it should end, and begin again.
--   locks: relations are read and written by the functions of schema api, which takes ROW EXCLUSIVE at most; of a catalog, ACCESS SHARE
--   bank: null for a role that another database has made
--   p_locks: all kinds of calls in one transaction take fewer; the table of locks is shared by all
--   p_statement: the server's own limits are 5 and 10 s; p_transaction: a batch takes 20 s at most
--   statements: what no server says (watchdog_statements.sql), unless the session has bankhouse.watch_statements = off; and by what nobody sees
--   what is computed: the protocol's function calls, which have no text, and cursors that a commit has to finish, to hold them. A commit of ours has
--   no snapshot by then, but for an instant.
create or replace function admin.watch_sessions(
  p_locks int default 250, p_statement interval default '12 s', p_transaction interval default '25 s'
) returns table (role name, bank text, reason text, sessions int)
  language plpgsql security definer rows 2 set search_path = pg_catalog
as $$
#variable_conflict use_column
declare
  first_of_ours constant oid := 16384;
  watchdog constant oid := 'bankhouse_watchdog'::regrole;
  here constant oid := (select d.oid from pg_database d where d.datname = current_database());
  judges_statements constant boolean := coalesce(current_setting('bankhouse.watch_statements', true), '') <> 'off';
  known constant text[] := admin.shown_statements();
  caught record;
begin
  -- News of catalogs come with a lock that is not held yet: without, this transaction would never hear of a role that was made since it began,
  -- and have no right to its sessions. So one is taken, on a table that no bank can lock, and given back. Where there is no room for it, what was
  -- heard at the look before has to do.
  begin
    perform from bank.moves limit 0;
    raise exception 'given back';
  exception when others then null;
  end;
  -- Activity is read once a transaction otherwise.
  perform pg_stat_clear_snapshot();
  for caught in
    with seen as materialized (
      select a.pid, a.state, a.wait_event, a.xact_start, a.query_start, a.state_change, a.query, a.backend_xmin, a.backend_type,
             pg_get_userbyid(a.usesysid) as role, l.bank_id,
             a.datid = here and l.role is not null or exists (
               select from pg_database d, aclexplode(d.datacl) g
                where d.oid = a.datid and g.grantee = a.usesysid and g.privilege_type = 'CONNECT') as belongs
        from pg_stat_get_activity(null) a left join bank.login_roles l on l.role = pg_get_userbyid(a.usesysid)
       where l.role is not null or exists (select from pg_auth_members m where m.roleid = a.usesysid and m.member = watchdog)
    ), locks as materialized (
      select l.pid, count(*) as amount,
             bool_or(l.locktype = 'advisory') as advisory,
             bool_or(l.locktype = 'relation' and l.relation < first_of_ours and l.mode <> 'AccessShareLock') as of_catalog,
             bool_or(l.locktype = 'relation' and l.mode <> all (array['AccessShareLock', 'RowShareLock', 'RowExclusiveLock'])
               or l.mode = 'SIReadLock') as strong
        from pg_lock_status() l where l.pid in (select s.pid from seen s) group by l.pid
    ), judged as (
      select s.role, s.bank_id, case
          when k.strong then 'held or waited for a lock on a table that its work does not take'
          when k.of_catalog then 'held or waited for a lock on a catalog that its work does not take'
          when k.advisory then 'held or waited for an advisory lock'
          when k.amount > p_locks then format('held more than %s locks', p_locks)
          when not s.belongs then 'connected to another database'
          when judges_statements and s.backend_type = 'client backend'
               and (s.state = 'fastpath function call'
                    or s.query <> all (known) and not admin.is_shown_form(s.query)) then 'sent a statement that no bank server sends'
          when judges_statements and s.state = 'active' and s.query = 'commit' and s.backend_xmin is not null and s.wait_event is null
               and clock_timestamp() - s.query_start > '400 ms' then 'had a commit compute'
          when s.state = 'active' and clock_timestamp() - s.query_start > p_statement then
            format('ran a statement for more than %s s', extract(epoch from p_statement)::int)
          when clock_timestamp() - s.xact_start > p_transaction then
            format('kept a transaction open for more than %s s', extract(epoch from p_transaction)::int)
          when s.state = 'idle' and s.wait_event = 'ClientWrite' and clock_timestamp() - s.state_change > p_statement
               and pg_notification_queue_usage() > 0.001 then 'left notifications unread that were piling up'
        end as reason
        from seen s left join locks k on k.pid = s.pid
    )
    select j.role, min(j.bank_id) as bank, min(j.reason) as reason from judged j where j.reason is not null group by j.role order by 1
  loop
    role := caught.role;
    bank := caught.bank;
    reason := caught.reason;
    sessions := admin.end_sessions(caught.role);
    return next;
  end loop;
  -- Whoever keeps a database may work on catalogs.
  if exists (
    select from pg_lock_status() l
     where l.locktype = 'relation' and l.relation < first_of_ours and not l.granted and pg_backend_pid() = any (pg_blocking_pids(l.pid))
       and not exists (
         select from pg_stat_get_activity(l.pid) a join pg_auth_members m on m.roleid = a.usesysid and m.member = watchdog)
  ) then
    role := null;
    bank := null;
    reason := 'yield';
    sessions := 0;
    return next;
  end if;
end
$$;

-- Ends the sessions of a login role of a bank, in whichever database. Its owner may, as a member of each of them.
create or replace function admin.end_sessions(p_role name) returns int
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  return (
    select count(*) filter (where pg_terminate_backend(a.pid))
      from pg_stat_get_activity(null) a
     where pg_get_userbyid(a.usesysid) = p_role
       and exists (select from pg_auth_members m where m.roleid = a.usesysid and m.member = 'bankhouse_watchdog'::regrole)
  );
end
$$;

-- Removes large objects of banks' login roles, some at a time: they need no privilege, no row-level security sees them, and no server of
-- ours makes one. Answers the roles that had some; what was given to the group has no name any more.
create or replace function admin.sweep_large_objects(p_amount int default 500) returns table (role name, removed int)
  language plpgsql security definer rows 2 set search_path = pg_catalog
as $$
#variable_conflict use_column
begin
  return query
    with found as materialized (
      select m.oid, pg_get_userbyid(m.lomowner) as role from pg_largeobject_metadata m
       where m.lomowner in (select r.oid from pg_roles r where r.rolname = 'bankhouse_bank'
         or exists (select from bank.login_roles l where l.role = r.rolname)) limit p_amount
    )
    select f.role, count(*) filter (where lo_unlink(f.oid) = 1)::int from found f group by f.role order by 1;
end
$$;

-- Counts a strike against the bank of a login role. The third, each within ten minutes of the one before, takes the bank's logins away:
-- quarantine, until admin.lift_quarantine. Two watchdogs may have seen the same: within a quarter of a second it counts once.
create or replace function admin.strike(p_role name, p_reason text, out bank text, out strikes int, out quarantined boolean)
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '2s'
as $$
#variable_conflict use_column
declare
  enough constant int := 3;
  login name;
begin
  update bank.login_roles l
     set strikes = case when l.struck_at > clock_timestamp() - interval '10 min' then l.strikes + 1 else 1 end,
         struck_at = clock_timestamp()
   where l.role = p_role and (l.struck_at is null or l.struck_at < clock_timestamp() - interval '250 ms');
  select l.bank_id, l.strikes, l.quarantined_at is not null into bank, strikes, quarantined from bank.login_roles l where l.role = p_role;
  if quarantined is not false or strikes < enough then return; end if;
  quarantined := true;
  for login in
    update bank.login_roles l set quarantined_at = clock_timestamp(), quarantined_for = p_reason where l.bank_id = bank returning l.role
  loop
    execute format('alter role %I nologin', login);
    perform admin.end_sessions(login);
  end loop;
end
$$;

-- Gives a bank its logins back, and forgets its strikes. Whether there was a quarantine.
create or replace function admin.lift_quarantine(p_id text) returns boolean
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
declare
  lifted boolean := false;
  login name;
begin
  for login in
    update bank.login_roles l set strikes = 0, struck_at = null, quarantined_at = null, quarantined_for = null
     where l.bank_id = p_id and l.quarantined_at is not null returning l.role
  loop
    execute format('alter role %I login', login);
    lifted := true;
  end loop;
  update bank.login_roles l set strikes = 0, struck_at = null where l.bank_id = p_id and l.strikes > 0;
  return lifted;
end
$$;
