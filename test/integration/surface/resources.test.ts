/** Notes, tasks, comments, chats and their messages as resources, in both eras, under vault rules (R1.6). */
import { type Client, ResourceNotFoundError } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { call, ERAS, type RunningBank } from '../server/support.ts';
import { connect, LONG, make, runSurface } from './support.ts';

let postgres: TestPostgres;
let running: RunningBank;
const made: Record<'note' | 'task' | 'comment' | 'chat' | 'message' | 'hidden', string> = {
  note: '',
  task: '',
  comment: '',
  chat: '',
  message: '',
  hidden: '',
};
beforeAll(async () => {
  postgres = await startPostgres();
  running = await runSurface(postgres, 'acme');
  await using client = await connect(running);
  made.note = await make(client, 'create_note', {
    title: 'Price list',
    body: 'The *new* prices.',
    tags: ['money', '2026'],
    pinned: true,
    recordingId: LONG,
    vaultId: 'sales',
  });
  made.task = await make(client, 'create_task', { title: 'Send it', vaultId: 'sales', dueAt: '2026-12-24' });
  made.comment = await make(client, 'create_comment', { parentKind: 'note', parentId: made.note, body: 'Too high.' });
  made.chat = await make(client, 'create_chat', { title: 'Renewal', participants: ['Ann', 'Ben'], vaultId: 'sales' });
  made.message = await make(client, 'create_chat_message', { chatId: made.chat, body: 'First words', author: 'Ann' });
  await make(client, 'create_chat_message', { chatId: made.chat, body: 'Second words', role: 'assistant' });
  made.hidden = await make(client, 'create_note', { title: 'Of support', vaultId: 'support' });
});
afterAll(async () => {
  await running?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

async function read(client: Client, path: string): Promise<string> {
  const { contents } = await client.readResource({ uri: `bankhouse://acme/${path}` });
  const [only] = contents;
  if (only === undefined || !('text' in only)) throw new Error('no text');
  expect(only).toMatchObject({ uri: `bankhouse://acme/${path}`, mimeType: 'text/markdown' });
  return only.text;
}

async function allUris(client: Client): Promise<string[]> {
  const uris: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.listResources(cursor === undefined ? {} : { cursor });
    uris.push(...page.resources.map(({ uri }) => uri));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return uris;
}

describe.each(ERAS)('a %s client', (era) => {
  it('finds a template for every kind', async () => {
    await using client = await connect(running, null, era);
    const { resourceTemplates } = await client.listResourceTemplates();
    expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual(
      ['vaults', 'recordings', 'notes', 'tasks', 'comments', 'chats', 'chat_messages'].map(
        (kind) => `bankhouse://{bank}/${kind}/{id}`,
      ),
    );
  });

  it('reads an entry as Markdown with its facts, links and comments', async () => {
    await using client = await connect(running, null, era);
    const text = await read(client, `notes/${made.note}`);
    expect(text).toMatch(/^# Price list\n\n- Note `[0-9a-f-]{36}`, draft, version 1\n/);
    for (const part of [
      '- Pinned\n',
      '- Tags: money, 2026\n',
      `- Recording: bankhouse://acme/recordings/${LONG}\n`,
      '- Vault: bankhouse://acme/vaults/sales\n',
      ' by test, changed ',
      '\n\nThe *new* prices.\n\n## Comments\n\n',
      `bankhouse://acme/comments/${made.comment})\n\nToo high.\n`,
    ]) {
      expect(text).toContain(part);
    }
  });

  it('reads a chat with its messages in the order in which they were written', async () => {
    await using client = await connect(running, null, era);
    const text = await read(client, `chats/${made.chat}`);
    expect(text).toMatch(
      /^# Renewal\n[\s\S]*- Participants: Ann, Ben\n[\s\S]*## Chat messages\n\n\*\*Ann\*\*, [\s\S]*First words\n\n\*\*test \(assistant\)\*\*, [\s\S]*Second words\n$/,
    );
  });

  it.each<[string, () => string, RegExp]>([
    ['a task', () => `tasks/${made.task}`, /^# Send it\n\n[\s\S]*- Due: 2026-12-24T00:00:00Z\n/],
    [
      'a comment',
      () => `comments/${made.comment}`,
      /^# Comment\n\n[\s\S]*- About: bankhouse:\/\/acme\/notes\/[\s\S]*\n\nToo high\.\n$/,
    ],
    [
      'a message',
      () => `chat_messages/${made.message}`,
      /^# Chat message\n\n[\s\S]*- Chat: bankhouse:\/\/acme\/chats\/[\s\S]*First words\n$/,
    ],
    [
      'the list of notes',
      () => 'notes',
      /^# Notes\n\n- Of support \[draft\].*\n- Price list \[draft\], vault sales, changed \d{4}-\d\d-\d\d: bankhouse:\/\/acme\/notes\/\S+\n$/,
    ],
    ['the list of tasks', () => 'tasks', /- Send it \[open\], vault sales, due 2026-12-24/],
    [
      'the list of messages',
      () => 'chat_messages',
      /^# Chat messages\n\n- Second words \[sent\][\s\S]*- First words \[sent\]/,
    ],
    ['the list of vaults', () => 'vaults', /^# Vaults\n\n- Sales, 3 recordings: bankhouse:\/\/acme\/vaults\/sales\n/],
    ['the list of recordings', () => 'recordings', /^# The newest recordings\n\n- .*Renewal with Globex/],
  ])('reads %s', async (_sentence, path, expected) => {
    await using client = await connect(running, null, era);
    expect(await read(client, path())).toMatch(expected);
  });

  it('finds nothing of another vault, and no entry that is not there', async () => {
    await using client = await connect(running, ['support'], era);
    for (const path of [
      `notes/${made.note}`,
      `chats/${made.chat}`,
      `chat_messages/${made.message}`,
      `tasks/${LONG}`,
      'notes/x',
      'money',
    ]) {
      await expect(client.readResource({ uri: `bankhouse://acme/${path}` })).rejects.toThrow(/not found/i);
    }
    expect(await read(client, 'notes')).not.toContain('Price list');
    expect(await read(client, `notes/${made.hidden}`)).toContain('# Of support');
    expect(await read(client, 'tasks')).toBe('# Tasks\n\n(none)\n');
  });
});

describe('resources/list', () => {
  it('shows vaults, then the lists, then everything, each once', async () => {
    await using client = await connect(running);
    const uris = await allUris(client);
    expect(uris.slice(0, 9)).toEqual(
      [
        'vaults/sales',
        'vaults/support',
        'vaults',
        'recordings',
        'notes',
        'tasks',
        'comments',
        'chats',
        'chat_messages',
      ].map((path) => `bankhouse://acme/${path}`),
    );
    expect(new Set(uris).size).toBe(uris.length);
    for (const path of [
      `notes/${made.note}`,
      `tasks/${made.task}`,
      `comments/${made.comment}`,
      `chats/${made.chat}`,
      `chat_messages/${made.message}`,
    ]) {
      expect(uris).toContain(`bankhouse://acme/${path}`);
    }
  });

  it('pages through the newest 300 of many entries, each once, and leaves archived ones out', async () => {
    await using paged = await runSurface(postgres, 'paged');
    await using client = await connect(paged);
    for (let made = 0; made < 320; made += 80) {
      const operations = Array.from({ length: 80 }, (_, n) => ({
        tool: 'create_note',
        arguments: { title: `Note ${made + n}`, vaultId: 'sales' },
      }));
      await call(client, 'batch', { operations });
    }
    const archived = await make(client, 'create_note', { title: 'Gone', vaultId: 'sales' });
    await call(client, 'archive_note', { id: archived });
    const notes = (await allUris(client)).filter((uri) => uri.startsWith('bankhouse://paged/notes/'));
    expect([notes.length, new Set(notes).size]).toEqual([300, 300]);
    expect(notes).not.toContain(`bankhouse://paged/notes/${archived}`);
    expect((await client.readResource({ uri: `bankhouse://paged/notes/${archived}` })).contents[0]).toMatchObject({
      text: expect.stringContaining('- Archived '),
    });
    expect((await client.readResource({ uri: 'bankhouse://paged/notes' })).contents[0]).toMatchObject({
      text: expect.stringContaining('(The newest 50: list_notes gives all.)'),
    });
  });

  it('refuses a cursor that it did not give', async () => {
    await using client = await connect(running);
    await expect(client.listResources({ cursor: 'bm8' })).rejects.toThrow(/invalid_cursor/);
  });
});

it('bounds a chat of many long messages and says where the rest is', async () => {
  await using client = await connect(running);
  const chat = await make(client, 'create_chat', { title: 'Long', vaultId: 'sales' });
  const operations = Array.from({ length: 10 }, (_, n) => ({
    tool: 'create_chat_message',
    arguments: { chatId: chat, body: `${n} ${'word '.repeat(3000)}` },
  }));
  await call(client, 'batch', { operations });
  const text = await read(client, `chats/${chat}`);
  expect(text.length).toBeLessThan(80_000);
  expect(text).toContain('(Earlier ones: list_chat_messages gives all.)');
  expect(text).toContain('\n\n9 word');
  expect(text).not.toContain('\n\n0 word');
});

it('tells an unknown resource from a failure', async () => {
  await using client = await connect(running);
  await expect(client.readResource({ uri: `bankhouse://other/notes/${made.note}` })).rejects.toMatchObject({
    code: new ResourceNotFoundError('x').code,
  });
});
