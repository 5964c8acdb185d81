/** Banks move between placements while their servers are used: real Postgres, API server, bank server and keeper of databases. */
import type { Keeper } from '@bankhouse/control';
import { type Bank, createLogger, createRegistry, databaseUrlAt, MOVE_ANNOTATION } from '@bankhouse/core';
import { createDatabase, createWatchdog, type Database, type Watchdog } from '@bankhouse/operator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startKeeper } from '../../harness/keeper.ts';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import {
  type BankPod,
  eventually,
  pathsOf,
  ROOT,
  settings,
  startBankPod,
  useWorld,
  type World,
} from './support/index.ts';

const WRITERS = 4;
const REFUSED_MOST_MS = 5_000;
/** Held while the bank is frozen, for five seconds at most; the machine has other work too. */
const CALL_MOST_MS = 10_000;

let postgres!: TestPostgres;
let database!: Database;
let keeper: Keeper | undefined;
let watchdog: Watchdog | undefined;
const breaches: { bank: string; reason: string }[] = [];
const world: World = useWorld(async () => {
  postgres = await startPostgres();
  world.onClose(() => postgres.stop());
  await asRoot('alter role bankhouse_owner createdb');
  const url = new URL(postgres.serviceUrl('operator'));
  database = createDatabase(url.toString(), { connections: 2 });
  world.onClose(() => database.close());
  url.password = '';
  keep();
  return { database, settings: { ...settings, DATABASE_URL: url.toString(), DEDICATED_DATABASES: true } };
});
beforeAll(async () => {
  await world.createClass('own', { database: { isolation: 'dedicated' } });
  watchdog = createWatchdog({
    url: postgres.serviceUrl('operator'),
    logger: createLogger({ component: 'test', level: 'silent' }),
    registry: createRegistry('test'),
    onEnded: (bank, reason) => breaches.push({ bank, reason }),
  });
  watchdog.start();
});
afterAll(() => Promise.all([keeper?.stop(), watchdog?.stop()]));

function keep(): void {
  keeper = startKeeper({ databaseUrl: postgres.ownerUrl });
}

async function asRoot<Row extends object>(text: string, values: unknown[] = [], name?: string): Promise<Row[]> {
  const url = name === undefined ? postgres.superuserUrl : databaseUrlAt(postgres.superuserUrl, name);
  return await withClient(url, async (client) => (await client.query(text, values)).rows as Row[]);
}

const uidOf = (bank: Bank) => bank.metadata.uid ?? '';
const bankPath = (id: string) => `${pathsOf(id).banks}/${id}`;
const find = (id: string) => world.get<Bank>(bankPath(id));
const acceptedOf = (bank: Bank) => bank.status?.conditions?.find(({ type }) => type === 'Accepted');
const annotate = (id: string, value: string | null = 'true') =>
  world.patch(bankPath(id), { metadata: { annotations: { [MOVE_ANNOTATION]: value } } });
const toClass = (id: string, className: string) => world.patch(bankPath(id), { spec: { className } });

async function ready(id: string, className: string): Promise<Bank> {
  await world.createNamespace(id);
  return await world.readyBank(id, id, { className, vaults: [{ id: 'sales' }] });
}

async function eventsOf(id: string): Promise<string[]> {
  const { items } = await world.get<{ items: { reason: string }[] }>(pathsOf(id).events);
  return items.map(({ reason }) => reason);
}

async function placementOf(id: string): Promise<string> {
  const [row] = await asRoot<{ placement: string }>('select placement from control.bank_ids where id = $1', [id]);
  return row?.placement ?? '';
}

/** Titles of all notes of a bank in a database, whoever may read them. */
async function titlesIn(id: string, name: string): Promise<string[]> {
  const rows = await asRoot<{ title: string }>('select title from bank.notes where bank_id = $1', [id], name);
  return rows.map(({ title }) => title).sort();
}

async function podUrl(id: string): Promise<string> {
  const { data } = await world.get<{ data: Record<string, string> }>(`${pathsOf(id).secrets}/bank-${id}`);
  return Buffer.from(data['database-url'] ?? '', 'base64').toString();
}

interface Used {
  /** Titles of notes, and the id of each. */
  acknowledged: Map<string, string>;
  /** From the first refusal of a call until it was taken, the longest. */
  refusedMs: number;
  /** The longest that a call took until it was answered. */
  longestMs: number;
  refusals: number;
  reads: number;
  /** What was answered that is neither right nor a refusal to be sent again, such as a note that is not found. */
  failures: string[];
}

