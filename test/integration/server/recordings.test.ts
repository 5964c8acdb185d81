/** The toolset `recordings` and its resources, by SDK clients of both eras, on a real Postgres (R1.2, R1.3, R1.6). */
import { toolsetsNamed } from '@bankhouse/server';
import type { Client } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { asLoader, call, callError, ERAS, type RunningBank, runBank } from './support.ts';

const TOTAL = 45;
const LEGACY = 5;
const MIGRATED = 3;

interface Brief {
  id: string;
  title: string;
  startedAt: string;
  vaultIds: string[];
  participants: string[];
}
interface Page {
  recordings: Brief[];
  nextCursor?: string;
  total?: number;
}
interface Found {
  results: (Brief & { snippet: string; startSeconds: number; rank: number })[];
  nextCursor?: string;
}
interface Transcript {
  segments: { seq: number; startSeconds: number; endSeconds: number; speaker: string; text: string }[];
  nextCursor?: string;
}

let postgres: TestPostgres;
let running: RunningBank;
beforeAll(async () => {
  postgres = await startPostgres();
  running = await runBank(postgres, 'acme', { toolsets: toolsetsNamed(['recordings']) });
  await seed('acme');
});
afterAll(async () => {
  await running?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

/**
 * 40 recordings in `sales` (even) and `support` (odd), two of the same microsecond each, so that pages end between twins;
 * 8 legacy calls in `sales`, of which 3 are migrated to recordings 0, 1 and 2.
 */
async function seed(bank: string): Promise<void> {
  await asLoader(postgres, async (client) => {
    await client.query('begin');
    await client.query(
      `insert into bank.fathom_calls (bank_id, id, vault_id, title, recording_start_time, recording_end_time, calendar_invitees, transcript, summary)
       select $1, n, 'sales', 'Legacy call ' || n, '2026-01-01 10:00Z'::timestamptz + n * interval '1 day',
              '2026-01-01 10:30Z'::timestamptz + n * interval '1 day', '[{"name": "Old Friend", "email": "old@example.com"}]',
              '[{"speaker": {"display_name": "Old Friend"}, "text": "We spoke about a pelican.", "timestamp": "00:05:32"}]', 'Birds.'
         from generate_series(1, 8) n`,
      [bank],
    );
    await client.query(
      `with made as (
         insert into bank.recordings (bank_id, id, legacy_id, title, started_at, duration_seconds, participants, transcript, summary, language, url)
         select $1, ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, case when n < 3 then n + 1 end,
                'Call ' || n, '2026-03-01 09:00:00.123456Z'::timestamptz + (n / 2) * interval '1 hour', 1800 + n,
                array['ann@example.com', 'guest' || n || '@example.com'],
                (select jsonb_agg(jsonb_build_object('start', s * 10, 'end', s * 10 + 10, 'speaker', 'Ann',
                   'text', case when n % 10 = 7 and s = 12 then 'The flamingo contract is due.' else 'Segment ' || s || repeat(' word', 20) end))
                   from generate_series(0, case when n = 39 then 599 else 29 end) s),
                'Summary of call ' || n, 'en', 'https://calls.example.com/' || n
           from generate_series(0, 39) n
         returning bank_id, id)
       insert into bank.vault_entries (bank_id, vault_id, recording_id)
       select bank_id, case when right(id::text, 1)::int % 2 = 0 then 'sales' else 'support' end, id from made`,
      [bank],
    );
    await client.query('commit');
  });
}

async function allPages(client: Client, args: Record<string, unknown>): Promise<Brief[]> {
  const items: Brief[] = [];
  let cursor: string | undefined;
  do {
    const page: Page = await call<Page>(client, 'list_recordings', {
      ...args,
      ...(cursor === undefined ? {} : { cursor }),
    });
    items.push(...page.recordings);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return items;
}

const recordingUuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

describe.each(ERAS)('a %s client', (era) => {
  it('lists five tools with schemas that its answers fit', async () => {
    await using client = await running.connect(era);
    const { tools } = await client.listTools();
    expect(tools.map((tool) => tool.name)).toEqual([
      'list_vaults',
      'list_recordings',
      'get_recording',
      'get_transcript',
      'search_recordings',
    ]);
    // From here on the SDK's client checks every structured answer against the listed output schema.
    await call(client, 'list_vaults');
    await call(client, 'list_recordings', { includeTotal: true });
    await call(client, 'get_recording', { id: 'fathom-7' });
    await call(client, 'get_transcript', { id: 'fathom-7' });
    await call(client, 'search_recordings', { query: 'flamingo' });
  });

  it('pages through every call once, newest first, twins of one instant included (R1.2)', async () => {
    await using client = await running.connect(era);
    const listed = await allPages(client, { limit: 7 });
    expect(new Set(listed.map((brief) => brief.id)).size).toBe(TOTAL);
    expect(listed).toHaveLength(TOTAL);
    const order = listed.map((brief) => `${brief.startedAt} ${brief.id}`);
    expect(order).toEqual([...order].sort().reverse());
  });

  it('reads what it may see as resources', async () => {
    await using client = await running.connect(era);
    const templates = await client.listResourceTemplates();
    expect(templates.resourceTemplates.map((template) => template.uriTemplate)).toEqual([
      'bankhouse://{bank}/vaults/{id}',
      'bankhouse://{bank}/recordings/{id}',
    ]);
    const first = await client.listResources();
    const uris = first.resources.map((resource) => resource.uri);
    expect(uris.slice(0, 2)).toEqual(['bankhouse://acme/vaults/sales', 'bankhouse://acme/vaults/support']);
    const vault = await client.readResource({ uri: 'bankhouse://acme/vaults/sales' });
    expect(vault.contents).toEqual([
      expect.objectContaining({ mimeType: 'text/markdown', text: expect.stringContaining('# Sales') }),
    ]);
    const recording = await client.readResource({ uri: `bankhouse://acme/recordings/${recordingUuid(7)}` });
    expect(recording.contents[0]).toMatchObject({
      text: expect.stringMatching(/# Call 7\n.*Summary of call 7.*\[2:00\] Ann: The flamingo/s),
    });
    await expect(client.readResource({ uri: `bankhouse://acme/recordings/${recordingUuid(99)}` })).rejects.toThrow();
    await expect(client.readResource({ uri: 'bankhouse://other/vaults/sales' })).rejects.toThrow();
  });
});

describe('list_vaults', () => {
  it('counts what is in each vault', async () => {
    await using client = await running.connect();
    expect(await call(client, 'list_vaults')).toMatchObject({
      vaults: [
        { id: 'sales', displayName: 'Sales', recordings: 20 + LEGACY },
        { id: 'support', displayName: 'Support', recordings: 20 },
      ],
    });
  });
});

describe('list_recordings', () => {
  it.each<[string, Record<string, unknown>, number]>([
    ['all', {}, TOTAL],
    ['a vault', { vaultId: 'support' }, 20],
    ['a participant in any case', { participant: 'ANN@example.com' }, 40],
    ['a participant of the old table', { participant: 'old@example.com' }, LEGACY],
    ['a day of the old table', { from: '2026-01-05', to: '2026-01-05' }, 1],
    ['up to and with a day', { to: '2026-01-06' }, 2],
    ['up to an instant', { to: '2026-01-06T10:00:00Z' }, 1],
    ['an instant with microseconds', { from: '2026-03-02T04:00:00.123456Z' }, 2],
    ['one microsecond later', { from: '2026-03-02T04:00:00.123457Z' }, 0],
    ['a vault and a participant', { vaultId: 'sales', participant: 'guest3@example.com' }, 0],
  ])('lists and counts %s', async (_sentence, args, count) => {
    await using client = await running.connect();
    const page = await call<Page>(client, 'list_recordings', { ...args, limit: 100, includeTotal: true });
    expect([page.recordings.length, page.total, page.nextCursor]).toEqual([count, count, undefined]);
  });

  it('says in a line what each call is', async () => {
    await using client = await running.connect();
    const { text, nextCursor } = await call<Page>(client, 'list_recordings', { limit: 1, includeTotal: true });
    expect(text).toBe(
      `1 recordings of ${TOTAL}:\n- 2026-03-02 04:00 Call 39, 31 min, ann@example.com, guest39@example.com [support], id ${recordingUuid(39)}\nMore: the same call with cursor "${nextCursor}".`,
    );
  });

  it.each<[string, Record<string, unknown>, string, RegExp]>([
    ['a vault that is not there', { vaultId: 'secret' }, 'not_found', /"secret".*list_vaults/],
    ['a cursor of nobody', { cursor: 'abc' }, 'invalid_cursor', /leave cursor out/],
    [
      'a range that ends before it begins',
      { from: '2026-02-02', to: '2026-02-01' },
      'invalid_range',
      /earlier than to/,
    ],
    ['a date in words', { from: 'last week' }, 'invalid_argument', /from: .*2026-05-01/],
    ['an argument that is not there', { colour: 'red' }, 'invalid_argument', /"colour".*vaultId/],
    ['a text that the database can not hold', { participant: 'a\u0000b' }, 'invalid_argument', /characters/],
  ])('tells what is wrong with %s', async (_sentence, args, code, text) => {
    await using client = await running.connect();
    expect(await callError(client, 'list_recordings', args)).toMatchObject({ code, text: expect.stringMatching(text) });
  });

  it('refuses to go on with a cursor under other filters', async () => {
    await using client = await running.connect();
    const { nextCursor } = await call<Page>(client, 'list_recordings', { vaultId: 'sales', limit: 2 });
    expect(await callError(client, 'list_recordings', { vaultId: 'support', cursor: nextCursor })).toMatchObject({
      code: 'invalid_cursor',
      field: 'cursor',
    });
  });
});

describe('get_recording', () => {
  it('finds a new call, an old one, and a migrated one by both of its ids', async () => {
    await using client = await running.connect();
    expect(await call(client, 'get_recording', { id: recordingUuid(5) })).toMatchObject({
      source: 'recording',
      title: 'Call 5',
      durationSeconds: 1805,
      startedAt: '2026-03-01T11:00:00.123456Z',
      vaultIds: ['support'],
      summary: 'Summary of call 5',
      resourceUri: `bankhouse://acme/recordings/${recordingUuid(5)}`,
    });
    expect(await call(client, 'get_recording', { id: `fathom-${MIGRATED + 1}` })).toMatchObject({
      source: 'legacy',
    });
    expect(await call(client, 'get_recording', { id: `fathom-${MIGRATED}` })).toMatchObject({
      id: recordingUuid(2),
      source: 'recording',
    });
  });

  it('knows nothing of a call that is not there', async () => {
    await using client = await running.connect();
    expect(await callError(client, 'get_recording', { id: recordingUuid(99) })).toMatchObject({
      code: 'not_found',
      field: 'id',
    });
  });
});

describe('get_transcript', () => {
  it('gives the segments of a time range', async () => {
    await using client = await running.connect();
    const { segments, text } = await call<Transcript>(client, 'get_transcript', {
      id: recordingUuid(7),
      fromSeconds: 120,
      toSeconds: 135,
    });
    expect(segments.map((segment) => segment.startSeconds)).toEqual([120, 130]);
    expect(text).toMatch(/^\[2:00\] Ann: The flamingo contract is due\.\n\[2:10\] Ann: Segment 13/);
  });

  it('gives a long one in bounded pages, each segment once', async () => {
    await using client = await running.connect();
    const seen: number[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const page: Transcript & { text: string } = await call<Transcript>(client, 'get_transcript', {
        id: recordingUuid(39),
        limit: 500,
        ...(cursor === undefined ? {} : { cursor }),
      });
      expect(page.text.length).toBeLessThan(45_000);
      seen.push(...page.segments.map((segment) => segment.startSeconds));
      cursor = page.nextCursor;
      pages++;
    } while (cursor !== undefined);
    expect(pages).toBeGreaterThan(1);
    expect(seen).toEqual(Array.from({ length: 600 }, (_, index) => index * 10));
  });

  it('tells a part in which nothing was said from a call that is not there', async () => {
    await using client = await running.connect();
    expect(await call(client, 'get_transcript', { id: recordingUuid(1), fromSeconds: 9999 })).toMatchObject({
      segments: [],
    });
    expect(await callError(client, 'get_transcript', { id: recordingUuid(99) })).toMatchObject({
      code: 'not_found',
    });
    expect(
      await callError(client, 'get_transcript', { id: recordingUuid(1), fromSeconds: 9, toSeconds: 3 }),
    ).toMatchObject({ code: 'invalid_range' });
  });
});

describe('search_recordings', () => {
  it('marks the hit in its snippet and says when it was said', async () => {
    await using client = await running.connect();
    const { results, text } = await call<Found>(client, 'search_recordings', { query: 'flamingo contract' });
    expect(results.map((hit) => hit.title).sort()).toEqual(['Call 17', 'Call 27', 'Call 37', 'Call 7']);
    for (const hit of results) {
      expect(hit.snippet).toContain('**flamingo**');
      expect(hit.startSeconds).toBeGreaterThan(60);
      expect(hit.startSeconds).toBeLessThanOrEqual(120);
    }
    expect(text).toContain('**flamingo**');
  });

  it.each<[string, Record<string, unknown>, number]>([
    ['the old table, without what was migrated', { query: 'pelican' }, LEGACY],
    ['a vault', { query: 'flamingo', vaultId: 'sales' }, 0],
    ['a participant', { query: 'flamingo', participant: 'guest7@example.com' }, 1],
    ['a range', { query: 'flamingo', to: '2026-03-01' }, 3],
    ['either word', { query: 'flamingo or pelican' }, 4 + LEGACY],
    ['a word without another', { query: 'flamingo -contract' }, 0],
    ['stop words alone', { query: 'the and of' }, 0],
    ['syntax of other engines', { query: `flamingo & ! ( ' " :* \\` }, 4],
  ])('searches %s', async (_sentence, args, count) => {
    await using client = await running.connect();
    expect((await call<Found>(client, 'search_recordings', args)).results).toHaveLength(count);
  });

  it('pages through its results, each once', async () => {
    await using client = await running.connect();
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page: Found = await call<Found>(client, 'search_recordings', {
        query: 'segment',
        limit: 9,
        ...(cursor === undefined ? {} : { cursor }),
      });
      seen.push(...page.results.map((hit) => hit.id));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect([seen.length, new Set(seen).size]).toEqual([40, 40]);
  });
});

describe('a caller who is limited to a vault (R1.3, R1.6)', () => {
  const limited = () => running.connect('modern', { vaults: ['support'] });

  it('sees that vault and nothing else, by every tool', async () => {
    await using client = await limited();
    expect(await call(client, 'list_vaults')).toMatchObject({ vaults: [{ id: 'support', recordings: 20 }] });
    const listed = await allPages(client, { limit: 100 });
    expect(listed).toHaveLength(20);
    expect(new Set(listed.flatMap((brief) => brief.vaultIds))).toEqual(new Set(['support']));
    expect(await call(client, 'list_recordings', { includeTotal: true })).toMatchObject({ total: 20 });
    expect((await call<Found>(client, 'search_recordings', { query: 'pelican' })).results).toEqual([]);
    for (const name of ['get_recording', 'get_transcript']) {
      expect(await callError(client, name, { recordingId: recordingUuid(4) })).toMatchObject({ code: 'not_found' });
      expect(await callError(client, name, { recordingId: 'fathom-7' })).toMatchObject({ code: 'not_found' });
    }
    expect(await callError(client, 'list_recordings', { vaultId: 'sales' })).toMatchObject({ code: 'not_found' });
  });

  it('sees nothing else as resources either', async () => {
    await using client = await limited();
    const { resources } = await client.listResources();
    expect(resources.filter((resource) => resource.uri.includes('/vaults/')).map((resource) => resource.name)).toEqual([
      'support',
    ]);
    await expect(client.readResource({ uri: 'bankhouse://acme/vaults/sales' })).rejects.toThrow();
    await expect(client.readResource({ uri: `bankhouse://acme/recordings/${recordingUuid(4)}` })).rejects.toThrow();
  });

  it('can not widen its view by a cursor that another caller got', async () => {
    await using all = await running.connect();
    await using client = await limited();
    const { nextCursor } = await call<Page>(all, 'list_recordings', { limit: 10 });
    const rest = await call<Page>(client, 'list_recordings', { cursor: nextCursor, limit: 100 });
    expect(new Set(rest.recordings.flatMap((brief) => brief.vaultIds))).toEqual(new Set(['support']));
  });

  it('sees nothing when it is limited to no vault', async () => {
    await using client = await running.connect('modern', { vaults: [] });
    expect(await call(client, 'list_recordings', { includeTotal: true })).toMatchObject({ recordings: [], total: 0 });
    expect(await call(client, 'list_vaults')).toMatchObject({ vaults: [] });
  });
});

describe('resources', () => {
  it('are listed in pages: vaults first, then every recording once', async () => {
    await using client = await running.connect();
    const uris: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await client.listResources(cursor === undefined ? {} : { cursor });
      uris.push(...page.resources.map((resource) => resource.uri));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    const vaultsAndLists = 4;
    expect(uris).toHaveLength(vaultsAndLists + TOTAL);
    expect(new Set(uris).size).toBe(vaultsAndLists + TOTAL);
  });
});

describe('a call of the old table with an id of 19 digits (D11)', () => {
  const LONGEST = 'fathom-9223372036854775807';

  it('is found by the id that lists give, wherever a recording is named', async () => {
    await using long = await runBank(postgres, 'long', { toolsets: toolsetsNamed(['recordings', 'workspace']) });
    await asLoader(postgres, (sql) =>
      sql.query(
        `insert into bank.fathom_calls (bank_id, id, vault_id, title, recording_start_time, recording_end_time, transcript)
         values ('long', 9223372036854775807, 'sales', 'Long ago', now() - interval '1 hour', now(),
                 '[{"speaker": {"display_name": "Ann"}, "text": "A heron.", "timestamp": "00:00:01"}]')`,
      ),
    );
    await using client = await long.connect('modern', { scopes: ['mcp:read', 'mcp:write'] });
    const { recordings } = await call<Page>(client, 'list_recordings');
    expect(recordings.map(({ id }) => id)).toEqual([LONGEST]);
    expect(await call(client, 'get_recording', { id: LONGEST })).toMatchObject({ id: LONGEST });
    const { segments } = await call<Transcript>(client, 'get_transcript', { id: LONGEST });
    expect(segments.map(({ text }) => text)).toEqual(['A heron.']);
    const { contents } = await client.readResource({ uri: `bankhouse://long/recordings/${LONGEST}` });
    expect(JSON.stringify(contents)).toContain('Long ago');
    await call(client, 'create_note', { title: 'n', recordingId: LONGEST });
    await call(client, 'create_comment', { parentKind: 'recording', parentId: LONGEST, body: 'c' });
    expect(await call(client, 'list_notes', { recordingId: LONGEST })).toMatchObject({ notes: [{ title: 'n' }] });
    expect(await call(client, 'list_comments', { parentId: LONGEST })).toMatchObject({ comments: [{ body: 'c' }] });
  });

  it.each(['fathom-9223372036854775808', 'fathom-9999999999999999999', 'fathom-9223372036854775807'])(
    '%s is told as not there where it is not',
    async (recordingId) => {
      await using client = await running.connect();
      for (const tool of ['get_recording', 'get_transcript']) {
        expect(await callError(client, tool, { recordingId })).toMatchObject({
          code: 'not_found',
          field: 'id',
        });
      }
    },
  );
});
