/** D3, D4, D5, D8: what gets in everybody's way is ended within a second, and who repeats it is quarantined (docs/adr/0021). */
import { createLogger, createRegistry } from '@bankhouse/core';
import { createWatchdog, type Watchdog } from '@bankhouse/operator';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createBank, startPostgres, type TestBank, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { begin, LONG_NUISANCES, NUISANCES, type Nuisance } from './nuisances.ts';

let postgres: TestPostgres;
let acme: TestBank;
let globex: TestBank;
let watchdog: Watchdog;
const ended: { bank: string; reason: string }[] = [];
const quarantined: { bank: string; reason: string }[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  acme = await createBank(postgres, 'acme');
  globex = await createBank(postgres, 'globex');
  watchdog = createWatchdog({
    url: postgres.serviceUrl('operator'),
    logger: createLogger({ component: 'test', level: 'silent' }),
    registry: createRegistry('test'),
    // What attackers say would be told from what servers say before they do what is looked for here: watchdog-statements.test.ts.
    judgesStatements: false,
    onEnded: (bank, reason) => ended.push({ bank, reason }),
    onQuarantined: (bank, reason) => quarantined.push({ bank, reason }),
  });
  watchdog.start();
  await until(async () => (await sessionsOf('bankhouse_operator')) === 2);
});
afterAll(async () => {
  await watchdog?.stop();
  await postgres?.stop();
});
afterEach(async () => {
  await lift();
  ended.length = 0;
  quarantined.length = 0;
});

async function until(holds: () => Promise<boolean> | boolean, limitMs = 20_000): Promise<void> {
  const limit = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > limit) throw new Error('It did not come to that.');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const sessionsOf = (role: string) =>
  withClient(postgres.superuserUrl, async (sql) => {
    const { rows } = await sql.query('select count(*)::int as n from pg_stat_activity where usename = $1', [role]);
    return rows[0].n as number;
  });

const lift = () =>
  withClient(postgres.serviceUrl('operator'), async (sql) => {
    const { rows } = await sql.query<{ lifted: boolean }>("select admin.lift_quarantine('acme') as lifted");
    watchdog.forget('acme');
    return rows[0]?.lifted;
  });

/** Time until the other bank can connect and call. */
async function otherBankWorks(): Promise<number> {
  const began = performance.now();
  for (;;) {
    try {
      const client = new pg.Client({
        connectionString: globex.url,
        connectionTimeoutMillis: 1000,
        query_timeout: 1000,
      } as pg.ClientConfig);
      client.on('error', () => {});
      try {
        await client.connect();
        await client.query('select * from api.list_vaults()');
      } finally {
        await client.end().catch(() => {});
      }
      return performance.now() - began;
    } catch {
      if (performance.now() - began > 15_000) throw new Error('The other bank could not work for 15 s.');
    }
  }
}

const caught = async (nuisance: Nuisance, limitMs: number, bank: TestBank = acme) => {
  const running = await begin(nuisance, bank.url).catch((error: unknown) => {
    // It may be caught while a further session of it connects.
    if (ended.length === 0) throw error;
    return undefined;
  });
  try {
    await until(() => ended.length > 0 && running?.alive() !== true, limitMs);
    const worked = await otherBankWorks();
    expect(ended[0]).toEqual({ bank: bank.id, reason: expect.stringMatching(nuisance.reason) });
    return worked;
  } finally {
    await running?.stop();
  }
};

describe('within a second or two it is over', () => {
  it.each(NUISANCES.map((one) => [one.name, one] as const))('%s', async (_name, nuisance) => {
    const worked = await caught(nuisance, 3000);
    expect(worked).toBeLessThan(2000);
  });
});

it('also of a bank that is made while the watchdog looks', async () => {
  const later = await createBank(postgres, 'later');
  const queued = NUISANCES.find(({ name }) => name.includes('on pg_catalog.pg_authid is')) as Nuisance;
  expect(await caught(queued, 3000, later)).toBeLessThan(2000);
});

describe('once it is sure that no server of ours does so, it is over', () => {
  it.concurrent.each(LONG_NUISANCES.map((one) => [one.name, one] as const))('%s', async (_name, nuisance) => {
    const running = await begin(nuisance, acme.url);
    await until(() => !running.alive(), 35_000);
  });
});

