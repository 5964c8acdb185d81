/** The tool `query` over rows, by SDK clients, on a real Postgres (R3.10, R1.6): what of a row, in which order, in pages, to whom. */
import { describe, expect, it } from 'vitest';
import { shared } from '../../harness/shared.ts';
import { asLoader, call, callError } from '../server/support.ts';
import { LIVING, type Page, type Queries, startQueries, TASKS } from './queries.ts';
import { comparable, insertRow, type Task, uuid } from './support.ts';

let { postgres, running, client, allRows } = {} as Queries;
shared(startQueries, (queries) => {
  ({ postgres, running, client, allRows } = queries);
});

describe('rows', () => {
  it('give the fields that are asked for, as they were stored', async () => {
    const fields = Object.keys(TASKS[0] ?? {});
    const [row] = await allRows({ select: fields, filter: { field: 'id', op: 'eq', value: uuid(14) } });
    expect(row).toEqual(TASKS[14]);
    expect(Object.keys((await allRows({ select: ['title', 'id', 'title'], limit: 1 }))[0] ?? {})).toEqual([
      'title',
      'id',
    ]);
  });

  it('leave long texts out unless they are asked for, and cut them then', async () => {
    const [row] = await allRows({ filter: { field: 'id', op: 'eq', value: uuid(14) } });
    expect(row).not.toHaveProperty('description');
    expect(row).toMatchObject({ title: TASKS[14]?.title, tags: TASKS[14]?.tags });
  });

  type Sort = { field: string; direction?: 'asc' | 'desc' }[];
  it.each<[string, Sort]>([
    ['newest first', [{ field: 'createdAt', direction: 'desc' }]],
    ['by priority in its own order', [{ field: 'priority', direction: 'desc' }]],
    ['by what can be null, ascending', [{ field: 'dueAt' }]],
    ['by what can be null, descending', [{ field: 'dueAt', direction: 'desc' }]],
    [
      'by four keys in both directions',
      [
        { field: 'assignee', direction: 'desc' },
        { field: 'status' },
        { field: 'version', direction: 'desc' },
        { field: 'title' },
      ],
    ],
    ['by text with all kinds of characters', [{ field: 'title', direction: 'desc' }]],
    ['by id', [{ field: 'id' }]],
    ['by vault and language', [{ field: 'vaultId' }, { field: 'language', direction: 'desc' }]],
  ])('come %s, each once over all pages', async (_sentence, sort) => {
    const rows = await allRows({ sort, limit: 7 });
    expect(rows.map((row) => row.id)).toEqual(sorted(LIVING, sort).map((task) => task.id));
  });

  it('come by the first 100 characters of long texts of any kind, each once over all pages', async () => {
    const long = Array.from({ length: 6 }, (_, n) => ({
      id: uuid(9000 + n),
      title: `${'🦩'.repeat(98)}${n % 2}${'x'.repeat(n)}`,
      created_by: `${'\u0001"'.repeat(60)}${n}`,
      assignee: '😀'.repeat(130),
      updated_by: 'ü'.repeat(250),
      tags: ['long'],
    }));
    await asLoader(postgres, async (sql) => {
      for (const row of long) await insertRow(sql, 'tasks', 'acme', row);
    });
    const sort = ['title', 'createdBy', 'assignee', 'updatedBy'].map((field) => ({ field }));
    const rows = await allRows({ filter: { field: 'tags', op: 'has', value: 'long' }, sort, limit: 1 });
    await asLoader(postgres, (sql) => sql.query("delete from bank.tasks where tags = '{long}'"));
    expect(rows.map((row) => row.id)).toEqual([0, 2, 4, 1, 3, 5].map((n) => uuid(9000 + n)));
  });

  it.each<[string, Record<string, unknown>, string, RegExp]>([
    ['a kind of nobody', { kind: 'secrets' }, 'kind', /kind/],
    [
      'a field that is not there',
      { select: ['id', 'secret'] },
      'select[1]',
      /tasks have no field "secret".*dueAt instant or null/,
    ],
    ['sorting by long text', { sort: [{ field: 'description' }] }, 'sort[0].field', /Sort by id/],
    ['sorting by a list', { sort: [{ field: 'title' }, { field: 'tags' }] }, 'sort[1].field', /Sort by id/],
    ['sorting by SQL', { sort: [{ field: 'title; drop' }] }, 'sort[0].field', /no field/],
    ['too many rows', { limit: 201 }, 'limit', /at most 200/],
    ['a limit of 0', { limit: 0 }, 'limit', /limit/],
    ['having without groups', { having: { field: 'count', op: 'gt', value: 1 } }, 'having', /no groups/],
    ['an argument that is not there', { sql: '1=1' }, 'sql', /"sql"/],
  ])('%s is refused', async (_sentence, args, field, message) => {
    const error = await callError(client, 'query', { kind: 'task', ...args });
    expect(error.code).toBe('invalid_argument');
    expect(error.text).toMatch(message);
    if (error.field !== undefined) expect(error.field).toBe(field);
  });

  it('come in shorter pages where they are long', async () => {
    const participants = Array.from({ length: 50 }, (_, n) => `${String(n).padStart(3, '0')}${'p'.repeat(300)}`);
    await asLoader(postgres, async (sql) => {
      for (let n = 0; n < 30; n++) await insertRow(sql, 'chats', 'acme', { title: `chat ${n}`, participants });
    });
    const first = await call<Page>(client, 'query', { kind: 'chat', limit: 200 });
    expect(first.rows.length).toBeLessThan(15);
    expect(JSON.stringify(first.rows).length).toBeLessThan(210_000);
    const titles = (await allRows({ kind: 'chat', limit: 200 })).map((row) => row.title);
    expect([titles.length, new Set(titles).size]).toEqual([30, 30]);
  });

  it('go on only with a cursor of their own', async () => {
    const { nextCursor } = await call<Page>(client, 'query', { kind: 'task', limit: 5 });
    const forged = (position: unknown) => {
      const [version, kind, digest] = JSON.parse(Buffer.from(nextCursor ?? '', 'base64url').toString()) as unknown[];
      return Buffer.from(JSON.stringify([version, kind, digest, position])).toString('base64url');
    };
    for (const cursor of [
      'x',
      nextCursor?.slice(4),
      forged([['x'], uuid(1)]),
      forged([['2026-01-01'], 'x']),
      forged([[], '']),
    ]) {
      expect((await callError(client, 'query', { kind: 'task', limit: 5, cursor })).code).toMatch(/^invalid_/);
    }
    expect((await callError(client, 'query', { kind: 'task', archived: 'only', cursor: nextCursor })).code).toBe(
      'invalid_cursor',
    );
    expect((await callError(client, 'query', { kind: 'note', cursor: nextCursor })).code).toBe('invalid_cursor');
  });
});

