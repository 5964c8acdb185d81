/** The forty tools (R3.1), each of them, by an SDK client on a real Postgres. */
import { describe, expect, it } from 'vitest';
import { shared } from '../../harness/shared.ts';
import { callError } from '../server/support.ts';
import {
  type Args,
  checked,
  type Entry,
  idsOfAllPages,
  KINDS,
  micros,
  NOBODY,
  type Page,
  startWorkspace,
  type Workspace,
} from './support.ts';

const OPERATIONS = ['list', 'get', 'create', 'update', 'patch', 'delete', 'archive', 'process'];

let { client, parents } = {} as Workspace;
shared(startWorkspace, (workspace) => {
  ({ client, parents } = workspace);
});

it('there are forty of them, and each says truly what it does', async () => {
  const { tools } = await client.listTools();
  const hints = new Map(tools.map((tool) => [tool.name, tool.annotations]));
  for (const { name, plural } of KINDS) {
    for (const operation of OPERATIONS) {
      const hint = hints.get(operation === 'list' ? `list_${plural}` : `${operation}_${name}`);
      const reads = operation === 'list' || operation === 'get';
      // What the hints of a writer say has no meaning for a reader.
      if (reads) {
        expect(hint, `${operation} ${name}`).toEqual({ readOnlyHint: true });
        continue;
      }
      // What is MCP's default is left out: it writes, repeating it is not harmless, it destroys.
      const { readOnlyHint = false, idempotentHint = false, destructiveHint = true } = hint ?? {};
      expect({ readOnlyHint, idempotentHint, destructiveHint }, `${operation} ${name}`).toEqual({
        readOnlyHint: false,
        idempotentHint: operation !== 'create' && operation !== 'process',
        destructiveHint:
          ['update', 'patch', 'delete'].includes(operation) || (operation === 'process' && name === 'chat_message'),
      });
    }
  }
});