it('D3: who repeats it is quarantined, and comes back when that is lifted', async () => {
  // Two that come within a quarter of a second count as one.
  for (let turn = 0; turn < 10 && quarantined.length === 0; turn++) {
    ended.length = 0;
    await caught(NUISANCES[0] as Nuisance, 3000);
    await until(() => quarantined.length > 0, 500).catch(() => {});
  }
  expect(quarantined).toEqual([{ bank: 'acme', reason: expect.stringMatching(/lock on a/) }]);
  expect(watchdog.quarantinedOf('acme')).toMatch(/lock on a/);
  await expect(withClient(acme.url, async () => {})).rejects.toMatchObject({ code: '28000' });
  await withClient(postgres.serviceUrl('operator'), async (sql) => {
    const { rows } = await sql.query("select admin.bank_state('acme') -> 'roles' -> 0 as role");
    expect(rows[0].role).toMatchObject({ role: acme.role, quarantinedFor: expect.stringMatching(/lock on a/) });
  });
  expect(await lift()).toBe(true);
  await withClient(acme.url, async (sql) => {
    await sql.query(`set bankhouse.assertion = '${acme.seal()}'`);
    expect((await sql.query('select id from api.list_vaults()')).rows).toEqual([{ id: 'sales' }]);
  });
});

it('D5: large objects are gone within seconds, also those that were given to the group', async () => {
  const left = () =>
    withClient(postgres.superuserUrl, async (sql) => {
      const { rows } = await sql.query('select count(*)::int as n from pg_largeobject_metadata');
      return rows[0].n as number;
    });
  await withClient(acme.url, async (sql) => {
    await sql.query('set default_transaction_read_only = off');
    const { rows } = await sql.query("select lo_from_bytea(0, 'kept') as id from generate_series(1, 2)");
    await sql.query(`alter large object ${rows[0].id} owner to bankhouse_bank`);
  }).catch(() => {});
  await until(async () => (await left()) === 0, 15_000);
});

/** Each kind of work, in one transaction. */
const EVERYTHING = [
  ...['note', 'task', 'comment', 'chat', 'chat_message', 'recording'].map(
    (kind) => `select api.read_rows('${kind}', '{"fields": ["id"], "limit": 10}')`,
  ),
  `select api.create_row('chat', '{"title": "a", "vaultId": "sales"}')`,
  `select api.create_row('task', '{"title": "a", "vaultId": "sales"}', 'key', sha256('a'))`,
  'select api.list_vaults()',
  'select api.get_unified_recordings()',
  "select api.search_recordings('a')",
  "select api.match_entities('a', array['notes', 'tasks', 'comments', 'chats', 'chat_messages'], array[0, 0, 0, 0, 0], 10)",
  "select api.unembedded('m', 3, array['recording', 'note', 'task', 'comment', 'chat', 'chat_message'], null, null, null, 10)",
  `select api.nearest('{1}', 'm', array['recording', 'note'], null, null, null, null, null, null, null, 10)`,
  'select api.open_feed()',
];

it('a bank that works as its server does is left alone', async () => {
  await withClient(acme.url, async (sql) => {
    await sql.query('begin read write');
    await sql.query("select set_config('bankhouse.assertion', $1, true)", [
      acme.seal({ scopes: ['mcp:read', 'mcp:write'] }),
    ]);
    for (let turn = 0; turn < 30; turn++) {
      await sql.query(`select api.create_row('note', '{"title": "a", "vaultId": "sales"}')`);
      await sql.query(`select api.read_rows('note', '{"fields": ["title"], "limit": 10}')`);
      await sql.query("select * from api.match_entities('a', array['notes'], array[0], 10)");
      await sql.query('select pg_sleep(0.02)');
    }
    for (const text of EVERYTHING) await sql.query(text);
    const { rows } = await sql.query('select count(*)::int as n from pg_locks where pid = pg_backend_pid()');
    // Well below what the watchdog ends a session for.
    expect(rows[0].n).toBeLessThan(160);
  });
  expect(ended).toEqual([]);
});

it('somebody who keeps the database may work on its catalogs', async () => {
  await withClient(postgres.superuserUrl, (sql) =>
    sql.query('set lock_timeout = 5000; reindex table pg_catalog.pg_description'),
  );
});
