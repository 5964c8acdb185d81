/** R1.6: everything of ours that a role can reach, listed. A new object that appears here was granted to a role on purpose, or by mistake. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createBank, startPostgres, type TestBank, type TestPostgres, withClient } from '../../harness/postgres.ts';

let postgres: TestPostgres;
let acme: TestBank;
beforeAll(async () => {
  postgres = await startPostgres();
  acme = await createBank(postgres, 'acme');
});
afterAll(() => postgres?.stop());

/** Outside of Postgres' own schemas: kind, name and privileges of all that the role $1 can use. */
const REACHABLE = `
  with ours as (select oid, nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema')
  select 'schema ' || nspname || ': ' || p as item
    from ours, unnest(array['USAGE', 'CREATE']) p where has_schema_privilege($1, oid, p)
  union all
  select case c.relkind when 'S' then 'sequence ' else 'table ' end || c.oid::regclass || ': ' || p
    from pg_class c join ours on ours.oid = c.relnamespace,
         unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
   where c.relkind in ('r', 'v', 'm', 'f', 'p') and has_table_privilege($1, c.oid, p)
      or c.relkind = 'S' and p in ('SELECT', 'UPDATE') and has_sequence_privilege($1, c.oid, p)
  union all
  select 'column ' || c.oid::regclass || '.' || a.attname || ': SELECT'
    from pg_class c join ours on ours.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
   where c.relkind in ('r', 'v') and has_column_privilege($1, c.oid, a.attnum, 'SELECT')
     and not has_table_privilege($1, c.oid, 'SELECT')
  union all
  select 'some columns of ' || c.oid::regclass || ': ' || p || ' ' || string_agg(a.attname, ', ' order by a.attname)
    from pg_class c join ours on ours.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0,
         unnest(array['INSERT', 'UPDATE']) p
   where c.relkind in ('r', 'v') and has_column_privilege($1, c.oid, a.attnum, p) and not has_table_privilege($1, c.oid, p)
   group by c.oid, p
  union all
  select 'function ' || f.oid::regproc || case when f.prosecdef then ' as ' || f.proowner::regrole else '' end
    from pg_proc f join ours on ours.oid = f.pronamespace
   where has_function_privilege($1, f.oid, 'EXECUTE') and has_schema_privilege($1, f.pronamespace, 'USAGE')
  union all
  select 'type ' || t.oid::regtype from pg_type t join ours on ours.oid = t.typnamespace
   where t.typtype in ('d', 'e', 'r') and has_type_privilege($1, t.oid, 'USAGE')
  union all
  select 'database: ' || p from unnest(array['CONNECT', 'CREATE', 'TEMPORARY']) p
   where has_database_privilege($1, current_database(), p)
  union all
  select 'member of ' || r.rolname from pg_roles r where r.rolname <> $1 and pg_has_role($1, r.oid, 'MEMBER')
  order by 1`;

/** What a bank's login role may call, and all that it may. */
const CALLABLE = [
  'archive_row',
  'assertion_state',
  'change_row',
  'claim_batch',
  'close_feeds',
  'count_recordings',
  'create_row',
  'delete_row',
  'describe_matches',
  'embedded_item',
  'end_session',
  'get_recording',
  'get_transcript',
  'get_unified_recordings',
  'group_rows',
  'keep_embeddings',
  'keep_outcome',
  'list_vaults',
  'match_entities',
  'nearest',
  'open_feed',
  'open_session_feed',
  'process_row',
  'read_feeds',
  'read_page',
  'read_rows',
  'search_recordings',
  'session_is_over',
  'unembedded',
  'unwatch',
  'vault_exists',
  'watch',
  'watched',
];

const OF_THE_OPERATOR: [string, string][] = [
  ['bank_state', 'bankhouse_owner'],
  ['end_sessions', 'bankhouse_watchdog'],
  ['ensure_bank', 'bankhouse_owner'],
  ['erase_bank', 'bankhouse_owner'],
  ['hold_catalogs', 'bankhouse_watchdog'],
  ['let_in', 'bankhouse_owner'],
  ['let_into', 'bankhouse_owner'],
  ['lift_quarantine', 'bankhouse_owner'],
  ['retire_bank', 'bankhouse_owner'],
  ['strike', 'bankhouse_owner'],
  ['sweep_large_objects', 'bankhouse_watchdog'],
  ['watch_sessions', 'bankhouse_watchdog'],
  // A move: they read and write rows of a bank that moves.
  ['analyze_arriving', 'bankhouse_owner'],
  ['begin_arriving', 'bankhouse_owner'],
  ['begin_leaving', 'bankhouse_owner'],
  ['discard_arriving', 'bankhouse_owner'],
  ['end_writers', 'bankhouse_owner'],
  ['erase_left', 'bankhouse_owner'],
  ['finish_arriving', 'bankhouse_owner'],
  ['finish_leaving', 'bankhouse_owner'],
  ['freeze_leaving', 'bankhouse_owner'],
  ['is_before', 'bankhouse_owner'],
  ['keep_arriving_keys', 'bankhouse_owner'],
  ['leaving_bank', 'bankhouse_owner'],
  ['moving_keys', 'bankhouse_owner'],
  ['moving_keys_in', 'bankhouse_owner'],
  ['open_leaving_rows', 'bankhouse_owner'],
  ['put_arriving_bank', 'bankhouse_owner'],
  ['put_arriving_rows', 'bankhouse_owner'],
  ['say_where', 'bankhouse_owner'],
  ['seal_leaving', 'bankhouse_owner'],
  ['server_identity', 'bankhouse_owner'],
  ['stay', 'bankhouse_owner'],
  ['writers_before', 'bankhouse_owner'],
];

