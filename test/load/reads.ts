/**
 * What lists, search and `query` cost in Postgres beside a bare statement of a superuser for the same rows: p50 and p95 in ms over
 * loopback, of statements alone, by turns, and the backend's processor time (p50), which other work on the machine changes less. `node test/load/reads.ts
 * [--turns 300] [--only WORDS] [--against WORKTREE]`; the last is another commit's checkout with its node_modules, whose tools run on a
 * Postgres of their own with the same rows. Exits with 1 where a target is missed.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { quantile } from './measure.ts';
import { READS, SEED, type Statement, VAULTS } from './reads-cases.ts';

const { values: options } = parseArgs({
  options: { turns: { type: 'string', default: '300' }, against: { type: 'string' }, only: { type: 'string' } },
});
const TURNS = Number(options.turns);
const WARM_UP = 30;
const HERE = resolve(import.meta.dirname, '../..');

type Harness = typeof import('../harness/postgres.ts');
type Server = typeof import('@bankhouse/server');
type Read = (typeof READS)[number];

interface Connection {
  readonly client: pg.Client;
  readonly pid: number;
}

/** A commit's tools on a Postgres of its own, whose plans of other commits nobody meets. */
async function openSide(checkout: string) {
  const { startPostgres, createBank, assertionFor, withClient } = (await import(
    `${checkout}/test/harness/postgres.ts`
  )) as Harness;
  const { toolsetsNamed } = (await import(`${checkout}/server/src/index.ts`)) as Server;
  const tools = toolsetsNamed(['recordings', 'workspace']).flatMap((toolset) => [...toolset.tools]);
  const postgres = await startPostgres();
  const vaults = VAULTS.map((id) => ({ id, displayName: id }));
  const bank = await createBank(postgres, 'acme', { vaults });
  for (const id of ['globex', 'initech']) await createBank(postgres, id, { vaults });
  await withClient(postgres.superuserUrl, async (sql) => {
    for (const text of SEED) await sql.query(text);
    await sql.query('vacuum (analyze)');
  });
  const connect = async (connectionString: string): Promise<Connection> => {
    const client = new pg.Client({ connectionString });
    await client.connect();
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    return { client, pid: rows[0]?.pid ?? 0 };
  };
  const [own, superuser] = [await connect(bank.url), await connect(postgres.superuserUrl)];

  /** Runs within a transaction as the bank server's, an assertion sealed anew. */
  async function asCaller<T>(allowed: readonly string[] | null, use: () => Promise<T>): Promise<T> {
    const sealed = bank.seal({ vaults: allowed === null ? null : [...allowed] });
    await own.client.query('begin read only');
    await own.client.query("select set_config('bankhouse.assertion', $1, true)", [sealed]);
    const result = await use();
    await own.client.query('commit');
    return result;
  }

  return {
    /** The statements that a tool sends, with their values. */
    async statementsOf({ tool: name, args }: Read, allowed: readonly string[] | null): Promise<Statement[]> {
      const tool = tools.find((one) => one.name === name);
      // Tools of a01c602 don't say where they run.
      if (tool === undefined || tool.place === 'remote' || tool.place === 'forward') throw new Error(name);
      const sent: Statement[] = [];
      const changes = { vaults: allowed === null ? null : [...allowed] };
      const caller = { assertion: assertionFor('acme', changes), databaseAssertion: bank.seal(changes) };
      const rows = async ({ name, text }: { name?: string; text: string }, values: readonly unknown[] = []) => {
        sent.push({
          ...(name === undefined
            ? {}
            : { name: `${name} ${createHash('sha256').update(text).digest('hex').slice(0, 8)}` }),
          text,
          values,
        });
        return (await own.client.query(text, [...values])).rows;
      };
      await asCaller(allowed, async () =>
        tool.run(tool.input.safeParse(args).data ?? tool.input.parse(formerArgs(args)), {
          bank: 'acme',
          bankName: 'acme',
          caller,
          tx: { rows },
        } as never),
      );
      return sent;
    },
    run: (statements: readonly Statement[], allowed: readonly string[] | null) =>
      asCaller(allowed, () => timed(own, statements)),
    runBare: (statement: Statement) => timed(superuser, [statement]),
    async stop() {
      await Promise.all([own.client.end(), superuser.client.end()]);
      await postgres.stop();
    },
  };
}

/** As a01c602 has them. */
function formerArgs({ kind, ...others }: Record<string, unknown>) {
  return { ...others, entity: `${kind}s` };
}

interface Cost {
  readonly ms: number;
  /** Of the backend's processor time. */
  readonly cpu: number;
}

/** Every statement must find something. */
async function timed({ client, pid }: Connection, statements: readonly Statement[]): Promise<Cost> {
  const cpu = () => Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  const [before, began] = [cpu(), performance.now()];
  for (const { name, text, values } of statements) {
    const { rowCount } = await client.query({ ...(name === undefined ? {} : { name }), text, values: [...values] });
    if (rowCount === 0) throw new Error(`Nothing came of ${text}`);
  }
  return { ms: performance.now() - began, cpu: cpu() - before };
}

const now = await openSide(HERE);
const before = options.against === undefined ? undefined : await openSide(resolve(options.against));
let missed = 0;
try {
  for (const allowed of [null, ['sales']]) {
    for (const read of READS.filter(({ what }) => what.includes(options.only ?? ''))) {
      const bare = { name: `bare ${read.what} ${allowed}`, ...read.bare(allowed) };
      const mine = await now.statementsOf(read, allowed);
      const older = await before?.statementsOf(read, allowed);
      const sides = {
        now: () => now.run(mine, allowed),
        bare: () => now.runBare(bare),
        ...(before !== undefined && older !== undefined && { before: () => before.run(older, allowed) }),
      };
      const taken: Record<string, Cost[]> = { now: [], bare: [], before: [] };
      for (let turn = 0; turn < TURNS + WARM_UP; turn++) {
        for (const [side, run] of Object.entries(sides)) {
          const cost = await run();
          if (turn >= WARM_UP) taken[side]?.push(cost);
        }
      }
      const at = (side: string, measure: keyof Cost, share: number) =>
        quantile(
          (taken[side] ?? []).map((cost) => cost[measure]).sort((a, b) => a - b),
          share,
        );
      const shown = (side: string) =>
        `${side} ${at(side, 'ms', 0.5).toFixed(2)}/${at(side, 'ms', 0.95).toFixed(2)} cpu ${at(side, 'cpu', 0.5).toFixed(2)}`;
      const ratio = (side: string, measure: keyof Cost, share: number) =>
        at('now', measure, share) / at(side, measure, share);
      const ratios = (side: string) =>
        `× ${side}: p95 ${ratio(side, 'ms', 0.95).toFixed(2)}, p50 ${ratio(side, 'ms', 0.5).toFixed(2)}, cpu ${ratio(side, 'cpu', 0.5).toFixed(2)}`;
      if (ratio('bare', 'ms', 0.95) > 2.5 || ratio('before', 'ms', 0.95) > 1) missed++;
      const name = `${allowed === null ? 'all vaults' : 'one vault'} ${read.what}`.padEnd(32);
      console.log([name, ...Object.keys(sides).map(shown), ...Object.keys(sides).slice(1).map(ratios)].join(' | '));
    }
  }
} finally {
  await now.stop();
  await before?.stop();
}
console.log(
  missed === 0
    ? 'All within the targets.'
    : `${missed} reads miss a target (p95 ≤ 2.5 × bare, none slower than before).`,
);
process.exitCode = missed === 0 ? 0 : 1;
