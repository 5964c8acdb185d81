/** A bank with all of the workspace's tools, for batches. */
import type { Toolset } from '@bankhouse/server';
import type { CallToolResult, Client } from '@modelcontextprotocol/client';
import { workspace } from '../../../server/src/toolsets/workspace/index.ts';
import { startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { asLoader, call, type RunningBank, runBank, textOf } from '../server/support.ts';

const toolset: Toolset = { ...workspace({ recordings: false }), resources: [], prompts: [] };

export interface Operation {
  tool: string;
  arguments: Record<string, unknown>;
  as?: string;
}

interface Done {
  results: { tool: string; as?: string; result: Record<string, unknown> }[];
  dryRun: boolean;
  replayed: boolean;
  text: string;
}

interface Failure {
  code: string;
  field?: string;
  operation?: { index?: number; tool?: string; code: string };
  text: string;
}

export interface Batches extends AsyncDisposable {
  readonly postgres: TestPostgres;
  readonly running: RunningBank;
  /** May write everywhere. */
  readonly client: Client;
  batch(operations: Operation[], more?: Record<string, unknown>, as?: Client): Promise<Done>;
  /** Of a batch that must fail. */
  batchError(operations: unknown, as?: Client): Promise<Failure>;
  /** One operation of every sort, on rows that are there and on rows that the batch itself makes. */
  everySort(): Promise<Operation[]>;
  /** Every row of every entity and every idempotency key, as the database holds them. */
  everything(): Promise<unknown>;
}

export function op(tool: string, args: Record<string, unknown>, as?: string): Operation {
  return { tool, arguments: args, ...(as === undefined ? {} : { as }) };
}

/** A value that an earlier operation made. */
export function ref(to: string): { $result: string } {
  return { $result: to };
}

export async function startBatches(): Promise<Batches> {
  await using starting = new AsyncDisposableStack();
  const postgres = starting.adopt(await startPostgres(), (started) => started.stop());
  const running = starting.use(await runBank(postgres, 'acme', { toolsets: [toolset] }));
  const client = starting.use(await running.connect('modern', { scopes: ['mcp:read', 'mcp:write'] }));
  const batch: Batches['batch'] = (operations, more = {}, as = client) =>
    call<Done>(as, 'batch', { operations, ...more });
  const stack = starting.move();
  return {
    postgres,
    running,
    client,
    batch,
    batchError: (operations, as = client) => failureOf(as, operations),
    everySort: () => everySort(batch),
    everything: () => everything(postgres),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function failureOf(client: Client, operations: unknown): Promise<Failure> {
  const result: CallToolResult = await client.callTool({ name: 'batch', arguments: { operations } });
  if (result.isError !== true) throw new Error(`The batch succeeded: ${JSON.stringify(result.structuredContent)}`);
  return { ...(result._meta?.['bankhouse.dev/error'] as Failure), text: textOf(result) };
}

function everything(postgres: TestPostgres): Promise<unknown> {
  return asLoader(postgres, async (sql) => {
    const { rows } = await sql.query(
      `select jsonb_build_object(
         'notes', (select jsonb_agg(to_jsonb(t) order by t.id) from bank.notes t),
         'tasks', (select jsonb_agg(to_jsonb(t) order by t.id) from bank.tasks t),
         'comments', (select jsonb_agg(to_jsonb(t) order by t.id) from bank.comments t),
         'chats', (select jsonb_agg(to_jsonb(t) order by t.id) from bank.chats t),
         'chat_messages', (select jsonb_agg(to_jsonb(t) order by t.id) from bank.chat_messages t),
         'keys', (select jsonb_agg(to_jsonb(t) order by t.key) from bank.idempotency_keys t)) as all`,
    );
    return rows[0];
  });
}

async function everySort(batch: Batches['batch']): Promise<Operation[]> {
  const { results } = await batch([
    op('create_note', { title: 'kept', tags: ['a'] }),
    op('create_task', { title: 'kept' }),
    op('create_note', { title: 'to be deleted' }),
  ]);
  const [note, task, doomed] = results.map(({ result }) => result);
  return [
    op('create_chat', { title: 'made', vaultId: 'sales' }, 'chat'),
    op('create_chat_message', { chatId: ref('chat.id'), body: 'first', role: 'user' }, 'message'),
    op('create_comment', { parentKind: 'chat', parentId: ref('chat.id'), body: 'remark' }, 'comment'),
    op('process_comment', { id: ref('comment.id'), action: 'resolve', version: ref('comment.version') }),
    op('patch_note', { id: note?.id, version: note?.version, title: 'patched' }),
    op('process_task', { id: task?.id, action: 'start' }, 'started'),
    op('process_task', { id: task?.id, action: 'complete', version: ref('started.version') }),
    op('archive_task', { id: task?.id }),
    op('delete_note', { id: doomed?.id }),
    op('process_chat_message', { id: ref('message.id'), action: 'pin' }),
  ];
}
