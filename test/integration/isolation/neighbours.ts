/** A bank that works through its real server, beside one that does all it can to be in its way, with the watchdog on. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createLogger, createRegistry } from '@bankhouse/core';
import { createWatchdog } from '@bankhouse/operator';
import { createBank, startPostgres, withClient } from '../../harness/postgres.ts';
import { asLoader, call, runBank } from '../server/support.ts';
import { NUISANCES } from './nuisances.ts';

export interface Phase {
  readonly name: string;
  readonly calls: number;
  readonly failed: readonly string[];
  /** Of calls that began when nobody was being caught. */
  readonly p95: number;
  /** The same just before and just after, without anybody: other work on the machine comes and goes. */
  readonly p95Alone: number;
  readonly slowest: number;
  /** From the beginning of the nuisance to the end of its sessions; undefined where nothing is to be ended. */
  readonly caughtMs: number | undefined;
}

export interface Neighbours {
  readonly phases: readonly Phase[];
  /** What the bank was quarantined for in the end, and whether it could work after one lift. */
  readonly quarantinedFor: string | undefined;
  readonly cameBack: boolean;
}

interface Call {
  readonly at: number;
  readonly ms: number;
  readonly failure?: string;
}

const CLIENTS = 2;
/** Somebody is caught within it, and what waited is answered. */
const CATCH_MS = 1000;
/** A client's assertion is good for a minute. */
const RECONNECT_MS = 20_000;

/** @param options.phaseMs how long the bank works beside each flood, and half as long alone around each phase */
export async function measureNeighbours(options: {
  phaseMs: number;
  nuisances: readonly string[];
  floods: readonly string[];
}): Promise<Neighbours> {
  const postgres = await startPostgres();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => postgres.stop());
  const victim = stack.use(await runBank(postgres, 'globex'));
  const attacker = await createBank(postgres, 'acme');
  await asLoader(postgres, (sql) =>
    sql.query(
      `insert into bank.notes (bank_id, vault_id, created_by, updated_by, title, body)
         select b, 'sales', 'seed', 'seed', 'about pricing ' || n, repeat('words of it ', 40)
           from generate_series(1, 2000) n, unnest(array['globex', 'acme']) b`,
    ),
  );
  const endedAt: number[] = [];
  let quarantinedFor: string | undefined;
  const watchdog = createWatchdog({
    url: postgres.serviceUrl('operator'),
    logger: createLogger({ component: 'watchdog', level: 'silent' }),
    registry: createRegistry('test'),
    onEnded: () => endedAt.push(Date.now()),
    onQuarantined: (_bank, reason) => {
      quarantinedFor = reason;
    },
  });
  watchdog.start();
  stack.defer(() => watchdog.stop());
  const lift = () =>
    withClient(postgres.serviceUrl('operator'), async (sql) => {
      await sql.query("select admin.lift_quarantine('acme')");
      watchdog.forget('acme');
      quarantinedFor = undefined;
    });

  const calls: Call[] = [];
  const stopped = new AbortController();
  const work = Promise.all(
    Array.from({ length: CLIENTS }, async (_, n) => {
      const connect = () => victim.connect('modern', { scopes: ['mcp:read', 'mcp:write'] });
      let client = await connect();
      let connectedAt = Date.now();
      for (let turn = n; !stopped.signal.aborted; turn++) {
        if (Date.now() - connectedAt > RECONNECT_MS) {
          await client.close();
          client = await connect();
          connectedAt = Date.now();
        }
        const [name, args] = WORK[turn % WORK.length] as [string, Record<string, unknown>];
        const at = Date.now();
        const began = performance.now();
        const failure = await call(client, name, args).then(
          () => undefined,
          (error: Error) => `${name}: ${error.message}`,
        );
        calls.push({ at, ms: performance.now() - began, ...(failure === undefined ? {} : { failure }) });
      }
      await client.close();
    }),
  );
  stack.defer(async () => {
    stopped.abort();
    await work;
  });

  const p95Of = (counted: readonly Call[]) =>
    percentile(
      counted.map(({ ms }) => ms),
      0.95,
    );
  const quiet = async () => {
    calls.length = 0;
    await pause(options.phaseMs / 2);
    return [...calls];
  };
  // What is cold is not to be compared with.
  await pause(1000);
  let before = await quiet();
  /** @param run answers when it began */
  const phase = async (name: string, run: () => Promise<number>): Promise<Phase> => {
    calls.length = 0;
    endedAt.length = 0;
    const began = await run();
    const beside = [...calls];
    const caught = endedAt.at(0);
    await lift();
    const after = await quiet();
    const p95Alone = p95Of([...before, ...after]);
    before = after;
    const counted = beside.filter(({ at }) => at - began >= (caught === undefined ? 0 : CATCH_MS));
    return {
      name,
      calls: beside.length,
      failed: beside.flatMap(({ failure }) => failure ?? []),
      p95: p95Of(counted),
      p95Alone,
      slowest: Math.max(0, ...beside.map(({ ms }) => ms)),
      caughtMs: caught === undefined ? undefined : caught - began,
    };
  };
  const attack = async (what: string, ms: number) => {
    const child = spawn(
      process.execPath,
      [new URL('./attacker.ts', import.meta.url).pathname, attacker.url, what, String(ms), attacker.seal()],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const gone = once(child, 'exit');
    await once(child.stdout, 'data');
    return { began: Date.now(), gone, end: () => child.kill('SIGKILL') };
  };

  const phases: Phase[] = [];
  for (const nuisance of options.nuisances) {
    phases.push(
      await phase(nuisance, async () => {
        const { began, gone, end } = await attack(nuisance, 5000);
        await gone;
        end();
        await pause(CATCH_MS + 500);
        return began;
      }),
    );
  }
  for (const name of options.floods) {
    phases.push(
      await phase(name, async () => {
        const { began, gone, end } = await attack(name, options.phaseMs);
        await gone;
        end();
        // Who was quarantined is gone early.
        await pause(Math.max(0, began + options.phaseMs - Date.now()));
        return began;
      }),
    );
  }
  for (let turn = 0; turn < 10 && quarantinedFor === undefined; turn++) {
    const { gone } = await attack(NUISANCES[0]?.name ?? '', 3000);
    await gone;
    await pause(300);
  }
  const said = quarantinedFor;
  await lift();
  const cameBack = await withClient(attacker.url, async (sql) => {
    // In the words of its server.
    await sql.query('begin read only');
    await sql.query(
      "select set_config('bankhouse.assertion', $1, true), set_config('statement_timeout', '5000', true)",
      [attacker.seal()],
    );
    const { rowCount } = await sql.query('select api.read_rows($1, $2::jsonb) as answer', [
      'note',
      '{"fields": ["id"], "limit": 1}',
    ]);
    await sql.query('commit');
    return rowCount === 1;
  });
  return { phases, quarantinedFor: said, cameBack };
}

const WORK: [string, Record<string, unknown>][] = [
  ['list_notes', { limit: 20 }],
  ['search', { query: 'pricing' }],
  ['query', { kind: 'note', filter: { field: 'title', op: 'startsWith', value: 'about' }, limit: 20 }],
  ['create_note', { title: 'new', vaultId: 'sales' }],
  ['list_vaults', {}],
];

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
