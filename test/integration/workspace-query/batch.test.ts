/** The tool `batch`: many operations, one transaction, all or nothing (R3.9), on a real Postgres. */
import { toolsetsNamed } from '@bankhouse/server';
import type { CallToolResult } from '@modelcontextprotocol/client';
import { describe, expect, it } from 'vitest';
import { shared } from '../../harness/shared.ts';
import { call, callError } from '../server/support.ts';
import { type Batches, op, ref, startBatches } from './batches.ts';

let { running, client, batch, everySort, everything } = {} as Batches;
shared(startBatches, (batches) => {
  ({ running, client, batch, everySort, everything } = batches);
});

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

  it('does not mind the order of keys, however deep (D10)', async () => {
    const turned = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(turned);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([key, entry]) => [key, turned(entry)]),
      );
    };
    const asked = [op('create_task', { title: 'once', tags: ['a'], priority: 'low' }, 'task'), ...operations.slice(1)];
    const first = await batch(asked, { idempotencyKey: 'key-turned' });
    const again = await batch(turned(asked) as typeof asked, { idempotencyKey: 'key-turned' });
    expect(again).toMatchObject({ replayed: true, results: first.results });
  });

  it('of the same sub of another issuer is another one (D10)', async () => {
    const first = await batch(operations, { idempotencyKey: 'key-issuer' });
    const changes = { scopes: ['mcp:read', 'mcp:write'], iss: 'https://other.test' };
    await using other = await running.connect('modern', changes);
    const made = await batch(operations, { idempotencyKey: 'key-issuer' }, other);
    expect(made.replayed).toBe(false);
    expect(made.results[0]?.result.id).not.toBe(first.results[0]?.result.id);
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
