-- Roles and schemas of the tenants' part. The migrating role owns everything, has CREATEROLE and need not be a superuser. Service roles
-- get LOGIN and a password from the migration job; login roles of banks are made by admin.ensure_bank.
--
--   bank   tables, and functions that only our other functions call; no login role may enter
--   api    every function that a bank's login role may call, and nothing else; owned by bankhouse_api
--   admin  what the operator may call
--
-- Who owns which function and who may call it is set in one place: ../rights.sql.

create extension if not exists btree_gin;

do $$
declare
  wanted text;
begin
  foreach wanted in array array[
    'bankhouse_operator', -- makes and removes banks through functions
    'bankhouse_control',  -- revokes tokens, lists banks
    'bankhouse_gateway',  -- reads revocations
    'bankhouse_bank',     -- group of every bank's login role: may call what is in schema api
    'bankhouse_api',      -- owner of what is in schema api; sees what row-level security lets its caller's bank and assertion see
    'bankhouse_data',     -- sees the rows of all banks; owner of the functions that must; the loader acts as it
    'bankhouse_watchdog'  -- member of every bank's login role, so that its functions may end their sessions
  ] loop
    if not exists (select from pg_catalog.pg_roles where rolname = wanted) then
      execute format('create role %I nologin', wanted);
    end if;
  end loop;
  execute format('grant bankhouse_data, bankhouse_api, bankhouse_bank, bankhouse_watchdog to %I', current_user);

  execute format('revoke all on database %I from public', current_database());
  execute format(
    'grant connect on database %I to bankhouse_operator, bankhouse_control, bankhouse_gateway, bankhouse_bank',
    current_database()
  );
end
$$;

revoke all on schema public from public;

create schema bank;
create schema api;
create schema admin;

grant usage on schema bank to bankhouse_data, bankhouse_api, bankhouse_watchdog;
grant usage on schema api to bankhouse_bank, bankhouse_api;
grant usage on schema admin to bankhouse_operator, bankhouse_watchdog;

-- HMAC-SHA256 of pgcrypto under one name, in whatever schema a provider has put the extension.
do $$
declare
  home text;
begin
  if not exists (select from pg_catalog.pg_extension where extname = 'pgcrypto') then
    create schema if not exists bankhouse_extensions;
    create extension pgcrypto with schema bankhouse_extensions;
  end if;
  select nspname into home
    from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
   where e.extname = 'pgcrypto';
  execute format('grant usage on schema %I to bankhouse_data', home);
  execute format(
    $f$create function bank.hmac_sha256(p_data bytea, p_key bytea) returns bytea
         language sql immutable strict
         return %I.hmac(p_data, p_key, 'sha256')$f$,
    home
  );
end
$$;

-- Functions that tables need before ../functions says what they do: until then they see nothing and change nothing.
create function bank.me() returns text language plpgsql stable as $$begin return null; end$$;
create function bank.all_vaults() returns boolean language plpgsql stable as $$begin return false; end$$;
create function bank.vault_scope() returns text[] language plpgsql stable as $$begin return '{}'; end$$;
create function bank.may_write() returns boolean language plpgsql stable as $$begin return false; end$$;
create function bank.subject() returns text language plpgsql stable as $$begin return null; end$$;