const EXPECTED: [string, () => string, string[]][] = [
  [
    "a bank's login role",
    () => acme.role,
    [
      'database: CONNECT',
      ...CALLABLE.map((name) => `function api.${name} as bankhouse_api`),
      'member of bankhouse_bank',
      'schema api: USAGE',
    ],
  ],
  [
    'bankhouse_operator',
    () => 'bankhouse_operator',
    [
      'database: CONNECT',
      ...OF_THE_OPERATOR.map(([name, owner]) => `function admin.${name} as ${owner}`),
      'function admin.is_shown_form',
      'function admin.server_statements',
      'function admin.shown_statements',
      ...[
        'claim_id',
        'claim_id',
        'begin_move',
        'call_off_move',
        'drop_database',
        'due_ids',
        'due_placements',
        'finish_move',
        'forget_id',
        'move_of',
        'moves_under_way',
        'placement_of',
        'release_id',
        'switch_placement',
        'want_database',
        'want_target',
      ].map((name) => `function control.${name} as bankhouse_owner`),
      'schema admin: USAGE',
      'schema control: USAGE',
    ],
  ],
  [
    'bankhouse_gateway',
    () => 'bankhouse_gateway',
    [
      'database: CONNECT',
      'schema control: USAGE',
      'table control.bank_epochs: SELECT',
      'table control.revoked_tokens: SELECT',
    ],
  ],
  [
    'bankhouse_control',
    () => 'bankhouse_control',
    [
      'database: CONNECT',
      'schema control: USAGE',
      'table control.bank_directory: SELECT',
      'table control.bank_epochs: DELETE',
      'table control.bank_epochs: INSERT',
      'table control.bank_epochs: SELECT',
      'table control.bank_epochs: UPDATE',
      'table control.bank_ids: SELECT',
      'table control.deletion_receipts: SELECT',
      'table control.revoked_tokens: DELETE',
      'table control.revoked_tokens: INSERT',
      'table control.revoked_tokens: SELECT',
      'table control.revoked_tokens: UPDATE',
    ],
  ],
  [
    'bankhouse_watchdog',
    () => 'bankhouse_watchdog',
    [
      ...CALLABLE.map((name) => `function api.${name} as bankhouse_api`),
      'column bank.login_roles.bank_id: SELECT',
      'column bank.login_roles.role: SELECT',
      'column bank.moves.id: SELECT',
      'column bank.moves.state: SELECT',
      'database: CONNECT',
      'function admin.end_sessions as bankhouse_watchdog',
      'function admin.hold_catalogs as bankhouse_watchdog',
      'function admin.is_shown_form',
      'function admin.server_statements',
      'function admin.shown_statements',
      'function admin.sweep_large_objects as bankhouse_watchdog',
      'function admin.watch_sessions as bankhouse_watchdog',
      'member of bankhouse_bank',
      'member of the login role of acme',
      'schema admin: USAGE',
      'schema api: USAGE',
      'schema bank: USAGE',
    ],
  ],
];

it.each(EXPECTED)('%s reaches exactly this', async (_name, role, expected) => {
  await withClient(postgres.superuserUrl, async (sql) => {
    const { rows } = await sql.query<{ item: string }>(REACHABLE, [role()]);
    // btree_gin's own functions are everywhere that the extension is, and do nothing without an index.
    const items = rows
      .map((row) => row.item.replace(acme.role, 'the login role of acme'))
      .filter((item) => !/^(function|type) (public\.)?(gin_|gbt)/.test(item));
    expect(items.sort()).toEqual([...expected].sort());
  });
});

const OURS = "n.nspname in ('bank', 'api', 'admin', 'control')";

