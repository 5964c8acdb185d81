/**
 * What lists, search and `query` cost in Postgres beside a bare statement of a superuser for the same rows: p50 and p95 in ms over
 * loopback, of statements alone, by turns. `node test/load/reads.ts [--turns 300] [--against WORKTREE]`; the latter is another
 * commit's checkout with its node_modules, whose tools run on a Postgres of their own with the same rows.
 */
import { createHash } from 'node:crypto';
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
  const connect = async (connectionString: string) => {
    const client = new pg.Client({ connectionString });
    await client.connect();
    return client;
  };
  const [own, superuser] = [await connect(bank.url), await connect(postgres.superuserUrl)];

  /** Runs within a transaction as the bank server's, an assertion sealed anew. */
  async function asCaller<T>(allowed: readonly string[] | null, use: () => Promise<T>): Promise<T> {
    const sealed = bank.seal({ vaults: allowed === null ? null : [...allowed] });
    await own.query('begin read only');
    await own.query("select set_config('bankhouse.assertion', $1, true)", [sealed]);
    const result = await use();
    await own.query('commit');
    return result;
  }

  return {
    /** The statements that a tool sends, with their values. */
    async statementsOf({ tool: name, args }: Read, allowed: readonly string[] | null): Promise<Statement[]> {
      const tool = tools.find((one) => one.name === name);
      if (tool === undefined) throw new Error(name);
      const sent: Statement[] = [];
      const changes = { vaults: allowed === null ? null : [...allowed] };
      const caller = { assertion: assertionFor('acme', changes), databaseAssertion: bank.seal(changes) };
      const rows = async ({ name, text }: { name?: string; text: string }, values: readonly unknown[] = []) => {
        sent.push({ ...(name === undefined ? {} : { name: `${name} ${createHash('sha256').update(text).digest('hex').slice(0, 8)}` }), text, values });
        return (await own.query(text, [...values])).rows;
      };
      await asCaller(allowed, async () =>
        tool.run(tool.input.safeParse(args).data ?? tool.input.parse(formerArgs(args)), { bank: 'acme', bankName: 'acme', caller, tx: { rows } } as never),
      );
      return sent;
    },
    run: (statements: readonly Statement[], allowed: readonly string[] | null) =>
      asCaller(allowed, () => timed(own, statements)),
    runBare: (statement: Statement) => timed(superuser, [statement]),
    async stop() {
      await Promise.all([own.end(), superuser.end()]);
      await postgres.stop();
    },
  };
}

/** As a01c602 has them. */
function formerArgs({ kind, ...others }: Record<string, unknown>) {
  return { ...others, entity: `${kind}s` };
}

/** Milliseconds; every statement must find something. */
async function timed(client: pg.Client, statements: readonly Statement[]): Promise<number> {
  const began = performance.now();
  for (const { name, text, values } of statements) {
    const { rowCount } = await client.query({ ...(name === undefined ? {} : { name }), text, values: [...values] });
    if (rowCount === 0) throw new Error(`Nothing came of ${text}`);
  }
  return performance.now() - began;
}

const now = await openSide(HERE);
const before = options.against === undefined ? undefined : await openSide(resolve(options.against));
let missed = 0;
try {
  for (const allowed of [null, ['sales']]) {
    for (const read of READS.filter(({ what }) => options.only === undefined || what === options.only)) {
      const bare = { name: `bare ${read.what} ${allowed}`, ...read.bare(allowed) };
      const mine = await now.statementsOf(read, allowed);
      const older = await before?.statementsOf(read, allowed);
      const taken: Record<'bare' | 'now' | 'before', number[]> = { bare: [], now: [], before: [] };
      for (let turn = 0; turn < TURNS + WARM_UP; turn++) {
        const times = {
          now: await now.run(mine, allowed),
          bare: await now.runBare(bare),
          before: older === undefined ? Number.NaN : await before?.run(older, allowed),
        };
        if (turn < WARM_UP) continue;
        for (const [side, time] of Object.entries(times)) taken[side as keyof typeof taken].push(time ?? Number.NaN);
      }
      const at = (side: keyof typeof taken, share: number) =>
        quantile(
          [...taken[side]].sort((a, b) => a - b),
          share,
        );
      const shown = (side: keyof typeof taken) => `${at(side, 0.5).toFixed(2)}/${at(side, 0.95).toFixed(2)}`;
      const ratio = at('now', 0.95) / at('bare', 0.95);
      const change = at('now', 0.95) / at('before', 0.95);
      if (ratio > 2.5 || change > 1) missed++;
      console.log(
        `${(allowed === null ? 'all vaults' : 'one vault').padEnd(10)} ${read.what.padEnd(24)} now ${shown('now')} bare ${shown('bare')} ratio ${ratio.toFixed(1)}` +
          ` (p50 ${(at('now', 0.5) / at('bare', 0.5)).toFixed(1)})` +
          (before === undefined ? '' : ` before ${shown('before')} now/before ${change.toFixed(2)} (p50 ${(at('now', 0.5) / at('before', 0.5)).toFixed(2)})`),
      );
    }
  }
} finally {
  await now.stop();
  await before?.stop();
}
console.log(missed === 0 ? 'All within the targets.' : `${missed} reads miss a target (p95 ≤ 2.5 × bare, none slower than before).`);
