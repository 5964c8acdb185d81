import { randomUUID } from 'node:crypto';
import type { Assertion } from '@bankhouse/core';
import { type Tool, toolsetsNamed } from '@bankhouse/server';
import type { Client } from '@modelcontextprotocol/client';
import { startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { asLoader, call, type RunningBank, runBank } from '../server/support.ts';

export type Args = Record<string, unknown>;
export type Entry = Args & { id: string; version: number; status: string; vaultId: string | null; text: string };
export type Page = Record<string, unknown> & { nextCursor?: string; text: string };

/** A call in `sales`, one in both vaults, and one of the old table in `support`. */
export const IN_SALES = '00000000-0000-4000-8000-000000000001';
export const IN_BOTH = '00000000-0000-4000-8000-000000000002';
export const LEGACY = 'fathom-7';
export const NOBODY = '00000000-0000-4000-8000-0000000000ff';

const toolsets = toolsetsNamed(['recordings', 'workspace']);
const outputs = new Map(
  toolsets
    .flatMap((toolset) => toolset.tools)
    .flatMap((tool: Tool) => (tool.place === 'local' ? [[tool.name, tool.output] as const] : [])),
);

/** A bank with a few calls and all of the workspace's tools. */
export async function runWorkspace(postgres: TestPostgres, id: string): Promise<RunningBank> {
  const running = await runBank(postgres, id, { toolsets });
  await asLoader(postgres, async (client) => {
    await client.query('begin');
    await client.query(
      `insert into bank.recordings (bank_id, id, title, started_at, duration_seconds)
       select $1, id::uuid, 'A call', now(), 60 from unnest($2::text[]) id`,
      [id, [IN_SALES, IN_BOTH]],
    );
    await client.query(
      `insert into bank.vault_entries (bank_id, vault_id, recording_id)
       values ($1, 'sales', $2), ($1, 'sales', $3), ($1, 'support', $3)`,
      [id, IN_SALES, IN_BOTH],
    );
    await client.query(
      `insert into bank.fathom_calls (bank_id, id, vault_id, title, recording_start_time, recording_end_time)
       values ($1, 7, 'support', 'An old call', now() - interval '1 hour', now())`,
      [id],
    );
    await client.query('commit');
  });
  return running;
}

/** What most of these tests stand on: a bank as above, a client that may write everywhere, and rows to write below. */
export interface Workspace extends AsyncDisposable {
  readonly postgres: TestPostgres;
  readonly running: RunningBank;
  readonly client: Client;
  readonly parents: Parents;
}

export async function startWorkspace(): Promise<Workspace> {
  const stack = new AsyncDisposableStack();
  const postgres = stack.adopt(await startPostgres(), (started) => started.stop());
  try {
    const running = stack.use(await runWorkspace(postgres, 'acme'));
    const client = stack.use(await writer(running));
    await client.listTools();
    const parents = await makeParents(client);
    return { postgres, running, client, parents, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** A client that may write, for all vaults or some. */
export function writer(running: RunningBank, vaults: string[] | null = null, changes: Partial<Assertion> = {}) {
  return running.connect('modern', { scopes: ['mcp:read', 'mcp:write'], vaults, ...changes });
}

/** A call whose answer holds what its output schema names, and nothing else. */
export async function checked<T = Entry>(client: Client, name: string, args: Args = {}): Promise<T & { text: string }> {
  const { text, ...answer } = await call<Args>(client, name, args);
  const parsed = outputs.get(name)?.parse(answer);
  if (JSON.stringify(sorted(parsed)) !== JSON.stringify(sorted(answer))) {
    throw new Error(`${name} answers more than its output schema names: ${JSON.stringify(answer)}`);
  }
  return { ...answer, text } as T & { text: string };
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, child]) => [key, sorted(child)]),
  );
}

