/** The tool `search` over every entity and recordings, on a real Postgres (R3.10, R1.6). */
import type { Toolset } from '@bankhouse/server';
import type { Client } from '@modelcontextprotocol/client';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { searchTool } from '../../../server/src/toolsets/workspace/search/index.ts';
import { startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { addLegacy, addRecording } from '../database/support.ts';
import { asLoader, call, callError, type RunningBank, runBank } from '../server/support.ts';
import { insertRow, uuid } from './support.ts';

const toolset: Toolset = { name: 'workspace', instructions: '', tools: [searchTool], resources: [] };

interface Hit {
  kind: string;
  id: string;
  title: string | null;
  snippet: string | null;
  rank: number;
  at: string;
  vaultIds: string[];
  status: string | null;
  archived: boolean;
  language: string | null;
  parent: { kind: string; id: string } | null;
  startSeconds: number | null;
  uri: string;
}
interface Found {
  results: Hit[];
  nextCursor?: string;
}

let postgres: TestPostgres;
let running: RunningBank;
let client: Client & AsyncDisposable;
beforeAll(async () => {
  postgres = await startPostgres();
  running = await runBank(postgres, 'acme', { toolsets: [toolset] });
  await using other = await runBank(postgres, 'globex', { toolsets: [toolset] });
  await seed();
  await asLoader(postgres, (sql) =>
    insertRow(sql, 'notes', other.id, { title: 'A flamingo of another bank', vault_id: 'sales' }),
  );
  client = await running.connect();
});
afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  await running?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

/** One of each kind about a flamingo, in different vaults; notes in several languages; 130 notes about a heron. */
async function seed(): Promise<void> {
  await asLoader(postgres, async (sql) => {
    const add = (table: string, columns: Record<string, unknown>) => insertRow(sql, table, 'acme', columns);
    await sql.query('begin');
    await add('notes', {
      id: uuid(1),
      title: 'The flamingo contract',
      body: 'It is due.',
      vault_id: 'sales',
      created_at: '2026-03-01T10:00:00Z',
      status: 'final',
    });
    await add('notes', {
      id: uuid(2),
      title: 'Birds',
      body: 'Nothing but a flamingo. '.repeat(3),
      vault_id: 'support',
      archived_at: '2026-04-01',
      created_at: '2026-03-02',
    });
    await add('tasks', {
      id: uuid(3),
      title: 'Feed the flamingo',
      description: 'Twice a day.',
      tags: ['Zoo-Keeping', 'contracts'],
      created_at: '2026-03-03',
    });
    await add('comments', {
      id: uuid(4),
      parent_type: 'note',
      parent_id: uuid(1),
      body: 'Which flamingos?',
      vault_id: 'sales',
      created_at: '2026-03-04',
    });
    await add('chats', {
      id: uuid(5),
      title: 'About a flamingo',
      participants: ['Ann@example.com'],
      vault_id: 'support',
      created_at: '2026-03-05',
    });
    await add('chat_messages', {
      id: uuid(6),
      chat_id: uuid(5),
      body: 'Flamingo it is.',
      vault_id: 'support',
      created_at: '2026-03-06',
    });
    await addRecording(sql, 'acme', {
      title: 'Call',
      vaults: ['sales'],
      words: 'We spoke about a flamingo.',
      startedAt: '2026-03-07',
    });
    await addLegacy(sql, 'acme', { id: 7, vault: 'support', title: 'Old flamingo call', startedAt: '2026-01-07' });

    await add('notes', { id: uuid(20), title: 'Verträge', body: 'Die Häuser wurden verkauft.', language: 'de' });
    await add('notes', { id: uuid(21), title: 'Haus', body: 'Vertrag ohne Garten', language: 'de-AT' });
    await add('notes', { id: uuid(22), title: 'Häuser', body: 'english row, german word' });
    await add('notes', { id: uuid(23), title: 'Chevaux', body: 'Les chevaux sont arrivés.', language: 'fr' });
    await add('notes', { id: uuid(24), title: 'Nieznany', body: 'konie running', language: 'pl' });
    await add('notes', { id: uuid(25), title: 'He runs', body: 'and the gift was running', language: 'en' });
    await add('notes', { id: uuid(26), title: 'Gift', body: 'Das ist gefährlich', language: 'de' });

    for (let n = 0; n < 130; n++) {
      await add('notes', {
        id: uuid(1000 + n),
        title: n % 40 === 0 ? 'heron heron' : `Entry ${n}`,
        body: `A heron ${'stands in the water. '.repeat(1 + (n % 5))}`,
        vault_id: n % 2 === 0 ? 'sales' : 'support',
        created_at: new Date(Date.UTC(2025, 0, 1) + Math.floor(n / 2) * 3_600_000).toISOString(),
      });
    }
    for (let n = 0; n < 20; n++) {
      await add('tasks', {
        id: uuid(2000 + n),
        title: `Count heron ${n}`,
        vault_id: 'sales',
        created_at: '2025-02-01',
      });
    }
    await sql.query('commit');
  });
}

const find = (args: Record<string, unknown>, as: Client = client) => call<Found>(as, 'search', args);
const namesOf = (found: Found) =>
  found.results.map(({ kind, id }) => (kind === 'recording' ? kind : Number.parseInt(id.slice(-6), 16)));

async function allHits(args: Record<string, unknown>, as: Client = client): Promise<Hit[]> {
  const hits: Hit[] = [];
  let cursor: string | undefined;
  do {
    const found: Found = await find({ ...args, ...(cursor === undefined ? {} : { cursor }) }, as);
    hits.push(...found.results);
    cursor = found.nextCursor;
  } while (cursor !== undefined);
  return hits;
}

describe('everything at once', () => {
  it('is found by one word, ranked, with the hits marked', async () => {
    const { results } = await find({ query: 'flamingo', archived: 'include' });
    expect(results.map(({ kind }) => kind).sort()).toEqual([
      'chat',
      'chat_message',
      'comment',
      'note',
      'note',
      'recording',
      'recording',
      'task',
    ]);
    for (const hit of results) expect(hit.snippet).toMatch(/\*\*[Ff]lamingos?\*\*/);
    expect(results.map(({ rank }) => rank)).toEqual(results.map(({ rank }) => rank).sort((a, b) => b - a));
    // A title weighs more than a body.
    const places = results.map(({ id }) => id);
    expect(places.indexOf(uuid(3))).toBeLessThan(places.indexOf(uuid(6)));
    expect(JSON.stringify(results)).not.toContain('another bank');
  });

  it('tells what each hit is and where to read it', async () => {
    const { results, text } = await find({ query: 'flamingo', archived: 'include', limit: 50 });
    const byKind = (kind: string, id?: string) =>
      results.find((hit) => hit.kind === kind && (id === undefined || hit.id === id));
    expect(byKind('note', uuid(1))).toMatchObject({
      title: 'The flamingo contract',
      snippet: 'The **flamingo** contract. It is due.',
      at: '2026-03-01T10:00:00Z',
      vaultIds: ['sales'],
      status: 'final',
      archived: false,
      parent: null,
      startSeconds: null,
      uri: `bankhouse://acme/notes/${uuid(1)}`,
    });
    expect(byKind('note', uuid(2))).toMatchObject({ archived: true });
    expect(byKind('comment')).toMatchObject({
      title: null,
      parent: { kind: 'note', id: uuid(1) },
      vaultIds: ['sales'],
    });
    expect(byKind('chat_message')).toMatchObject({ parent: { kind: 'chat', id: uuid(5) } });
    expect(byKind('recording')).toMatchObject({
      status: null,
      uri: expect.stringContaining('bankhouse://acme/recordings/'),
    });
    expect(results.find((hit) => hit.id === 'fathom-7')).toMatchObject({
      title: 'Old flamingo call',
      vaultIds: ['support'],
    });
    expect(text).toContain(
      `- comment: (no title), open, 2026-03-04, in note ${uuid(1)}, id ${uuid(4)}\n  Which **flamingos**?`,
    );
  });

  it.each<[string, Record<string, unknown>, unknown[]]>([
    ['archived rows are left out unless asked for', { query: 'nothing flamingo', kinds: ['note'] }, []],
    ['archived rows alone', { query: 'flamingo', archived: 'only' }, [2]],
    ['one kind', { query: 'flamingo', kinds: ['task'] }, [3]],
    ['two kinds', { query: 'flamingo', kinds: ['chat', 'comment'] }, [4, 5]],
    ['a vault', { query: 'flamingo', vaultId: 'sales' }, [1, 4, 'recording']],
    ['a vault and a period', { query: 'flamingo', vaultId: 'sales', from: '2026-03-02', to: '2026-03-04' }, [4]],
    ['a period of recordings', { query: 'flamingo', to: '2026-01-31' }, ['recording']],
    ['a phrase', { query: '"flamingo contract"' }, [1]],
    ['a phrase that is none', { query: '"contract flamingo"' }, []],
    ['a word that may not occur', { query: 'flamingo -contract -old', kinds: ['note', 'recording'] }, ['recording']],
    ['or', { query: 'contract or feed', kinds: ['note', 'task'] }, [1, 3]],
    ['a tag by its stem', { query: 'contract', kinds: ['task'] }, [3]],
    ['a participant in any case', { query: 'ann@EXAMPLE.com', kinds: ['chat'] }, [5]],
    ['nothing but what may not occur', { query: '-flamingo' }, []],
    ['nothing but stop words', { query: 'the and of', kinds: ['note'] }, []],
    ['what nobody wrote', { query: 'pterodactyl' }, []],
  ])('%s', async (_sentence, args, expected) => {
    expect(namesOf(await find(args)).sort()).toEqual([...expected].sort());
  });
});

describe('languages', () => {
  it.each<[string, Record<string, unknown>, number[]]>([
    ['a German plural by its singular', { query: 'Haus' }, [20, 21]],
    ['a German singular by its plural, an English row as it stands', { query: 'Häuser' }, [20, 21, 22]],
    ['German words by German stems', { query: 'vertrag haus' }, [20, 21]],
    ['a word that may not occur, by its German stem', { query: 'haus -garten' }, [20]],
    ['a word that may not occur in any form', { query: 'haus -verkaufte' }, [21]],
    ['a French plural by its singular', { query: 'cheval' }, [23]],
    ['what is in no known language, as it stands', { query: 'konie' }, [24]],
    ['a stem of one language is none in another', { query: 'konia' }, []],
    ['an English word in English rows by its stem', { query: 'run' }, [25]],
    ['a word as it stands in rows of unknown language', { query: 'running' }, [24, 25]],
    ['a word in the rows of one language', { query: 'gift', language: 'de' }, [26]],
    ['a word in the rows of all languages', { query: 'gift' }, [25, 26]],
    ['a region as its language', { query: 'vertrag', language: 'DE' }, [20, 21]],
    ['an unknown language apart from others', { query: 'konie', language: 'cs' }, []],
  ])('%s', async (_sentence, args, expected) => {
    const found = await find({ ...args, kinds: ['note'] });
    expect(namesOf(found).sort()).toEqual(expected);
    for (const { snippet } of found.results) expect(snippet).toContain('**');
  });
});

describe('pages', () => {
  it.each([7, 10, 50])('of %i hold every match once, better ones first within a block', async (limit) => {
    const hits = await allHits({ query: 'heron', limit });
    expect(hits).toHaveLength(150);
    expect(new Set(hits.map(({ id }) => id)).size).toBe(150);
  });

  it('of different lengths give the same order', async () => {
    const orders = await Promise.all([3, 50].map((limit) => allHits({ query: 'heron', limit })));
    expect(orders[0]?.map(({ id }) => id)).toEqual(orders[1]?.map(({ id }) => id));
  });

  it('leave out what came after the first', async () => {
    const first = await find({ query: 'heron', limit: 5 });
    await asLoader(postgres, (sql) =>
      insertRow(sql, 'notes', 'acme', { id: uuid(9), title: 'heron heron', vault_id: 'sales' }),
    );
    const rest = await allHits({ query: 'heron', limit: 5, cursor: first.nextCursor });
    await asLoader(postgres, (sql) =>
      sql.query("delete from bank.notes where bank_id = 'acme' and id = $1", [uuid(9)]),
    );
    const ids = [...first.results, ...rest].map(({ id }) => id);
    expect([ids.length, new Set(ids).size, ids.includes(uuid(9))]).toEqual([150, 150, false]);
  });

  it('go on only with a cursor of the same search', async () => {
    const { nextCursor } = await find({ query: 'heron' });
    for (const args of [{ query: 'flamingo' }, { query: 'heron', vaultId: 'sales' }, { query: 'heron', cursor: 'x' }]) {
      expect(await callError(client, 'search', { cursor: nextCursor, ...args })).toMatchObject({
        code: 'invalid_cursor',
      });
    }
  });
});

describe('vaults (R1.6)', () => {
  it.each<[string, string[] | null, unknown[]]>([
    ['one vault', ['sales'], [1, 4, 'recording']],
    ['another vault', ['support'], [5, 6, 'recording']],
    ['both vaults, and not what is in none', ['sales', 'support'], [1, 4, 5, 6, 'recording', 'recording']],
    ['no vault', [], []],
    ['a vault that is not there', ['hr'], []],
  ])('a token for %s finds what is in it', async (_sentence, vaults, expected) => {
    await using limited = await running.connect('modern', { vaults });
    expect(namesOf(await find({ query: 'flamingo' }, limited)).sort()).toEqual([...expected].sort());
  });

  it.each<[string, string[] | null, number]>([
    ['all vaults', null, 130],
    ['both vaults', ['sales', 'support'], 130],
    ['one vault', ['support'], 65],
    ['no vault', [], 0],
    ['a vault of nobody', ['hr'], 0],
  ])(
    'keys are given of no other row than those of %s, to whoever asks the database itself',
    async (_sentence, vaults, count) => {
      const { bank } = running;
      const match = `select m.id, n.id as visible from api.match_entities('heron', array['notes', 'vaults', null], array[0, 0, 0], 1000) m
      left join bank.notes n on n.id = m.id where m.kind = 'notes'`;
      const rows = await bank.asBank(bank.seal({ vaults }), async (sql) => (await sql.query(match)).rows);
      expect(rows).toHaveLength(count);
      expect(rows.filter((row) => row.visible === null)).toEqual([]);
      expect(await bank.asBank(undefined, async (sql) => (await sql.query(match)).rows)).toEqual([]);
    },
  );

  it('a vault that the caller may not see is told from an empty one', async () => {
    await using limited = await running.connect('modern', { vaults: ['sales'] });
    expect(await callError(limited, 'search', { query: 'flamingo', vaultId: 'support' })).toMatchObject({
      code: 'not_found',
      field: 'vaultId',
    });
    expect((await find({ query: 'pterodactyl', vaultId: 'sales' }, limited)).results).toEqual([]);
  });
});

describe('words that mean something elsewhere', () => {
  const hostile = fc.oneof(
    fc.constantFrom(
      "'",
      "''",
      '\\',
      "\\'",
      '"',
      '" "',
      ':*',
      '& | !',
      '<->',
      '((',
      'a:*',
      "E'\\x'",
      '%',
      '-',
      '--',
      'or',
      'or or',
      '🦩',
      '**',
      '<b>',
      '$1',
      '/a\\b/c',
      "http://x/\\y?z='1'",
      'a@b.c',
      '\u202e',
    ),
    fc.string({ unit: 'grapheme', maxLength: 30 }),
    fc.string({ unit: 'binary', maxLength: 30 }),
  );
  it('are words or nothing, and never an error of the database', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(hostile, { minLength: 1, maxLength: 6 }), fc.boolean(), async (parts, german) => {
        const result = await client.callTool({
          name: 'search',
          arguments: { query: parts.join(' '), limit: 3, ...(german ? { language: 'de' } : {}) },
        });
        const code = (result._meta?.['bankhouse.dev/error'] as { code: string } | undefined)?.code;
        expect([undefined, 'invalid_argument']).toContain(code);
      }),
      { numRuns: 150 },
    );
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['an empty query', { query: '  ' }, 'query'],
    ['NUL', { query: 'a\0b' }, 'query'],
    ['half a character', { query: '\ud800' }, 'query'],
    ['a long query', { query: 'x'.repeat(501) }, 'query'],
    ['a kind of nobody', { query: 'x', kinds: ['vaults'] }, 'kinds'],
    ['no kind', { query: 'x', kinds: [] }, 'kinds'],
    ['a language that is none', { query: 'x', language: 'german' }, 'language'],
    ['a day that does not exist', { query: 'x', from: '2026-02-30' }, 'from'],
    ['a period that ends before it begins', { query: 'x', from: '2026-02-02', to: '2026-02-01' }, 'from'],
    ['too many results', { query: 'x', limit: 51 }, 'limit'],
  ])('%s is refused', async (_sentence, args, field) => {
    const error = await callError(client, 'search', args);
    expect(error.code).toMatch(/^invalid_/);
    expect(error.field).toBe(field);
  });
});
