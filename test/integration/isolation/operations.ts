/** Every statement that a role could try on a table, every call that a bank's role may make, and by the model what must come of it. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { type AssertionCase, changeable, covers, type Grant, placeable, visible } from './model.ts';
import { BANKS, COMMON_WORD, ENTITIES, type Entity, type Row, VAULTS, type Vault, type World } from './world.ts';

/**
 * What came of a statement.
 * - `denied`: the privilege is missing, whatever the rows
 * - `refused`: the function, a policy, a trigger or a constraint stopped it
 * - `permitted`: anything but denied (only as an expectation)
 * - otherwise the keys of the rows that it gave
 */
export type Outcome = 'denied' | 'refused' | 'permitted' | `rows: ${string}`;

export interface Operation {
  readonly name: string;
  /** A call answers rows with a column `key`. */
  readonly sql: string;
  readonly expected: Outcome;
}

/** A table as the catalog has it. */
export interface Table {
  readonly name: string;
  readonly isView: boolean;
  readonly columns: readonly string[];
  /** SQL for a row's key: its primary key's columns, or all of its columns. */
  readonly key: string;
}

export const rows = (list: readonly Row[]): Outcome => `rows: ${keys(list.map((row) => row.key))}`;
export const keys = (list: readonly string[]): string => [...list].sort().join(' ');
const text = (value: Vault) => (value === null ? 'null' : pg.escapeLiteral(value));
const json = (value: unknown) => `${pg.escapeLiteral(JSON.stringify(value))}::jsonb`;

/** Statements that need a privilege beyond SELECT, written so that they'd work on any table. */
function writes(table: Table, column = table.columns[0] ?? ''): [string, string][] {
  return [
    ['insert', `insert into ${table.name} default values`],
    ['insert … on conflict do nothing', `insert into ${table.name} default values on conflict do nothing`],
    ['update', `update ${table.name} set ${column} = ${column}`],
    ['update … returning', `update ${table.name} set ${column} = ${column} returning *`],
    ['delete', `delete from ${table.name}`],
    ['delete … returning', `delete from ${table.name} returning *`],
    ['merge … delete', `merge into ${table.name} t using (values (1)) v on t.* is not null when matched then delete`],
    ['copy … from', `copy ${table.name} (${column}) from stdin`],
    ['select for update', `select ${table.key} as key from ${table.name} for update`],
    ['select for key share', `select ${table.key} as key from ${table.name} for key share`],
  ];
}

const reads = (table: Table): [string, string][] => [
  ['select', `select ${table.key} as key from ${table.name}`],
  ['copy … to', `copy ${table.name} to stdout`],
];

const expecting = (expected: Outcome, list: readonly [string, string][]): Operation[] =>
  list.map(([name, sql]) => ({ name, sql, expected }));

/** For a role that was granted nothing on this table. */
export function deniedOperations(table: Table): Operation[] {
  return [
    ...expecting('denied', table.isView ? reads(table).slice(0, 1) : [...reads(table), ...writes(table)]),
    ...(table.isView
      ? []
      : expecting('denied', [
          ['truncate', `truncate ${table.name} cascade`],
          ['lock table', `lock table ${table.name} in access exclusive mode`],
        ])),
  ];
}

/** For a role that may not even enter the schema: every way to name a table, and to change what it is. */
export function outsideOperations({ name, columns, isView }: Table): Operation[] {
  const column = columns[0] ?? '';
  return expecting('denied', [
    ['count', `select count(*) from ${name}`],
    ['a column', `select ${column} from ${name} limit 0`],
    ['explain', `explain select from ${name}`],
    ['explain analyze', `explain (analyze, buffers, verbose) select from ${name} where ${column} is null`],
    ['explain update', `explain update ${name} set ${column} = null`],
    ['prepare', `prepare p as select from ${name}`],
    ['a cursor', `declare c cursor for select from ${name}`],
    ['its name as a regclass', `select '${name}'::regclass`],
    ['its row type', `select null::${name}`],
    ['create rule', `create rule r as on insert to ${name} do instead nothing`],
    ['create trigger', `create trigger t before insert on ${name} execute function nothing()`],
    ['create policy', `create policy p on ${name}`],
    ['create index', `create index on ${name} (${column})`],
    ['create statistics', `create statistics s on ${column}, ${columns[1] ?? `(${column} is null)`} from ${name}`],
    ['comment', `comment on ${isView ? 'view' : 'table'} ${name} is 'mine'`],
    ['alter', `alter table ${name} disable row level security`],
    ['drop', `drop ${isView ? 'view' : 'table'} ${name}`],
    ...(isView
      ? []
      : ([
          ['analyze', `analyze ${name}`],
          ['cluster', `cluster ${name}`],
          ['reindex', `reindex table ${name}`],
          ['lock in the weakest mode', `lock table ${name} in access share mode nowait`],
        ] as [string, string][])),
  ]);
}