/** Writers make notes, readers read back what was acknowledged, all without a pause, until `stop`. */
function use(pod: BankPod): { stop(): Promise<Used>; used: Used } {
  const used: Used = { acknowledged: new Map(), refusedMs: 0, longestMs: 0, refusals: 0, reads: 0, failures: [] };
  let isOver = false;
  const send = async (tool: string, args: Record<string, unknown>) => {
    const startedAt = performance.now();
    let refusedAt: number | undefined;
    for (;;) {
      const sentAt = performance.now();
      const answer = await pod.call(tool, args);
      used.longestMs = Math.max(used.longestMs, performance.now() - sentAt);
      if (!answer.isError) {
        if (refusedAt !== undefined) used.refusedMs = Math.max(used.refusedMs, performance.now() - startedAt);
        return answer.structured;
      }
      refusedAt ??= sentAt;
      used.refusals += 1;
      // A machine that is slow may also have no room for a moment.
      if (answer.error?.retryable !== true) {
        used.failures.push(JSON.stringify(answer));
        return undefined;
      }
    }
  };
  const write = async (name: string) => {
    for (let n = 0; !isOver; n += 1) {
      const title = `${name} ${n}`;
      const made = await send('create_note', { title, vaultId: 'sales' });
      if (made === undefined) return;
      used.acknowledged.set(title, String(made.id));
    }
  };
  const read = async () => {
    while (!isOver) {
      const id = [...used.acknowledged.values()].at(-1);
      if (id === undefined) await new Promise(setImmediate);
      else if ((await send('get_note', { id })) === undefined) return;
      else used.reads += 1;
    }
  };
  const all = Promise.all([...Array.from({ length: WRITERS }, (_, n) => write(`writer ${n}`)), read(), read()]);
  return {
    used,
    async stop() {
      isOver = true;
      await all;
      return used;
    },
  };
}

/** The Deployment's controller replaces the pods, once the operator wants others. */
async function rolledOut(id: string): Promise<void> {
  await world.setPods(id, id, { replicas: 1, ready: 1 });
}

/** Waits until the annotation is gone, its pods being replaced meanwhile. */
async function moved(id: string): Promise<Bank> {
  return await eventually(async () => {
    await rolledOut(id);
    const bank = await find(id);
    expect(bank.metadata.annotations?.[MOVE_ANNOTATION]).toBeUndefined();
    expect(acceptedOf(bank)?.reason).toBe('Accepted');
    return bank;
  }, 60_000);
}

