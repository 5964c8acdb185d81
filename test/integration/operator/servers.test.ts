/** Banks whose class names another Postgres: two real servers, real API server, and who keeps databases. */
import { connect as connectTo, createServer, type Socket } from 'node:net';
import type { Keeper } from '@bankhouse/control';
import {
  type Bank,
  type BankClass,
  createLogger,
  createRegistry,
  databaseRole,
  databaseUrlAt,
  deriveSealKey,
  MOVE_ANNOTATION,
  sealAssertion,
  serverPassword,
} from '@bankhouse/core';
import { createDatabase, createWatchdog, type Database, type Watchdog } from '@bankhouse/operator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startKeeper } from '../../harness/keeper.ts';
import { assertionFor, startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { begin, NUISANCES, type Nuisance } from '../isolation/nuisances.ts';
import { classPath } from './support/cluster.ts';
import { eventually, pathsOf, settings, startBankPod, useWorld, type World } from './support/index.ts';

const ROOT = settings.ROOT_KEY.get(1) as Uint8Array;
const EGRESS = { cidr: '203.0.113.7/32', port: 5433 };

let platform!: TestPostgres;
let there!: TestPostgres;
let way!: Way;
let database!: Database;
let keeper: Keeper | undefined;
let watchdog: Watchdog | undefined;
const ended: { bank: string; reason: string }[] = [];
const world: World = useWorld(async () => {
  [platform, there] = await Promise.all([startPostgres(), startPostgres({ migrate: false })]);
  world.onClose(() => Promise.all([platform.stop(), there.stop()]));
  await sql(platform.superuserUrl, 'alter role bankhouse_owner createdb');
  await sql(there.superuserUrl, 'alter role bankhouse_owner createdb');
  way = await openWay(there.port);
  world.onClose(() => way.close());
  const operatorPassword = serverPassword(platform.passwords.operator, 'eu');
  const direct = there.urlFor('bankhouse_operator', operatorPassword);
  const through = new URL(direct);
  through.port = String(way.port);
  const url = new URL(platform.serviceUrl('operator'));
  const dead = 'postgres://bankhouse_operator@127.0.0.1:1/bankhouse';
  const servers = new Map([
    ['eu', through.toString()],
    ['dead', dead],
  ]);
  database = createDatabase(url.toString(), { connections: 2, servers });
  world.onClose(() => database.close());
  const logger = createLogger({ component: 'test', level: 'fatal' });
  keeper = startKeeper({
    databaseUrl: platform.ownerUrl,
    servers: [
      { name: 'eu', url: there.ownerUrl, operatorPassword },
      { name: 'dead', url: 'postgres://owner@127.0.0.1:1/app', operatorPassword },
    ],
  });
  watchdog = createWatchdog({
    url: url.toString(),
    servers: new Map([['eu', direct]]),
    logger,
    registry: createRegistry('test'),
    onEnded: (bank, reason) => ended.push({ bank, reason }),
    onQuarantined: (bank) => world.operator.recheck(bank),
  });
  url.password = '';
  const changes = {
    DATABASE_URL: url.toString(),
    DEDICATED_DATABASES: true,
    SERVERS: new Map([
      ['eu', { url: through.toString(), egress: [EGRESS] }],
      ['no-secret', { url: undefined, egress: [] }],
      ['dead', { url: dead, egress: [] }],
    ]),
  };
  return { database, settings: { ...settings, ...changes } };
});
beforeAll(async () => {
  watchdog?.start();
  await world.createClass('eu', { database: { secretRef: { name: 'eu' } } });
  await world.createClass('eu-own', { database: { isolation: 'dedicated', secretRef: { name: 'eu' } } });
});
afterAll(() => Promise.all([keeper?.stop(), watchdog?.stop()]));

/** The way to a server, on which nothing comes through any more while it is held. */
interface Way {
  readonly port: number;
  hold(isHeld: boolean): void;
  close(): Promise<void>;
}

async function openWay(port: number): Promise<Way> {
  const sockets = new Set<Socket>();
  let isHeld = false;
  const listener = createServer((near) => {
    const far = connectTo(port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (bytes) => to.write(bytes));
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      if (isHeld) from.pause();
    }
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return {
    port: (listener.address() as { port: number }).port,
    hold(held) {
      isHeld = held;
      for (const socket of sockets) held ? socket.pause() : socket.resume();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

async function sql<Row extends object>(url: string, text: string, values: unknown[] = []): Promise<Row[]> {
  return await withClient(url, async (client) => (await client.query(text, values)).rows as Row[]);
}

const uidOf = (bank: Bank) => bank.metadata.uid ?? '';
const bankPath = (id: string) => `${pathsOf(id).banks}/${id}`;
const find = (id: string) => world.get<Bank>(bankPath(id));
const conditionOf = (bank: Bank, wanted: string) => bank.status?.conditions?.find(({ type }) => type === wanted);
const rename = (id: string, displayName: string) => world.patch(bankPath(id), { spec: { displayName } });

async function ready(id: string, className: string, spec: Record<string, unknown> = {}): Promise<Bank> {
  await world.createNamespace(id);
  return await world.readyBank(id, id, { className, vaults: [{ id: 'sales' }], ...spec });
}

async function podUrl(id: string): Promise<string> {
  const { data } = await world.get<{ data: Record<string, string> }>(`${pathsOf(id).secrets}/bank-${id}`);
  return Buffer.from(data['database-url'] ?? '', 'base64').toString();
}

/** Titles of all notes of a bank in a database there, or at home. */
async function titlesIn(id: string, url: string): Promise<string[]> {
  return (await sql<{ title: string }>(url, 'select title from bank.notes where bank_id = $1', [id])).map(
    ({ title }) => title,
  );
}

describe('a Bank whose class names another server', () => {
  test.each(['shared', 'dedicated'] as const)(
    '%s: is used there by its own server, and says where its rows are; nothing of it is at home',
    async (isolation) => {
      const id = `used-${isolation}`;
      const bank = await ready(id, isolation === 'shared' ? 'eu' : 'eu-own');
      const [{ generation } = { generation: 0 }] = await sql<{ generation: number }>(
        platform.superuserUrl,
        "select max(generation)::int as generation from bankhouse_migrations.applied where part = 'tenants'",
      );
      expect(bank.status?.database).toEqual({
        isolation,
        server: 'eu',
        name: isolation === 'shared' ? 'bankhouse' : expect.stringMatching(/^bank_[0-9a-f]{24}$/),
        schemaGeneration: generation,
      });
      const name = bank.status?.database?.name ?? '';
      const url = new URL(await podUrl(id));
      expect([url.port, url.pathname]).toEqual([String(way.port), `/${name}`]);
      await using pod = await startBankPod(world, id, uidOf(bank), ROOT);
      expect(await pod.call('create_note', { title: 'here', vaultId: 'sales' })).toMatchObject({ isError: false });
      expect(await titlesIn(id, databaseUrlAt(there.superuserUrl, name))).toEqual(['here']);
      expect(await sql(platform.superuserUrl, 'select 1 from bank.banks where id = $1', [id])).toEqual([]);
      const role = databaseRole(uidOf(bank), 'a');
      expect(await sql(platform.superuserUrl, 'select 1 from pg_roles where rolname = $1', [role])).toEqual([]);
    },
  );

  test("sees nothing of its neighbour there, under whatever assertion, and comes into no neighbour's database", async () => {
    const [left, right] = [await ready('left', 'eu'), await ready('right', 'eu')];
    const own = await ready('right-own', 'eu-own');
    await using pod = await startBankPod(world, 'right', uidOf(right), ROOT);
    await pod.call('create_note', { title: 'a secret', vaultId: 'sales' });
    const url = await podUrl('left');
    const read = async (id: string, uid: string) => {
      const sealed = sealAssertion(assertionFor(id), deriveSealKey(ROOT, 'database', id, uid, 1), 1);
      return await withClient(url, async (client) => {
        await client.query('begin');
        await client.query("select set_config('bankhouse.assertion', $1, true)", [sealed]);
        const { rows } = await client.query('select api.read_rows($1, $2)', [
          'note',
          '{"fields": ["title"], "limit": 9}',
        ]);
        return rows;
      });
    };
    expect(await read('right', uidOf(right))).toEqual([]);
    expect(await read('left', uidOf(left))).toEqual([]);
    const name = own.status?.database?.name ?? '';
    await expect(sql(databaseUrlAt(url, name), 'select 1')).rejects.toThrow(/permission denied for database/);
    const atHome = new URL(url);
    atHome.port = String(platform.port);
    await expect(sql(atHome.toString(), 'select 1')).rejects.toMatchObject({ code: '28P01' });
  });

  test("its pods reach that server and not the platform's; where rows are on both, both", async () => {
    const egressOf = async (namespace: string, className: string) => {
      const path = `${pathsOf(namespace).networkPolicies}/bankclass.${className}`;
      return JSON.stringify((await world.get<{ spec: { egress: object } }>(path)).spec.egress);
    };
    await ready('reaches', 'eu');
    expect(await egressOf('reaches', 'eu')).toContain(EGRESS.cidr);
    expect(await egressOf('reaches', 'eu')).not.toContain('bankhouse-system');
    await world.createBank('reaches', 'at-home', { className: 'standard' });
    await world.bringUp('reaches', 'at-home');
    expect(await egressOf('reaches', 'standard')).not.toContain(EGRESS.cidr);
    await world.patch(`${pathsOf('reaches').banks}/at-home`, { spec: { className: 'eu' } });
    await eventually(async () => {
      const both = await egressOf('reaches', 'eu');
      expect(both).toContain(EGRESS.cidr);
      expect(both).toContain('bankhouse-system');
    });
  });

  test.each([
    { name: 'nowhere', message: /^The platform knows no server "nowhere": name it in database\.servers of the chart/ },
    { name: 'no-secret', message: /^The Secret of the server "no-secret" was not there, or had no host/ },
  ])('that can not be used ($name): it and its class say so, and no id is given away', async ({ name, message }) => {
    const { transport } = world;
    await transport.request('POST', '/apis/bankhouse.dev/v1alpha1/bankclasses', {
      body: {
        apiVersion: 'bankhouse.dev/v1alpha1',
        kind: 'BankClass',
        metadata: { name },
        spec: { database: { secretRef: { name } } },
      },
    });
    await eventually(async () => {
      const { status } = await world.get<BankClass>(classPath(name));
      expect(status).toMatchObject({
        phase: 'Rejected',
        conditions: [
          { type: 'Accepted', status: 'False', reason: 'ServerUnknown', message: expect.stringMatching(message) },
        ],
      });
    });
    await world.createNamespace(name);
    await world.createBank(name, name, { className: name });
    const refused = await world.bankWhen(name, name, 'False', 'ServerUnknown');
    expect(conditionOf(refused, 'Accepted')).toMatchObject({
      status: 'False',
      message: expect.stringMatching(message),
    });
    expect(await sql(platform.superuserUrl, 'select 1 from control.bank_ids where id = $1', [name])).toEqual([]);
  });

  test.each(['shared', 'dedicated'])(
    'on which nothing was ever made (%s): it says why, and can be deleted',
    async (isolation) => {
      const id = `never-${isolation}`;
      await world.createClass(id, { database: { isolation, secretRef: { name: 'dead' } } });
      await world.createNamespace(id);
      await world.createBank(id, id, { className: id, deleteAfter: '0s' });
      const waiting = await world.bankWhen(id, id, 'False', 'DatabaseNotMade');
      expect(conditionOf(waiting, 'DatabaseReady')?.message).toMatch(
        /on the server "dead", which can't be made: Postgres "dead" at 127\.0\.0\.1:1 can't be reached/,
      );
      await world.delete(bankPath(id));
      await eventually(async () => {
        expect(await world.find(bankPath(id))).toBeUndefined();
        // Of one of its own nobody knows whether it is there, till the server is back.
        if (isolation === 'dedicated') return;
        expect(await sql(platform.superuserUrl, 'select 1 from control.bank_ids where id = $1', [id])).toEqual([]);
      }, 30_000);
    },
  );

  test('which the chart names no more: it stays as it is and says so, and goes on when it is named again', async () => {
    const id = 'forgotten';
    await ready(id, 'eu');
    const url = await podUrl(id);
    const { SERVERS: _, ...rest } = { ...settings, DATABASE_URL: platform.serviceUrl('operator') };
    await world.restart({ settings: { ...rest, SERVERS: new Map() } });
    try {
      const told = await world.bankWhen(id, id, 'False', 'ServerUnknown');
      expect(conditionOf(told, 'DatabaseReady')).toMatchObject({ status: 'False', reason: 'ServerUnknown' });
      expect(told.status?.database).toMatchObject({ server: 'eu' });
      expect(await podUrl(id)).toBe(url);
    } finally {
      await world.restart();
    }
    await world.bankWhen(id, id, 'True');
  });

  test('the operator is restarted: nothing of banks is written', async () => {
    await ready('quiet', 'eu');
    await eventually(() => expect(world.operator.isIdle).toBe(true));
    const before = world.written.soFar();
    await world.restart();
    await eventually(() => expect(world.operator.isIdle).toBe(true));
    const { 'PATCH bankclasses/status': _, ...written } = world.written.since(before);
    expect(written).toEqual({});
  });

  test.each(['eu', 'eu-own'])(
    'erased (%s), its rows and role are gone there, and a receipt says what was',
    async (className) => {
      const id = `erased-${className}`;
      const bank = await ready(id, className, { deleteAfter: '0s' });
      await world.delete(bankPath(id));
      await eventually(async () => {
        const receipts = await sql(
          platform.superuserUrl,
          'select tables from control.deletion_receipts where bank_id = $1',
          [id],
        );
        expect(receipts).toMatchObject([{ tables: { vaults: { rows: 1 } } }]);
        expect(await sql(platform.superuserUrl, 'select 1 from control.bank_ids where id = $1', [id])).toEqual([]);
      }, 30_000);
      expect(await sql(there.superuserUrl, 'select 1 from bank.banks where id = $1', [id])).toEqual([]);
      const role = databaseRole(uidOf(bank), 'a');
      expect(await sql(there.superuserUrl, 'select 1 from pg_roles where rolname = $1', [role])).toEqual([]);
      const { name, isolation } = bank.status?.database ?? {};
      const left = await sql(there.superuserUrl, 'select 1 from pg_database where datname = $1', [name]);
      expect(left).toHaveLength(isolation === 'shared' ? 1 : 0);
    },
  );
});

describe('a server that is away', () => {
  test.each([
    {
      sentence: 'refuses connections',
      away: (use: () => Promise<void>) => there.restart(use),
      says: /server "eu"\) can't be reached/,
    },
    {
      sentence: 'takes them and says nothing',
      away: async (use: () => Promise<void>) => {
        way.hold(true);
        await use().finally(() => way.hold(false));
      },
      says: /server "eu"\) can't be reached/,
    },
  ])(
    'as it $sentence: its banks say so, all others go on, new ones too, and they go on when it is back',
    async ({ sentence, away, says }) => {
      const kind = sentence.split(' ')[0] ?? '';
      const far = [`far-1-${kind}`, `far-2-${kind}`, `far-3-${kind}`];
      for (const id of far) await ready(id, id.includes('2') ? 'eu-own' : 'eu');
      await ready(`near-${kind}`, 'standard');
      await away(async () => {
        for (const id of far) await rename(id, 'Elsewhere');
        const asked = performance.now();
        await rename(`near-${kind}`, 'Near by');
        await eventually(async () => {
          expect(await database.state(`near-${kind}`)).toMatchObject({ displayName: 'Near by' });
        });
        await ready(`newcomer-${kind}`, 'standard');
        process.stdout.write(`${sentence}: others went on in ${Math.round(performance.now() - asked)} ms\n`);
        for (const id of far) {
          const waiting = await eventually(async () => {
            const bank = await find(id);
            expect(conditionOf(bank, 'DatabaseReady')).toMatchObject({ status: 'False', reason: 'Unreachable' });
            return bank;
          }, 40_000);
          expect(conditionOf(waiting, 'DatabaseReady')?.message).toMatch(says);
        }
      });
      for (const id of far) {
        await eventually(async () => expect(conditionOf(await find(id), 'DatabaseReady')?.status).toBe('True'), 30_000);
      }
      const [{ name } = { name: '' }] = await sql<{ name: string }>(
        there.superuserUrl,
        'select display_name as name from bank.banks where id = $1',
        [far[0]],
      );
      expect(name).toBe('Elsewhere');
    },
    120_000,
  );
});

describe('a Bank with rows at home, of a class that now names the server', () => {
  test('says that it stays, and is moved there and back by the annotation', async () => {
    const id = 'travels';
    const before = await ready(id, 'standard');
    await using pod = await startBankPod(world, id, uidOf(before), ROOT);
    await pod.call('create_note', { title: 'first', vaultId: 'sales' });
    for (const [className, server, at] of [
      ['eu', 'eu', () => there.superuserUrl],
      ['standard', undefined, () => platform.superuserUrl],
    ] as const) {
      await world.patch(bankPath(id), { spec: { className } });
      const fixed = await eventually(async () => {
        const bank = await find(id);
        expect(conditionOf(bank, 'Accepted')?.reason).toBe('PlacementFixed');
        return bank;
      });
      expect(conditionOf(fixed, 'Accepted')?.message).toMatch(/the common database on the server "eu"/);
      await world.patch(bankPath(id), { metadata: { annotations: { [MOVE_ANNOTATION]: 'true' } } });
      await eventually(async () => expect((await find(id)).status?.database?.server).toBe(server), 60_000);
      // Its pod of before follows, until it is replaced.
      await eventually(async () => {
        const made = await pod.call('create_note', { title: `in ${className}`, vaultId: 'sales' });
        expect(made).toMatchObject({ isError: false });
      });
      await pod.readSecret();
      await eventually(async () => {
        await world.setPods(id, id, { replicas: 1, ready: 1 });
        const bank = await find(id);
        expect(bank.metadata.annotations?.[MOVE_ANNOTATION]).toBeUndefined();
        expect(conditionOf(bank, 'Accepted')?.reason).toBe('Accepted');
      }, 60_000);
      expect(await titlesIn(id, at())).toEqual(expect.arrayContaining(['first', `in ${className}`]));
      const left = server === undefined ? there.superuserUrl : platform.superuserUrl;
      expect(await titlesIn(id, left)).toEqual([]);
    }
  }, 120_000);
});

describe('the watchdog there, and a taken-over pod', () => {
  test.each(['eu', 'eu-own'])(
    'of a bank of the class %s: its session is ended and it is Quarantined when it repeats that',
    async (className) => {
      const id = `taken-${className}`;
      await ready(id, className);
      const nuisance = NUISANCES.find(({ name }) => name.includes('pg_catalog.pg_class')) as Nuisance;
      const url = await podUrl(id);
      await eventually(async () => {
        // Each that gets in is ended; one that does not is refused for good.
        const running = await begin(nuisance, url).catch((error: unknown) => error);
        if (running instanceof Error) {
          expect(running).toMatchObject({ code: '28000' });
          return;
        }
        const session = running as Awaited<ReturnType<typeof begin>>;
        await eventually(() => expect(session.alive()).toBe(false)).finally(() => session.stop());
        throw new Error('It is let in still.');
      }, 60_000);
      expect(ended.filter(({ bank }) => bank === id)[0]?.reason).toMatch(nuisance.reason);
      const caught = await world.bankWhen(id, id, 'False', 'Quarantined');
      expect(conditionOf(caught, 'DatabaseReady')?.message).toMatch(nuisance.reason);
      await world.patch(bankPath(id), { metadata: { annotations: { 'bankhouse.dev/lift-quarantine': 'true' } } });
      await world.bankWhen(id, id, 'True');
      await sql(url, 'select 1');
    },
    90_000,
  );
});
