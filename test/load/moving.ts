/**
 * `npx node test/load/moving.ts [--recordings 100000]`: a bank of so many recordings moves into a database of its own and back, by the operator,
 * while one client reads and one writes through its server without a pause. What calls took before, meanwhile, and around the switch: the promise is
 * that none is lost, and none refused for longer than a few seconds. Wants BANKHOUSE_BIN.
 */
import { parseArgs } from 'node:util';
import { type Bank, createLogger, MOVE_ANNOTATION } from '@bankhouse/core';
import { systemClock } from '@bankhouse/kube';
import { createDatabase, createOperator } from '@bankhouse/operator';
import { startApiServer } from '../harness/apiserver.ts';
import { startKeeper } from '../harness/keeper.ts';
import { startPostgres, withClient } from '../harness/postgres.ts';
import { startBankPod } from '../integration/operator/support/bank-pod.ts';
import { Cluster, pathsOf } from '../integration/operator/support/cluster.ts';
import { eventually } from '../integration/operator/support/eventually.ts';
import { ROOT, settings } from '../integration/operator/support/settings.ts';
import { SwitchedFrontDoor } from '../integration/operator/support/stand-ins.ts';
import { quantile } from './measure.ts';
import { RECOUNT } from './recount.ts';

const { values: given } = parseArgs({ options: { recordings: { type: 'string', default: '100000' } } });
const RECORDINGS = Number(given.recordings);
/** A freeze of five seconds at most, and a machine that has other work too. */
const CALL_MOST_MS = 10_000;
const BEFORE_CALLS = 300;
const ID = 'bench';
const MOVE_MS = 1_800_000;

/** $1 bank, $2 how many; with words to search for, as a loaded bank has them. */
const FILL = [
  `insert into bank.recordings (bank_id, id, title, started_at, duration_seconds)
     select $1, md5(n::text)::uuid, 'call ' || n, timestamptz '2020-01-01' + n * interval '20 minutes', 60 from generate_series(1, $2::int) n`,
  `insert into bank.vault_entries (bank_id, vault_id, recording_id, started_at)
     select $1, 'sales', md5(n::text)::uuid, timestamptz '2020-01-01' + n * interval '20 minutes' from generate_series(1, $2::int) n`,
  `insert into bank.search_documents (bank_id, recording_id, call_id, started_at, scopes, participant_keys, language, document,
       passage_positions, passage_segments)
     select r.bank_id, r.id, r.call_id, r.started_at, bank.scopes_of(r.bank_id, array['sales'], r.started_at), '{}'::text[], 'en',
       to_tsvector('english', repeat(md5(r.title) || ' ' || r.title || ' ', 20)), '{}'::int[], '{}'::int[]
       from bank.recordings r where r.bank_id = $1 and $2 > 0`,
  ...RECOUNT,
];

interface Call {
  at: number;
  ms: number;
  isRefused: boolean;
  isWrite: boolean;
}

await using stack = new AsyncDisposableStack();
const postgres = await startPostgres();
stack.defer(() => postgres.stop());
const asRoot = <T extends object>(text: string, values: unknown[] = []) =>
  withClient(postgres.superuserUrl, async (client) => (await client.query(text, values)).rows as T[]);
await asRoot('alter role bankhouse_owner createdb');
const api = await startApiServer();
stack.defer(() => api.stop());
const logger = createLogger({ component: 'bench', level: process.env.TEST_LOG_LEVEL ?? 'fatal' });
const url = new URL(postgres.serviceUrl('operator'));
const database = createDatabase(url.toString(), { connections: 4 });
stack.defer(() => database.close());
url.password = '';
const keeper = startKeeper({ databaseUrl: postgres.ownerUrl, logger });
stack.defer(() => keeper.stop());
const operator = createOperator({
  transport: api.transport,
  database,
  frontDoor: new SwitchedFrontDoor(),
  settings: { ...settings, DATABASE_URL: url.toString(), DEDICATED_DATABASES: true },
  clock: systemClock,
  logger,
  workers: 8,
  verifyEvery: 600_000,
  instance: 'bench',
});
await operator.start();
stack.defer(() => operator.stop());

