/** Banks whose class gives them a database of their own: real Postgres, real API server, and who keeps the databases. */
import type { Keeper } from '@bankhouse/control';
import { type Bank, createLogger, createRegistry, databaseRole, databaseUrlAt } from '@bankhouse/core';
import { createDatabase, createWatchdog, type Database, type Watchdog } from '@bankhouse/operator';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startKeeper } from '../../harness/keeper.ts';
import { createBank, startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { begin, LONG_NUISANCES, NUISANCES, type Nuisance } from '../isolation/nuisances.ts';
import { addNote, titles } from '../moving/support.ts';
import { eventually, pathsOf, settings, useWorld, type World } from './support/index.ts';

const DEDICATED = { database: { isolation: 'dedicated' } };

let postgres!: TestPostgres;
let database!: Database;
let keeper: Keeper | undefined;
const world: World = useWorld(async () => {
  postgres = await startPostgres();
  world.onClose(() => postgres.stop());
  await asRoot('alter role bankhouse_owner createdb');
  const url = new URL(postgres.serviceUrl('operator'));
  database = createDatabase(url.toString(), { connections: 2 });
  world.onClose(() => database.close());
  url.password = '';
  keep();
  const changes = { DATABASE_URL: url.toString(), DEDICATED_DATABASES: true };
  return { database, settings: { ...settings, ...changes }, classSpec: DEDICATED };
});
afterAll(() => keeper?.stop());

function keep(): void {
  keeper = startKeeper({ databaseUrl: postgres.ownerUrl });
}

async function asRoot<Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> {
  return await withClient(postgres.superuserUrl, async (client) => (await client.query(text, values)).rows as Row[]);
}

/** A Bank of the default class, which is one of databases of their own, Ready. */
async function ready(id: string, spec: Record<string, unknown> = {}): Promise<Bank & { own: string }> {
  await world.createNamespace(id);
  const bank = await world.readyBank(id, id, spec);
  return Object.assign(bank, { own: bank.status?.database?.name ?? '' });
}

async function podUrl(id: string): Promise<string> {
  const { data } = await world.get<{ data: Record<string, string> }>(`${pathsOf(id).secrets}/bank-${id}`);
  return Buffer.from(data['database-url'] ?? '', 'base64').toString();
}

const uidOf = (bank: Bank) => bank.metadata.uid ?? '';
const conditionOf = (bank: Bank, wanted: string) => bank.status?.conditions?.find(({ type }) => type === wanted);
const signsIn = (url: string) => withClient(url, async (client) => void (await client.query('select 1')));
const exists = async (name: string) =>
  (await asRoot('select 1 from pg_database where datname = $1', [name])).length === 1;
const REFUSED = /permission denied for database/;

async function deleted(id: string): Promise<void> {
  const path = `${pathsOf(id).banks}/${id}`;
  await world.delete(path);
  await eventually(async () => expect(await world.find(path)).toBeUndefined(), 30_000);
}

describe('a Bank whose class says isolation: dedicated', () => {
  test('becomes Ready with a database of its own, which status and Secret name, and nothing of it is in the common one', async () => {
    const bank = await ready('own', { vaults: [{ id: 'sales' }] });
    const [{ generation } = { generation: 0 }] = await asRoot<{ generation: number }>(
      "select max(generation)::int as generation from bankhouse_migrations.applied where part = 'tenants'",
    );
    expect(bank.status?.database).toEqual({
      isolation: 'dedicated',
      name: expect.stringMatching(/^bank_[0-9a-f]{24}$/),
      schemaGeneration: generation,
    });
    expect(bank.own).not.toContain(databaseRole(uidOf(bank), 'a').slice(0, 29));
    const url = await podUrl('own');
    expect(new URL(url).pathname).toBe(`/${bank.own}`);
    await signsIn(url);
    expect(await database.state('own')).toBeUndefined();
    const own = database.at(bank.own);
    try {
      expect(await own.state('own')).toMatchObject({ uid: uidOf(bank), vaults: [{ id: 'sales' }] });
    } finally {
      await own.close();
    }
  });

  test("its role does not come into another bank's database, nor does any other bank's into its own; in the common one it sees nothing", async () => {
    const [left, right] = [await ready('left'), await ready('right')];
    const common = await createBank(postgres, 'commoner');
    const [ofLeft, ofRight] = [await podUrl('left'), await podUrl('right')];
    await expect(signsIn(databaseUrlAt(ofLeft, right.own))).rejects.toThrow(REFUSED);
    await expect(signsIn(databaseUrlAt(ofRight, left.own))).rejects.toThrow(REFUSED);
    await expect(signsIn(databaseUrlAt(common.url, left.own))).rejects.toThrow(REFUSED);
    await withClient(databaseUrlAt(ofLeft, 'bankhouse'), async (client) => {
      await expect(client.query('select from bank.banks')).rejects.toThrow(/permission denied for schema bank/);
    });
    const place = { at: (url: string) => databaseUrlAt(url, 'bankhouse'), operator: '', superuser: '' };
    await addNote(common, place, 'a secret');
    expect(await titles(common, place)).toEqual(['a secret']);
    expect(await titles({ ...common, url: ofLeft }, place, common.seal())).toEqual([]);
  });

  test('the operator is restarted: nothing of banks is written', async () => {
    await ready('quiet');
    await eventually(() => expect(world.operator.isIdle).toBe(true));
    const before = world.written.soFar();
    await world.restart();
    await eventually(() => expect(world.operator.isIdle).toBe(true));
    // How many banks a class has is written some time after they came.
    const { 'PATCH bankclasses/status': _, ...written } = world.written.since(before);
    expect(written).toEqual({});
  });

  test('erased, its database goes, and a receipt stays that says what was in it', async () => {
    const bank = await ready('erased', { deleteAfter: '0s', vaults: [{ id: 'sales' }] });
    const role = databaseRole(uidOf(bank), 'a');
    await deleted('erased');
    await eventually(async () => {
      expect(await exists(bank.own)).toBe(false);
      const receipts = await asRoot<{ tables: object }>(
        "select tables from control.deletion_receipts where bank_id = 'erased'",
      );
      expect(receipts).toMatchObject([{ tables: { vaults: { rows: 1 } } }]);
      expect(await asRoot("select 1 from control.bank_ids where id = 'erased'")).toEqual([]);
    }, 30_000);
    expect(await asRoot('select 1 from pg_roles where rolname = $1', [role])).toEqual([]);
    expect(await asRoot('select 1 from control.databases where name = $1', [bank.own])).toEqual([]);
  });

  test('deleted with a grace, it loses its access, and the same Bank applied again finds its database', async () => {
    const before = await ready('again', { vaults: [{ id: 'sales' }] });
    const url = await podUrl('again');
    await deleted('again');
    await expect(signsIn(url)).rejects.toThrow();
    expect(await exists(before.own)).toBe(true);
    await world.createBank('again', 'again');
    const after = await world.bringUp('again', 'again');
    expect(after.status?.database?.name).toBe(before.own);
    await signsIn(await podUrl('again'));
  });

  test.each([
    { sentence: 'into a class of the common one', id: 'stays-own', first: 'standard', second: 'common', is: 'own' },
    { sentence: 'from the common one', id: 'stays-common', first: 'common', second: 'standard', is: 'common' },
  ])('that moves $sentence goes on where its rows are, and says so with what to do', async (moved) => {
    const { id, first, second } = moved;
    if ((await world.find('/apis/bankhouse.dev/v1alpha1/bankclasses/common')) === undefined) {
      await world.createClass('common', {});
    }
    const before = await ready(id, { className: first, vaults: [{ id: 'sales' }] });
    expect(before.own === '').toBe(moved.is === 'common');
    expect(conditionOf(before, 'Accepted')?.reason).toBe('Accepted');
    const url = await podUrl(id);
    await world.patch(`${pathsOf(id).banks}/${id}`, { spec: { className: second } });
    const fixed = await eventually(async () => {
      const bank = await world.get<Bank>(`${pathsOf(id).banks}/${id}`);
      expect(conditionOf(bank, 'Accepted')?.reason).toBe('PlacementFixed');
      return bank;
    });
    expect(conditionOf(fixed, 'Accepted')).toMatchObject({
      status: 'True',
      message: expect.stringMatching(/annotate the Bank with bankhouse\.dev\/move-database=true.*spec\.className/),
    });
    expect(fixed.status?.database?.name ?? '').toBe(before.own);
    expect(await podUrl(id)).toBe(url);
    await world.bringUp(id, id);
    await world.patch(`${pathsOf(id).banks}/${id}`, { spec: { className: first } });
    await eventually(async () => {
      const bank = await world.get<Bank>(`${pathsOf(id).banks}/${id}`);
      expect(conditionOf(bank, 'Accepted')?.reason).toBe('Accepted');
    });
  });

  test('whose database is away waits for it alone: all others go on, new ones too, and it goes on when it is back', async () => {
    const away = await ready('away');
    const near = await ready('near');
    await asRoot(`alter database ${away.own} allow_connections false`);
    await asRoot('select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1', [away.own]);
    const rename = (id: string, displayName: string) =>
      world.patch(`${pathsOf(id).banks}/${id}`, { spec: { displayName } });
    try {
      await rename('away', 'Elsewhere');
      const waiting = await world.bankWhen('away', 'away', 'False', 'Unreachable');
      expect(conditionOf(waiting, 'DatabaseReady')?.message).toMatch(/not currently accepting connections/);
      await rename('near', 'Near by');
      const own = database.at(near.own);
      try {
        await eventually(async () => expect(await own.state('near')).toMatchObject({ displayName: 'Near by' }));
      } finally {
        await own.close();
      }
      await ready('newcomer');
    } finally {
      await asRoot(`alter database ${away.own} allow_connections true`);
    }
    await world.bankWhen('away', 'away', 'True');
  });

  test('that is new, where the platform gives no databases, says which value of the chart does; who has one keeps it', async () => {
    const before = await ready('has-one');
    const enabled = { ...settings, DATABASE_URL: new URL(postgres.serviceUrl('operator')).toString() };
    await world.restart({ settings: { ...enabled, ROOT_KEY: settings.ROOT_KEY, DEDICATED_DATABASES: false } });
    try {
      await world.createNamespace('no-more');
      await world.createBank('no-more', 'no-more');
      const refused = await world.bankWhen('no-more', 'no-more', 'False', 'NotSupported');
      expect(conditionOf(refused, 'Accepted')?.message).toContain('set database.dedicated.enabled of the chart');
      expect(await asRoot("select 1 from control.bank_ids where id = 'no-more'")).toEqual([]);
      const after = await world.bankWhen('has-one', 'has-one', 'True');
      expect(after.status?.database?.name).toBe(before.own);
    } finally {
      await world.restart();
    }
    await world.bringUp('no-more', 'no-more');
  });

  test('that is deleted before its database was made goes, and leaves none', async () => {
    await keeper?.stop();
    try {
      await world.createNamespace('early');
      const made = await world.createBank('early', 'early', { deleteAfter: '0s' });
      const waiting = await world.bankWhen('early', 'early', 'False');
      expect(conditionOf(waiting, 'DatabaseReady')?.reason).toBe('MakingDatabase');
      expect(waiting.status?.phase).toBe('Starting');
      await deleted('early');
      expect(await asRoot('select 1 from control.bank_ids where uid = $1', [uidOf(made)])).toHaveLength(1);
    } finally {
      keep();
    }
    await eventually(async () => {
      expect(await asRoot("select 1 from control.databases where bank_id = 'early'")).toEqual([]);
      expect(await asRoot("select 1 from control.bank_ids where id = 'early'")).toEqual([]);
    }, 30_000);
  });
});

/** A session that does nothing, and whether it is there still. */
async function idleAt(url: string): Promise<{ isThere: () => Promise<boolean>; close: () => Promise<void> }> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  return {
    isThere: () =>
      client.query('select 1').then(
        () => true,
        () => false,
      ),
    close: () => client.end().catch(() => {}),
  };
}