describe('vaults (R1.6)', () => {
  it.each<[string, string[] | null, number]>([
    ['one vault', ['sales'], LIVING.filter((task) => task.vaultId === 'sales').length],
    ['two vaults', ['sales', 'support'], LIVING.filter((task) => task.vaultId !== null).length],
    ['a vault that is not there', ['hr'], 0],
    ['no vault', [], 0],
    ['all vaults', null, LIVING.length],
  ])('a token for %s sees its rows, whatever is asked', async (_sentence, vaults, count) => {
    await using limited = await running.connect('modern', { vaults });
    expect(await allRows({}, limited)).toHaveLength(count);
    expect(
      await allRows(
        {
          filter: {
            or: [{ field: 'vaultId', op: 'isNull', value: true }, { not: { field: 'vaultId', op: 'eq', value: 'x' } }],
          },
        },
        limited,
      ),
    ).toHaveLength(count);
    const { rows } = await call<Page>(limited, 'query', { kind: 'task', aggregate: [{ function: 'count' }] });
    expect(rows).toEqual([{ count }]);
  });
});

function sorted(tasks: readonly Task[], sort: { field: string; direction?: 'asc' | 'desc' }[]): Task[] {
  const last = sort.at(-1)?.direction ?? 'asc';
  return [...tasks].sort((a, b) => {
    for (const { field, direction = 'asc' } of [...sort, { field: 'id', direction: last }]) {
      const [x, y] = [comparable(field, a[field]), comparable(field, b[field])];
      if (x === y) continue;
      if (x === null) return 1;
      if (y === null) return -1;
      const order =
        typeof x === 'string'
          ? Buffer.compare(Buffer.from(x), Buffer.from(y as string))
          : (x as number) - (y as number);
      if (order !== 0) return direction === 'asc' ? order : -order;
    }
    return 0;
  });
}
