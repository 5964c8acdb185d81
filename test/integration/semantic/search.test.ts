/** R3.12: search by meaning, on a real Postgres and a real endpoint. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { SOON } from '../../harness/soon.ts';
import { addLegacy, addRecording as addNewRecording, asData } from '../database/support.ts';
import { asLoader, call, callError, type RunningBank, runBank } from '../server/support.ts';
import { type Endpoint, startEndpoint } from './endpoint.ts';
import { addRecording, create, mayAll, runSemanticBank, search, stored } from './support.ts';

let postgres: TestPostgres;
let endpoint: Endpoint;
beforeAll(async () => {
  postgres = await startPostgres();
  endpoint = await startEndpoint();
});
beforeEach(() => {
  endpoint.fault = undefined;
  endpoint.sent.length = 0;
});
afterAll(async () => {
  await endpoint?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

describe('while it is off', () => {
  it.each(['semantic_search', 'tag', 'suggest'])(
    '%s is in no list, and a call says what an administrator sets',
    async (name) => {
      await using bank = await runBank(postgres, `off-${name.replace('_', '-')}`);
      await using client = await bank.connect('modern', mayAll());
      const { tools } = await client.listTools();
      expect(tools.map((tool) => tool.name)).not.toContain(name);
      const error = await callError(client, name, { anything: 1 });
      expect(error).toMatchObject({ code: 'not_configured', retryable: false });
      expect(error.text).toMatch(/embeddings\.url and embeddings\.model/);
    },
  );
});

describe('what is found', () => {
  let bank: RunningBank;
  const ids: Record<string, string> = {};
  beforeAll(async () => {
    bank = await runSemanticBank(postgres, 'finds', endpoint);
    await using client = await bank.connect('modern', mayAll());
    ids.recording = await addRecording(postgres, 'finds', {
      title: 'Quarterly review',
      vaults: ['sales', 'support'],
      said: ['hello everybody', `the weather ${'was fine '.repeat(250)}`, 'penguins live near the pole', 'goodbye'],
    });
    ids.note = await create(client, 'note', { title: 'Zoo', body: 'penguins eat fish', vaultId: 'sales' });
    ids.task = await create(client, 'task', { title: 'Feed the penguins', vaultId: 'support' });
    ids.chat = await create(client, 'chat', { title: 'About penguins', vaultId: 'sales' });
    ids.message = await create(client, 'chat_message', { chatId: ids.chat, body: 'how tall are penguins' });
    ids.comment = await create(client, 'comment', {
      parentKind: 'note',
      parentId: ids.note,
      body: 'penguins rather eat krill',
    });
    ids.other = await create(client, 'note', { title: 'Invoices', body: 'payment within thirty days' });
  });
  afterAll(() => bank?.[Symbol.asyncDispose]());

  it('is what is close, of every kind, closest first, with the passage and where it was said', async () => {
    await using client = await bank.connect('modern', mayAll());
    const answer = await search(client, 'penguins', { limit: 50 });
    expect(answer.complete).toBe(true);
    expect(answer.model).toBe('words-1');
    expect(answer.results.map(({ score }) => score)).toEqual(
      answer.results.map(({ score }) => score).toSorted((a, b) => b - a),
    );
    const near = answer.results.filter(({ passage }) => passage.includes('penguins'));
    expect(near.map(({ kind }) => kind).sort()).toEqual([
      'chat',
      'chat_message',
      'comment',
      'note',
      'recording',
      'task',
    ]);
    expect(answer.results.find(({ kind }) => kind === 'recording')).toMatchObject({
      id: ids.recording,
      title: 'Quarterly review',
      startSeconds: 10,
      vaultIds: ['sales', 'support'],
    });
    expect(answer.results.find(({ kind }) => kind === 'chat_message')).toMatchObject({
      title: null,
      parent: { kind: 'chat', id: ids.chat },
    });
    expect(answer.text).toMatch(/a cosine similarity, 1 for the same meaning/);
  });

  it.each<[string, Record<string, unknown>, (found: string[]) => void]>([
    ['kinds', { kinds: ['task', 'note'] }, (found) => expect(new Set(found)).toEqual(new Set(['task', 'note']))],
    ['vault', { vaultId: 'support' }, (found) => expect(found.sort()).toEqual(['recording', 'task'])],
    ['to', { to: '2026-03-31' }, (found) => expect(found).toEqual(['recording'])],
    ['from', { from: '2026-04-01' }, (found) => expect(found).not.toContain('recording')],
    ['limit', { limit: 2 }, (found) => expect(found).toHaveLength(2)],
    ['minScore', { minScore: 0.99 }, (found) => expect(found).toEqual([])],
  ])('is limited by %s', async (_name, filter, check) => {
    await using client = await bank.connect('modern', mayAll());
    check((await search(client, 'penguins', filter)).results.map(({ kind }) => kind));
  });

  it('of each kind is found alone, by the name that search has for it', async () => {
    await using client = await bank.connect('modern', mayAll());
    const { tools } = await client.listTools();
    const kindsOf = (name: string) => tools.find((tool) => tool.name === name)?.inputSchema.properties?.kinds;
    const kinds = kindsOf('search') as { items: { enum: string[] } };
    expect(kindsOf('semantic_search')).toEqual(kinds);
    expect(kinds.items.enum).toHaveLength(6);
    for (const kind of kinds.items.enum) {
      const { results } = await search(client, 'penguins', { kinds: [kind], limit: 50 });
      expect(new Set(results.map((hit) => hit.kind))).toEqual(new Set([kind]));
    }
  });

  it('needs only the query of the endpoint once everything is embedded', async () => {
    await using client = await bank.connect('modern', mayAll());
    await search(client, 'penguins');
    endpoint.sent.length = 0;
    await search(client, 'fish');
    expect(endpoint.texts()).toEqual(['fish']);
  });

  it('names a vault that is not there', async () => {
    await using client = await bank.connect('modern', mayAll());
    expect(await callError(client, 'semantic_search', { query: 'x', vaultId: 'nope' })).toMatchObject({
      code: 'not_found',
      field: 'vaultId',
    });
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['a blank query', { query: '  ' }, 'invalid_argument'],
    ['a kind that is none', { query: 'x', kinds: ['vaults'] }, 'invalid_argument'],
    ['no kind at all', { query: 'x', kinds: [] }, 'invalid_argument'],
    ['a range from later to earlier', { query: 'x', from: '2026-05-01', to: '2026-04-01' }, 'invalid_range'],
    ['too high a limit', { query: 'x', limit: 51 }, 'invalid_argument'],
  ])('refuses %s before anything is sent', async (_sentence, args, code) => {
    await using client = await bank.connect('modern', mayAll());
    expect(await callError(client, 'semantic_search', args)).toMatchObject({ code });
    expect(endpoint.sent).toEqual([]);
  });
});

describe('vaults (R1.6)', () => {
  it('two limited tokens find and send each its own vault only', async () => {
    await using bank = await runSemanticBank(postgres, 'vaults', endpoint);
    await using all = await bank.connect('modern', mayAll());
    await using sales = await bank.connect('modern', mayAll(['sales']));
    await using support = await bank.connect('modern', { scopes: ['mcp:read'], vaults: ['support'] });
    await create(all, 'note', { title: 'secret of sales', vaultId: 'sales' });
    await create(all, 'note', { title: 'secret of support', vaultId: 'support' });
    await create(all, 'note', { title: 'secret of nobody' });
    await addRecording(postgres, 'vaults', {
      title: 'secret call of support',
      vaults: ['support'],
      said: ['secret words'],
    });
    await addRecording(postgres, 'vaults', {
      title: 'secret call of both',
      vaults: ['sales', 'support'],
      said: ['secret too'],
    });

    const titles = async (client: typeof all) =>
      (await search(client, 'secret')).results.map(({ title }) => title).sort();
    expect(await titles(sales)).toEqual(['secret call of both', 'secret of sales']);
    expect(endpoint.texts().filter((text) => /nobody|of support/.test(text))).toEqual([]);
    expect((await stored(postgres, 'vaults')).every(({ vault_ids }) => vault_ids.includes('sales'))).toBe(true);
    expect(await titles(support)).toEqual(['secret call of both', 'secret call of support', 'secret of support']);
    expect(endpoint.texts().filter((text) => /nobody/.test(text))).toEqual([]);
    expect(await titles(all)).toHaveLength(5);
    expect(await titles(sales)).toEqual(['secret call of both', 'secret of sales']);
  });

  it('what moves is found where it is', async () => {
    await using bank = await runSemanticBank(postgres, 'moves', endpoint);
    await using all = await bank.connect('modern', mayAll());
    await using sales = await bank.connect('modern', mayAll(['sales']));
    await using support = await bank.connect('modern', mayAll(['support']));
    const chat = await create(all, 'chat', { title: 'moving chat', vaultId: 'sales' });
    await create(all, 'chat_message', { chatId: chat, body: 'moving message' });
    const recording = await addRecording(postgres, 'moves', {
      title: 'moving call',
      vaults: ['sales'],
      said: ['moving'],
    });
    const count = async (client: typeof all) => (await search(client, 'moving')).results.length;
    expect([await count(sales), await count(support)]).toEqual([3, 0]);
    await call(all, 'patch_chat', { id: chat, version: 1, vaultId: 'support' });
    await asLoader(postgres, async (sql) => {
      await sql.query(
        "update bank.vault_entries set vault_id = 'support' where bank_id = 'moves' and recording_id = $1",
        [recording],
      );
    });
    endpoint.sent.length = 0;
    expect([await count(sales), await count(support)]).toEqual([0, 3]);
    expect(new Set(endpoint.texts())).toEqual(new Set(['moving']));
    await asLoader(postgres, async (sql) => {
      await sql.query(
        "insert into bank.vault_entries (bank_id, vault_id, recording_id) values ('moves', 'sales', $1)",
        [recording],
      );
    });
    expect(await count(sales)).toBe(1);
  });
});

describe('a text that changes', () => {
  it('is embedded anew, and what it was made of is never found again', async () => {
    await using bank = await runSemanticBank(postgres, 'changes', endpoint);
    await using client = await bank.connect('modern', mayAll());
    const id = await create(client, 'note', { title: 'alpha', body: 'alpha' });
    expect((await search(client, 'alpha')).results[0]).toMatchObject({ id, passage: 'alpha\nalpha' });
    await call(client, 'patch_note', { id, version: 1, title: 'omega', body: 'omega' });
    expect(await stored(postgres, 'changes')).toEqual([]);
    expect((await search(client, 'omega')).results[0]).toMatchObject({ id, passage: 'omega\nomega' });
  });

  it('while the endpoint thinks about the old one leaves nothing of the old one behind', async () => {
    await using bank = await runSemanticBank(postgres, 'races', endpoint);
    await using client = await bank.connect('modern', mayAll());
    const id = await create(client, 'note', { title: 'before' });
    const { vector } = await holdWhile(client, async () => {
      await call(client, 'patch_note', { id, version: 1, title: 'after' });
    });
    expect(vector.results).toEqual([]);
    expect(await stored(postgres, 'races')).toEqual([]);
    expect((await search(client, 'after')).results).toMatchObject([{ id, passage: 'after' }]);
  });

  it('of an item that is archived or deleted, or a message that is redacted, is found no more', async () => {
    await using bank = await runSemanticBank(postgres, 'ends', endpoint);
    await using client = await bank.connect('modern', mayAll());
    const archived = await create(client, 'note', { title: 'ending note' });
    const deleted = await create(client, 'task', { title: 'ending task' });
    const chat = await create(client, 'chat', { title: 'ending chat' });
    const redacted = await create(client, 'chat_message', { chatId: chat, body: 'ending message' });
    expect((await search(client, 'ending')).results).toHaveLength(4);
    await call(client, 'archive_note', { id: archived });
    await call(client, 'delete_task', { id: deleted });
    await call(client, 'process_chat_message', { id: redacted, version: 1, action: 'redact' });
    expect((await search(client, 'ending')).results).toMatchObject([{ id: chat }]);
    expect(await stored(postgres, 'ends')).toMatchObject([{ item_id: chat }]);
  });

  it.each<[string, Record<string, string>]>([
    ['another model', { EMBEDDINGS_MODEL: 'words-2' }],
    ['other dimensions', { EMBEDDINGS_DIMENSIONS: '32' }],
  ])('%s means that everything is embedded anew, in place of the former', async (name, env) => {
    const id = name.replace(' ', '-');
    const bank = await runSemanticBank(postgres, id, endpoint);
    await using client = await bank.connect('modern', mayAll());
    const note = await create(client, 'note', { title: 'some text' });
    await search(client, 'text');
    await bank[Symbol.asyncDispose]();
    endpoint.sent.length = 0;
    await using again = await runSemanticBank(postgres, id, endpoint, env);
    await using next = await again.connect('modern', mayAll());
    expect((await search(next, 'text')).results).toMatchObject([{ id: note }]);
    expect(endpoint.texts()).toEqual(['text', 'some text']);
    expect(await stored(postgres, id)).toMatchObject([{ item_id: note, model: env.EMBEDDINGS_MODEL ?? 'words-1' }]);
  });
});

describe('recordings of the old table (R1.2)', () => {
  it('are found, and once they are migrated under their new id alone', async () => {
    await using bank = await runSemanticBank(postgres, 'legacy', endpoint);
    await using client = await bank.connect('modern', mayAll(['sales']));
    await asData(postgres, (sql) =>
      addLegacy(sql, 'legacy', { id: 7, vault: 'sales', title: 'old call', words: 'walrus' }),
    );
    expect((await search(client, 'walrus')).results).toMatchObject([
      { id: 'fathom-7', startSeconds: 5, vaultIds: ['sales'] },
    ]);
    const id = await asData(postgres, (sql) =>
      addNewRecording(sql, 'legacy', { title: 'old call', vaults: ['support'], legacyId: 7, words: 'walrus' }),
    );
    expect(await stored(postgres, 'legacy')).toEqual([]);
    expect((await search(client, 'walrus')).results).toEqual([]);
    await using all = await bank.connect('modern', mayAll());
    expect((await search(all, 'walrus')).results).toMatchObject([{ id, vaultIds: ['support'] }]);
  });
});

describe('long texts', () => {
  it('become 64 passages at most, all of which are found', async () => {
    await using bank = await runSemanticBank(postgres, 'long', endpoint);
    await using client = await bank.connect('modern', mayAll());
    const filler = 'filler '.repeat(14_000);
    const note = await create(client, 'note', { title: 'long note', body: `${filler}hippopotamus` });
    const call = await addRecording(postgres, 'long', {
      title: 'long call',
      vaults: ['sales'],
      said: [`${filler}${filler}${filler}`, ...Array.from({ length: 3000 }, () => 'ok'), 'rhinoceros'],
    });
    await search(client, 'anything');
    await search(client, 'anything');
    const passages = await stored(postgres, 'long');
    const count = (id: string) => passages.filter(({ item_id }) => item_id === id).length;
    expect(count(note)).toBeGreaterThan(40);
    expect(count(call)).toBeGreaterThan(40);
    expect(Math.max(count(note), count(call))).toBeLessThanOrEqual(64);
    const found = async (query: string) => (await search(client, query, { limit: 1 })).results[0];
    expect(await found('filler hippopotamus')).toMatchObject({ id: note, passage: expect.stringContaining('filler') });
    expect(await found('ann ok rhinoceros')).toMatchObject({ id: call, startSeconds: expect.any(Number) });
  });
});

describe('the work of one call', () => {
  it('embeds 64 passages at most, in requests of 32, and says that more is to come', async () => {
    await using bank = await runSemanticBank(postgres, 'bounded', endpoint);
    await using client = await bank.connect('modern', mayAll());
    for (let index = 0; index < 70; index++) await create(client, 'note', { title: `note ${index}` });
    const first = await search(client, 'note');
    expect(first.complete).toBe(false);
    expect(first.text).toMatch(/Not everything is searchable yet/);
    expect(endpoint.sent.map(({ input }) => input.length)).toEqual([1, 32, 32]);
    expect(await stored(postgres, 'bounded')).toHaveLength(64);
    expect((await search(client, 'note')).complete).toBe(true);
    expect(await stored(postgres, 'bounded')).toHaveLength(70);
  });

  it('of two calls at once is paid for once', async () => {
    await using bank = await runSemanticBank(postgres, 'together', endpoint);
    await using client = await bank.connect('modern', mayAll());
    await create(client, 'note', { title: 'shared note' });
    const answers = await Promise.all(Array.from({ length: 5 }, () => search(client, 'shared')));
    for (const { results } of answers) expect(results).toHaveLength(1);
    expect(endpoint.texts().filter((text) => text === 'shared note')).toHaveLength(1);
  });

  it('holds no transaction while the endpoint thinks', async () => {
    await using bank = await runSemanticBank(postgres, 'waits', endpoint);
    await using client = await bank.connect('modern', mayAll());
    await create(client, 'note', { title: 'waiting' });
    endpoint.fault = { kind: 'hold' };
    const searches = Array.from({ length: 12 }, () => search(client, 'waiting'));
    await endpoint.held(12);
    // A pod has four connections; none of them waits.
    expect(await call(client, 'list_notes')).toMatchObject({ notes: [{ title: 'waiting' }] });
    // A reader gets its answer before its transaction is over.
    await expect.poll(() => statesOf('bank_waits'), SOON).toEqual([]);
    endpoint.release();
    for (const { results } of await Promise.all(searches)) expect(results).toHaveLength(1);
  });
});

/** A search whose missing texts are held by the endpoint while `work` runs. */
async function holdWhile(client: Parameters<typeof search>[0], work: () => Promise<void>) {
  endpoint.fault = { kind: 'hold' };
  const searching = search(client, 'before', { kinds: ['notes'] });
  await endpoint.held(1);
  // The query alone is let go, the texts are held.
  endpoint.release();
  endpoint.fault = { kind: 'hold' };
  await endpoint.held(1);
  await work();
  endpoint.release();
  return { vector: await searching };
}

/** Of the connections of a bank that are in a transaction. Only a superuser is told. */
function statesOf(role: string): Promise<string[]> {
  return withClient(postgres.superuserUrl, async (sql) => {
    const { rows } = await sql.query<{ state: string }>(
      "select state from pg_stat_activity where usename like $1 || '%' and state <> 'idle'",
      [role],
    );
    return rows.map(({ state }) => state);
  });
}
