/** Vault rules of the workspace's tools (R1.3, R1.6): what a token of some vaults sees, makes, changes and moves. */
import type { Client } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { callError, type RunningBank } from '../server/support.ts';
import {
  type Args,
  checked,
  IN_BOTH,
  IN_SALES,
  idsOfAllPages,
  KINDS,
  LEGACY,
  type Parents,
  runWorkspace,
  writer,
} from './support.ts';

let postgres: TestPostgres;
let running: RunningBank;
let all: Client;
let sales: Client;
let support: Client;
let both: Client;
beforeAll(async () => {
  postgres = await startPostgres();
  running = await runWorkspace(postgres, 'acme');
  const clients = await Promise.all([
    writer(running),
    writer(running, ['sales']),
    writer(running, ['support']),
    writer(running, ['sales', 'support']),
  ]);
  [all, sales, support, both] = clients as [Client, Client, Client, Client];
  for (const client of clients) await client.listTools();
});
afterAll(async () => {
  for (const client of [all, sales, support, both]) await client?.close();
  await running?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

async function parentsIn(vaultId: string | null): Promise<Parents> {
  const note = await checked(all, 'create_note', { title: 'Parent', vaultId });
  const chat = await checked(all, 'create_chat', { title: 'Parent', vaultId });
  const message = await checked(all, 'create_chat_message', { chatId: chat.id, body: 'First.' });
  return { note: note.id, chat: chat.id, message: message.id };
}

/** One of the kind in this vault. */
async function oneIn(kind: (typeof KINDS)[number], vaultId: string | null): Promise<string> {
  const parents = await parentsIn(vaultId);
  const placed = kind.name === 'comment' || kind.name === 'chat_message' ? {} : { vaultId };
  const made = await checked(all, `create_${kind.name}`, { ...kind.least(parents), ...placed });
  expect(made.vaultId).toBe(vaultId);
  return made.id;
}

describe.each(KINDS)('a $name', (kind) => {
  const { name, plural } = kind;

  it.each([
    ['sales', true, false, true],
    ['support', false, true, true],
    [null, false, false, false],
  ])('in vault %s is seen by who may', async (vaultId, bySales, bySupport, byBoth) => {
    const id = await oneIn(kind, vaultId);
    const sees = async (client: Client) => (await idsOfAllPages(client, plural, { limit: 100 })).includes(id);
    expect([await sees(all), await sees(sales), await sees(support), await sees(both)]).toEqual([
      true,
      bySales,
      bySupport,
      byBoth,
    ]);
  });

  it('in another vault is no more there than one that never was', async () => {
    const id = await oneIn(kind, 'support');
    const attempts: [string, Args][] = [
      ['get', {}],
      ['update', { version: 1, ...kind.replacement }],
      ['patch', { version: 1, ...kind.part }],
      ['patch', { version: 9, ...kind.part }],
      ['delete', {}],
      ['delete', { version: 9 }],
      ['archive', {}],
      ['process', { action: (await actionsOf(name))[0] }],
    ];
    const never = '00000000-0000-4000-8000-0000000000fe';
    for (const [operation, args] of attempts) {
      const hidden = await callError(sales, `${operation}_${name}`, { id, ...args });
      const absent = await callError(sales, `${operation}_${name}`, { id: never, ...args });
      expect(hidden).toEqual({ ...absent, text: absent.text.replace(never, id) });
      expect(hidden.code).toBe('not_found');
    }
    expect(await checked(all, `get_${name}`, { id })).toMatchObject({ version: 1, archivedAt: null });
  });
});

async function actionsOf(name: string): Promise<string[]> {
  const { tools } = await all.listTools();
  const properties = tools.find((tool) => tool.name === `process_${name}`)?.inputSchema.properties ?? {};
  return (properties.action as { enum: string[] }).enum;
}

describe.each(['note', 'task', 'chat'])('a new %s', (name) => {
  const make = (client: Client, args: Args = {}) => checked(client, `create_${name}`, { title: 'x', ...args });
  const fail = (client: Client, args: Args = {}) => callError(client, `create_${name}`, { title: 'x', ...args });

  it('of a token of one vault is in that one', async () => {
    expect(await make(sales)).toMatchObject({ vaultId: 'sales' });
    expect(await make(support, { vaultId: 'support' })).toMatchObject({ vaultId: 'support' });
  });

  it('of a token of several says which, and is told which there are', async () => {
    const error = await fail(both);
    expect(error).toMatchObject({ code: 'invalid_argument', field: 'vaultId' });
    expect(error.text).toContain('sales, support');
    expect(await make(both, { vaultId: 'support' })).toMatchObject({ vaultId: 'support' });
  });

  it('of a token of all vaults may be in none', async () => {
    expect(await make(all)).toMatchObject({ vaultId: null });
    expect(await make(all, { vaultId: null })).toMatchObject({ vaultId: null });
  });

  it('can not be in a vault that the token does not open, nor in none', async () => {
    const foreign = await fail(sales, { vaultId: 'support' });
    expect(foreign).toMatchObject({ code: 'not_found', field: 'vaultId' });
    expect(foreign).toEqual(await fail(sales, { vaultId: 'nowhere' }));
    expect(await fail(all, { vaultId: 'nowhere' })).toEqual(foreign);
    expect(await fail(sales, { vaultId: null })).toMatchObject({ code: 'invalid_argument', field: 'vaultId' });
  });

  it('of a token of no vault has no place', async () => {
    await using none = await writer(running, []);
    expect(await fail(none)).toMatchObject({ code: 'forbidden', field: 'vaultId' });
  });

  it('can be moved between vaults that the token opens, and taken along is what belongs to it', async () => {
    const { id } = await make(both, { vaultId: 'sales' });
    const comment = await checked(both, 'create_comment', { parentKind: name, parentId: id, body: 'x' });
    expect(comment.vaultId).toBe('sales');
    expect(await callError(sales, `patch_${name}`, { id, version: 1, vaultId: 'support' })).toMatchObject({
      code: 'not_found',
    });
    expect(await callError(sales, `patch_${name}`, { id, version: 1, vaultId: null })).toMatchObject({
      code: 'invalid_argument',
    });
    expect(await checked(both, `patch_${name}`, { id, version: 1, vaultId: 'support' })).toMatchObject({
      vaultId: 'support',
    });
    expect(await callError(sales, `get_${name}`, { id })).toMatchObject({ code: 'not_found' });
    expect(await callError(sales, 'get_comment', { id: comment.id })).toMatchObject({ code: 'not_found' });
    expect(await checked(support, 'get_comment', { id: comment.id })).toMatchObject({ vaultId: 'support' });
    expect(await checked(support, `update_${name}`, { id, version: 2, title: 'y' })).toMatchObject({
      vaultId: 'support',
    });
    expect(await checked(all, `update_${name}`, { id, version: 3, title: 'y', vaultId: null })).toMatchObject({
      vaultId: null,
    });
    expect(await callError(both, 'get_comment', { id: comment.id })).toMatchObject({ code: 'not_found' });
  });

  it('can not name a recording that the token does not open', async () => {
    const hidden = await fail(sales, { recordingId: LEGACY });
    expect(hidden).toMatchObject({ code: 'not_found', field: 'recordingId' });
    expect(hidden).toEqual(await fail(sales, { recordingId: 'fathom-99' }));
    expect(await make(support, { recordingId: LEGACY })).toMatchObject({ vaultId: 'support' });
  });
});

describe('a comment', () => {
  const comment = (client: Client, parentId: string, args: Args = {}) =>
    checked(client, 'create_comment', { parentKind: 'recording', parentId, body: 'x', ...args });
  const fail = (client: Client, args: Args) =>
    callError(client, 'create_comment', { parentKind: 'recording', parentId: IN_BOTH, body: 'x', ...args });

  it("on a recording is in the recording's vault", async () => {
    expect(await comment(all, IN_SALES)).toMatchObject({ vaultId: 'sales' });
    expect(await comment(all, LEGACY)).toMatchObject({ vaultId: 'support' });
  });

  it('on a recording of several vaults says which, unless the token opens only one of them', async () => {
    const error = await fail(all, {});
    expect(error).toMatchObject({ code: 'invalid_argument', field: 'vaultId' });
    expect(error.text).toContain('sales, support');
    expect(await comment(all, IN_BOTH, { vaultId: 'support' })).toMatchObject({ vaultId: 'support' });
    expect(await comment(sales, IN_BOTH)).toMatchObject({ vaultId: 'sales' });
    const narrow = await fail(sales, { vaultId: 'support' });
    expect(narrow).toMatchObject({ code: 'invalid_argument', field: 'vaultId' });
    expect(narrow.text).not.toContain('support.');
  });

  it('on what the token does not open is on nothing', async () => {
    const hidden = await parentsIn('support');
    const absent = await fail(sales, { parentKind: 'note', parentId: '00000000-0000-4000-8000-0000000000fe' });
    expect(absent).toMatchObject({ code: 'not_found', field: 'parentId' });
    expect(await fail(sales, { parentKind: 'note', parentId: hidden.note })).toEqual(absent);
    expect(await fail(sales, { parentKind: 'chat', parentId: hidden.chat })).toEqual(absent);
    expect(await fail(sales, { parentKind: 'recording', parentId: LEGACY })).toEqual(absent);
  });
});

describe('a message', () => {
  it('in a chat that the token does not open is in none', async () => {
    const hidden = await parentsIn('support');
    const error = await callError(sales, 'create_chat_message', { chatId: hidden.chat, body: 'x' });
    expect(error).toMatchObject({ code: 'not_found', field: 'chatId' });
    expect(await checked(support, 'create_chat_message', { chatId: hidden.chat, body: 'x' })).toMatchObject({
      vaultId: 'support',
    });
  });
});

describe('a token that may only read', () => {
  it('is let in to read, and refused at the door when it writes', async () => {
    await using reader = await running.connect('modern', { scopes: ['mcp:read'] });
    await checked(reader, 'list_notes');
    await expect(reader.callTool({ name: 'create_note', arguments: { title: 'x' } })).rejects.toThrow();
  });

  it.each<[string, string, Record<string, unknown>]>([
    ['create', 'api.create_row(\'note\', \'{"title": "x"}\')', { replayed: false }],
    ['change', 'api.change_row(\'note\', $1, 1, \'{"title": "y"}\')', { changed: true }],
    ['archive', "api.archive_row('note', $1, true)", { changed: true }],
    ['process', "api.process_row('note', $1, 'finalize')", { changed: true }],
    ['delete', "api.delete_row('note', $1)", { changed: true }],
    ['key', "api.claim_batch('k', repeat('x', 32)::bytea)", { claimed: true }],
    ['outcome', "api.keep_outcome('k', '[]')", {}],
  ])('is refused by the database itself, whatever its server sends: %s', async (_sentence, called, done) => {
    const { id } = await checked(all, 'create_note', { title: 'x' });
    const values = called.includes('$1') ? [id] : [];
    const changed = (scope: string) =>
      withClient(running.bank.url, async (client) => {
        await client.query('begin read write');
        const sealed = running.bank.seal({ scopes: [scope] });
        await client.query("select set_config('bankhouse.assertion', $1, true)", [sealed]);
        return (await client.query<{ answer: object }>(`select ${called} as answer`, values)).rows[0]?.answer || {};
      });
    await expect(changed('mcp:read')).rejects.toMatchObject({ code: '42501' });
    expect(await changed('mcp:write')).toMatchObject(done);
    expect(await checked(all, 'get_note', { id })).toMatchObject({ version: 1, title: 'x' });
  });
});
