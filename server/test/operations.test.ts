/** What the tools of entities ask of the database, and what they make of its answers (R3.1), without one. */
import { describe, expect, it } from 'vitest';
import type { Statement } from '../src/database/statement.ts';
import { parseArguments } from '../src/mcp/arguments.ts';
import { readRows, type SortKey } from '../src/toolsets/workspace/api.ts';
import { ENTITY_TOOLS } from '../src/toolsets/workspace/entity-tools.ts';
import { makeAssertion } from './fixtures.ts';

const ID = '00000000-0000-4000-8000-0000000000ff';
const RECEIPT = {
  id: ID,
  version: 2,
  status: 'open',
  vaultId: null,
  archived: false,
  updatedAt: '2026-05-01T09:30:00.000000Z',
};

/** Runs a tool whose statements are answered by these answers, in order; the last one answers all that follow. */
async function run(name: string, args: Record<string, unknown>, ...answers: unknown[][]) {
  const tool = ENTITY_TOOLS.find((candidate) => candidate.name === name);
  if (tool === undefined) throw new Error(name);
  const asked: { name: string | undefined; values: unknown[] }[] = [];
  const rows = async (statement: Statement, values: readonly unknown[] = []) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)] ?? [];
    const parsed = values.map((value) =>
      typeof value === 'string' && value.startsWith('{') ? JSON.parse(value) : value,
    );
    asked.push({ name: statement.name, values: parsed });
    const told = statement.name === 'read_page' ? [answer.map((row) => JSON.stringify(row)).join(',')] : answer;
    return told.map((one) => ({ answer: one })) as never[];
  };
  const caller = { assertion: makeAssertion('acme'), databaseAssertion: '' };
  const context = { bank: 'acme', bankName: 'Acme', caller, tx: { rows } };
  const outcome = await tool.run(parseArguments(tool, args), context).then(
    ({ structured }) => ({ structured }),
    (error: unknown) => ({ error }),
  );
  return { asked, ...outcome } as { asked: typeof asked; structured?: Record<string, unknown>; error?: unknown };
}

const made = [{ replayed: false, receipt: RECEIPT }];
const changed = [{ changed: true, receipt: RECEIPT }];
const unchanged = (receipt: object) => [{ changed: false, receipt: { ...RECEIPT, ...receipt } }];

describe('a tool asks for', () => {
  it.each<[string, string, Record<string, unknown>, unknown[], string, unknown[]]>([
    [
      'a creation with every value that is given or has a default',
      'create_note',
      { title: 'x' },
      made,
      'create_row',
      ['note', { title: 'x', body: '', pinned: false, tags: [], vaultId: null }, null, null],
    ],
    [
      'a creation whose vault its parent decides without one, by the name that the database has',
      'create_comment',
      { parentKind: 'note', parentId: ID, body: 'x' },
      made,
      'create_row',
      ['comment', { parentType: 'note', parentId: ID, body: 'x' }, null, null],
    ],
    [
      'a date as its first instant',
      'patch_task',
      { id: ID, version: 1, dueAt: '2026-05-01' },
      changed,
      'change_row',
      ['task', ID, 1, { dueAt: '2026-05-01T00:00:00Z' }],
    ],
    [
      'a patch with what is given alone',
      'patch_note',
      { id: ID, version: 1, language: null },
      changed,
      'change_row',
      ['note', ID, 1, { language: null }],
    ],
    [
      'a replacement with every field, but not the vault',
      'update_note',
      { id: ID, version: 1, title: 'x' },
      changed,
      'change_row',
      ['note', ID, 1, { title: 'x', body: '', pinned: false, tags: [], recordingId: null, language: null }],
    ],
    ['an archive', 'archive_chat', { id: ID }, unchanged({ archived: true }), 'archive_row', ['chat', ID, true]],
    [
      'an action on any version',
      'process_task',
      { id: ID, action: 'start' },
      changed,
      'process_row',
      ['task', ID, 'start', null],
    ],
    [
      'a deletion of one version',
      'delete_chat',
      { id: ID, version: 3 },
      [{ changed: true, deleted: { chats: 1, chat_messages: 0, comments: 0 } }],
      'delete_row',
      ['chat', ID, 3],
    ],
  ])('%s', async (_sentence, name, args, answer, statement, values) => {
    const { asked, error } = await run(name, args, answer);
    expect(error).toBeUndefined();
    expect(asked).toEqual([{ name: statement, values }]);
  });

  it('a creation once, with the same digest in whatever order its arguments come (D10)', async () => {
    const args = { title: 'x', body: 'y', idempotencyKey: 'k' };
    const [one, other] = await Promise.all([
      run('create_note', args, made),
      run('create_note', Object.fromEntries(Object.entries(args).reverse()), made),
    ]);
    expect(one.asked[0]?.values.slice(2)).toEqual(['k', expect.any(Buffer)]);
    expect(other.asked[0]?.values.slice(2)).toEqual(one.asked[0]?.values.slice(2));
  });
});

