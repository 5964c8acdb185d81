-- A database that is one bank's own (docs/adr/0028): the group of all banks may not connect to it, so the bank's login role is let in by name.

-- Answers whether it had to be. Where the group may connect, nothing is done.
create or replace function admin.let_in(p_role name) returns boolean
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
begin
  if not exists (select from bank.login_roles l where l.role = p_role) then
    raise exception '% is no login role of a bank', p_role using errcode = 'undefined_object';
  end if;
  if has_database_privilege(p_role, current_database(), 'CONNECT') then return false; end if;
  execute format('grant connect on database %I to %I', current_database(), p_role);
  return true;
end
$$;

-- The database that lets this role in by name, which is where its bank is; null where none does.
create or replace function admin.let_into(p_role name) returns name
  language plpgsql stable security definer set search_path = pg_catalog
as $$
begin
  return (
    select d.datname from pg_database d, aclexplode(d.datacl) g join pg_roles r on r.oid = g.grantee
     where r.rolname = p_role and g.privilege_type = 'CONNECT' order by d.datname limit 1
  );
end
$$;