describe.each(KINDS)('$name', (kind) => {
  const { name, plural, status } = kind;
  const create = (args: Args = kind.least(parents)) => checked(client, `create_${name}`, args);
  const get = (id: string) => checked(client, `get_${name}`, { id });
  const most = () => kind.most(parents);

  it('is made with all that can be said of it, and read back whole', async () => {
    const made = await create(most());
    expect(made).toMatchObject({ version: 1, status, vaultId: 'sales', archived: false, replayed: false });
    const read = await get(made.id);
    expect(read).toMatchObject({
      ...most(),
      id: made.id,
      version: 1,
      status,
      createdBy: 'test',
      updatedBy: 'test',
      archivedAt: null,
    });
    expect(read.createdAt).toBe(read.updatedAt);
    expect(read.text).toContain(made.id);
  });

  it('is made with the least, and the rest is as documented', async () => {
    const made = await create();
    expect(await get(made.id)).toMatchObject({ ...kind.least(parents), ...kind.defaults });
  });

  it('is replaced: what is left out gets its default, the vault stays', async () => {
    const { id } = await create(most());
    const before = await get(id);
    const replaced = await checked(client, `update_${name}`, { id, version: 1, ...kind.replacement });
    expect(replaced).toMatchObject({ id, version: 2, status, vaultId: 'sales' });
    const changeable = Object.fromEntries(
      Object.entries(kind.defaults).filter(([field]) => !['role', 'replyTo'].includes(field)),
    );
    const after = await get(id);
    expect(after).toMatchObject({
      ...changeable,
      ...kind.replacement,
      vaultId: 'sales',
      version: 2,
      createdAt: before.createdAt,
    });
    expect(micros(after.updatedAt)).toBeGreaterThan(micros(before.updatedAt));
  });

  it('is patched: only what is given changes, and null empties', async () => {
    const { id } = await create(most());
    await checked(client, `patch_${name}`, { id, version: 1, ...kind.part });
    expect(await get(id)).toMatchObject({ ...most(), ...kind.part, version: 2 });
    await checked(client, `patch_${name}`, { id, version: 2, [kind.emptied]: null });
    expect(await get(id)).toMatchObject({ ...most(), ...kind.part, [kind.emptied]: null, version: 3 });
  });

  it.each(['update', 'patch'])(
    'refuses to %s another version than the present one, and says which that is',
    async (operation) => {
      const { id } = await create();
      await checked(client, `patch_${name}`, { id, version: 1, ...kind.part });
      for (const version of [1, 3]) {
        const error = await callError(client, `${operation}_${name}`, { id, version, ...kind.replacement });
        expect(error).toMatchObject({ code: 'stale_version', retryable: false, field: 'version' });
        expect(error.text).toMatch(new RegExp(`is at version 2, not ${version}.*get_${name}.*with version 2`));
      }
      expect(await get(id)).toMatchObject({ version: 2, ...kind.part });
    },
  );

  it('of eight patches at once that read one version, one is kept and seven are refused', async () => {
    const { id } = await create();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, () => checked(client, `patch_${name}`, { id, version: 1, ...kind.part })),
    );
    expect(outcomes.filter(({ status: outcome }) => outcome === 'fulfilled')).toHaveLength(1);
    expect(await get(id)).toMatchObject({ version: 2 });
  });

  it('is not patched by nothing', async () => {
    const { id } = await create();
    const error = await callError(client, `patch_${name}`, { id, version: 1 });
    expect(error).toMatchObject({ code: 'invalid_argument', text: expect.stringContaining('Send at least one of') });
  });

  it('is archived, left out of lists, and brought back; doing it again changes nothing', async () => {
    const { id } = await create();
    const listed = async (archived?: string) =>
      (await idsOfAllPages(client, plural, { limit: 100, ...(archived === undefined ? {} : { archived }) })).includes(
        id,
      );
    expect([await listed(), await listed('only'), await listed('include')]).toEqual([true, false, true]);
    const archived = await checked(client, `archive_${name}`, { id });
    expect(archived).toMatchObject({ archived: true, version: 2, status });
    expect(await checked(client, `archive_${name}`, { id })).toEqual(archived);
    expect([await listed(), await listed('only'), await listed('include')]).toEqual([false, true, true]);
    const { archivedAt, createdAt } = await get(id);
    expect(micros(archivedAt)).toBeGreaterThan(micros(createdAt));
    expect(micros(archivedAt)).toBeLessThanOrEqual(micros(archived.updatedAt));
    const back = await checked(client, `archive_${name}`, { id, archived: false });
    expect(back).toMatchObject({ archived: false, version: 3 });
    expect(await checked(client, `archive_${name}`, { id, archived: false })).toEqual(back);
    expect((await get(id)).archivedAt).toBeNull();
    expect([await listed(), await listed('only')]).toEqual([true, false]);
  });

  it('is deleted for good, in the version that is meant', async () => {
    const { id } = await create();
    await checked(client, `patch_${name}`, { id, version: 1, ...kind.part });
    expect(await callError(client, `delete_${name}`, { id, version: 1 })).toMatchObject({ code: 'stale_version' });
    const deleted = await checked<{ deleted: Args }>(client, `delete_${name}`, { id, version: 2 });
    expect(deleted.deleted).toMatchObject({ [plural]: 1 });
    expect(await callError(client, `get_${name}`, { id })).toMatchObject({ code: 'not_found' });
    expect(await callError(client, `delete_${name}`, { id })).toMatchObject({ code: 'not_found' });
    const other = await create();
    expect(await checked(client, `delete_${name}`, { id: other.id })).toMatchObject({ id: other.id });
  });

  it.each<[string, Args]>([
    ['get', {}],
    ['update', { version: 1, ...kind.replacement }],
    ['patch', { version: 1, ...kind.part }],
    ['delete', {}],
    ['archive', {}],
    ['archive', { archived: false }],
  ])('that is not there: %s says so and where the ids are', async (operation, args) => {
    const error = await callError(client, `${operation}_${name}`, { id: NOBODY, ...args });
    expect(error).toMatchObject({ code: 'not_found', field: 'id', retryable: false });
    expect(error.text).toContain(`list_${plural} gives the ids`);
  });

  it('is shown in lists as it is, long texts cut', async () => {
    const long = name === 'task' ? 'description' : name === 'chat' ? undefined : 'body';
    const { id } = await create({ ...most(), ...(long === undefined ? {} : { [long]: `ä😀${'x'.repeat(400)}` }) });
    const page = await checked<Page>(client, `list_${plural}`, { limit: 1 });
    const [listed] = page[plural] as Entry[];
    const { text: _, ...whole } = await get(id);
    if (long === undefined) {
      expect(listed).toEqual(whole);
    } else {
      expect(listed).toEqual({ ...whole, [long]: `ä😀${'x'.repeat(278)}`, truncated: true });
      expect(String(whole[long])).toHaveLength(403);
    }
    expect(page.text).toContain(id);
    expect(page.nextCursor).toBeDefined();
  });

  it.each<[string, string, Args, string | undefined]>([
    ['an id of no form', 'get', { id: 'x' }, 'id'],
    ['no id', 'get', {}, 'id'],
    ['an unknown argument', 'list', { colour: 'red' }, 'colour'],
    ['a limit of 0', 'list', { limit: 0 }, 'limit'],
    ['a limit of 101', 'list', { limit: 101 }, 'limit'],
    ['an order that is not offered', 'list', { sort: 'random' }, 'sort'],
    ['an unknown status', 'list', { status: 'lost' }, 'status'],
    ['no version', 'update', { id: NOBODY, ...kind.replacement }, 'version'],
    ['no version', 'patch', { id: NOBODY, ...kind.part }, 'version'],
    ['half a version', 'patch', { id: NOBODY, version: 1.5, ...kind.part }, 'version'],
    ['a version of 0', 'delete', { id: NOBODY, version: 0 }, 'version'],
    ['an unknown action', 'process', { id: NOBODY, action: 'explode' }, 'action'],
    ['an archived in words', 'archive', { id: NOBODY, archived: 'yes' }, 'archived'],
    ['a key with blanks', 'create', { idempotencyKey: 'a b' }, 'idempotencyKey'],
    ['a column that only the database sets', 'patch', { id: NOBODY, version: 1, createdBy: 'me' }, 'createdBy'],
  ])('refuses %s (%s)', async (_sentence, operation, args, field) => {
    const tool = operation === 'list' ? `list_${plural}` : `${operation}_${name}`;
    const given = operation === 'create' ? { ...kind.least(parents), ...args } : args;
    const error = await callError(client, tool, given);
    expect(error).toMatchObject({ code: 'invalid_argument', text: expect.stringContaining(tool) });
    expect(error.field).toBe(field);
  });

  it('refuses a cursor of another list and one under another filter', async () => {
    await create();
    await create();
    const { nextCursor } = await checked<Page>(client, `list_${plural}`, { limit: 1 });
    for (const args of [
      { cursor: 'abc' },
      { cursor: nextCursor, sort: 'oldest' },
      { cursor: nextCursor, archived: 'include' },
    ]) {
      expect(await callError(client, `list_${plural}`, args)).toMatchObject({ code: 'invalid_cursor' });
    }
  });
});