describe('a Bank of another class than its rows are of, annotated', () => {
  test('goes from the common database into one of its own and back under a stream of calls: nothing is lost or doubled', async () => {
    const id = 'travels';
    const before = await ready(id, 'standard');
    await using pod = await startBankPod(world, id, uidOf(before), ROOT);
    const { used, stop } = use(pod);
    await eventually(() => expect(used.acknowledged.size).toBeGreaterThan(20));

    await toClass(id, 'own');
    const fixed = await eventually(async () => {
      const bank = await find(id);
      expect(acceptedOf(bank)?.reason).toBe('PlacementFixed');
      return bank;
    });
    expect(acceptedOf(fixed)?.message).toContain('bankhouse.dev/move-database=true');
    await annotate(id);
    const there = await moved(id);
    const name = there.status?.database?.name ?? '';
    expect(there.status?.database).toMatchObject({ isolation: 'dedicated' });
    expect(await placementOf(id)).toBe(`platform/${name}`);
    const count = used.acknowledged.size;
    await eventually(() => expect(used.acknowledged.size).toBeGreaterThan(count + 20));
    // Nothing is left where it was.
    expect(await asRoot('select 1 from bank.banks where id = $1', [id])).toEqual([]);
    expect(await titlesIn(id, 'bankhouse')).toEqual([]);

    await toClass(id, 'standard');
    await eventually(async () => expect(acceptedOf(await find(id))?.reason).toBe('PlacementFixed'));
    await annotate(id);
    // What is told by the kubelet comes late, and while the bank is in use.
    await pod.readSecret();
    const back = await moved(id);
    expect(back.status?.database).toBeUndefined();
    expect(await placementOf(id)).toBe('platform');
    const then = used.acknowledged.size;
    await eventually(() => expect(used.acknowledged.size).toBeGreaterThan(then + 20));

    const { acknowledged, failures, refusedMs, longestMs, refusals, reads } = await stop();
    process.stdout.write(
      `moved twice: ${acknowledged.size} writes, ${reads} reads, ${refusals} refused, longest refusal ${Math.round(refusedMs)} ms, longest call ${Math.round(longestMs)} ms\n`,
    );
    expect(failures).toEqual([]);
    expect(await titlesIn(id, 'bankhouse')).toEqual([...acknowledged.keys()].sort());
    expect(refusedMs).toBeLessThan(REFUSED_MOST_MS);
    expect(longestMs).toBeLessThan(CALL_MOST_MS);
    await eventually(async () => {
      expect(await asRoot('select 1 from pg_database where datname = $1', [name])).toEqual([]);
      expect(await asRoot('select 1 from control.databases where name = $1 and dropped_at is null', [name])).toEqual(
        [],
      );
    }, 30_000);
    expect(await asRoot('select 1 from control.moves')).toEqual([]);
    expect(breaches).toEqual([]);
    expect(reads).toBeGreaterThan(20);
    expect(await eventsOf(id)).toEqual(expect.arrayContaining(['Moving', 'Moved']));
  }, 120_000);

  test('that is where its class says already, is told so, and nothing happens', async () => {
    const id = 'is-there';
    await ready(id, 'standard');
    await annotate(id);
    await eventually(async () => {
      expect((await find(id)).metadata.annotations?.[MOVE_ANNOTATION]).toBeUndefined();
      expect(await eventsOf(id)).toContain('AlreadyThere');
    });
    expect(acceptedOf(await find(id))?.reason).toBe('Accepted');
    expect(await asRoot('select 1 from control.databases where bank_id = $1', [id])).toEqual([]);
  });

  test('whose new database can not be made, is used where it is and says why; it is tried again, or called off without the annotation', async () => {
    const id = 'waits';
    const bank = await ready(id, 'standard');
    await using pod = await startBankPod(world, id, uidOf(bank), ROOT);
    await asRoot('alter role bankhouse_owner nocreatedb');
    const failing = () =>
      eventually(async () => {
        const accepted = acceptedOf(await find(id));
        expect(accepted).toMatchObject({ status: 'True', reason: 'MoveFailed' });
        expect(accepted?.message).toMatch(/stay where they are.*ALTER ROLE … CREATEDB.*tried again by itself/);
      });
    try {
      await toClass(id, 'own');
      await annotate(id);
      await failing();
      expect((await pod.call('create_note', { title: 'meanwhile', vaultId: 'sales' })).isError).toBe(false);
      await world.bankWhen(id, id, 'True');
      await annotate(id, null);
      await eventually(async () => expect(acceptedOf(await find(id))?.reason).toBe('PlacementFixed'));
      expect(await eventsOf(id)).toEqual(expect.arrayContaining(['MoveFailed', 'MoveCalledOff']));
      expect(await asRoot('select 1 from control.moves where bank_id = $1', [id])).toEqual([]);
      await annotate(id);
      await failing();
    } finally {
      await asRoot('alter role bankhouse_owner createdb');
    }
    const there = await moved(id);
    expect(await titlesIn(id, there.status?.database?.name ?? '')).toEqual(['meanwhile']);
    expect((await pod.call('create_note', { title: 'there', vaultId: 'sales' })).isError).toBe(false);
  }, 60_000);

  test('that is deleted while it waits for its new database goes, and leaves none', async () => {
    const id = 'goes';
    await world.createNamespace(id);
    await world.readyBank(id, id, { className: 'standard', deleteAfter: '0s' });
    await keeper?.stop();
    try {
      await toClass(id, 'own');
      await annotate(id);
      await eventually(async () => {
        expect(await asRoot('select 1 from control.databases where bank_id = $1', [id])).toHaveLength(1);
      });
      await world.delete(bankPath(id));
      await eventually(async () => expect(await world.find(bankPath(id))).toBeUndefined(), 30_000);
    } finally {
      keep();
    }
    expect(await asRoot('select 1 from control.moves where bank_id = $1', [id])).toEqual([]);
    await eventually(async () => {
      expect(await asRoot('select 1 from control.databases where bank_id = $1 and dropped_at is null', [id])).toEqual(
        [],
      );
    }, 30_000);
  }, 60_000);

  test('has no business in the common database any more, once it has one of its own, and is erased with it', async () => {
    const id = 'leaves';
    const bank = await ready(id, 'standard');
    const url = await podUrl(id);
    await toClass(id, 'own');
    await annotate(id);
    const name = (await moved(id)).status?.database?.name ?? '';
    await withClient(databaseUrlAt(url, name), (client) => client.query('select 1'));
    await withClient(url, async (client) => {
      client.on('error', () => {});
      await eventually(() => expect(breaches).toContainEqual({ bank: id, reason: 'connected to another database' }));
    }).catch(() => {});
    breaches.length = 0;
    await world.patch(bankPath(id), { spec: { deleteAfter: '0s' } });
    await world.delete(bankPath(id));
    await eventually(async () => {
      expect(await asRoot('select 1 from pg_database where datname = $1', [name])).toEqual([]);
      expect(await asRoot('select 1 from control.bank_ids where uid = $1', [uidOf(bank)])).toEqual([]);
    }, 30_000);
  }, 60_000);
});

