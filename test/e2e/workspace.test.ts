/** R3.1, R3.9, R3.10: every tool of the workspace, by an SDK client through the front door. */
import type { Client } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bankManifest,
  callTool,
  conditionOf,
  connect,
  type Era,
  kubectl,
  mintToken,
  platform,
  tryKubectl,
} from './platform.ts';

const ID = 'e2e-work';
const URL_OF_BANK = `${platform.frontDoor}/mcp/bank-${ID}`;
const BOTH = ['mcp:read', 'mcp:write'];

interface Receipt {
  id: string;
  version: number;
  status: string;
}

/** One row of each entity, and what to do with it. */
const LIVES: {
  name: string;
  plural: string;
  create: (chat: string) => Record<string, unknown>;
  patch: Record<string, unknown>;
  update: Record<string, unknown>;
  action: string;
  status: string;
}[] = [
  {
    name: 'note',
    plural: 'notes',
    create: () => ({ title: 'Renewal', body: 'They sign in spring.', vaultId: 'sales' }),
    patch: { pinned: true },
    update: { title: 'Renewal 2027' },
    action: 'finalize',
    status: 'final',
  },
  {
    name: 'task',
    plural: 'tasks',
    create: () => ({ title: 'Call back', priority: 'high', dueAt: '2026-12-01T09:00:00Z', vaultId: 'sales' }),
    patch: { assignee: 'ann@example.com' },
    update: { title: 'Call back twice' },
    action: 'start',
    status: 'in_progress',
  },
  {
    name: 'comment',
    plural: 'comments',
    create: (chat) => ({ parentKind: 'chat', parentId: chat, body: 'Who is this?' }),
    patch: { body: 'Who was this?' },
    update: { body: 'Never mind.' },
    action: 'resolve',
    status: 'resolved',
  },
  {
    name: 'chat',
    plural: 'chats',
    create: () => ({ title: 'Onboarding', participants: ['ann@example.com'], vaultId: 'sales' }),
    patch: { tags: ['new'] },
    update: { title: 'Onboarding, part two' },
    action: 'close',
    status: 'closed',
  },
  {
    name: 'chat_message',
    plural: 'chat_messages',
    create: (chat) => ({ chatId: chat, body: 'Good morning' }),
    patch: { body: 'Good evening' },
    update: { body: 'Good night' },
    action: 'pin',
    status: 'pinned',
  },
];

let writer: Client & AsyncDisposable;
let chat: string;
beforeAll(async () => {
  await kubectl(['apply', '-f', '-'], bankManifest(ID, { vaults: [{ id: 'sales' }, { id: 'support' }] }));
  await conditionOf(ID, 'Ready', 'True');
  writer = await connect(URL_OF_BANK, await mintToken(ID, { scopes: BOTH }));
  chat = (await callTool<Receipt>(writer, 'create_chat', { title: 'Host', vaultId: 'sales' })).id;
});
afterAll(async () => {
  await writer?.close();
  await tryKubectl(['delete', 'bank', ID, '-n', 'banks', '--ignore-not-found']);
});

async function failure(client: Client, name: string, args: Record<string, unknown>): Promise<string> {
  const result = await client.callTool({ name, arguments: args });
  if (result.isError !== true) throw new Error(`${name} succeeded`);
  return (result._meta?.['bankhouse.dev/error'] as { code: string } | undefined)?.code ?? 'no code';
}

it.each<Era>(['modern', 'legacy'])(
  'a %s client sees eight tools for each of five entities, and three beyond',
  async (era) => {
    await using client = await connect(URL_OF_BANK, await mintToken(ID), era);
    const names = (await client.listTools()).tools.map((tool) => tool.name);
    const expected = LIVES.flatMap(({ name, plural }) => [
      `list_${plural}`,
      ...['get', 'create', 'update', 'patch', 'delete', 'archive', 'process'].map((verb) => `${verb}_${name}`),
    ]);
    expect(names).toEqual(expect.arrayContaining([...expected, 'batch', 'query', 'search']));
  },
);

