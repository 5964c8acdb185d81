/** The tool `batch`: many operations, one transaction, all or nothing (R3.9), on a real Postgres. */
import { type Toolset, toolsetsNamed } from '@bankhouse/server';
import type { CallToolResult, Client } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { workspace } from '../../../server/src/toolsets/workspace/index.ts';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { asLoader, call, callError, type RunningBank, runBank, textOf } from '../server/support.ts';

const toolset: Toolset = { ...workspace, resources: [], prompts: [] };

interface Operation {
  tool: string;
  arguments: Record<string, unknown>;
  as?: string;
}
interface Done {
  results: { tool: string; as?: string; result: Record<string, unknown> }[];
  dryRun: boolean;
  replayed: boolean;
}

let postgres: TestPostgres;
let running: RunningBank;
let client: Client & AsyncDisposable;
beforeAll(async () => {
  postgres = await startPostgres();
  running = await runBank(postgres, 'acme', { toolsets: [toolset] });
  client = await running.connect('modern', { scopes: ['mcp:read', 'mcp:write'] });
});
afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  await running?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

const op = (tool: string, args: Record<string, unknown>, as?: string): Operation => ({
  tool,
  arguments: args,
  ...(as === undefined ? {} : { as }),
});
const ref = (to: string) => ({ $result: to });
const batch = (operations: Operation[], more: Record<string, unknown> = {}, as: Client = client) =>
  call<Done>(as, 'batch', { operations, ...more });

async function batchError(operations: unknown, as: Client = client) {
  const result: CallToolResult = await as.callTool({ name: 'batch', arguments: { operations } });
  if (result.isError !== true) throw new Error(`The batch succeeded: ${JSON.stringify(result.structuredContent)}`);
  const meta = result._meta?.['bankhouse.dev/error'] as Record<string, unknown>;
  return { ...meta, text: textOf(result) } as {
    code: string;
    field?: string;
    operation?: { index?: number; tool?: string; code: string };
    text: string;
  };
}