/** For a role that reads or writes a table of the platform, all of its rows. */
export function serviceOperations(
  table: Table,
  all: readonly Row[] | undefined,
  access: 'read' | 'columns' | 'write',
): Operation[] {
  const found: Outcome = all === undefined ? 'permitted' : rows(all);
  const select = `select ${table.key} as key from ${table.name}`;
  if (table.isView) return [{ name: 'select', sql: select, expected: found }];
  return [
    { name: 'select', sql: select, expected: found },
    { name: 'copy … to', sql: `copy ${table.name} to stdout`, expected: access === 'columns' ? 'denied' : 'permitted' },
    ...expecting(access === 'write' ? 'permitted' : 'denied', writes(table)),
    { name: 'truncate', sql: `truncate ${table.name} cascade`, expected: 'denied' },
  ];
}

const kindOf = (entity: Entity) => entity.slice(0, -1);
const idOf = (row: Row) => row.key.split('/')[1] ?? '';
const elsewhere = (bank: string) => BANKS.find((id) => id !== bank) ?? '';
const of = (bank: string, column: string, call: string, rest = '') =>
  `select distinct '${bank}/' || (${column}) as key from ${call} ${rest}`;

/** Every call that a bank's role may make, with an assertion. */
export function apiOperations(world: World, bank: string, assertion: AssertionCase): Operation[] {
  const { grant } = assertion;
  return [
    ...ENTITIES.flatMap((entity) => [
      ...entityReads(world, entity, bank, grant),
      ...insertions(world, entity, bank, grant),
      ...changes(world, entity, bank, grant),
    ]),
    ...callReads(world, bank, grant),
    ...vaultReads(world, bank, grant),
    ...embeddingReads(world, bank, grant),
    ...keyCalls(world, bank, assertion),
    {
      name: 'read_rows of a kind that there isn’t',
      sql: "select from api.read_rows('bank_key', '{}')",
      expected: 'refused',
    },
  ];
}

function entityReads(world: World, entity: Entity, bank: string, grant: Grant): Operation[] {
  const kind = kindOf(entity);
  const seen = rows(visible(world.of(`bank.${entity}`, bank), grant));
  const read = (name: string, ask: object): Operation => ({
    name: `read_rows ${kind}, ${name}`,
    sql: of(bank, `answer ->> 'id'`, `api.read_rows('${kind}', ${json({ limit: 1000, ...ask })}) answer`),
    expected: seen,
  });
  const all = world.rows.filter((row) => row.table === `bank.${entity}`);
  const asked = all.map((row) => `('${entity}', '${idOf(row)}')`);
  const text = entity === 'notes' || entity === 'tasks' || entity === 'chats' ? 'title' : 'body';
  return [
    read('all', {}),
    read('archived ones too', { archived: 'include' }),
    read('with the ids of all banks', { filter: { field: 'id', op: 'in', value: all.map(idOf) } }),
    read('with a word', { filter: { field: text, op: 'contains', value: COMMON_WORD } }),
    read('without a word', { filter: { not: { field: text, op: 'contains', value: 'nobody has written this' } } }),
    read('in the order of their vaults', { sort: [{ field: 'vaultId', direction: 'desc' }] }),
    read('in any vault by name', {
      filter: {
        or: [
          { field: 'vaultId', op: 'in', value: VAULTS },
          { field: 'vaultId', op: 'isNull', value: true },
        ],
      },
    }),
    {
      name: `group_rows ${kind}, their ids`,
      sql: of(
        bank,
        'answer ->> 0',
        `api.group_rows('${kind}', ${json({ groupBy: [{ field: 'id' }], aggregate: [{ function: 'count' }], limit: 1000 })}) answer`,
      ),
      expected: seen,
    },
    {
      name: `match_entities ${entity}`,
      sql: of(bank, 'id', `api.match_entities('${COMMON_WORD}', array['${entity}'], array[0], 100)`),
      expected: seen,
    },
    {
      name: `describe_matches ${entity}, with the ids of all banks`,
      sql: of(
        bank,
        'd.id',
        `(select array_agg(k) as kinds, array_agg(i::uuid) as ids from (values ${asked}) v (k, i)) w,
         lateral api.describe_matches(w.kinds, w.ids, '${COMMON_WORD}') d`,
      ),
      expected: seen,
    },
  ];
}

/** Values of a new row: below a parent in this vault, for what has one. */
function newRow(world: World, entity: Entity, bank: string, vault: Vault): object {
  const parent = (of: Entity) => world.idOf(of, bank, vault) || randomUUID();
  switch (entity) {
    case 'chat_messages':
      return { body: 'new', chatId: parent('chats') };
    case 'comments':
      return { body: 'new', parentType: 'note', parentId: parent('notes') };
    default:
      return { title: 'new', ...(vault === null ? {} : { vaultId: vault }) };
  }
}

