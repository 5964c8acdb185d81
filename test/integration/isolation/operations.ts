/** Every statement that a role could try on a table, and by the model what must come of it. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { type AssertionCase, changeable, type Grant, placeable, visible } from './model.ts';
import { BANKS, ENTITIES, type Entity, type Row, SUBJECTS, VAULTS, type Vault, type World } from './world.ts';

/**
 * What came of a statement.
 * - `denied`: the privilege is missing, whatever the rows
 * - `refused`: a policy, a trigger or a constraint stopped it
 * - `permitted`: anything but denied (only as an expectation)
 * - otherwise the keys of the rows that it gave, or how many it touched
 */
export type Outcome = 'denied' | 'refused' | 'permitted' | `rows: ${string}` | `touched ${number}`;

export interface Operation {
  readonly name: string;
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
const touched = (list: readonly Row[]): Outcome => `touched ${list.length}`;

const text = (value: Vault) => (value === null ? 'null' : pg.escapeLiteral(value));

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
    ...locks(table),
  ];
}

const locks = (table: Table): [string, string][] => [
  ['select for update', `select ${table.key} as key from ${table.name} for update`],
  ['select for key share', `select ${table.key} as key from ${table.name} for key share`],
];

/** What no role but the owner may do: both would stop every bank at once. */
const foreverDenied = (table: Table): Operation[] => [
  { name: 'truncate', sql: `truncate ${table.name} cascade`, expected: 'denied' },
  { name: 'lock table', sql: `lock table ${table.name} in access exclusive mode`, expected: 'denied' },
];

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
    ...(table.isView ? [] : foreverDenied(table)),
  ];
}