describe('a list asks for', () => {
  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['the newest', {}, { sort: [{ field: 'createdAt', direction: 'desc' }], archived: 'exclude', limit: 21, cut: 280 }],
    [
      'what has a date, soonest first',
      { sort: 'due' },
      {
        sort: [{ field: 'dueAt', direction: 'asc' }],
        filter: { and: [{ field: 'dueAt', op: 'isNull', value: false }] },
      },
    ],
    ['a name in any case', { assignee: 'Ann' }, { filter: { and: [{ field: 'assignee', op: 'ieq', value: 'Ann' }] } }],
    ['one of a list', { tag: 'a' }, { filter: { and: [{ field: 'tags', op: 'has', value: 'a' }] } }],
    ['no vault', { vaultId: null }, { filter: { and: [{ field: 'vaultId', op: 'isNull', value: true }] } }],
    [
      'a call by its present id or the one that it had before',
      { recordingId: 'fathom-1' },
      { filter: { and: [{ field: 'recordingId', op: 'call', value: 'fathom-1' }] } },
    ],
    [
      'a call of the new table by that alone',
      { recordingId: ID },
      { filter: { and: [{ field: 'recordingId', op: 'eq', value: ID }] } },
    ],
    [
      'a period',
      { dueAfter: '2026-05-01', dueBefore: '2026-06-01T12:00:00Z' },
      {
        filter: {
          and: [
            { field: 'dueAt', op: 'gte', value: '2026-05-01T00:00:00Z' },
            { field: 'dueAt', op: 'lt', value: '2026-06-01T12:00:00Z' },
          ],
        },
      },
    ],
  ])('%s', async (_sentence, args, ask) => {
    const { asked } = await run('list_tasks', args, []);
    expect(asked[0]?.name).toBe('read_page');
    expect(asked[0]?.values).toEqual(['task', expect.objectContaining(ask)]);
  });

  it('the next page behind the last row of the one before', async () => {
    const row = { id: ID, title: 'x', createdAt: '2026-05-01T09:30:00.123456Z' };
    const first = await run('list_tasks', { limit: 1 }, [row, row]);
    const { asked } = await run('list_tasks', { limit: 1, cursor: first.structured?.nextCursor }, []);
    expect(asked[0]?.values[1]).toMatchObject({ after: { values: ['2026-05-01T09:30:00.123456Z'], id: ID } });
  });
});

describe('a change that was not made', () => {
  it.each<[string, string, Record<string, unknown>, unknown[], string]>([
    ['of what is not there', 'patch_note', { version: 1, title: 'x' }, [null], 'not_found'],
    ['of another version', 'patch_note', { version: 1, title: 'x' }, unchanged({ version: 2 }), 'stale_version'],
    ['of the right version', 'patch_note', { version: 2, title: 'x' }, unchanged({ version: 2 }), 'forbidden'],
    ['archive of what is not there', 'archive_note', {}, [null], 'not_found'],
    ['archive of what stays as it is', 'archive_note', {}, unchanged({}), 'forbidden'],
    ['deletion of what is not there', 'delete_note', {}, [null], 'not_found'],
    ['deletion of another version', 'delete_note', { version: 1 }, unchanged({ version: 2 }), 'stale_version'],
    ['action on what is not there', 'process_task', { action: 'start' }, [null], 'not_found'],
    ['action on another version', 'process_task', { action: 'start', version: 1 }, unchanged({}), 'stale_version'],
    [
      'action from a wrong status',
      'process_task',
      { action: 'start' },
      unchanged({ status: 'done' }),
      'invalid_transition',
    ],
    ['action that others are always faster than', 'process_task', { action: 'start' }, unchanged({}), 'conflict'],
    [
      'creation with a key of another',
      'create_note',
      { title: 'x', idempotencyKey: 'k' },
      [{ replayed: true, same: false, receipt: null }],
      'conflict',
    ],
    [
      'creation of what is gone again',
      'create_note',
      { title: 'x', idempotencyKey: 'k' },
      [{ replayed: true, same: true, receipt: null }],
      'conflict',
    ],
  ])('%s', async (_sentence, name, args, answer, code) => {
    const id = name.startsWith('create') ? {} : { id: ID };
    const { error } = await run(name, { ...id, ...args }, answer);
    expect(error).toMatchObject({ code });
  });

  it('is not tried again for ever', async () => {
    const { asked } = await run('process_task', { id: ID, action: 'start' }, unchanged({}));
    expect(asked).toHaveLength(3);
  });
});

describe('rows that are read', () => {
  const read = (name: string, row: Record<string, unknown>, sort: SortKey[], fields = ['id']) =>
    readRows({ rows: async () => [{ answer: JSON.stringify(row) }] as never[] }, name, {
      fields,
      archived: 'exclude',
      sort,
      limit: 1,
    });

  it.each<[string, string, string, unknown, string | null]>([
    ['an instant', 'task', 'createdAt', '2026-05-01T09:30:00.123456Z', '2026-05-01T09:30:00.123456Z'],
    ['a number', 'task', 'version', 7, '7'],
    ['true or false', 'note', 'pinned', false, 'false'],
    ['an enum, by its place', 'task', 'priority', 'high', '3'],
    ['a short text', 'task', 'assignee', 'ann', 'ann'],
    ['a long text, as far as it sorts', 'task', 'title', '🦩'.repeat(300), '🦩'.repeat(100)],
    ['a key', 'recording', 'language', 'de', 'de'],
    ['nothing', 'task', 'dueAt', null, null],
  ])('say of %s where a page ends in the order of it', async (_sentence, kind, field, value, key) => {
    const [found] = await read(kind, { id: ID, [field]: value }, [{ field, direction: 'asc' }]);
    expect(found).toMatchObject({ id: ID, keys: [key] });
  });

  it('have the fields that were asked for, in that order, and whether a long text goes on', async () => {
    const row = { id: ID, title: 'x', body: 'y', pinned: false, truncated: true };
    const [found] = await read('note', row, [], ['title', 'id']);
    expect(Object.keys(found?.row ?? {})).toEqual(['title', 'id', 'truncated']);
  });
});