/** Every row of every entity and every idempotency key, as the database holds them. */
function everything(): Promise<unknown> {
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

/** One operation of every sort, on rows that are there and on rows that the batch itself makes. */
async function everySort(): Promise<Operation[]> {
  const { results } = await batch([
    op('create_note', { title: 'kept', tags: ['a'] }),
    op('create_task', { title: 'kept' }),
    op('create_note', { title: 'to be deleted' }),
  ]);
  const [note, task, doomed] = results.map(({ result }) => result);
  return [
    op('create_chat', { title: 'made', vaultId: 'sales' }, 'chat'),
    op('create_chat_message', { chatId: ref('chat.id'), body: 'first', role: 'user' }, 'message'),
    op('create_comment', { parentType: 'chat', parentId: ref('chat.id'), body: 'remark' }, 'comment'),
    op('process_comment', { id: ref('comment.id'), action: 'resolve', version: ref('comment.version') }),
    op('patch_note', { id: note?.id, version: note?.version, title: 'patched' }),
    op('process_task', { id: task?.id, action: 'start' }, 'started'),
    op('process_task', { id: task?.id, action: 'complete', version: ref('started.version') }),
    op('archive_task', { id: task?.id }),
    op('delete_note', { id: doomed?.id }),
    op('process_chat_message', { id: ref('message.id'), action: 'pin' }),
  ];
}

describe('a batch', () => {
  it('does all of it and answers in order, later operations referring to earlier ones', async () => {
    const operations = await everySort();
    const done = await batch(operations);
    expect(done).toMatchObject({ dryRun: false, replayed: false });
    expect(done.results.map(({ tool, as }) => [tool, as])).toEqual(operations.map(({ tool, as }) => [tool, as]));
    const [chat, message, comment] = done.results.map(({ result }) => result);
    expect(await call(client, 'get_chat_message', { id: message?.id })).toMatchObject({
      chatId: chat?.id,
      status: 'pinned',
      vaultId: 'sales',
      version: 2,
    });
    expect(await call(client, 'get_comment', { id: comment?.id })).toMatchObject({
      parentId: chat?.id,
      status: 'resolved',
      vaultId: 'sales',
    });
    expect(await call(client, 'get_task', { id: operations[5]?.arguments.id })).toMatchObject({
      status: 'done',
      version: 4,
    });
    expect(await callError(client, 'get_note', { id: operations[8]?.arguments.id })).toMatchObject({
      code: 'not_found',
    });
    expect(done.text).toMatch(/^All 10 operations are done\.\n0 create_chat as chat: id [0-9a-f-]{36}, version 1\n/);
  });

  it('of one operation, and of a hundred', async () => {
    expect((await batch([op('create_note', { title: 'alone' })])).results).toHaveLength(1);
    const many = Array.from({ length: 100 }, (_, n) => op('create_note', { title: `note ${n}` }));
    const { results } = await batch(many);
    expect(new Set(results.map(({ result }) => result.id)).size).toBe(100);
  });

  it('is for writers', async () => {
    await using reader = await running.connect('modern', { scopes: ['mcp:read'] });
    await expect(batch([op('create_note', { title: 'x' })], {}, reader)).rejects.toThrow(/scope|403/i);
  });
});

describe('a batch that fails', () => {
  const BREAKING: [string, Operation, string, RegExp][] = [
    [
      'a row that is not there',
      op('patch_note', { id: '00000000-0000-4000-8000-00000000dead', version: 1, title: 'x' }),
      'not_found',
      /no note.*list_notes/,
    ],
    ['an argument of the wrong type', op('create_task', { title: 7 }), 'invalid_argument', /title/],
    ['an argument that is missing', op('create_chat_message', { body: 'x' }), 'invalid_argument', /chatId/],
    [
      'a constraint of the database',
      op('create_chat_message', { chatId: '00000000-0000-4000-8000-00000000dead', body: 'x' }),
      'not_found',
      /chat/,
    ],
    ['a reference to nothing', op('delete_note', { id: ref('nobody.id') }), 'invalid_argument', /nobody/],
  ];

  it.each(BREAKING)('by %s leaves nothing behind, at any position', async (_sentence, breaking, code, message) => {
    const operations = await everySort();
    const before = await everything();
    for (let index = 0; index <= operations.length; index++) {
      const error = await batchError([...operations.slice(0, index), breaking, ...operations.slice(index)]);
      expect(error).toMatchObject({ code: 'batch_failed', operation: { index, tool: breaking.tool, code } });
      expect(error.field?.startsWith(`operations[${index}]`)).toBe(true);
      expect(error.text).toMatch(message);
      expect(error.text).toMatch(
        new RegExp(
          `^batch_failed: operations\\[${index}\\] \\(${breaking.tool}\\) failed with ${code}: .*nothing was changed`,
        ),
      );
    }
    expect(await everything()).toEqual(before);
    // Only what was wrong with it kept it from being done.
    await batch(operations);
  });

  it('by what an earlier operation of its own did', async () => {
    const { results } = await batch([op('create_task', { title: 'once' })]);
    const { id } = results[0]?.result ?? {};
    const before = await everything();
    const complete = op('process_task', { id, action: 'complete' });
    expect(await batchError([complete, complete])).toMatchObject({
      field: 'operations[1].arguments.action',
      operation: { index: 1, code: 'invalid_transition' },
    });
    expect(await batchError([op('delete_task', { id }), op('archive_task', { id })])).toMatchObject({
      operation: { index: 1, code: 'not_found' },
    });
    const patch = op('patch_task', { id, version: 1, title: 'x' });
    expect(await batchError([patch, patch])).toMatchObject({
      field: 'operations[1].arguments.version',
      operation: { index: 1, code: 'stale_version' },
    });
    expect(await everything()).toEqual(before);
  });

  it('to another vault than the token opens leaves nothing behind (R1.6)', async () => {
    const { results } = await batch([op('create_note', { title: 'of support', vaultId: 'support' })]);
    const { id } = results[0]?.result ?? {};
    const before = await everything();
    await using limited = await running.connect('modern', { scopes: ['mcp:read', 'mcp:write'], vaults: ['sales'] });
    const mine = op('create_note', { title: 'mine', vaultId: 'sales' }, 'mine');
    expect(await batchError([mine, op('create_note', { title: 'x', vaultId: 'support' })], limited)).toMatchObject({
      operation: { index: 1, code: 'not_found' },
    });
    expect(await batchError([mine, op('patch_note', { id, version: 1, title: 'x' })], limited)).toMatchObject({
      operation: { index: 1, code: 'not_found' },
    });
    expect(await batchError([mine, op('delete_note', { id })], limited)).toMatchObject({
      operation: { index: 1, code: 'not_found' },
    });
    expect(
      await batchError([mine, op('patch_note', { id: ref('mine.id'), version: 1, vaultId: 'support' })], limited),
    ).toMatchObject({ operation: { index: 1 } });
    expect(await everything()).toEqual(before);
  });

  it('by what is only checked at the end is told so before it claims success', async () => {
    await withClient(postgres.ownerUrl, (sql) =>
      sql.query(
        `create function bank.refuse_late() returns trigger language plpgsql as $$
           begin raise exception 'secret words' using errcode = 'check_violation'; end $$;
         create constraint trigger refuse_late after insert on bank.notes deferrable initially deferred
           for each row when (new.title = 'late') execute function bank.refuse_late()`,
      ),
    );
    const before = await everything();
    for (const dryRun of [false, true]) {
      const operations = [op('create_note', { title: 'late' }), op('create_note', { title: 'in time' })];
      const error = await callError(client, 'batch', { operations, dryRun });
      expect(error).toMatchObject({ code: 'batch_failed' });
      expect(error.text).toMatch(
        /^batch_failed: What the operations make together failed with invalid_argument: .*nothing was changed/,
      );
      expect(error.text).not.toContain('secret');
    }
    await withClient(postgres.ownerUrl, (sql) => sql.query('drop function bank.refuse_late() cascade'));
    expect(await everything()).toEqual(before);
  });

  it.each<[string, unknown, RegExp]>([
    ['no operations', [], /operations/],
    ['too many operations', Array(101).fill(op('create_note', { title: 'x' })), /operations/],
    ['a tool that reads', [op('list_notes', {})], /operations\.0\.tool/],
    ['a tool of nobody', [op('drop_tables', {})], /operations\.0\.tool/],
    ['itself', [op('batch', { operations: [] })], /operations\.0\.tool/],
    ['a name with a dot', [op('create_note', { title: 'x' }, 'a.b')], /operations\.0\.as/],
    [
      'two results of one name',
      [op('create_note', { title: 'x' }, 'a'), op('create_note', { title: 'x' }, 'a')],
      /operations\[1\]\.as/,
    ],
    ['more in an operation', [{ ...op('create_note', { title: 'x' }), transaction: 'none' }], /transaction/],
  ])('%s is refused', async (_sentence, operations, message) => {
    const error = await batchError(operations);
    expect(error.code).toBe('invalid_argument');
    expect(error.text).toMatch(message);
  });
});

describe('references', () => {
  const made = op('create_note', { title: 'made' }, 'made');
  it.each<[string, Operation[], string, RegExp]>([
    [
      'to a later operation',
      [op('archive_note', { id: ref('made.id') }), made],
      'operations[0].arguments.id',
      /place it before/,
    ],
    [
      'to a field that is not there',
      [made, op('archive_note', { id: ref('made.secret') })],
      'operations[1].arguments.id',
      /It has id, version, status/,
    ],
    [
      'to what every object has',
      [made, op('archive_note', { id: ref('made.constructor') })],
      'operations[1].arguments.id',
      /no "constructor"/,
    ],
    [
      'to a prototype',
      [made, op('archive_note', { id: ref('__proto__.toString') })],
      'operations[1].arguments.id',
      /No earlier operation/,
    ],
    [
      'to something deeper',
      [made, op('archive_note', { id: ref('made.id.length') })],
      'operations[1].arguments.id',
      /no reference/,
    ],
    [
      'of another form',
      [made, op('archive_note', { id: { $result: 3 } })],
      'operations[1].arguments.id',
      /no reference/,
    ],
    [
      'with more beside it',
      [made, op('archive_note', { id: { ...ref('made.id'), or: 'x' } })],
      'operations[1].arguments.id',
      /no reference/,
    ],
    [
      'in a list',
      [made, op('create_note', { title: 'x', tags: ['a', ref('x.id')] })],
      'operations[1].arguments.tags[1]',
      /Earlier ones: made/,
    ],
    [
      'to a value of another type',
      [made, op('create_note', { title: ref('made.version') })],
      'operations[1].arguments.title',
      /title/,
    ],
  ])('%s are refused', async (_sentence, operations, field, message) => {
    const error = await batchError(operations);
    expect(error).toMatchObject({ code: 'batch_failed', field, operation: { code: 'invalid_argument' } });
    expect(error.text).toMatch(message);
  });

  it('in a list of texts, and as a text that only looks like one', async () => {
    const { results } = await batch([
      op('create_note', { title: 'first' }, 'first'),
      op('create_note', { title: '{"$result": "first.id"}', tags: [ref('first.id'), '$result'] }, 'second'),
    ]);
    const [first, second] = results.map(({ result }) => result);
    expect(await call(client, 'get_note', { id: second?.id })).toMatchObject({
      title: '{"$result": "first.id"}',
      tags: [first?.id, '$result'],
    });
  });
});

describe('a dry run', () => {
  it('answers as the batch would, and changes nothing', async () => {
    const operations = await everySort();
    const before = await everything();
    const dry = await batch(operations, { dryRun: true, idempotencyKey: 'dry' });
    expect(dry).toMatchObject({ dryRun: true, replayed: false });
    expect(dry.text).toContain('nothing was changed');
    expect(await everything()).toEqual(before);
    const done = await batch(operations);
    expect(dry.results.map(({ tool, result }) => [tool, result.status])).toEqual(
      done.results.map(({ tool, result }) => [tool, result.status]),
    );
  });

  it('fails as the batch would', async () => {
    const error = await callError(client, 'batch', {
      operations: [op('delete_note', { id: '00000000-0000-4000-8000-00000000dead' })],
      dryRun: true,
    });
    expect(error).toMatchObject({ code: 'batch_failed', field: 'operations[0].arguments.id' });
  });
});

describe('an idempotencyKey', () => {
  const operations = [
    op('create_task', { title: 'once' }, 'task'),
    op('process_task', { id: ref('task.id'), action: 'start' }),
  ];
  it('makes the same batch answer as before, and do nothing', async () => {
    const first = await batch(operations, { idempotencyKey: 'key-1' });
    const before = await everything();
    const again = await batch(operations, { idempotencyKey: 'key-1' });
    expect(again).toMatchObject({ replayed: true, results: first.results });
    expect(await everything()).toEqual(before);
  });

  it('is refused for another batch, and free again when its batch failed', async () => {
    await batch(operations, { idempotencyKey: 'key-2' });
    expect(
      await callError(client, 'batch', {
        operations: [op('create_task', { title: 'other' })],
        idempotencyKey: 'key-2',
      }),
    ).toMatchObject({ code: 'conflict', field: 'idempotencyKey' });
    const failing = [...operations, op('delete_task', { id: '00000000-0000-4000-8000-00000000dead' })];
    expect(await callError(client, 'batch', { operations: failing, idempotencyKey: 'key-3' })).toMatchObject({
      code: 'batch_failed',
    });
    expect(await batch(operations, { idempotencyKey: 'key-3' })).toMatchObject({ replayed: false });
  });

  it('of parallel calls lets one do it', async () => {
    const calls = await Promise.all(Array.from({ length: 6 }, () => batch(operations, { idempotencyKey: 'key-4' })));
    expect(calls.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect(new Set(calls.map(({ results }) => results[0]?.result.id)).size).toBe(1);
  });
});

describe('parallel batches', () => {
  it('of the same rows follow each other, or say that the call can be sent again', async () => {
    const { results } = await batch([op('create_note', { title: 'counter' }), op('create_note', { title: 'counter' })]);
    const ids = results.map(({ result }) => result.id);
    const outcomes = await Promise.all(
      Array.from({ length: 4 }, (_, n) => {
        const order = n % 2 === 0 ? ids : [...ids].reverse();
        const name = (index: number) => `r${index}`;
        return client.callTool({
          name: 'batch',
          arguments: { operations: order.map((id, index) => op('archive_note', { id }, name(index))) },
        }) as Promise<CallToolResult>;
      }),
    );
    for (const outcome of outcomes) {
      if (outcome.isError !== true) continue;
      expect(outcome._meta?.['bankhouse.dev/error']).toMatchObject({
        code: 'batch_failed',
        retryable: true,
        operation: { code: 'conflict' },
      });
    }
    expect(outcomes.some((outcome) => outcome.isError !== true)).toBe(true);
  });
});

it('the toolset offers batch, query and search besides the forty', () => {
  const [offered] = toolsetsNamed(['workspace']);
  expect(offered?.tools.map(({ name }) => name).filter((name) => !name.includes('_'))).toEqual([
    'batch',
    'query',
    'search',
  ]);
});