describe.each(LIVES)('a $name', ({ name, plural, create, patch, update, action, status }) => {
  it('lives from create to delete', async () => {
    const made = await callTool<Receipt>(writer, `create_${name}`, create(chat));
    expect(await callTool(writer, `get_${name}`, { id: made.id })).toMatchObject(create(chat));
    const listed = () =>
      callTool<Record<string, { id: string }[]>>(writer, `list_${plural}`).then((page) =>
        page[plural]?.map(({ id }) => id),
      );
    expect(await listed()).toContain(made.id);

    const patched = await callTool<Receipt>(writer, `patch_${name}`, { id: made.id, version: made.version, ...patch });
    expect(await failure(writer, `patch_${name}`, { id: made.id, version: made.version, ...patch })).toBe(
      'stale_version',
    );
    expect(await callTool(writer, `get_${name}`, { id: made.id })).toMatchObject({ ...create(chat), ...patch });

    const updated = await callTool<Receipt>(writer, `update_${name}`, {
      id: made.id,
      version: patched.version,
      ...update,
      ...(name === 'note' || name === 'task' || name === 'chat' ? { vaultId: 'sales' } : {}),
    });
    expect(await callTool(writer, `get_${name}`, { id: made.id })).toMatchObject({
      ...update,
      version: updated.version,
    });

    await callTool(writer, `archive_${name}`, { id: made.id });
    expect(await listed()).not.toContain(made.id);
    await callTool(writer, `archive_${name}`, { id: made.id, archived: false });
    expect(await listed()).toContain(made.id);

    expect(await callTool(writer, `process_${name}`, { id: made.id, action })).toMatchObject({ status });
    expect(await failure(writer, `process_${name}`, { id: made.id, action })).toBe('invalid_transition');

    await callTool(writer, `delete_${name}`, { id: made.id });
    expect(await failure(writer, `get_${name}`, { id: made.id })).toBe('not_found');
  });
});

it('a batch makes a chat with its first message, or nothing', async () => {
  const operations = (body: string) => [
    { tool: 'create_chat', arguments: { title: 'Batched', vaultId: 'sales' }, as: 'chat' },
    { tool: 'create_chat_message', arguments: { chatId: { $result: 'chat.id' }, body } },
  ];
  const { results } = await callTool<{ results: unknown[] }>(writer, 'batch', { operations: operations('Hello') });
  expect(results).toHaveLength(2);
  const count = () =>
    callTool<{ rows: unknown[] }>(writer, 'query', {
      kind: 'chat',
      filter: { field: 'title', op: 'eq', value: 'Batched' },
      aggregate: [{ function: 'count', as: 'n' }],
    });
  const before = await count();
  expect(await failure(writer, 'batch', { operations: operations('') })).toBe('batch_failed');
  expect(await count()).toEqual(before);
});

it('a search finds in every kind what was written, in its language', async () => {
  const { id } = await callTool<Receipt>(writer, 'create_note', {
    title: 'Mietverträge',
    body: 'Zwei Verträge sind gekündigt.',
    language: 'de',
    vaultId: 'support',
  });
  const found = async (query: string) =>
    (await callTool<{ results: { id: string }[] }>(writer, 'search', { query })).results.map((hit) => hit.id);
  expect(await found('Vertrag')).toContain(id);
  expect(await found('Vertrag -gekündigt')).not.toContain(id);
});

describe('a token', () => {
  it('for one vault writes into it, sees it alone, and nothing else', async () => {
    const { id: hidden } = await callTool<Receipt>(writer, 'create_note', { title: 'Secret', vaultId: 'support' });
    await using sales = await connect(URL_OF_BANK, await mintToken(ID, { scopes: BOTH, vaults: ['sales'] }));
    const { id } = await callTool<Receipt>(sales, 'create_note', { title: 'Ours' });
    expect(await callTool(writer, 'get_note', { id })).toMatchObject({ vaultId: 'sales' });
    for (const [tool, args] of [
      ['get_note', { id: hidden }],
      ['patch_note', { id: hidden, version: 1, title: 'x' }],
      ['delete_note', { id: hidden }],
      ['create_comment', { parentKind: 'note', parentId: hidden, body: 'x' }],
    ] as const) {
      expect([tool, await failure(sales, tool, args)]).toEqual([tool, 'not_found']);
    }
  });

  it('that may only read is refused by the gateway when it writes (403)', async () => {
    await using reader = await connect(URL_OF_BANK, await mintToken(ID, { scopes: ['mcp:read'] }));
    await expect(reader.callTool({ name: 'create_note', arguments: { title: 'no' } })).rejects.toThrow();
    expect(await callTool(reader, 'list_notes')).toBeDefined();
  });
});

it('semantic search is off where nothing is configured, and says what to set (R3.12)', async () => {
  expect(await failure(writer, 'semantic_search', { query: 'anything' })).toBe('not_configured');
  expect((await writer.listTools()).tools.map((tool) => tool.name)).not.toContain('semantic_search');
});