/** For a bank's role on what it may only read. */
export function readOperations(table: Table, own: readonly Row[], grant: Grant): Operation[] {
  const seen = visible(own, grant);
  return [
    { name: 'select', sql: `select ${table.key} as key from ${table.name}`, expected: rows(seen) },
    { name: 'copy … to', sql: `copy (select * from ${table.name}) to stdout`, expected: touched(seen) },
    ...(table.isView ? [] : [...expecting('denied', writes(table)), ...foreverDenied(table)]),
  ];
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

/** The column that an update touches. */
const TOUCHED: Record<Entity, string> = {
  notes: 'title',
  tasks: 'title',
  chats: 'title',
  chat_messages: 'body',
  comments: 'body',
};

/** For a bank's role on an entity's table. */
export function entityOperations(table: Table, world: World, bank: string, grant: Grant): Operation[] {
  const entity = ENTITIES.find((name) => table.name === `bank.${name}`);
  if (entity === undefined) throw new Error(`${table.name} is no entity's table.`);
  const own = world.of(table.name, bank);
  const change = changeable(own, grant);
  const touch = `${TOUCHED[entity]} = 'changed'`;
  return [
    { name: 'select', sql: `select ${table.key} as key from ${table.name}`, expected: rows(visible(own, grant)) },
    { name: 'copy … to', sql: `copy ${table.name} to stdout`, expected: touched(visible(own, grant)) },
    { name: 'copy … from', sql: `copy ${table.name} (id) from stdin`, expected: 'refused' },
    ...expecting(rows(change), locks(table)),
    { name: 'update', sql: `update ${table.name} set ${touch}`, expected: touched(change) },
    {
      name: 'update … returning',
      sql: `update ${table.name} set ${touch} returning ${table.key} as key`,
      expected: rows(change),
    },
    ...mergeOperations(table, touch, visible(own, grant), grant),
    ...deletions(table, entity, world, change),
    ...moves(table, entity, bank, own, grant),
    ...insertions(table, entity, world, bank, grant),
    ...conflicts(table, entity, world, bank, grant),
    ...foreverDenied(table),
  ];
}

/** For a bank's role on the keys of creations: each subject has its own, and none is deleted by a bank. */
export function keyOperations(table: Table, world: World, bank: string, assertion: AssertionCase): Operation[] {
  const own = world.of(table.name, bank).filter((row) => assertion.says && row.key.split('/')[1] === SUBJECTS[0]);
  const change = assertion.grant.write ? own : [];
  const select = `select ${table.key} as key from ${table.name}`;
  const insert = (columns: string, values: string) =>
    `insert into ${table.name} (key, entity, digest${columns}) values ('new', 'notes', sha256('y')${values})`;
  return [
    { name: 'select', sql: select, expected: rows(own) },
    { name: 'copy … to', sql: `copy ${table.name} (key, row_id) to stdout`, expected: touched(own) },
    { name: 'select the outcomes of batches', sql: `select outcome from ${table.name}`, expected: 'denied' },
    { name: 'update of an outcome', sql: `update ${table.name} set outcome = '{}'`, expected: 'denied' },
    ...expecting(rows(change), locks(table)),
    { name: 'update', sql: `update ${table.name} set entity = 'tasks'`, expected: touched(change) },
    { name: 'insert', sql: insert('', ''), expected: assertion.grant.write ? 'touched 1' : 'refused' },
    { name: 'insert in another name', sql: insert(', subject', ", 'somebody else'"), expected: 'denied' },
    { name: 'insert for another bank', sql: insert(', bank_id', ", 'globex'"), expected: 'denied' },
    { name: 'update that takes over keys', sql: `update ${table.name} set subject = 'test'`, expected: 'denied' },
    { name: 'delete', sql: `delete from ${table.name}`, expected: 'denied' },
    ...foreverDenied(table),
  ];
}

/** Rows are deleted by a function, of whatever bank and vault they are said to be. */
function deletions(table: Table, entity: Entity, world: World, change: readonly Row[]): Operation[] {
  const ids = world.rows.filter((row) => row.table === table.name).map((row) => text(row.key.split('/')[1] ?? ''));
  const call = `bank.delete_rows('${entity}', array[${ids}]::uuid[])`;
  return [
    ...expecting('denied', [
      ['delete', `delete from ${table.name}`],
      ['delete … returning', `delete from ${table.name} returning *`],
    ]),
    {
      name: 'delete_rows with the ids of all banks',
      sql: `select bank.me() || '/' || id as key from ${call} id`,
      expected: rows(change),
    },
  ];
}

/** MERGE raises an error at the first row that it sees and may not change, where UPDATE passes it over. */
function mergeOperations(table: Table, touch: string, seen: readonly Row[], grant: Grant): Operation[] {
  const expected = seen.length > 0 && !grant.write ? 'refused' : touched(seen);
  const merge = (action: string) =>
    `merge into ${table.name} t using (values (1)) v on t.bank_id is not null when matched then ${action}`;
  return [
    { name: 'merge … update', sql: merge(`update set ${touch}`), expected },
    { name: 'merge … delete', sql: merge('delete'), expected: 'denied' },
  ];
}

/** A message is where its chat is, whatever is said; a comment refuses to be said to be elsewhere than its parent. */
function movedTo(entity: Entity, moved: readonly Row[], target: Vault, grant: Grant): Outcome {
  if (moved.length === 0 || entity === 'chat_messages') return rows(moved);
  const fits =
    entity === 'comments'
      ? target === null || moved.every(({ vaults }) => vaults[0] === target)
      : target !== 'elsewhere' && placeable(target, grant);
  return fits ? rows(moved) : 'refused';
}

function moves(table: Table, entity: Entity, bank: string, own: readonly Row[], grant: Grant): Operation[] {
  const change = changeable(own, grant);
  const update = (set: string) => `update ${table.name} set ${set} returning ${table.key} as key`;
  const elsewhere = BANKS.find((id) => id !== bank) ?? '';
  return [
    ...[...VAULTS, 'elsewhere', null].map(
      (vault): Operation => ({
        name: `update that moves rows to ${vault === null ? 'no vault' : `the vault ${vault}`}`,
        sql: update(`vault_id = ${text(vault)}`),
        expected: movedTo(entity, change, vault, grant),
      }),
    ),
    {
      name: 'update that moves rows to the other bank',
      sql: update(`bank_id = ${text(elsewhere)}`),
      expected: 'denied',
    },
    { name: 'update that gives rows new ids', sql: update('id = gen_random_uuid()'), expected: 'denied' },
    { name: 'update that says who wrote', sql: update("updated_by = 'somebody else'"), expected: 'denied' },
    { name: 'update that winds back the version', sql: update('version = 1'), expected: 'denied' },
  ];
}

/** Columns and values of a new row in this vault: below a parent that is there, for what has one. */
function newRow(world: World, entity: Entity, bank: string, vault: Vault, id: string): Record<string, string> {
  const parent = (of: Entity) => text(world.idOf(of, bank, vault) || randomUUID());
  const own: Record<Entity, Record<string, string>> = {
    notes: { title: "'new'" },
    tasks: { title: "'new'" },
    chats: { title: "'new'" },
    chat_messages: { body: "'new'", chat_id: parent('chats') },
    comments: { body: "'new'", parent_type: "'note'", parent_id: parent('notes') },
  };
  return { bank_id: text(bank), id: text(id), vault_id: text(vault), ...own[entity] };
}

function insert(table: Table, values: Record<string, string>, rest = ''): string {
  return `insert into ${table.name} (${Object.keys(values)}) values (${Object.values(values)}) ${rest}`;
}

function insertions(table: Table, entity: Entity, world: World, bank: string, grant: Grant): Operation[] {
  const elsewhere = BANKS.find((id) => id !== bank) ?? '';
  const into = (vault: Vault): Operation[] => {
    const id = randomUUID();
    const place = `into ${vault === null ? 'no vault' : `the vault ${vault}`}`;
    const fits = vault !== 'elsewhere' && placeable(vault, grant);
    const values = newRow(world, entity, bank, vault, id);
    return [
      { name: `insert ${place}`, sql: insert(table, values), expected: fits ? 'touched 1' : 'refused' },
      {
        name: `insert ${place} … returning`,
        sql: insert(table, values, `returning ${table.key} as key`),
        expected: fits ? `rows: ${bank}/${id}` : 'refused',
      },
    ];
  };
  return [
    ...[...VAULTS, 'elsewhere', null].flatMap(into),
    ...[...VAULTS, null].map(
      (vault): Operation => ({
        name: `insert for the other bank, ${vault === null ? 'in no vault' : `vault ${vault}`}`,
        sql: insert(table, newRow(world, entity, elsewhere, vault, randomUUID())),
        expected: 'refused',
      }),
    ),
  ];
}

/** A new row with the id of one that is there: in a vault of the caller, so that only what it meets can stop it. */
function conflicts(table: Table, entity: Entity, world: World, bank: string, grant: Grant): Operation[] {
  const home = VAULTS.find((vault) => placeable(vault, grant));
  return world.of(table.name, bank).flatMap((row): Operation[] => {
    const met = `the row in ${row.vaults[0] === undefined ? 'no vault' : `the vault ${row.vaults[0]}`}`;
    const values = newRow(world, entity, bank, home ?? 'sales', row.key.split('/')[1] ?? '');
    const may = home !== undefined && changeable([row], grant).length === 1;
    const takes = entity !== 'comments' || row.vaults[0] === home;
    const doUpdate = (set: string) =>
      insert(table, values, `on conflict (bank_id, id) do update set ${set} returning ${table.key} as key`);
    return [
      {
        name: `insert … on conflict do nothing that meets ${met}`,
        sql: insert(table, values, 'on conflict do nothing'),
        expected: home === undefined ? 'refused' : 'touched 0',
      },
      {
        name: `insert … on conflict do update that meets ${met}`,
        sql: doUpdate(`${TOUCHED[entity]} = 'changed'`),
        expected: may ? rows([row]) : 'refused',
      },
      {
        name: `insert … on conflict do update that takes over ${met}`,
        sql: doUpdate('vault_id = excluded.vault_id'),
        expected: may && takes ? rows([row]) : 'refused',
      },
    ];
  });
}

/** What came of a statement that threw. */
export function outcomeOf(error: unknown): Outcome | `failed: ${string}` {
  if (!(error instanceof pg.DatabaseError)) return 'failed: no answer of the database';
  if (error.code === '42501') return /^permission denied/.test(error.message) ? 'denied' : 'refused';
  // Foreign key, check, not null; COPY FROM under policies.
  if (['23503', '23514', '23502', '0A000'].includes(error.code ?? '')) return 'refused';
  return `failed: ${error.code} ${error.message}`;
}
