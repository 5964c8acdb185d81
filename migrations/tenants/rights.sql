-- Who owns each function and who may call it, by the schema that it is in; applied after the functions, each time.
--
--   api    owned by bankhouse_api, which row-level security lets see what its caller may; callable by the login roles of banks
--   bank   what is SECURITY DEFINER is owned by bankhouse_data, which sees all banks; callable by bankhouse_api and bankhouse_data alone
--   admin  owned by the migrating role, which may make roles, or by bankhouse_watchdog, which may end banks' sessions; callable by the operator
--
-- A function of schema bank that must see all banks but is not for schema api says so by its caller: trigger functions need no EXECUTE.

do $$
declare
  home record;
  made regprocedure;
  viewed regclass;
begin
  -- CREATE lets a role become the owner of functions; taken back below.
  grant create on schema bank to bankhouse_data;
  grant create on schema api to bankhouse_api;
  grant create on schema admin to bankhouse_watchdog;
  for home in
    select f.oid::regprocedure as function, n.nspname as schema,
           case when n.nspname = 'api' then 'bankhouse_api'
                when n.nspname = 'admin' and f.proname in ('hold_catalogs', 'watch_sessions', 'end_sessions', 'sweep_large_objects')
                  then 'bankhouse_watchdog'
                when n.nspname = 'bank' and f.prosecdef then 'bankhouse_data'
                else current_user end as owner,
           pg_get_userbyid(f.proowner) as owned_by
      from pg_catalog.pg_proc f join pg_catalog.pg_namespace n on n.oid = f.pronamespace
     where n.nspname in ('api', 'bank', 'admin')
  loop
    if home.owned_by <> home.owner then execute format('alter function %s owner to %I', home.function, home.owner); end if;
  end loop;
  revoke create on schema bank from bankhouse_data;
  revoke create on schema api from bankhouse_api;
  revoke create on schema admin from bankhouse_watchdog;

  revoke all on all functions in schema api, bank, admin from public;
  grant execute on all functions in schema api to bankhouse_bank;
  grant execute on all functions in schema bank to bankhouse_api, bankhouse_data;
  grant execute on all functions in schema admin to bankhouse_operator;
  grant execute on function admin.end_sessions(name), admin.server_statements(), admin.shown_statements(), admin.is_shown_form(text)
    to bankhouse_watchdog;
  revoke all on bank.new_calls, bank.legacy_calls, bank.unified_recordings, bank.new_calls_by_vault, bank.legacy_calls_by_vault,
    bank.unified_by_vault, bank.searched_entities from public;
  grant select on bank.new_calls, bank.legacy_calls, bank.unified_recordings, bank.new_calls_by_vault, bank.legacy_calls_by_vault,
    bank.unified_by_vault to bankhouse_api;
  grant select on bank.searched_entities to bankhouse_data;
end
$$;
