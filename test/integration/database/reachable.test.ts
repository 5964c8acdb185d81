/** R1.6: everything of ours that a role can reach, listed. A new object that appears here was granted to a role on purpose, or by mistake. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createBank, startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
  await createBank(postgres, 'acme');
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

const EXPECTED: [string, string[]][] = [
  [
    'bank_acme_a',
    [
      'column bank.idempotency_keys.bank_id: SELECT',
      'column bank.idempotency_keys.created_at: SELECT',
      'column bank.idempotency_keys.digest: SELECT',
      'column bank.idempotency_keys.entity: SELECT',
      'column bank.idempotency_keys.key: SELECT',
      'column bank.idempotency_keys.row_id: SELECT',
      'column bank.idempotency_keys.subject: SELECT',
      'database: CONNECT',
      'function bank.all_vaults as bankhouse_data',
      'function bank.any_word',
      'function bank.assertion_state as bankhouse_data',
      'function bank.close_feeds as bankhouse_data',
      'function bank.count_recordings as bankhouse_data',
      'function bank.delete_rows as bankhouse_data',
      'function bank.describe_calls',
      'function bank.describe_matches',
      'function bank.describe_passages',
      'function bank.entity_scopes',
      'function bank.fathom_segments',
      'function bank.get_recording',
      'function bank.get_transcript',
      'function bank.get_unified_recordings',
      'function bank.idempotency_window',
      'function bank.invited',
      'function bank.item_passages',
      'function bank.item_vector',
      'function bank.keep_embeddings as bankhouse_data',
      'function bank.list_vaults',
      'function bank.keep_outcome as bankhouse_data',
      'function bank.lowered',
      'function bank.match_calls as bankhouse_data',
      'function bank.match_documents as bankhouse_data',
      'function bank.match_entities as bankhouse_data',
      'function bank.match_vaults as bankhouse_data',
      'function bank.may_write as bankhouse_data',
      'function bank.me as bankhouse_data',
      'function bank.nearest',
      'function bank.open_feed as bankhouse_data',
      'function bank.read_feeds as bankhouse_data',
      'function bank.plain_language',
      'function bank.recording_segments',
      'function bank.recall_outcome as bankhouse_data',
      'function bank.resolve_call',
      'function bank.search_recordings',
      'function bank.similarity',
      'function bank.subject as bankhouse_data',
      'function bank.text_config',
      'function bank.text_digest',
      'function bank.text_document',
      'function bank.unembedded',
      'function bank.vault_scope as bankhouse_data',
      'member of bankhouse_bank',
      'schema bank: USAGE',
      'some columns of bank.chat_messages: UPDATE archived_at, author, body, chat_id, language, reply_to, role, status, vault_id',
      'some columns of bank.chats: UPDATE archived_at, language, participants, recording_id, status, tags, title, vault_id',
      'some columns of bank.comments: UPDATE archived_at, body, language, parent_id, parent_type, status, vault_id',
      'some columns of bank.idempotency_keys: INSERT digest, entity, key',
      'some columns of bank.idempotency_keys: UPDATE created_at, digest, entity, row_id',
      'some columns of bank.notes: UPDATE archived_at, body, language, pinned, recording_id, status, tags, title, vault_id',
      'some columns of bank.tasks: UPDATE archived_at, assignee, completed_at, description, due_at, language, priority, recording_id, status, tags, title, vault_id',
      'table bank.chat_messages: INSERT',
      'table bank.chat_messages: SELECT',
      'table bank.chats: INSERT',
      'table bank.chats: SELECT',
      'table bank.comments: INSERT',
      'table bank.comments: SELECT',
      'table bank.embeddings: SELECT',
      'table bank.fathom_calls: SELECT',
      'table bank.legacy_calls: SELECT',
      'table bank.notes: INSERT',
      'table bank.notes: SELECT',
      'table bank.new_calls: SELECT',
      'table bank.recordings: SELECT',
      'table bank.tasks: INSERT',
      'table bank.tasks: SELECT',
      'table bank.unified_recordings: SELECT',
      'table bank.vault_entries: SELECT',
      'table bank.vaults: SELECT',
    ],
  ],
  [
    'bankhouse_operator',
    [
      'database: CONNECT',
      'function bank.bank_state as bankhouse_owner',
      'function bank.delete_bank as bankhouse_owner',
      'function bank.ensure_bank as bankhouse_owner',
      'schema bank: USAGE',
    ],
  ],
  [
    'bankhouse_gateway',
    [
      'database: CONNECT',
      'schema control: USAGE',
      'table control.bank_epochs: SELECT',
      'table control.revoked_tokens: SELECT',
    ],
  ],
  [
    'bankhouse_control',
    [
      'column bank.banks.display_name: SELECT',
      'column bank.banks.id: SELECT',
      'column bank.banks.retained_at: SELECT',
      'column bank.banks.type: SELECT',
      'database: CONNECT',
      'schema bank: USAGE',
      'schema control: USAGE',
      'table bank.vaults: SELECT',
      'table control.bank_directory: SELECT',
      'table control.bank_epochs: DELETE',
      'table control.bank_epochs: INSERT',
      'table control.bank_epochs: SELECT',
      'table control.bank_epochs: UPDATE',
      'table control.deletion_receipts: SELECT',
      'table control.revoked_tokens: DELETE',
      'table control.revoked_tokens: INSERT',
      'table control.revoked_tokens: SELECT',
      'table control.revoked_tokens: UPDATE',
    ],
  ],
];

it.each(EXPECTED)('%s reaches exactly this', async (role, expected) => {
  await withClient(postgres.superuserUrl, async (sql) => {
    const { rows } = await sql.query<{ item: string }>(REACHABLE, [role]);
    // btree_gin's own functions are everywhere that the extension is, and do nothing without an index.
    const items = rows.map((row) => row.item).filter((item) => !/^(function|type) (public\.)?(gin_|gbt)/.test(item));
    expect(items.sort()).toEqual([...expected].sort());
  });
});

const RULES: [string, string][] = [
  [
    'every table of schema bank has row security, forced also on its owner',
    `select c.oid::regclass::text as offender from pg_class c
      where c.relnamespace = 'bank'::regnamespace and c.relkind = 'r' and not (c.relrowsecurity and c.relforcerowsecurity)`,
  ],
  [
    'every view is read as its reader',
    `select c.oid::regclass::text as offender from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('bank', 'control') and c.relkind = 'v'
        and not coalesce(c.reloptions, '{}') @> array['security_invoker=true']`,
  ],
  [
    'every function that acts as its owner has its search_path pinned',
    `select f.oid::regprocedure::text as offender from pg_proc f join pg_namespace n on n.oid = f.pronamespace
      where n.nspname in ('bank', 'control') and f.prosecdef
        and not exists (select from unnest(f.proconfig) s where s = 'search_path=pg_catalog')`,
  ],
  [
    'nothing of ours is granted to PUBLIC',
    `select c.oid::regclass::text as offender from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) a
      where n.nspname in ('bank', 'control', 'bankhouse_migrations') and a.grantee = 0
     union all
     select f.oid::regprocedure::text from pg_proc f join pg_namespace n on n.oid = f.pronamespace,
            aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
      where n.nspname in ('bank', 'control') and a.grantee = 0
     union all
     select n.nspname::text from pg_namespace n, aclexplode(n.nspacl) a
      where (n.nspname in ('public', 'bankhouse_migrations', 'bankhouse_extensions') or n.nspname in ('bank', 'control')) and a.grantee = 0`,
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