export async function allPages(client: Client, plural: string, args: Args): Promise<Entry[]> {
  const entries: Entry[] = [];
  let cursor: string | undefined;
  do {
    const page: Page = await checked<Page>(client, `list_${plural}`, {
      ...args,
      ...(cursor === undefined ? {} : { cursor }),
    });
    entries.push(...(page[plural] as Entry[]));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return entries;
}

export async function idsOfAllPages(client: Client, plural: string, args: Args): Promise<string[]> {
  return (await allPages(client, plural, args)).map(({ id }) => id);
}

/** An entity as the tests see it: written down once more, so that a slip in a definition does not pass. */
export interface Kind {
  readonly name: string;
  readonly plural: string;
  readonly status: string;
  /** The least that makes one. */
  readonly least: (parents: Parents) => Args;
  /** All that create takes. */
  readonly most: (parents: Parents) => Args;
  /** What `least` leaves to the defaults, as get answers it. */
  readonly defaults: Args;
  /** For update: all that it can change. */
  readonly replacement: Args;
  /** For patch: one field; and one that null empties. */
  readonly part: Args;
  readonly emptied: string;
}

/** Rows in the vault `sales` that others belong to. */
export interface Parents {
  readonly note: string;
  readonly chat: string;
  readonly message: string;
}

export async function makeParents(client: Client): Promise<Parents> {
  const note = await checked(client, 'create_note', { title: 'Parent', vaultId: 'sales' });
  const chat = await checked(client, 'create_chat', { title: 'Parent', vaultId: 'sales' });
  const message = await checked(client, 'create_chat_message', { chatId: chat.id, body: 'First.' });
  return { note: note.id, chat: chat.id, message: message.id };
}

export const KINDS: readonly Kind[] = [
  {
    name: 'note',
    plural: 'notes',
    status: 'draft',
    least: () => ({ title: 'Pelicans' }),
    most: () => ({
      title: 'Pelicans',
      body: '# Birds\nThey fish.',
      pinned: true,
      tags: ['birds', 'Größe'],
      recordingId: IN_SALES,
      vaultId: 'sales',
      language: 'en-GB',
    }),
    defaults: { body: '', pinned: false, tags: [], recordingId: null, language: null },
    replacement: { title: 'Herons', body: 'They wait.' },
    part: { tags: ['other'] },
    emptied: 'recordingId',
  },
  {
    name: 'task',
    plural: 'tasks',
    status: 'open',
    least: () => ({ title: 'Feed the pelican' }),
    most: () => ({
      title: 'Feed the pelican',
      description: 'With fish.',
      priority: 'urgent',
      dueAt: '2026-12-24T09:30:00.000001Z',
      assignee: 'ann@example.com',
      tags: ['birds'],
      recordingId: IN_BOTH,
      vaultId: 'sales',
      language: 'en',
    }),
    defaults: {
      description: '',
      priority: 'normal',
      dueAt: null,
      assignee: null,
      tags: [],
      recordingId: null,
      completedAt: null,
      language: null,
    },
    replacement: { title: 'Feed the heron', priority: 'low' },
    part: { dueAt: '2027-01-01T00:00:00Z' },
    emptied: 'assignee',
  },
  {
    name: 'comment',
    plural: 'comments',
    status: 'open',
    least: ({ note }) => ({ parentKind: 'note', parentId: note, body: 'I agree.' }),
    most: () => ({
      parentKind: 'recording',
      parentId: IN_BOTH,
      body: 'I agree.',
      vaultId: 'sales',
      language: 'en',
    }),
    defaults: { language: null },
    replacement: { body: 'I do not.' },
    part: { body: 'Or do I?' },
    emptied: 'language',
  },
  {
    name: 'chat',
    plural: 'chats',
    status: 'open',
    least: () => ({ title: 'About pelicans' }),
    most: () => ({
      title: 'About pelicans',
      participants: ['Ann', 'ben@example.com'],
      tags: ['birds'],
      recordingId: IN_SALES,
      vaultId: 'sales',
      language: 'de',
    }),
    defaults: { participants: [], tags: [], recordingId: null, language: null },
    replacement: { title: 'About herons' },
    part: { participants: ['Cleo'] },
    emptied: 'recordingId',
  },
  {
    name: 'chat_message',
    plural: 'chat_messages',
    status: 'sent',
    least: ({ chat }) => ({ chatId: chat, body: 'Hello.' }),
    most: ({ chat, message }) => ({
      chatId: chat,
      role: 'assistant',
      author: 'Ann',
      body: 'Hello.',
      replyTo: message,
      language: 'en',
    }),
    defaults: { role: 'user', author: null, replyTo: null, language: null },
    replacement: { body: 'Good-bye.' },
    part: { author: 'Ben' },
    emptied: 'author',
  },
];

/** A text that no other entry has. */
export function unique(): string {
  return `unique ${randomUUID()}`;
}

/** Microseconds since 1970. Instants come without the zeros at their ends, so as texts they don't always compare as times do. */
export function micros(instant: unknown): number {
  const text = String(instant);
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? '';
  return Date.parse(text.replace(/\.\d+/, '')) * 1000 + Number(fraction.padEnd(6, '0'));
}
