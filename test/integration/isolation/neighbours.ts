/** A bank that works through its real server, beside one that does all it can to be in its way, with the watchdog on. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createLogger, createRegistry } from '@bankhouse/core';
import { createWatchdog } from '@bankhouse/operator';
import { createBank, startPostgres, withClient } from '../../harness/postgres.ts';
import { asLoader, call, runBank } from '../server/support.ts';
import { FLOODS } from './attacker.ts';
import { NUISANCES } from './nuisances.ts';

export interface Phase {
  readonly name: string;
  readonly calls: number;
  readonly failed: readonly string[];
  /** Of calls that began when nobody was being caught. */
  readonly p95: number;
  readonly slowest: number;
  /** From the beginning of the nuisance to the end of its sessions; undefined where nothing is to be ended. */
  readonly caughtMs: number | undefined;
}

export interface Neighbours {
  readonly alone: Phase;
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

/** @param options.phaseMs how long the bank works alone, and beside each flood */
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
         select 'globex', 'sales', 'seed', 'seed', 'about pricing ' || n, repeat('words of it ', 40) from generate_series(1, 2000) n`,
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
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, () => victim.connect('modern', { scopes: ['mcp:read', 'mcp:write'] })),
  );
  const work = Promise.all(
    clients.map(async (client, n) => {
      for (let turn = n; !stopped.signal.aborted; turn++) {
        const [name, args] = WORK[turn % WORK.length] as [string, Record<string, unknown>];
        const at = Date.now();
        const began = performance.now();
        const failure = await call(client, name, args).then(
          () => undefined,
          (error: Error) => `${name}: ${error.message}`,
        );
        calls.push({ at, ms: performance.now() - began, ...(failure === undefined ? {} : { failure }) });
      }
    }),
  );
  stack.defer(async () => {
    stopped.abort();
    await work;
    await Promise.all(clients.map((client) => client.close()));
  });

  const phase = async (name: string, run: () => Promise<void>): Promise<Phase> => {
    calls.length = 0;
    endedAt.length = 0;
    const began = Date.now();
    await run();
    const caught = endedAt.at(0);
    const counted = calls.filter(({ at }) => at - began >= (caught === undefined ? 0 : CATCH_MS) || name === 'alone');
    return {
      name,
      calls: calls.length,
      failed: calls.flatMap(({ failure }) => failure ?? []),
      p95: percentile(
        counted.map(({ ms }) => ms),
        0.95,
      ),
      slowest: Math.max(0, ...calls.map(({ ms }) => ms)),
      caughtMs: caught === undefined ? undefined : caught - began,
    };
  };
  const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  const attack = async (what: string, ms: number) => {
    const child = spawn(
      process.execPath,
      [new URL('./attacker.ts', import.meta.url).pathname, attacker.url, what, String(ms)],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const gone = once(child, 'exit');
    await once(child.stdout, 'data');
    return { gone, end: () => child.kill('SIGKILL') };
  };

  await pause(1000);
  const alone = await phase('alone', () => pause(options.phaseMs));
  const phases: Phase[] = [];
  for (const nuisance of options.nuisances) {
    phases.push(
      await phase(nuisance, async () => {
        const { gone, end } = await attack(nuisance, 5000);
        await gone;
        end();
        await pause(CATCH_MS + 500);
      }),
    );
    await lift();
  }
  for (const name of options.floods) {
    phases.push(
      await phase(name, async () => {
        const { gone, end } = await attack(name, options.phaseMs);
        await gone;
        end();
      }),
    );
    await lift();
  }
  for (let turn = 0; turn < 10 && quarantinedFor === undefined; turn++) {
    const { gone } = await attack(NUISANCES[0]?.name ?? '', 3000);
    await gone;
    await pause(300);
  }
  const said = quarantinedFor;
  await lift();
  const cameBack = await withClient(attacker.url, async (sql) => {
    await sql.query(`set bankhouse.assertion = '${attacker.seal()}'`);
    return (await sql.query('select from api.list_vaults()')).rowCount === 1;
  });
  return { alone, phases, quarantinedFor: said, cameBack };
}

const WORK: [string, Record<string, unknown>][] = [
  ['list_notes', { limit: 20 }],
  ['search', { query: 'pricing' }],
  ['query', { kind: 'note', filter: { field: 'title', op: 'startsWith', value: 'about' }, limit: 20 }],
  ['create_note', { title: 'new', vaultId: 'sales' }],
  ['list_vaults', {}],
];

export const EVERY_FLOOD = Object.keys(FLOODS);

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
