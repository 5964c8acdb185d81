/**
 * R1.6, generated: every call of a bank's role × assertion, compared with a model (model.ts) of rows whose bank and vaults are
 * known (world.ts); and every table × statement × role. Tables come from the catalog: one that ACCESS doesn't know fails.
 */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '../../harness/postgres.ts';
import { ASSERTIONS, type AssertionCase } from './model.ts';
import {
  apiOperations,
  deniedOperations,
  keys,
  type Operation,
  type Outcome,
  outcomeOf,
  outsideOperations,
  serviceOperations,
  type Table,
} from './operations.ts';
import { BANKS, startWorld, type World } from './world.ts';

type Service = 'control' | 'gateway' | 'operator' | 'data';
/** Who may: all rows, or the named columns of them. Who isn't named may nothing; a bank's login role is never named. */
type Access = Partial<Record<Service, 'read' | 'columns' | 'write'>>;
const OURS: Access = { data: 'write' };
const NOBODY: Access = {};

const ACCESS: Record<string, Access> = {
  'bank.banks': OURS,
  'bank.login_roles': OURS,
  'bank.bank_keys': OURS,
  'bank.vaults': OURS,
  'bank.revoked_tokens': OURS,
  'bank.fathom_calls': OURS,
  'bank.recordings': OURS,
  'bank.vault_entries': OURS,
  'bank.call_counts': OURS,
  'bank.unified_recordings': NOBODY,
  'bank.new_calls': NOBODY,
  'bank.legacy_calls': NOBODY,
  'bank.new_calls_by_vault': NOBODY,
  'bank.legacy_calls_by_vault': NOBODY,
  'bank.unified_by_vault': NOBODY,
  'bank.searched_entities': { data: 'read' },
  'bank.search_documents': OURS,
  'bank.search_languages': OURS,
  'bank.idempotency_keys': OURS,
  'bank.imports': OURS,
  'bank.moves': OURS,
  'bank.erasures': OURS,
  'bank.embeddings': OURS,
  'bank.changes': OURS,
  'bank.change_floors': OURS,
  'bank.feeds': OURS,
  'bank.sessions': OURS,
  'bank.notes': OURS,
  'bank.tasks': OURS,
  'bank.chats': OURS,
  'bank.chat_messages': OURS,
  'bank.comments': OURS,
  'control.bank_ids': { control: 'read' },
  'control.revoked_tokens': { control: 'write', gateway: 'read' },
  'control.bank_epochs': { control: 'write', gateway: 'read' },
  'control.deletion_receipts': { control: 'read' },
  'control.bank_directory': { control: 'read' },
  'control.databases': NOBODY,
  'control.moves': NOBODY,
  'control.server_databases': NOBODY,
  'bankhouse_migrations.applied': NOBODY,
};

/** What tells rows apart where the catalog has no primary key. */
const CALL_KEY = "concat_ws('/', bank_id, id)";
const KEYS: Record<string, string> = {
  'bank.unified_recordings': CALL_KEY,
  'bank.new_calls': CALL_KEY,
  'bank.legacy_calls': CALL_KEY,
};

let world: World;
let tables: Table[];

beforeAll(async () => {
  world = await startWorld();
  tables = await readTables();
});
afterAll(() => world?.[Symbol.asyncDispose]());

function readTables(): Promise<Table[]> {
  return withClient(world.postgres.superuserUrl, async (sql) => {
    const { rows } = await sql.query<Table>(
      `select c.oid::regclass::text as name, c.relkind in ('v', 'm') as "isView", columns.list as columns,
              format('concat_ws(''/'', %s)', array_to_string(coalesce(pk.list, columns.list), ', ')) as key
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
        cross join lateral (select array_agg(quote_ident(attname) order by attnum) as list from pg_attribute
           where attrelid = c.oid and attnum > 0 and not attisdropped and attgenerated = '' and attidentity = '') columns
         left join lateral (select array_agg(quote_ident(a.attname) order by k.place) as list
           from pg_index i cross join lateral unnest(i.indkey) with ordinality k (number, place)
           join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
          where i.indrelid = c.oid and i.indisprimary) pk on true
        where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relkind in ('r', 'v', 'm', 'f', 'p')
        order by 1`,
    );
    return rows.map((table) => ({ ...table, key: KEYS[table.name] ?? table.key }));
  });
}

it('says of every table in the catalog who may what, and of no other', () => {
  expect(tables.map(({ name }) => name).sort()).toEqual(Object.keys(ACCESS).sort());
});

it('knows every row of the tables that banks reach', async () => {
  await withClient(world.postgres.superuserUrl, async (sql) => {
    const told = new Set(world.rows.map(({ table }) => table));
    for (const { name, key } of tables.filter((table) => told.has(table.name))) {
      const { rows } = await sql.query<{ key: string }>(`select ${key} as key from ${name}`);
      const known = world.rows.filter((row) => row.table === name).map((row) => row.key);
      expect([name, keys(rows.map((row) => row.key))]).toEqual([name, keys(known)]);
    }
  });
});

/** Every operation of every table, tried in one transaction that is rolled back after each; lines of what was different. */
async function differences(
  sql: pg.Client,
  role: string,
  assertion: AssertionCase,
  bank: string,
  operations: readonly (readonly [string, Operation])[],
): Promise<string[]> {
  const found: string[] = [];
  const sealed = assertion.make(world, bank);
  await sql.query('begin read write');
  if (sealed !== undefined) await sql.query("select set_config('bankhouse.assertion', $1, true)", [sealed]);
  await sql.query('savepoint clean');
  for (const [on, operation] of operations) {
    const outcome = await attempt(sql, operation);
    const fits = operation.expected === 'permitted' ? outcome !== 'denied' : outcome === operation.expected;
    if (!fits) {
      found.push(
        `${role} · ${on} · ${operation.name} · assertion ${assertion.name}: expected ${named(operation.expected)}, got ${named(outcome)}`,
      );
    }
  }
  await sql.query('rollback');
  return found;
}