describe('the watchdog, and a taken-over pod of a bank with a database of its own', () => {
  const ended: { bank: string; reason: string }[] = [];
  const reasonsOf = (bank: string) => ended.filter((one) => one.bank === bank).map(({ reason }) => reason);
  let watchdog: Watchdog | undefined;
  beforeAll(() => {
    watchdog = createWatchdog({
      url: postgres.serviceUrl('operator'),
      logger: createLogger({ component: 'test', level: 'silent' }),
      registry: createRegistry('test'),
      // What attackers say is told from what servers say before: isolation/watchdog-statements.test.ts.
      judgesStatements: false,
      onEnded: (bank, reason) => ended.push({ bank, reason }),
      onQuarantined: (bank) => world.operator.recheck(bank),
    });
    watchdog.start();
    // One can't come in past a lock on pg_authid: it is there before.
    return eventually(async () => {
      expect(await asRoot("select 1 from pg_stat_activity where application_name = 'bankhouse-watchdog'")).toHaveLength(
        2,
      );
    });
  });
  afterAll(() => watchdog?.stop());

  const named = (word: string) => NUISANCES.find(({ name }) => name.includes(word)) as Nuisance;
  test.each([
    { id: 'locks-here', limitMs: 5_000, nuisance: named('pg_catalog.pg_class') },
    { id: 'locks-all', limitMs: 5_000, nuisance: named('pg_catalog.pg_authid') },
    { id: 'locks-ids', limitMs: 5_000, nuisance: named('pg_catalog.pg_database') },
    { id: 'fills-locks', limitMs: 5_000, nuisance: named('filled with advisory locks') },
    { id: 'stays-on', limitMs: 40_000, nuisance: LONG_NUISANCES[1] as Nuisance },
  ])(
    'in its own database: $nuisance.name; it is over, and counts',
    async ({ id, limitMs, nuisance }) => {
      const common = await createBank(postgres, `beside-${id}`);
      await ready(id);
      const running = await begin(nuisance, await podUrl(id)).catch((error: unknown) => {
        // It may be caught while a further session of it connects.
        if (!/terminat|57P0|ECONNRESET/.test(String(error))) throw error;
        return undefined;
      });
      try {
        await eventually(() => {
          expect(running?.alive() ?? false).toBe(false);
          expect(reasonsOf(id)[0]).toMatch(nuisance.reason);
        }, limitMs);
        await eventually(() => signsIn(common.url), 2_000);
      } finally {
        await running?.stop();
      }
    },
    60_000,
  );

  test('in the common database, or any other that does not let it in by name, its sessions are ended; one in its own is left alone', async () => {
    await ready('honest');
    const honest = await idleAt(await podUrl('honest'));
    try {
      for (const [id, name] of [
        ['strays', 'bankhouse'],
        ['strays-further', 'postgres'],
      ] as const) {
        await ready(id);
        await straysTo(databaseUrlAt(await podUrl(id), name));
        await eventually(() => expect(reasonsOf(id)[0]).toBe('connected to another database'));
      }
      expect(await honest.isThere()).toBe(true);
      expect(reasonsOf('honest')).toEqual([]);
    } finally {
      await honest.close();
    }
  });

  /** Rejects where it can't sign in; else ends when the session is ended. */
  async function straysTo(url: string): Promise<void> {
    const stray = await idleAt(url);
    await eventually(async () => expect(await stray.isThere()).toBe(false));
    await stray.close();
  }

  test('which repeats it, is Quarantined as any other, and one annotation lets it in again', async () => {
    await ready('repeats');
    const url = await podUrl('repeats');
    await eventually(async () => {
      // Each that gets in is ended; one that does not is refused for good.
      await expect(straysTo(databaseUrlAt(url, 'bankhouse'))).rejects.toMatchObject({ code: '28000' });
    }, 30_000);
    const caught = await world.bankWhen('repeats', 'repeats', 'False', 'Quarantined');
    expect(conditionOf(caught, 'DatabaseReady')?.message).toContain('connected to another database');
    await expect(signsIn(url)).rejects.toMatchObject({ code: '28000' });
    await world.patch(`${pathsOf('repeats').banks}/repeats`, {
      metadata: { annotations: { 'bankhouse.dev/lift-quarantine': 'true' } },
    });
    await world.bankWhen('repeats', 'repeats', 'True');
    await signsIn(url);
  }, 60_000);
});
