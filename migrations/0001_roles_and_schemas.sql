-- Roles and schemas. The migrating role owns everything, has CREATEROLE and need not be a superuser. Service roles get
-- LOGIN and a password from the migration job; the roles of banks are made by bank.ensure_bank.

create extension if not exists btree_gin;

do $$
declare
  wanted text;
begin
  foreach wanted in array array[
    'bankhouse_operator', -- makes and removes banks through three functions
    'bankhouse_control',  -- revokes tokens, lists banks
    'bankhouse_gateway',  -- reads revocations
    'bankhouse_bank',     -- group of every bank's login role: what a bank may touch is granted to it
    'bankhouse_data'      -- sees the rows of all banks; owner of the functions that must; the loader acts as it
  ] loop
    if not exists (select from pg_catalog.pg_roles where rolname = wanted) then
      execute format('create role %I nologin', wanted);
    end if;
  end loop;
  execute format('grant bankhouse_data to %I', current_user);

  execute format('revoke all on database %I from public', current_database());
  execute format(
    'grant connect on database %I to bankhouse_operator, bankhouse_control, bankhouse_gateway, bankhouse_bank',
    current_database()
  );
end
$$;

revoke all on schema public from public;

create schema bank;
create schema control;

grant usage on schema bank to bankhouse_bank, bankhouse_operator, bankhouse_control;
grant usage on schema control to bankhouse_control, bankhouse_gateway;
-- CREATE lets it become the owner of functions; taken back in the last step of each migration that needs it.
grant usage on schema bank to bankhouse_data;

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

revoke all on function bank.hmac_sha256(bytea, bytea) from public;
grant execute on function bank.hmac_sha256(bytea, bytea) to bankhouse_data;