test('a call that waits longer for a move than it may is refused, and says when to come again, in its answer and in a header', async () => {
  const id = 'frozen';
  const bank = await ready(id, 'standard');
  await using pod = await startBankPod(world, id, uidOf(bank), ROOT);
  await asRoot(
    "insert into bank.moves (id, uid, move, state, same_server) values ($1, $2, gen_random_uuid(), 'frozen', true)",
    [id, uidOf(bank)],
  );
  const refused = pod.call('create_note', { title: 'later', vaultId: 'sales' });
  // Reads go on.
  expect((await pod.call('list_notes', {})).isError).toBe(false);
  expect(await refused).toMatchObject({
    isError: true,
    error: { code: 'database_unavailable', retryable: true, retryAfterSeconds: 2 },
    retryAfter: '2',
  });
  const waits = pod.call('create_note', { title: 'now', vaultId: 'sales' });
  await asRoot('delete from bank.moves where id = $1', [id]);
  expect((await waits).isError).toBe(false);
  expect(await titlesIn(id, 'bankhouse')).toEqual(['now']);
}, 30_000);

/** An operator that dies at a step of a move: nothing more of it reaches the database. */
function dyingAt(step: keyof Database, when: 'before' | 'after'): { database: Database; died: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  let isDead = false;
  const killed = () => Promise.reject(new Error('killed'));
  const dying = new Proxy(database, {
    get(target, name: keyof Database) {
      const real = target[name] as (...given: unknown[]) => unknown;
      return async (...given: unknown[]) => {
        if (isDead) return await killed();
        if (name !== step) return await real(...given);
        isDead = true;
        if (when === 'after') await real(...given);
        resolve();
        return await killed();
      };
    },
  });
  const { at, urlOf } = database;
  return {
    database: new Proxy(dying, {
      get: (target, name: keyof Database) => ({ at, urlOf })[name as 'at'] ?? target[name],
    }),
    died: promise,
  };
}

describe('the operator that moves a Bank dies', () => {
  test.each<{ step: keyof Database; when: 'before' | 'after' }>([
    { step: 'wantTarget', when: 'after' },
    { step: 'switchPlacement', when: 'before' },
    { step: 'switchPlacement', when: 'after' },
    { step: 'finishMove', when: 'before' },
    { step: 'finishMove', when: 'after' },
  ])(
    '$when it calls $step: the next one brings it to its end, and no write is lost',
    async ({ step, when }) => {
      const id = `dies-${when}-${step.toLowerCase()}`;
      const bank = await ready(id, 'standard');
      await using pod = await startBankPod(world, id, uidOf(bank), ROOT);
      const { used, stop } = use(pod);
      await eventually(() => expect(used.acknowledged.size).toBeGreaterThan(5));
      const dying = dyingAt(step, when);
      await world.restart({ database: dying.database });
      await toClass(id, 'own');
      await annotate(id);
      await Promise.race([
        dying.died,
        eventually(async () => {
          await rolledOut(id);
          throw new Error('not dead yet');
        }, 30_000),
      ]);
      await world.restart();
      const there = await moved(id);
      const count = used.acknowledged.size;
      await eventually(() => expect(used.acknowledged.size).toBeGreaterThan(count + 5));
      const { acknowledged, failures } = await stop();
      expect(failures).toEqual([]);
      expect(await titlesIn(id, there.status?.database?.name ?? '')).toEqual([...acknowledged.keys()].sort());
      expect(await titlesIn(id, 'bankhouse')).toEqual([]);
      expect(await asRoot('select 1 from control.moves where bank_id = $1', [id])).toEqual([]);
    },
    90_000,
  );
});