async function attempt(sql: pg.Client, operation: Operation): Promise<Outcome | `failed: ${string}`> {
  try {
    const results = (await sql.query(`rollback to savepoint clean; ${operation.sql}`)) as unknown as pg.QueryResult[];
    const result = results.at(-1);
    const found: { key: string }[] = result?.rows ?? [];
    return `rows: ${keys(found.map((row) => row.key))}`;
  } catch (error) {
    return outcomeOf(error);
  }
}

/** Keys in the words of the world: bank and vaults. */
function named(outcome: string): string {
  if (!outcome.startsWith('rows: ')) return outcome;
  const list = outcome
    .slice(6)
    .split(' ')
    .filter((key) => key !== '');
  return `[${list
    .map((key) => {
      const row = world.rows.find((known) => known.key === key);
      return row === undefined ? key : `${row.bank}/${row.vaults.join('+') || 'no vault'}`;
    })
    .join(', ')}]`;
}

/** Of the assertions, some that a table might listen to: none does. */
const USELESS = ASSERTIONS.filter(({ name }) =>
  [
    'that was forgotten',
    'that is garbage',
    'for all vaults, which writes',
    'for the vault hr, which only reads',
  ].includes(name),
);

const onTables = (operationsOn: (table: Table) => Operation[]) =>
  tables.flatMap((table) => operationsOn(table).map((operation) => [table.name, operation] as const));

describe.each(BANKS)('the role of bank %s', (bank) => {
  let sql: pg.Client;
  beforeAll(async () => {
    sql = new pg.Client({ connectionString: world.banks[bank]?.url });
    await sql.connect();
    // Whoever has taken over a bank's server says so; no call believes it.
    await sql.query(
      `set bankhouse.scope = '{"bank": "globex", "all": true, "vaults": "{}", "subject": "x", "write": true}'`,
    );
  });
  afterAll(() => sql?.end());

  it.each(ASSERTIONS.map((assertion) => [assertion.name, assertion] as const))(
    'gets by every call what the model says, with an assertion %s',
    async (_name, assertion) => {
      const operations = apiOperations(world, bank, assertion).map((operation) => ['api', operation] as const);
      expect(await differences(sql, bank, assertion, bank, operations)).toEqual([]);
    },
  );

  it.each(USELESS.map((assertion) => [assertion.name, assertion] as const))(
    'D1: reaches no table by any statement, with an assertion %s',
    async (_name, assertion) => {
      const operations = onTables((table) => [...deniedOperations(table), ...outsideOperations(table)]);
      expect(await differences(sql, bank, assertion, bank, operations)).toEqual([]);
    },
  );

  it('D1: reaches no sequence', async () => {
    const { rows } = await withClient(world.postgres.superuserUrl, (catalog) =>
      catalog.query<{ name: string; oid: string }>(
        `select c.oid::regclass::text as name, c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.relkind = 'S' and n.nspname in ('bank', 'control')`,
      ),
    );
    expect(rows.length).toBeGreaterThan(1);
    const operations = rows.flatMap(({ name, oid }) =>
      [
        `select from ${name}`,
        `select nextval('${name}')`,
        `select nextval(${oid}::regclass)`,
        `select currval(${oid}::regclass)`,
        `select setval(${oid}::regclass, 1)`,
        `select pg_sequence_parameters(${oid})`,
        `select 1 / coalesce(last_value, 0) from pg_sequences where schemaname || '.' || sequencename = '${name}'`,
      ].map((text) => [name, { name: text, sql: text, expected: 'denied' } satisfies Operation] as const),
    );
    const found = await differences(sql, bank, ASSERTIONS[0] as AssertionCase, bank, operations);
    // The last one divides by zero: the value is hidden and the name is not.
    expect(found.filter((line) => !/22012/.test(line))).toEqual([]);
  });
});

const SERVICES: [string, Service | 'stranger', () => string, string?][] = [
  ['bankhouse_control', 'control', () => world.postgres.serviceUrl('control')],
  ['bankhouse_gateway', 'gateway', () => world.postgres.serviceUrl('gateway')],
  ['bankhouse_operator', 'operator', () => world.postgres.serviceUrl('operator')],
  ['bankhouse_data', 'data', () => world.postgres.ownerUrl, 'set role bankhouse_data'],
  ['stranger', 'stranger', () => world.strangerUrl],
];

it('a role that nobody granted anything may not even connect', async () => {
  await expect(withClient(world.strangerUrl, async () => {})).rejects.toMatchObject({ code: '42501' });
});

it.each(SERVICES)(
  'the role %s reaches the tables that are its own, and what it reaches does not depend on an assertion',
  async (role, service, url, first) => {
    if (service === 'stranger') {
      await withClient(world.postgres.ownerUrl, (sql) => sql.query('grant connect on database bankhouse to stranger'));
    }
    await withClient(url(), async (sql) => {
      if (first !== undefined) await sql.query(first);
      for (const assertion of USELESS) {
        const operations = onTables((table) => {
          const access = service === 'stranger' ? undefined : ACCESS[table.name]?.[service];
          if (access === undefined) return deniedOperations(table);
          const all = world.rows.filter((row) => row.table === table.name);
          return serviceOperations(table, all.length > 0 ? all : undefined, access);
        });
        const found = await differences(sql, role, assertion, 'acme', operations);
        expect(found).toEqual([]);
      }
    });
  },
);
