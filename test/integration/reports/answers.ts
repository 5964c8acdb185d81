/** What tools take and say, as models of many makes call them and as clients show it to them. */
import { expect } from 'vitest';
import type { Bank, Report, Said } from './bank.ts';

/** Claude Code refuses 25,000 tokens; at three characters a token this is less than half of them. */
const MOST = 30_000;

function bothFit({ text, structured }: Said): void {
  expect(text.length).toBeLessThanOrEqual(MOST);
  expect(JSON.stringify(structured ?? null).length).toBeLessThanOrEqual(MOST);
}

const understood = (
  holds: string,
  source: string | undefined,
  tool: string,
  args: (bank: Bank) => Promise<unknown>,
): Report => ({
  holds,
  fault: 'T3, T4',
  source,
  async check(bank) {
    const said = await bank.call(tool, await args(bank));
    expect([said.isError, said.isError ? said.text : '']).toEqual([false, '']);
  },
});

const named = (holds: string, source: string | undefined, [tool, args]: [string, object], name: RegExp): Report => ({
  holds,
  fault: 'T4',
  source,
  async check(bank) {
    const { isError, text } = await bank.call(tool, args);
    expect([isError, text]).toEqual([true, expect.stringMatching(name)]);
  },
});

/** A note of so many characters, without a line of whose words it would have to be found again. */
async function longNote(bank: Bank, characters: number): Promise<{ id: string; body: string }> {
  const body = Array.from({ length: characters / 10 }, (_, at) => `word${String(at).padStart(5, '0')}`)
    .join('\n')
    .slice(0, characters);
  const { structured } = await bank.call('create_note', { title: 'long', body });
  return { id: structured.id, body };
}

async function aNote(bank: Bank): Promise<string> {
  return (await bank.call('create_note', { title: 'short', body: 'body of it', tags: ['t1'] })).structured.id;
}