describe('bounds', () => {
  it.each<[string, string, Args, string]>([
    ['an empty title', 'create_note', { title: '  ' }, 'title'],
    ['a title of 301 characters', 'create_note', { title: 'x'.repeat(301) }, 'title'],
    ['a body of 100,001 characters', 'create_note', { title: 'x', body: 'x'.repeat(100_001) }, 'body'],
    ['a NUL', 'create_note', { title: 'x', body: 'a\0b' }, 'body'],
    ['a lone surrogate', 'create_note', { title: 'x', body: '\ud83d' }, 'body'],
    ['a lone surrogate in a tag', 'create_note', { title: 'x', tags: ['\udc00'] }, 'tags'],
    ['21 tags', 'create_note', { title: 'x', tags: Array(21).fill('t') }, 'tags'],
    ['a tag of 51 characters', 'create_note', { title: 'x', tags: ['t'.repeat(51)] }, 'tags'],
    ['an empty tag', 'create_note', { title: 'x', tags: [''] }, 'tags'],
    ['51 participants', 'create_chat', { title: 'x', participants: Array(51).fill('p') }, 'participants'],
    ['a language that is none', 'create_note', { title: 'x', language: 'german!' }, 'language'],
    ['a date that is none', 'create_task', { title: 'x', dueAt: '2026-02-30' }, 'dueAt'],
    ['an offset that is none', 'create_task', { title: 'x', dueAt: '2026-02-03T10:00:00+23:00' }, 'dueAt'],
    ['a priority that is none', 'create_task', { title: 'x', priority: 'asap' }, 'priority'],
    ['a recording id of no form', 'create_note', { title: 'x', recordingId: 'call 7' }, 'recordingId'],
    ['a comment without words', 'create_comment', { parentKind: 'note', parentId: NOBODY, body: '' }, 'body'],
    ['a parent of no kind', 'create_comment', { parentKind: 'vault', parentId: NOBODY, body: 'x' }, 'parentKind'],
    ['a key of 201 characters', 'create_note', { title: 'x', idempotencyKey: 'k'.repeat(201) }, 'idempotencyKey'],
  ])('%s is refused and named', async (_sentence, tool, args, field) => {
    expect(await callError(client, tool, args)).toMatchObject({ code: 'invalid_argument', field });
  });

  it.each([
    ['plain', 'x'],
    ['escaped in JSON', '\u0001'],
    ['of four bytes', '😀'.slice(0, 2)],
  ])('100,000 characters, %s, are kept as they are', async (_sentence, unit) => {
    const body = unit.repeat(100_000 / unit.length);
    const { id } = await checked(client, 'create_note', { title: 'x'.repeat(300), body });
    let read = '';
    for (let fromCharacter: unknown = 0; fromCharacter !== undefined; ) {
      const part = await checked(client, 'get_note', { id, fromCharacter });
      read += part.body;
      fromCharacter = part.nextCharacter;
    }
    expect(read === body).toBe(true);
  });

  it('a date without a time is its first instant, UTC', async () => {
    const { id } = await checked(client, 'create_task', { title: 'x', dueAt: '2026-05-01' });
    expect(await checked(client, 'get_task', { id })).toMatchObject({ dueAt: '2026-05-01T00:00:00Z' });
  });
});

