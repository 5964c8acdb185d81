/** Banks move between placements while their servers are used: real Postgres, API server, bank server and keeper of databases. */
import { createKeeper, type Keeper } from '@bankhouse/control';
import { type Bank, createLogger, createRegistry, databaseUrlAt, MOVE_ANNOTATION } from '@bankhouse/core';
import { createDatabase, createWatchdog, type Database, type Watchdog } from '@bankhouse/operator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { type BankPod, eventually, pathsOf, settings, startBankPod, useWorld, type World } from './support/index.ts';

const MIGRATIONS = new URL('../../../migrations', import.meta.url).pathname;
const ROOT = settings.ROOT_KEY.get(1) as Uint8Array;
const WRITERS = 4;
/** As the README promises. */
const REFUSED_MOST_MS = 5_000;

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
  keeper = createKeeper({
    databaseUrl: postgres.ownerUrl,
    migrationsDir: MIGRATIONS,
    logger: createLogger({ component: 'test', level: 'fatal' }),
    registry: createRegistry('test'),
  });
  keeper.start();
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

interface Used {
  acknowledged: string[];
  /** From the first refusal of a call until it was taken, the longest. */
  refusedMs: number;
  /** The longest that a call took until it was answered. */
  longestMs: number;
  refusals: number;
  lost: string[];
  reads: number;
  failures: string[];
}

/** Writers make notes, readers read back what was acknowledged, all without a pause, until `stop`. */
function use(pod: BankPod): { stop(): Promise<Used>; used: Used } {
  const used: Used = { acknowledged: [], refusedMs: 0, longestMs: 0, refusals: 0, lost: [], reads: 0, failures: [] };
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
      if (answer.error?.code !== 'database_unavailable' || answer.retryAfter === null) {
        used.failures.push(JSON.stringify(answer));
        if (isOver || used.failures.length > 20) return undefined;
      }
    }
  };
  const write = async (name: string) => {
    for (let n = 0; !isOver; n += 1) {
      const title = `${name} ${n}`;
      const made = await send('create_note', { title, vaultId: 'sales' });
      if (made === undefined) return;
      used.acknowledged.push(title);
    }
  };
  const read = async () => {
    while (!isOver) {
      const title = used.acknowledged.at(-1);
      if (title === undefined) {
        await new Promise(setImmediate);
        continue;
      }
      const listed = await send('list_notes', { limit: 50, sort: 'createdAt:desc' });
      if (listed === undefined) return;
      used.reads += 1;
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
    await eventually(() => expect(used.acknowledged.length).toBeGreaterThan(20));

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
    const count = used.acknowledged.length;
    await eventually(() => expect(used.acknowledged.length).toBeGreaterThan(count + 20));
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
    const then = used.acknowledged.length;
    await eventually(() => expect(used.acknowledged.length).toBeGreaterThan(then + 20));

    const { acknowledged, failures, refusedMs, longestMs, refusals, reads } = await stop();
    process.stdout.write(
      `moved twice: ${acknowledged.length} writes, ${reads} reads, ${refusals} refused, longest refusal ${Math.round(refusedMs)} ms, longest call ${Math.round(longestMs)} ms\n`,
    );
    expect(failures).toEqual([]);
    expect(await titlesIn(id, 'bankhouse')).toEqual([...acknowledged].sort());
    expect(Math.max(refusedMs, longestMs)).toBeLessThan(REFUSED_MOST_MS);
    await eventually(async () => {
      expect(await asRoot('select 1 from pg_database where datname = $1', [name])).toEqual([]);
      expect(await asRoot('select 1 from control.databases where name = $1 and dropped_at is null', [name])).toEqual(
        [],
      );
    }, 30_000);
    expect(await asRoot('select 1 from control.moves')).toEqual([]);
    expect(breaches).toEqual([]);
    expect(await eventsOf(id)).toEqual(expect.arrayContaining(['Moving', 'Moved']));
  }, 120_000);
});