export const ANSWERS: readonly Report[] = [
  {
    holds: 'text alone says what a note holds, to clients that show nothing else',
    fault: 'T1',
    source: 'open-webui/open-webui#28926',
    async check(bank) {
      const id = await aNote(bank);
      const { text } = await bank.call('get_note', { id });
      for (const part of ['short', 'body of it', 't1', id]) expect(text).toContain(part);
    },
  },
  {
    holds: 'structured content alone says the same, to clients that leave the text out',
    fault: 'T1',
    source: 'anthropics/claude-code#79944',
    async check(bank) {
      const id = await aNote(bank);
      expect((await bank.call('get_note', { id })).structured).toMatchObject({
        id,
        title: 'short',
        body: 'body of it',
        tags: ['t1'],
      });
    },
  },
  {
    holds: 'a list says in its text the value of the cursor that leads on, not only that there is one',
    fault: 'T1',
    source: 'seuros/action_mcp#181',
    async check(bank) {
      await aNote(bank);
      await aNote(bank);
      const { text, structured } = await bank.call('list_notes', { limit: 1 });
      expect(structured.nextCursor).toMatch(/./);
      expect(text).toContain(structured.nextCursor);
    },
  },
  {
    holds: 'a list says in its text the id of everything in it, which the next call needs',
    fault: 'T1',
    source: 'nicobailon/pi-mcp-adapter#588',
    async check(bank) {
      await aNote(bank);
      for (const tool of ['list_notes', 'list_vaults']) {
        const { text, structured } = await bank.call(tool);
        for (const { id } of structured.notes ?? structured.vaults) expect(text).toContain(id);
      }
    },
  },
  {
    holds: 'a refusal is text that a model reads, and never nothing',
    fault: 'T1',
    async check(bank) {
      const { isError, text } = await bank.call('get_note', { id: '0b9e3c1a-0000-4000-8000-000000000001' });
      expect([isError, text]).toEqual([true, expect.stringMatching(/.{20}/)]);
    },
  },
  {
    holds: 'a note of 100,000 characters comes in parts that clients take, and the parts are the whole',
    fault: 'T2',
    source: 'rollbar/rollbar-mcp-server#28',
    async check(bank) {
      const { id, body } = await longNote(bank, 100_000);
      let read = '';
      for (let part = 0; read.length < body.length && part < 10; part++) {
        const said = await bank.call('get_note', { id, ...(part === 0 ? {} : { fromCharacter: read.length }) });
        bothFit(said);
        expect(said.structured.body.length).toBeGreaterThan(1000);
        read += said.structured.body;
      }
      expect(read).toBe(body);
    },
  },
  {
    holds: 'a list of notes that are long is as short as a client takes, in text and in structured content',
    fault: 'T2',
    source: 'dbt-labs/dbt-mcp#178',
    async check(bank) {
      for (let made = 0; made < 5; made++) await longNote(bank, 20_000);
      bothFit(await bank.call('list_notes', { limit: 100 }));
    },
  },
  {
    holds: 'a query for whole bodies is as short as a client takes, and a cursor goes on',
    fault: 'T2',
    source: 'invest-composer/composer-trade-mcp#38',
    async check(bank) {
      for (let made = 0; made < 40; made++) await longNote(bank, 2000);
      const said = await bank.call('query', { kind: 'note', select: ['id', 'body'], limit: 200 });
      bothFit(said);
      expect(said.structured.nextCursor).toMatch(/./);
    },
  },
  {
    holds: 'what writes answers by a receipt, however long what it wrote',
    fault: 'T2',
    async check(bank) {
      const said = await bank.call('create_note', { title: 'long', body: 'x'.repeat(100_000) });
      bothFit(said);
      expect(said.text.length).toBeLessThan(1000);
    },
  },
  understood('a number as text is the number', 'VibiumDev/vibium#85', 'list_notes', async () => ({ limit: '5' })),
  understood('a list as JSON in a text is the list', 'openclaw/openclaw#96922', 'create_note', async () => ({
    title: 'x',
    tags: '["a","b"]',
  })),
  understood('an object as JSON in a text is the object', 'PrefectHQ/fastmcp#932', 'query', async () => ({
    kind: 'note',
    filter: '{"field":"title","op":"eq","value":"x"}',
  })),
  understood(
    'null for what may be left out is as good as left out',
    'ramimbo/mergework#112',
    'list_notes',
    async () => ({
      vaultId: null,
      cursor: null,
      limit: null,
    }),
  ),
  understood(
    'the word null for a number, a truth or one of some values is null, as some clients send it',
    'anthropics/claude-code#95239',
    'list_notes',
    async () => ({
      pinned: 'null',
      archived: 'null',
      limit: 'null',
    }),
  ),
  understood('a truth as text is the truth', undefined, 'list_recordings', async () => ({
    includeTotal: 'True',
  })),
  understood('another word for a thing is the thing', undefined, 'get_note', async (bank) => ({
    note_id: await aNote(bank),
  })),
  understood('the kind in the plural, and as entity, is the kind', undefined, 'query', async () => ({
    entity: 'notes',
  })),
  {
    holds: 'what a comment is about has the one name parentKind, and goes by the older one too',
    fault: 'T3',
    async check(bank) {
      const parentId = await aNote(bank);
      const { structured } = await bank.call('create_comment', { parentType: 'note', parentId, body: 'x' });
      const { id } = structured;
      for (const word of ['parentKind', 'parentType']) {
        expect((await bank.call('list_comments', { [word]: 'note', parentId })).structured.comments).toMatchObject([
          { id },
        ]);
        const both = [
          { field: word, op: 'eq', value: 'note' },
          { field: 'parentId', op: 'eq', value: parentId },
        ];
        const asked = { kind: 'comment', filter: { and: both }, sort: [{ field: word }], select: ['id', word] };
        expect((await bank.call('query', asked)).structured.rows).toEqual([{ id, parentKind: 'note' }]);
        const { rows } = (
          await bank.call('query', { kind: 'comment', filter: { and: both }, groupBy: [{ field: word }] })
        ).structured;
        expect(rows).toEqual([{ parentKind: 'note', count: 1 }]);
      }
      const comment = await bank.call('get_comment', { id });
      expect(comment.structured.parentKind).toBe('note');
      expect(`${comment.text}${JSON.stringify(comment.structured)}`).not.toContain('parentType');
    },
  },
  named(
    'an argument that nobody knows is answered by those that there are',
    'daintreehq/daintree#6639',
    ['list_notes', { zzz: 1 }],
    /zzz.*vaultId/s,
  ),
  named(
    'a slip of the finger is answered by the nearest name',
    undefined,
    ['list_notes', { vaultld: 'sales' }],
    /did you mean vaultId/,
  ),
  named('an argument that is missing is named', undefined, ['get_note', {}], /id/),
  {
    holds: 'a tool that is not there is -32602, and the answer names tools/list',
    fault: 'T4',
    async check(bank) {
      const { json } = await bank.ask('tools/call', { name: 'delete_everything', arguments: {} });
      expect(json.error).toMatchObject({ code: -32602, message: expect.stringContaining('tools/list') });
    },
  },
  {
    holds: 'clients of both eras that connect at once, each with a stream, all call',
    fault: 'P10',
    async check(bank) {
      const sessions = await Promise.all(Array.from({ length: 12 }, () => bank.begin()));
      const streams = await Promise.all(
        sessions.map((headers) => bank.open('GET', { headers: { ...headers, accept: 'text/event-stream' } })),
      );
      expect(streams.map(({ statusCode }) => statusCode)).toEqual(streams.map(() => 200));
      await Promise.all(sessions.map(() => bank.call('list_vaults')));
      for (const stream of streams) stream.destroy();
    },
  },
];