function insertions(world: World, entity: Entity, bank: string, grant: Grant): Operation[] {
  const kind = kindOf(entity);
  const create = (values: object, rest = '') => `select r.receipt as key from (
    select case when (a ->> 'replayed')::boolean then 'replayed' else 'made' end as receipt from api.create_row('${kind}', ${json(values)}${rest}) a) r`;
  return [
    ...[...VAULTS, 'elsewhere', null].map(
      (vault): Operation => ({
        name: `create_row ${kind} in ${vault === null ? 'no vault' : `the vault ${vault}`}`,
        sql: create(newRow(world, entity, bank, vault)),
        expected: vault !== 'elsewhere' && placeable(vault, grant) ? 'rows: made' : 'refused',
      }),
    ),
    ...(entity === 'chat_messages' || entity === 'comments'
      ? VAULTS.map(
          (vault): Operation => ({
            name: `create_row ${kind} below a row of the other bank, in vault ${vault}`,
            sql: create(newRow(world, entity, elsewhere(bank), vault)),
            expected: 'refused',
          }),
        )
      : []),
    ...['bankId', 'bank_id', 'id', 'createdBy', 'version'].map(
      (field): Operation => ({
        name: `create_row ${kind} that says ${field}`,
        sql: create({ ...newRow(world, entity, bank, 'sales'), [field]: elsewhere(bank) }),
        expected: 'refused',
      }),
    ),
  ];
}

/** Each row of the own bank, and one of the other, by each function that changes one. */
function changes(world: World, entity: Entity, bank: string, grant: Grant): Operation[] {
  const kind = kindOf(entity);
  const field = entity === 'chat_messages' || entity === 'comments' ? 'body' : 'title';
  const action = { notes: 'finalize', tasks: 'start', chats: 'close', chat_messages: 'pin', comments: 'resolve' }[
    entity
  ];
  const own = world.of(`bank.${entity}`, bank);
  return [...own, ...world.of(`bank.${entity}`, elsewhere(bank))].flatMap((row): Operation[] => {
    const id = idOf(row);
    const may = row.bank === bank && changeable([row], grant).length === 1;
    const whose = `${row.bank === bank ? 'of' : 'of the other bank in'} ${row.vaults[0] === undefined ? 'no vault' : `the vault ${row.vaults[0]}`}`;
    const outcome = (fits = may): Outcome => (!grant.write ? 'refused' : fits ? 'rows: true' : 'rows: ');
    const call = (name: string, sql: string, expected = outcome()): Operation => ({
      name: `${name} ${kind} ${whose}`,
      sql: `select a ->> 'changed' as key from ${sql} a where a is not null`,
      expected,
    });
    return [
      call('change_row', `api.change_row('${kind}', '${id}', 1, ${json({ [field]: 'changed' })})`),
      call('archive_row', `api.archive_row('${kind}', '${id}', true)`),
      call('process_row', `api.process_row('${kind}', '${id}', '${action}')`),
      call('delete_row', `api.delete_row('${kind}', '${id}')`),
      ...(entity === 'chat_messages' || entity === 'comments'
        ? []
        : [...VAULTS, 'elsewhere', null].map((vault) =>
            call(
              `change_row to ${vault === null ? 'no vault' : `the vault ${vault}`},`,
              `api.change_row('${kind}', '${id}', 1, ${json({ vaultId: vault })})`,
              may && (vault === 'elsewhere' || !placeable(vault, grant)) ? 'refused' : outcome(),
            ),
          )),
    ];
  });
}

function callReads(world: World, bank: string, grant: Grant): Operation[] {
  const calls = world.of('bank.unified_recordings', bank);
  const seen = visible(calls, grant);
  const everyId = world.rows.filter(({ table }) => table === 'bank.unified_recordings').map((row) => text(idOf(row)));
  const migrated = ['fathom-4', 'fathom-5'].map(text);
  const each = (call: string) => `unnest(array[${[...new Set([...everyId, ...migrated])]}]) asked, lateral ${call}`;
  const ask = json({ limit: 1000 });
  return [
    { name: 'get_unified_recordings', sql: of(bank, 'id', 'api.get_unified_recordings()'), expected: rows(seen) },
    {
      name: 'get_unified_recordings of each vault',
      sql: of(bank, 'id', `unnest(array[${VAULTS.map(text)}]) v, lateral api.get_unified_recordings(p_vault => v)`),
      expected: rows(seen.filter(({ vaults }) => vaults.length > 0)),
    },
    {
      name: 'search_recordings',
      sql: of(bank, 'id', `api.search_recordings('${COMMON_WORD}', p_limit => 100)`),
      expected: rows(seen),
    },
    {
      name: 'read_rows recording',
      sql: of(bank, `a ->> 'id'`, `api.read_rows('recording', ${ask}) a`),
      expected: rows(seen),
    },
    {
      name: 'group_rows recording, their ids',
      sql: of(
        bank,
        'a ->> 0',
        `api.group_rows('recording', ${json({ groupBy: [{ field: 'id' }], aggregate: [{ function: 'count' }], limit: 1000 })}) a`,
      ),
      expected: rows(seen),
    },
    {
      name: 'get_recording with the ids of all banks',
      sql: of(bank, 'r.id', each('api.get_recording(asked) r')),
      expected: rows(seen),
    },
    { name: 'count_recordings', sql: 'select api.count_recordings() as key', expected: `rows: ${seen.length}` },
    {
      name: 'vaults of what is told are the caller’s',
      sql: `select distinct v as key from api.get_unified_recordings() r, unnest(r.vault_ids) v`,
      expected: `rows: ${keys([...new Set(seen.flatMap(({ vaults }) => vaults))].filter((vault) => covers(grant, [vault])))}`,
    },
  ];
}

