/**
 * One query a kind of thing, each behind `ACLS`. `ours` are the schemas that no extension brought and that aren't Postgres'; what
 * an extension put into one of them is left out. Constraints of NOT NULL are said by the column: newer servers list them too.
 */
export const ACLS = `
  with ours as (
    select n.oid, n.nspname, n.nspowner, n.nspacl from pg_namespace n
     where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  ), brought as (
    select classid, objid from pg_depend where deptype = 'e'
  )`;

/** `who: SELECT, UPDATE (column)` of each but the owner; * means that it may be passed on. */
function grants(acl: string, owner: string, columnsOf = ''): string {
  const ofColumns =
    columnsOf === ''
      ? ''
      : `union all
         select a.grantee, a.privilege_type || ' (' || t.attname || ')' || case when a.is_grantable then '*' else '' end
           from pg_attribute t, aclexplode(t.attacl) a where t.attrelid = ${columnsOf} and t.attnum > 0 and a.grantee <> ${owner}`;
  return `array(
    select coalesce(r.rolname::text, 'public') || ': ' || string_agg(g.privilege, ', ' order by g.privilege collate "C")
      from (select a.grantee, a.privilege_type || case when a.is_grantable then '*' else '' end as privilege
              from aclexplode(${acl}) a where a.grantee <> ${owner} ${ofColumns}) g
           left join pg_roles r on r.oid = g.grantee
     group by r.rolname order by coalesce(r.rolname, 'public') collate "C") as grants`;
}

const name = (oid: string) => `${oid}::regrole::text`;

/** The service roles and groups. Whether one may log in is for the job that sets passwords. */
export const ROLES = `
  select r.rolname as role,
         array_remove(array[
           case when r.rolsuper then 'superuser' end, case when r.rolbypassrls then 'bypassrls' end,
           case when r.rolcreaterole then 'createrole' end, case when r.rolcreatedb then 'createdb' end,
           case when r.rolreplication then 'replication' end, case when not r.rolinherit then 'noinherit' end,
           'set ' || array_to_string(r.rolconfig, ', ')], null) as traits,
         array(select g.rolname::text from pg_auth_members m join pg_roles g on g.oid = m.roleid
                where m.member = r.oid order by 1) as groups
    from pg_roles r
   where r.rolname ~ '^bankhouse_' and r.rolname <> current_user
   order by r.rolname collate "C"`;

/** The database first, under the name of its kind: its own name differs. */
export const SCHEMAS = `
  select 'database' as title, ${name('d.datdba')} as owner,
         ${grants("coalesce(d.datacl, acldefault('d', d.datdba))", 'd.datdba')}
    from pg_database d where d.datname = current_database()
  union all
  (select 'schema ' || n.nspname, ${name('n.nspowner')}, ${grants("coalesce(n.nspacl, acldefault('n', n.nspowner))", 'n.nspowner')}
     from ours n order by n.nspname collate "C")`;

/** A line each. Without versions: they are the server's. */
export const EXTENSIONS = `
  select e.extname || ' in ' || e.extnamespace::regnamespace as line from pg_extension e
   where e.extname <> 'plpgsql' order by 1`;

export const DEFAULTS = `
  select case f.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types' else 'schemas' end
         || ' of ' || f.defaclrole::regrole || coalesce(' in ' || nullif(f.defaclnamespace, 0)::regnamespace, '')
         || ': ' || f.defaclacl::text as line
    from pg_default_acl f order by 1`;

export const TYPES = `
  select format('%I.%I', n.nspname, t.typname) as name, ${name('t.typowner')} as owner,
         case t.typtype
           when 'e' then 'enum (' || (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid) || ')'
           when 'd' then 'domain ' || format_type(t.typbasetype, t.typtypmod)
             || coalesce((select ' ' || string_agg(pg_get_constraintdef(k.oid), ' ' order by k.conname) from pg_constraint k where k.contypid = t.oid), '')
           when 'c' then 'composite (' || (select string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' order by a.attnum)
                                             from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) || ')'
           else 'kind ' || t.typtype::text end as definition,
         ${grants("coalesce(t.typacl, acldefault('T', t.typowner))", 't.typowner')}
    from pg_type t join ours n on n.oid = t.typnamespace left join pg_class c on c.oid = t.typrelid
   where t.typtype in ('e', 'd', 'c', 'r') and (c.relkind is null or c.relkind = 'c')
     and not exists (select from brought b where b.classid = 'pg_type'::regclass and b.objid = t.oid)
   order by 1`;