const cluster = new (class extends Cluster {
  override readonly transport = api.transport;
})();
await cluster.createClass('common', {}, { isDefault: true });
await cluster.createClass('own', { database: { isolation: 'dedicated' } });
await cluster.createNamespace(ID);
const bank = await eventually(() => cluster.readyBank(ID, ID, { className: 'common', vaults: [{ id: 'sales' }] }));
const path = `${pathsOf(ID).banks}/${ID}`;
await withClient(postgres.superuserUrl, async (client) => {
  await client.query('set session_replication_role = replica');
  for (const text of FILL) await client.query(text, text.includes('$2') ? [ID, RECORDINGS] : [ID]);
});
await withClient(postgres.ownerUrl, (client) => client.query('vacuum (analyze)'));
const pod = await startBankPod(cluster, ID, bank.metadata.uid ?? '', ROOT);
stack.use(pod);

const calls: Call[] = [];
const acknowledged: string[] = [];
let isOver = false;
async function call(tool: string, args: Record<string, unknown>, isWrite: boolean): Promise<boolean> {
  const at = performance.now();
  const answer = await pod.call(tool, args);
  if (answer.isError && answer.error?.retryable !== true) throw new Error(`${tool}: ${JSON.stringify(answer)}`);
  calls.push({ at, ms: performance.now() - at, isRefused: answer.isError, isWrite });
  return !answer.isError;
}
async function write(): Promise<void> {
  for (let n = 0; !isOver; n += 1) {
    while (!(await call('create_note', { title: `note ${n}`, vaultId: 'sales' }, true)));
    acknowledged.push(`note ${n}`);
  }
}
async function read(): Promise<void> {
  while (!isOver) await call('list_recordings', { limit: 20 }, false);
}

/** The annotation is there until the bank is where its class says, and nothing is left elsewhere. */
async function move(className: string): Promise<{ seconds: number; from: number }> {
  await cluster.patch(path, { spec: { className } });
  const from = performance.now();
  await cluster.patch(path, { metadata: { annotations: { [MOVE_ANNOTATION]: 'true' } } });
  await eventually(async () => {
    await cluster.setPods(ID, ID, { replicas: 1, ready: 1 });
    const { metadata } = await cluster.get<Bank>(path);
    if (metadata.annotations?.[MOVE_ANNOTATION] !== undefined) throw new Error('not there yet');
    await new Promise((resolve) => setTimeout(resolve, 200));
  }, MOVE_MS);
  return { seconds: (performance.now() - from) / 1000, from };
}

function row(name: string, from: number, until: number): void {
  const some = calls.filter(({ at }) => at >= from && at < until);
  const p = (isWrite: boolean, q: number) => {
    const times = some.filter((one) => one.isWrite === isWrite).map(({ ms }) => ms);
    return quantile(
      times.sort((a, b) => a - b),
      q,
    ).toFixed(0);
  };
  const longest = Math.max(...some.map(({ ms }) => ms)).toFixed(0);
  const refused = some.filter(({ isRefused }) => isRefused).length;
  process.stdout.write(
    `| ${name} | ${some.length} | ${p(false, 0.5)} / ${p(false, 0.95)} | ${p(true, 0.5)} / ${p(true, 0.95)} | ${longest} | ${refused} |\n`,
  );
}

process.stdout.write(`${RECORDINGS.toLocaleString('en')} recordings\n\n`);
const begun = performance.now();
const clients = Promise.all([write(), read()]);
clients.catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
});
await eventually(() => {
  if (calls.length < BEFORE_CALLS) throw new Error('not enough calls yet');
}, 120_000);
const there = await move('own');
const between = performance.now();
const back = await move('common');
const ended = performance.now();
isOver = true;
await clients;

process.stdout.write(
  '| when | calls | reads p50 / p95, ms | writes p50 / p95, ms | longest, ms | refused |\n|---|---|---|---|---|---|\n',
);
row('before', begun, there.from);
row(`into its own, ${there.seconds.toFixed(1)} s`, there.from, between);
row(`back, ${back.seconds.toFixed(1)} s`, between, ended);

const kept = await asRoot<{ title: string }>('select title from bank.notes where bank_id = $1', [ID]);
const isSame = JSON.stringify(kept.map(({ title }) => title).sort()) === JSON.stringify(acknowledged.sort());
const longest = Math.max(...calls.map(({ ms }) => ms));
process.stdout.write(
  `\n${acknowledged.length} writes acknowledged, ${kept.length} there, ${isSame ? 'none lost or doubled' : 'not the same'}\n`,
);
const [{ recordings } = { recordings: 0 }] = await asRoot<{ recordings: number }>(
  'select count(*)::int as recordings from bank.recordings where bank_id = $1',
  [ID],
);
if (!isSame || recordings !== RECORDINGS || longest > CALL_MOST_MS) {
  process.stderr.write('a write was lost, or a call took too long\n');
  process.exitCode = 1;
}