const RULES: [string, string][] = [
  [
    'every table of schema bank has row security, forced also on its owner',
    `select c.oid::regclass::text as offender from pg_class c
      where c.relnamespace = 'bank'::regnamespace and c.relkind = 'r' and not (c.relrowsecurity and c.relforcerowsecurity)`,
  ],
  [
    'every view is read as its reader',
    `select c.oid::regclass::text as offender from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where ${OURS} and c.relkind = 'v' and not coalesce(c.reloptions, '{}') @> array['security_invoker=true']`,
  ],
  [
    'every function that acts as its owner has its search_path pinned',
    `select f.oid::regprocedure::text as offender from pg_proc f join pg_namespace n on n.oid = f.pronamespace
      where ${OURS} and f.prosecdef and not exists (select from unnest(f.proconfig) s where s = 'search_path=pg_catalog')`,
  ],
  [
    'D1: every function of schema api acts as bankhouse_api, and the server says nothing of what happens inside',
    `select f.oid::regprocedure::text as offender from pg_proc f
      where f.pronamespace = 'api'::regnamespace
        and not (f.prosecdef and f.proowner = 'bankhouse_api'::regrole and f.prokind = 'f'
          and f.proconfig @> array['search_path=pg_catalog', 'client_min_messages=warning'])`,
  ],
  [
    'D1: every function of schema api makes out who calls before it does anything',
    `select f.oid::regprocedure::text as offender from pg_proc f
      where f.pronamespace = 'api'::regnamespace and f.proname <> 'assertion_state'
        -- the first function of ours that it names; known_kind reads no row
        and (regexp_match(f.prosrc, 'bank[.]((?!known_kind)[a-z_]+)'))[1] not in ('caller', 'writer', 'enter', 'resolve_call')`,
  ],
  [
    'D1: what policies ask reads no table and is no function that is counted',
    `select f.oid::regprocedure::text as offender from pg_proc f
      where f.oid::regprocedure::text ~ '^bank[.](me|all_vaults|vault_scope|may_write|subject)[(]'
        and (f.prosecdef or f.proconfig is not null or f.prolang <> (select oid from pg_language where lanname = 'sql'))`,
  ],
  [
    'bankhouse_api owns the functions of schema api and nothing else, and is nobody else besides',
    `select format('%s of %s', d.objid, d.classid::regclass) as offender from pg_shdepend d
      where d.refobjid = 'bankhouse_api'::regrole and d.deptype = 'o'
        and not (d.classid = 'pg_proc'::regclass
          and exists (select from pg_proc f where f.oid = d.objid and f.pronamespace = 'api'::regnamespace))
     union all
     select rolname from pg_roles where rolname = 'bankhouse_api' and (rolcanlogin or rolbypassrls or rolsuper or rolcreaterole or rolcreatedb)
     union all
     select m.roleid::regrole::text from pg_auth_members m where m.member = 'bankhouse_api'::regrole`,
  ],
  [
    "the group of banks' roles has nothing but schema api and its functions",
    `select format('%s of %s', d.objid, d.classid::regclass) as offender from pg_shdepend d
      where d.refobjid = 'bankhouse_bank'::regrole
        and not (d.classid = 'pg_proc'::regclass and exists (select from pg_proc f where f.oid = d.objid and f.pronamespace = 'api'::regnamespace))
        and not (d.classid = 'pg_namespace'::regclass and d.objid = 'api'::regnamespace)
        and d.classid <> 'pg_database'::regclass`,
  ],
  [
    'D6: no policy is for the group, which a member could drop with what the group has',
    `select format('%s on %s', policyname, tablename) as offender from pg_policies where 'bankhouse_bank' = any (roles) or 'public' = any (roles)`,
  ],
  [
    'D8: the names of login roles tell nothing',
    `select r.rolname::text as offender from pg_roles r join pg_auth_members m on m.member = r.oid
      where m.roleid = 'bankhouse_bank'::regrole and r.rolname !~ '^bank_[0-9a-f]{24}_[ab]$'
        and r.rolname not in ('bankhouse_owner')`,
  ],
  [
    'nothing of ours is granted to PUBLIC',
    `select c.oid::regclass::text as offender from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) a
      where (${OURS} or n.nspname = 'bankhouse_migrations') and a.grantee = 0
     union all
     select f.oid::regprocedure::text from pg_proc f join pg_namespace n on n.oid = f.pronamespace,
            aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
      where ${OURS} and a.grantee = 0
     union all
     select n.nspname::text from pg_namespace n, aclexplode(n.nspacl) a
      where (n.nspname in ('public', 'bankhouse_migrations', 'bankhouse_extensions') or ${OURS}) and a.grantee = 0`,
  ],
  [
    'no role of ours has an attribute beyond LOGIN, and none owns a table',
    `select r.rolname::text as offender from pg_roles r
      where r.rolname ~ '^bank' and r.rolname <> 'bankhouse_owner'
        and (r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication or r.rolbypassrls
             or exists (select from pg_class c where c.relowner = r.oid))`,
  ],
];

it.each(RULES)('%s', async (_sentence, offenders) => {
  await withClient(postgres.superuserUrl, async (sql) => {
    expect((await sql.query(offenders)).rows).toEqual([]);
  });
});
