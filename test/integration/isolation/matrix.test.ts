/**
 * R1.6, generated: every table × operation × role × assertion, compared with a model (model.ts) of rows whose bank and vaults are
 * known (world.ts). Tables come from the catalog: one that ACCESS doesn't know fails.
 */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '../../harness/postgres.ts';
import { ASSERTIONS, type AssertionCase } from './model.ts';
import {
  deniedOperations,
  entityOperations,
  keyOperations,
  keys,
  type Operation,
  type Outcome,
  outcomeOf,
  readOperations,
  serviceOperations,
  type Table,
} from './operations.ts';
import { BANKS, startWorld, type World } from './world.ts';

type Service = 'control' | 'gateway' | 'operator' | 'data';
interface Access {
  /** A bank's login role: nothing, rows under its policies, or also writes under them. */
  bank: 'none' | 'read' | 'write' | 'keys';
  /** Everyone else who may: all rows, or the named columns of them. Who isn't named may nothing. */
  services?: Partial<Record<Service, 'read' | 'columns' | 'write'>>;
}
const OURS: Access = { bank: 'none', services: { data: 'write' } };
const READ: Access = { bank: 'read', services: { data: 'write' } };
const ENTITY: Access = { bank: 'write', services: { data: 'write' } };
const NOBODY: Access = { bank: 'none' };

const ACCESS: Record<string, Access> = {
  'bank.banks': { bank: 'none', services: { data: 'write', control: 'columns' } },
  'bank.login_roles': OURS,
  'bank.bank_keys': OURS,
  'bank.vaults': { bank: 'read', services: { data: 'write', control: 'read' } },
  'bank.fathom_calls': READ,
  'bank.recordings': READ,
  'bank.vault_entries': READ,
  'bank.unified_recordings': { bank: 'read' },
  'bank.new_calls': { bank: 'read' },
  'bank.legacy_calls': { bank: 'read' },
  'bank.search_documents': OURS,
  'bank.search_languages': OURS,
  'bank.idempotency_keys': { bank: 'keys', services: { data: 'write' } },
  'bank.imports': OURS,
  'bank.embeddings': READ,
  'bank.changes': OURS,
  'bank.change_floors': OURS,
  'bank.feeds': OURS,
  'bank.notes': ENTITY,
  'bank.tasks': ENTITY,
  'bank.chats': ENTITY,
  'bank.chat_messages': ENTITY,
  'bank.comments': ENTITY,
  'control.revoked_tokens': { bank: 'none', services: { control: 'write', gateway: 'read', data: 'read' } },
  'control.bank_epochs': { bank: 'none', services: { control: 'write', gateway: 'read', data: 'read' } },
  'control.deletion_receipts': { bank: 'none', services: { control: 'read' } },
  'control.bank_directory': { bank: 'none', services: { control: 'read' } },
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
    for (const { name, key } of tables.filter((table) => ACCESS[table.name]?.bank !== 'none')) {
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
  operationsOn: (table: Table) => Operation[],
): Promise<string[]> {
  const found: string[] = [];
  const sealed = assertion.make(world, bank);
  await sql.query('begin read write');
  if (sealed !== undefined) await sql.query("select set_config('bankhouse.assertion', $1, true)", [sealed]);
  await sql.query('savepoint clean');
  for (const table of tables) {
    for (const operation of operationsOn(table)) {
      const outcome = await attempt(sql, operation);
      const fits = operation.expected === 'permitted' ? outcome !== 'denied' : outcome === operation.expected;
      if (!fits) {
        found.push(
          `${role} · ${table.name} · ${operation.name} · assertion ${assertion.name}: expected ${named(operation.expected)}, got ${named(outcome)}`,
        );
      }
    }
  }
  await sql.query('rollback');
  return found;
}

async function attempt(sql: pg.Client, operation: Operation): Promise<Outcome | `failed: ${string}`> {
  try {
    const results = (await sql.query(`rollback to savepoint clean; ${operation.sql}`)) as unknown as pg.QueryResult[];
    const result = results.at(-1);
    if (!operation.expected.startsWith('rows') && result?.command !== 'SELECT')
      return `touched ${result?.rowCount ?? 0}`;
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

describe.each(BANKS)(
  'the role of bank %s does what the model says on every table, by every operation, with an assertion',
  (bank) => {
    let sql: pg.Client;
    beforeAll(async () => {
      sql = new pg.Client({ connectionString: world.banks[bank]?.url });
      await sql.connect();
    });
    afterAll(() => sql?.end());

    it.each(ASSERTIONS.map((assertion) => [assertion.name, assertion] as const))('%s', async (_name, assertion) => {
      const found = await differences(sql, `bank_${bank}_a`, assertion, bank, (table) => {
        const access = ACCESS[table.name]?.bank ?? 'none';
        if (access === 'none') return deniedOperations(table);
        if (access === 'keys') return keyOperations(table, world, bank, assertion);
        if (access === 'read') return readOperations(table, world.of(table.name, bank), assertion.grant);
        return entityOperations(table, world, bank, assertion.grant);
      });
      expect(found).toEqual([]);
    });
  },
);

/** Whoever is no bank gains nothing by an assertion, not even by a good one. */
const USELESS = ASSERTIONS.filter(({ name }) =>
  [
    'that was forgotten',
    'that is garbage',
    'for all vaults, which writes',
    'for the vault hr, which only reads',
  ].includes(name),
);
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
        const found = await differences(sql, role, assertion, 'acme', (table) => {
          const access = service === 'stranger' ? undefined : ACCESS[table.name]?.services?.[service];
          if (access === undefined) return deniedOperations(table);
          const all = world.rows.filter((row) => row.table === table.name);
          return serviceOperations(table, all.length > 0 ? all : undefined, access);
        });
        expect(found).toEqual([]);
      }
    });
  },
);
