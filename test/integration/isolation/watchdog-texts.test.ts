/** What the watchdog takes for a bank server's, looked for by hand: the tool surface of a real one, and texts one by one (docs/adr/0036). */
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { textsOf } from '../../../server/src/database/statements-sql.ts';
import { createBank, startPostgres, type TestBank, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { shared } from '../../harness/shared.ts';
import { sentTexts } from '../../harness/statements.ts';
import { call, callError, type RunningBank } from '../server/support.ts';
import { completePrompt, connect, LONG, make, prompt, runSurface } from '../surface/support.ts';

interface World extends AsyncDisposable {
  readonly postgres: TestPostgres;
  readonly acme: TestBank;
  readonly globex: RunningBank;
}

let { postgres, acme, globex } = {} as World;
shared(
  async (): Promise<World> => {
    await using starting = new AsyncDisposableStack();
    const started = starting.adopt(await startPostgres(), (one) => one.stop());
    const attacked = await createBank(started, 'acme');
    const working = starting.use(await runSurface(started, 'globex'));
    const stack = starting.move();
    return {
      postgres: started,
      acme: attacked,
      globex: working,
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  },
  (started) => {
    ({ postgres, acme, globex } = started);
  },
);

const FILE = new URL('../../../migrations/tenants/functions/server_statements.sql', import.meta.url);
const LOOK = 'select bank, reason from admin.watch_sessions()';

/** What a look finds right after a session of acme said this. */
async function saidOf(text: string, settings: readonly string[] = []): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: acme.url });
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query(text).catch(() => {});
    return await withClient(postgres.serviceUrl('operator'), async (sql) => {
      for (const setting of settings) await sql.query(setting);
      return (await sql.query(LOOK)).rows;
    });
  } finally {
    await client.end().catch(() => {});
  }
}

const CAUGHT = [{ bank: 'acme', reason: 'sent a statement that no bank server sends' }];

describe('the last text of a session that rests is enough', () => {
  it.each([
    ['a statement of its own', 'select 1 + 1'],
    ['one that fails', 'select from bank.notes'],
    ['one that is wrong', 'select from from'],
    ['a setting', 'set work_mem = 100000'],
    ['a block', 'do $$ begin end $$'],
    ['a literal where a server has a parameter', "select api.vault_exists('sales') as found"],
    ["a server's text in capitals", 'BEGIN READ ONLY'],
    ["a server's text with a comment", 'commit /* */'],
    ["a server's text and another", 'begin read only; select 1 + 1; rollback'],
    ["the beginning of a server's text", 'select api.vault_exists($1) as'],
    ['another channel', 'listen x'],
    ["another channel, in a server's form", 'unlisten *; listen "bankhouse_x"'],
    ["a channel in a server's form, and more", `unlisten *; listen "bankhouse_${'a'.repeat(48)}"; select 1 + 1`],
    ['settings as a pooler has them, and more', "SET client_encoding='UTF8';select 1 + 1;"],
    ['settings as a pooler has them, with a quote in one', "SET a_b='x'';select 1 + 1;'"],
    ['what is longer than Postgres shows', `select ${'1 + '.repeat(1000)} 1`],
  ])('%s', async (_name, text) => {
    expect(await saidOf(text)).toEqual(CAUGHT);
  });
});

describe('is left alone', () => {
  it.each<[sentence: string, text: string]>([
    ['who has said nothing yet', ''],
    ['who listens as a server does', `unlisten *; listen "bankhouse_${'a1'.repeat(24)}"`],
    ['a pooler that hands settings on', "SET client_encoding='UTF8';SET application_name='bankhouse changes';"],
    ['a pooler that asks whether the connection lives', 'select 1'],
    ['a pooler that empties it', 'DISCARD ALL'],
    ...textsOf(readFileSync(FILE, 'utf8')).map((text): [string, string] => [`a server that says: ${text}`, text]),
  ])('%s', async (_name, text) => {
    expect(await saidOf(text)).toEqual([]);
  });

  it('whoever says anything where the watchdog was told to let it', async () => {
    expect(await saidOf('select 1 + 1', ['set bankhouse.watch_statements = off'])).toEqual([]);
  });
});

it('a bank server is left alone, whatever it is asked, and says most of what it may', async () => {
  const stopped = new AbortController();
  const caught: unknown[] = [];
  let looks = 0;
  const looking = withClient(postgres.serviceUrl('operator'), async (sql) => {
    for (; !stopped.signal.aborted; looks++) caught.push(...(await sql.query(LOOK)).rows);
  });
  try {
    for (let turn = 0; turn < 3; turn++) await everything(turn);
  } finally {
    stopped.abort();
    await looking;
  }
  expect(caught).toEqual([]);
  expect(looks).toBeGreaterThan(20);
  // The rest are sessions of older clients, and vectors: the tests of those fail where a text is no statement (test/harness/statements.ts).
  const [ofThisVersion = ''] = readFileSync(FILE, 'utf8').split('-- of earlier versions alone');
  const unsaid = textsOf(ofThisVersion).filter((text) => !sentTexts.has(text));
  expect(unsaid.filter((text) => !/session|watch|embed|nearest|array\[\$1::uuid\]/.test(text))).toEqual([]);
});

/** Some sixty calls: every kind of work of the toolsets, what fails, and a stream. */
async function everything(turn: number): Promise<void> {
  await using client = await connect(globex);
  const stream = await client.listen({ resourcesListChanged: true });
  for (const args of [{}, { limit: 1 }, { includeTotal: true }, { vaultId: 'sales' }]) {
    await call(client, 'list_recordings', args);
  }
  await call(client, 'list_vaults');
  await call(client, 'get_recording', { id: LONG });
  await call(client, 'get_transcript', { id: LONG });
  await call(client, 'search_recordings', { query: 'point' });
  await callError(client, 'list_recordings', { vaultId: 'nowhere' });
  const note = await make(client, 'create_note', {
    title: `note ${turn}`,
    vaultId: 'sales',
    idempotencyKey: `k${turn}`,
  });
  const task = await make(client, 'create_task', { title: 'task', vaultId: 'sales' });
  await make(client, 'create_comment', { body: 'about it', parentType: 'note', parentId: note });
  await call(client, 'get_note', { id: note });
  for (const kind of ['notes', 'tasks', 'comments', 'chats']) await call(client, `list_${kind}`);
  await call(client, 'patch_note', { id: note, version: 1, title: 'renamed' });
  await callError(client, 'patch_note', { id: note, version: 1, title: 'again' });
  await call(client, 'process_task', { id: task, action: 'complete', version: 1 });
  await call(client, 'archive_note', { id: note });
  await call(client, 'query', { kind: 'note', limit: 5 });
  await call(client, 'query', { kind: 'task', groupBy: ['status'], aggregate: [{ op: 'count', as: 'n' }] });
  await call(client, 'search', { query: 'task' });
  await call(client, 'search', { query: 'point', kinds: ['recordings'] });
  const operations = [{ tool: 'create_note', arguments: { title: 'in a batch', vaultId: 'sales' } }];
  await call(client, 'batch', { operations, idempotencyKey: `b${turn}` });
  await call(client, 'batch', { operations, dryRun: true });
  await call(client, 'delete_task', { id: task });
  await prompt(client, 'weekly_digest');
  await completePrompt(client, ['weekly_digest', 'vault', 's']);
  await completePrompt(client, ['summarize_call', 'call', '']);
  await completePrompt(client, ['summarize_call', 'call', 'point']);
  const { resources } = await client.listResources();
  for (const { uri } of resources.slice(0, 12)) await client.readResource({ uri });
  await stream.close();
}