describe('references', () => {
  it.each<[string, string, () => Args, string, RegExp]>([
    ['a recording', 'create_note', () => ({ title: 'x', recordingId: NOBODY }), 'recordingId', /list_recordings/],
    ['an old call', 'create_task', () => ({ title: 'x', recordingId: 'fathom-99' }), 'recordingId', /list_recordings/],
    ['a chat', 'create_chat_message', () => ({ chatId: NOBODY, body: 'x' }), 'chatId', /list_chats/],
    [
      'a message',
      'create_chat_message',
      () => ({ chatId: parents.chat, body: 'x', replyTo: NOBODY }),
      'replyTo',
      /list_chat_messages/,
    ],
    ['a note', 'create_comment', () => ({ parentKind: 'note', parentId: NOBODY, body: 'x' }), 'parentId', /list_notes/],
    [
      'a note by the id of a chat',
      'create_comment',
      () => ({ parentKind: 'note', parentId: parents.chat, body: 'x' }),
      'parentId',
      /list_notes/,
    ],
    [
      'a task of no form',
      'create_comment',
      () => ({ parentKind: 'task', parentId: 'x', body: 'x' }),
      'parentId',
      /list_tasks/,
    ],
    [
      'a recording',
      'create_comment',
      () => ({ parentKind: 'recording', parentId: NOBODY, body: 'x' }),
      'parentId',
      /list_recordings/,
    ],
    ['a vault', 'create_note', () => ({ title: 'x', vaultId: 'nowhere' }), 'vaultId', /list_vaults/],
  ])('%s that is not there is named by %s', async (_sentence, tool, args, field, remedy) => {
    const error = await callError(client, tool, args());
    expect(error).toMatchObject({ code: 'not_found', field });
    expect(error.text).toMatch(remedy);
  });

  it('a message of another chat is no message to reply to', async () => {
    const other = await checked(client, 'create_chat', { title: 'Other' });
    const args = { chatId: other.id, body: 'x', replyTo: parents.message };
    expect(await callError(client, 'create_chat_message', args)).toMatchObject({ code: 'not_found', field: 'replyTo' });
  });

  it('a closed chat takes no message until it is opened again', async () => {
    const chat = await checked(client, 'create_chat', { title: 'Short' });
    await checked(client, 'process_chat', { id: chat.id, action: 'close' });
    const error = await callError(client, 'create_chat_message', { chatId: chat.id, body: 'x' });
    expect(error).toMatchObject({ code: 'conflict', field: 'chatId', text: expect.stringContaining('process_chat') });
    await checked(client, 'process_chat', { id: chat.id, action: 'reopen' });
    await checked(client, 'create_chat_message', { chatId: chat.id, body: 'x' });
  });

  it('a redacted message stays without its text', async () => {
    const { id } = await checked(client, 'create_chat_message', { chatId: parents.chat, body: 'A secret.' });
    await checked(client, 'process_chat_message', { id, action: 'redact' });
    expect(await checked(client, 'get_chat_message', { id })).toMatchObject({
      body: '',
      status: 'redacted',
      version: 2,
    });
    expect(await callError(client, 'patch_chat_message', { id, version: 2, body: 'Again.' })).toMatchObject({
      code: 'conflict',
      field: 'body',
    });
    await checked(client, 'patch_chat_message', { id, version: 2, author: 'Ann' });
  });

  it('what belongs to a deleted chat goes with it, and is counted', async () => {
    const chat = await checked(client, 'create_chat', { title: 'Gone' });
    const message = await checked(client, 'create_chat_message', { chatId: chat.id, body: 'x' });
    await checked(client, 'create_chat_message', { chatId: chat.id, body: 'y', replyTo: message.id });
    const comment = await checked(client, 'create_comment', { parentKind: 'chat', parentId: chat.id, body: 'z' });
    const deleted = await checked<{ deleted: Args }>(client, 'delete_chat', { id: chat.id });
    expect(deleted.deleted).toEqual({ chats: 1, chat_messages: 2, comments: 1 });
    expect(deleted.text).toMatch(/1 comment and 2 chat messages/);
    expect(await callError(client, 'get_chat_message', { id: message.id })).toMatchObject({ code: 'not_found' });
    expect(await callError(client, 'get_comment', { id: comment.id })).toMatchObject({ code: 'not_found' });
  });

  it('a reply outlives what it replied to', async () => {
    const first = await checked(client, 'create_chat_message', { chatId: parents.chat, body: 'x' });
    const reply = await checked(client, 'create_chat_message', { chatId: parents.chat, body: 'y', replyTo: first.id });
    await checked(client, 'delete_chat_message', { id: first.id });
    expect(await checked(client, 'get_chat_message', { id: reply.id })).toMatchObject({ replyTo: null });
  });
});