export const RELATIONS = `
  select case c.relkind when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view' when 'm' then 'materialized view'
                        when 'S' then 'sequence' when 'f' then 'foreign table' end as kind,
         format('%I.%I', n.nspname, c.relname) as name, ${name('c.relowner')} as owner,
         array_remove(array[
           case when c.relpersistence <> 'p' then 'not logged' end,
           case when c.relrowsecurity then 'row security' || case when c.relforcerowsecurity then ' forced' else '' end end,
           'with (' || array_to_string(c.reloptions, ', ') || ')',
           'replica identity ' || nullif(c.relreplident::text, case when c.relkind in ('r', 'p', 'm') then 'd' else 'n' end),
           pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid)], null) as flags,
         case when c.relkind = 'S' then '{}' else array(
           select a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
                  || case when a.attcollation <> t.typcollation then ' collate ' || a.attcollation::regcollation else '' end
                  || case when a.attnotnull then ' not null' else '' end
                  || case a.attidentity when 'a' then ' generated always as identity' when 'd' then ' generated by default as identity' else '' end
                  || coalesce(case a.attgenerated when '' then ' default ' || pg_get_expr(d.adbin, d.adrelid)
                                   else ' generated as (' || pg_get_expr(d.adbin, d.adrelid) || ')' end, '')
             from pg_attribute a join pg_type t on t.oid = a.atttypid
                  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum) end as columns,
         array(select 'constraint ' || k.conname || ' ' || pg_get_constraintdef(k.oid) from pg_constraint k
                where k.conrelid = c.oid and k.contype in ('c', 'f', 'p', 'u', 'x') order by k.contype, k.conname collate "C") as constraints,
         array(select case when i.indisvalid then '' else 'invalid ' end || pg_get_indexdef(i.indexrelid)
                 from pg_index i join pg_class x on x.oid = i.indexrelid
                where i.indrelid = c.oid
                  and not (i.indisvalid and exists (select from pg_constraint k where k.conindid = x.oid and k.contype in ('p', 'u', 'x')))
                order by x.relname collate "C") as indexes,
         array(select pg_get_triggerdef(g.oid) || case g.tgenabled when 'O' then '' else ' -- ' || g.tgenabled::text end
                 from pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal order by g.tgname collate "C") as triggers,
         array(select pg_get_ruledef(w.oid) from pg_rewrite w
                where w.ev_class = c.oid and w.rulename <> '_RETURN' order by w.rulename collate "C") as rules,
         case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid, true) end as definition,
         ${grants("coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::\"char\", c.relowner))", 'c.relowner', 'c.oid')}
    from pg_class c join ours n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
     and not exists (select from brought b where b.classid = 'pg_class'::regclass and b.objid = c.oid)
   order by n.nspname collate "C", c.relname collate "C"`;

export const POLICIES = `
  select format('%I.%I', n.nspname, c.relname) as relation,
         concat_ws(' ', 'policy', quote_ident(p.polname), case when not p.polpermissive then 'restrictive' end,
           'for ' || case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
           'to ' || (select string_agg(coalesce(r.rolname, 'public'), ', ' order by r.rolname collate "C")
                       from unnest(p.polroles) u left join pg_roles r on r.oid = u),
           'using (' || pg_get_expr(p.polqual, p.polrelid) || ')',
           'with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')') as text
    from pg_policy p join pg_class c on c.oid = p.polrelid join ours n on n.oid = c.relnamespace
   order by 1, p.polname collate "C"`;

export const FUNCTIONS = `
  select case f.prokind when 'p' then 'procedure' when 'a' then 'aggregate' when 'w' then 'window function' else 'function' end as kind,
         format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_arguments(f.oid)) as signature,
         pg_get_function_result(f.oid) as result,
         array_remove(array[
           'language ' || l.lanname,
           case f.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
           case when f.prosecdef then 'security definer' end, case when f.proisstrict then 'strict' end,
           case when f.proleakproof then 'leakproof' end,
           case f.proparallel when 's' then 'parallel safe' when 'r' then 'parallel restricted' end,
           case when f.procost <> case when l.lanname in ('c', 'internal') then 1 else 100 end then 'cost ' || f.procost end,
           case when f.proretset and f.prorows <> 1000 then 'rows ' || f.prorows end,
           case when f.prosupport <> 0 then 'support ' || f.prosupport::text end]
           || array(select 'set ' || s from unnest(f.proconfig) s), null) as traits,
         ${name('f.proowner')} as owner,
         ${grants("coalesce(f.proacl, acldefault('f', f.proowner))", 'f.proowner')}
    from pg_proc f join ours n on n.oid = f.pronamespace join pg_language l on l.oid = f.prolang
   where not exists (select from brought b where b.classid = 'pg_proc'::regclass and b.objid = f.oid)
   order by n.nspname collate "C", f.proname collate "C", 2`;
