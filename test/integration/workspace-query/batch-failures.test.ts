/** Batches that are refused or fail: nothing of them is left behind, and what failed is named (R3.9, R1.6). */
import { describe, expect, it } from 'vitest';
import { withClient } from '../../harness/postgres.ts';
import { shared } from '../../harness/shared.ts';
import { call, callError } from '../server/support.ts';
import { type Batches, type Operation, op, ref, startBatches } from './batches.ts';

let { postgres, running, client, batch, batchError, everySort, everything } = {} as Batches;
shared(startBatches, (batches) => {
  ({ postgres, running, client, batch, batchError, everySort, everything } = batches);
});

describe('a batch that fails', () => {
  const BREAKING: [string, Operation, string, RegExp][] = [
    [
      'a row that is not there',
      op('patch_note', { id: '00000000-0000-4000-8000-00000000dead', version: 1, title: 'x' }),
      'not_found',
      /no note.*list_notes/,
    ],
    ['an argument of the wrong type', op('create_task', { title: { of: 'x' } }), 'invalid_argument', /title/],
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
      [made, op('create_task', { title: 'x', dueAt: ref('made.status') })],
      'operations[1].arguments.dueAt',
      /dueAt/,
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