function vaultReads(world: World, bank: string, grant: Grant): Operation[] {
  const seen = visible(world.of('bank.vaults', bank), grant);
  return [
    { name: 'list_vaults', sql: of(bank, 'id', 'api.list_vaults()'), expected: rows(seen) },
    {
      name: 'vault_exists, with every name',
      sql: of(bank, 'v', `unnest(array[${[...VAULTS, 'elsewhere'].map(text)}]) v`, 'where api.vault_exists(v)'),
      expected: rows(seen),
    },
  ];
}

function embeddingReads(world: World, bank: string, grant: Grant): Operation[] {
  const kinds = ENTITIES.map((entity) => text(kindOf(entity)));
  // Each says of what it is by a key that ends with the passage; what is told is the item.
  const items = (list: readonly Row[]): Outcome =>
    `rows: ${keys(list.map((row) => `${bank}/${row.key.split('/').slice(1, 3).join('/')}`))}`;
  const all = world.rows.filter(({ table }) => table === 'bank.embeddings');
  const seen = visible(world.of('bank.embeddings', bank), grant);
  const told = of(
    bank,
    "n.kind || '/' || n.id",
    `api.nearest('{1}', 'm', array[${kinds}], null, null, null, null, null, null, null, 100) n`,
  );
  const values = all.map((row) => `(${text(row.key.split('/')[1] ?? '')}, ${text(row.key.split('/')[2] ?? '')})`);
  return [
    // What it was made of is told only while that is the text that is there.
    {
      name: 'embedded_item with the ids of all banks',
      sql: of(bank, "e.kind || '/' || e.id", `(values ${values}) v (k, i), lateral api.embedded_item(k, i, 'm', 1) e`),
      expected: items(seen),
    },
    { name: 'nearest', sql: told, expected: items(seen) },
    {
      name: 'unembedded, of another model',
      sql: of(
        bank,
        "u.kind || '/' || u.item_id",
        `api.unembedded('other', 1, array[${kinds}], null, null, null, 1000) u`,
        'where u.kind is not null',
      ),
      expected: items(seen),
    },
  ];
}

/** Keys of creations: each caller has its own. */
function keyCalls(world: World, bank: string, { grant, says }: AssertionCase): Operation[] {
  const keysOf = world.of('bank.idempotency_keys', bank).map((row) => row.key.split('/').at(-1) ?? '');
  const own = world.of('bank.idempotency_keys', bank).filter((row) => /issuer.test test/.test(row.key));
  const taken = own.map((row) => row.key.split('/').at(-1) ?? '');
  return [
    {
      name: 'claim_batch with the keys of all callers',
      sql: `select k as key from unnest(array[${keysOf.map(text)}]) k where not (api.claim_batch(k, sha256('y')) ->> 'claimed')::boolean`,
      expected: grant.write && says ? `rows: ${keys(taken)}` : 'refused',
    },
    {
      name: 'keep_outcome',
      sql: `select 'kept' as key from api.keep_outcome('new', '[]')`,
      expected: grant.write && says ? 'rows: kept' : 'refused',
    },
  ];
}

/** What came of a statement that threw. */
export function outcomeOf(error: unknown): Outcome | `failed: ${string}` {
  if (!(error instanceof pg.DatabaseError)) return 'failed: no answer of the database';
  if (error.code === '42501') return /^(permission denied|must be owner)/.test(error.message) ? 'denied' : 'refused';
  // Foreign key, check, not null; what isn't on the whitelist; a null where JSON has none.
  if (['23503', '23514', '23502', '22023', '22P02', '0A000'].includes(error.code ?? '')) return 'refused';
  return `failed: ${error.code} ${error.message}`;
}
