/** The tool `query` over rows, by SDK clients, on a real Postgres (R3.10, R1.6). */
import type { Toolset } from '@bankhouse/server';
import type { Client } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { queryTool } from '../../../server/src/toolsets/workspace/query/index.ts';
import { startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { asLoader, call, callError, type RunningBank, runBank } from '../server/support.ts';
import { comparable, evaluate, insertRow, insertTasks, makeTasks, type Task, uuid } from './support.ts';

const toolset: Toolset = { name: 'workspace', instructions: '', tools: [queryTool], resources: [] };
const TASKS = makeTasks(120);
const LIVING = TASKS.filter((task) => task.archivedAt === null);

interface Page {
  rows: Record<string, unknown>[];
  nextCursor?: string;
}

let postgres: TestPostgres;
let running: RunningBank;
let client: Client & AsyncDisposable;
beforeAll(async () => {
  postgres = await startPostgres();
  running = await runBank(postgres, 'acme', { toolsets: [toolset] });
  await using other = await runBank(postgres, 'globex', { toolsets: [toolset] });
  await insertTasks(postgres, 'acme', TASKS);
  await insertTasks(postgres, other.id, makeTasks(60, 1000));
  client = await running.connect();
});
afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  await running?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

async function allRows(args: Record<string, unknown>, as: Client = client): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  let cursor: string | undefined;
  do {
    const page: Page = await call<Page>(as, 'query', {
      entity: 'tasks',
      ...args,
      ...(cursor === undefined ? {} : { cursor }),
    });
    rows.push(...page.rows);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return rows;
}

const idsOf = (rows: readonly { id?: unknown }[]) => rows.map((row) => String(row.id)).sort();

const CONDITIONS: [field: string, op: string, value: unknown][] = [
  ['title', 'eq', "O'Brien 0"],
  ['title', 'ne', "O'Brien 0"],
  ['title', 'in', ["O'Brien 0", '100% 0', 'nobody']],
  ['title', 'contains', 'PLAIN'],
  ['title', 'contains', '%'],
  ['title', 'contains', '_'],
  ['title', 'contains', '\\'],
  ['title', 'contains', '🦩'],
  ['title', 'contains', 'ÜNÏ'],
  ['title', 'contains', "'; DROP"],
  ['title', 'startsWith', 'a_b'],
  ['title', 'startsWith', 'plain'],
  ['description', 'eq', ''],
  ['description', 'ne', ''],
  ['description', 'contains', '"quoted"'],
  ['description', 'startsWith', 'about'],
  ['priority', 'eq', 'high'],
  ['priority', 'ne', 'high'],
  ['priority', 'in', ['low', 'urgent']],
  ['priority', 'lt', 'high'],
  ['priority', 'gte', 'high'],
  ['status', 'lte', 'in_progress'],
  ['status', 'gt', 'done'],
  ['version', 'eq', 3],
  ['version', 'ne', 3],
  ['version', 'in', [1, 5]],
  ['version', 'lt', 2],
  ['version', 'lte', 2],
  ['version', 'gt', 4],
  ['version', 'gte', 4],
  ['createdAt', 'eq', '2026-01-11T09:00:00.123456Z'],
  ['createdAt', 'lt', '2026-01-11T09:00:00.123456Z'],
  ['createdAt', 'lte', '2026-01-11T10:00:00.123456+01:00'],
  ['createdAt', 'gt', '2026-01-11'],
  ['createdAt', 'in', ['2026-01-11T09:00:00.123456Z', '2026-01-12T09:00:00.123456Z']],
  ['dueAt', 'gte', '2026-03-01'],
  ['dueAt', 'ne', '2026-01-06T09:00:00.000001Z'],
  ['dueAt', 'isNull', true],
  ['dueAt', 'isNull', false],
  ['assignee', 'eq', 'person2@example.com'],
  ['assignee', 'ne', 'person2@example.com'],
  ['assignee', 'isNull', true],
  ['tags', 'has', '100%'],
  ['tags', 'has', 'plain'],
  ['tags', 'hasAny', ['a_b', 'back\\slash']],
  ['tags', 'hasAll', ["O'Brien", '100%']],
  ['tags', 'isEmpty', true],
  ['tags', 'isEmpty', false],
  ['id', 'eq', uuid(5)],
  ['id', 'eq', uuid(0xab).toUpperCase()],
  ['id', 'in', [uuid(5), uuid(6), uuid(1001)]],
  ['vaultId', 'eq', 'sales'],
  ['vaultId', 'ne', 'sales'],
  ['vaultId', 'isNull', true],
  ['recordingId', 'in', ['fathom-8', 'fathom-17']],
  ['language', 'startsWith', 'fr'],
  ['language', 'isNull', true],
];

describe('filters', () => {
  it.each(CONDITIONS)('%s %s %j gives the rows that it fits', async (field, op, value) => {
    const filter = { field, op, value };
    const expected = LIVING.filter((task) => evaluate(filter, { ...task, id: task.id }));
    const actual = await allRows({
      filter: op === 'eq' && field === 'id' ? { field, op, value: String(value) } : filter,
    });
    if (field === 'id' && op === 'eq') {
      expect(idsOf(actual)).toEqual(
        [String(value).toLowerCase()].filter((id) => LIVING.some((task) => task.id === id)),
      );
      return;
    }
    expect(idsOf(actual)).toEqual(idsOf(expected));
  });

  it.each(CONDITIONS)('not %s %s %j gives all others', async (field, op, value) => {
    const filter = { field, op, value };
    const found = await allRows({ filter });
    const others = await allRows({ filter: { not: filter } });
    expect(idsOf([...found, ...others])).toEqual(idsOf(LIVING));
  });

  it.each<[string, unknown]>([
    [
      'and',
      {
        and: [
          { field: 'status', op: 'eq', value: 'open' },
          { field: 'priority', op: 'eq', value: 'low' },
        ],
      },
    ],
    [
      'or',
      {
        or: [
          { field: 'version', op: 'eq', value: 1 },
          { field: 'tags', op: 'isEmpty', value: true },
        ],
      },
    ],
    [
      'and, or and not below each other',
      {
        and: [
          { or: [{ field: 'version', op: 'lt', value: 3 }, { not: { field: 'assignee', op: 'isNull', value: true } }] },
          {
            not: {
              and: [
                { field: 'status', op: 'eq', value: 'open' },
                { field: 'dueAt', op: 'isNull', value: false },
              ],
            },
          },
        ],
      },
    ],
  ])('joins conditions by %s', async (_sentence, filter) => {
    const expected = LIVING.filter((task) => evaluate(filter, task));
    expect(expected.length).toBeGreaterThan(0);
    expect(idsOf(await allRows({ filter }))).toEqual(idsOf(expected));
  });

  it.each<[string, number]>([
    ['exclude', LIVING.length],
    ['include', TASKS.length],
    ['only', TASKS.length - LIVING.length],
  ])('archived rows: %s', async (archived, count) => {
    expect(await allRows({ archived })).toHaveLength(count);
  });
});

describe('a filter that is wrong', () => {
  const deep = (depth: number): unknown =>
    depth === 0 ? { field: 'title', op: 'eq', value: 'x' } : { not: deep(depth - 1) };
  it.each<[string, unknown, string, RegExp]>([
    ['no object', 'status = open', 'filter', /is no condition.*"and"/],
    ['an array', [], 'filter', /is no condition/],
    ['null', null, 'filter', /is no condition/],
    ['nothing in it', {}, 'filter', /is not one condition/],
    ['two things at once', { and: [deep(0)], or: [deep(0)] }, 'filter', /is not one condition/],
    ['and with a field beside it', { and: [deep(0)], field: 'title' }, 'filter', /is not one condition/],
    ['an empty and', { and: [] }, 'filter.and', /at least one/],
    ['an or that is no list', { or: { field: 'title' } }, 'filter.or', /no list of conditions/],
    [
      'a field of another entity',
      { and: [deep(0), { field: 'pinned', op: 'eq', value: true }] },
      'filter.and[1].field',
      /Fields: id, version.*dueAt/,
    ],
    ['SQL as a field', { field: 'id) or (1=1', op: 'eq', value: 'x' }, 'filter.field', /There is no field/],
    ['a name from the prototype', { field: 'constructor', op: 'eq', value: 'x' }, 'filter.field', /There is no field/],
    [
      'an operator of another type',
      { not: { field: 'version', op: 'contains', value: '1' } },
      'filter.not.op',
      /Operators of version: eq, ne, in, lt/,
    ],
    ['an operator of nobody', { field: 'version', op: '; drop', value: 1 }, 'filter.op', /Operators of version/],
    ['no operator', { field: 'version', value: 1 }, 'filter.op', /Operators of version/],
    ['more in a condition', { field: 'version', op: 'eq', value: 1, collate: 'C' }, 'filter', /has no "collate"/],
    [
      'isNull of what is never null',
      { field: 'title', op: 'isNull', value: true },
      'filter.op',
      /can't be asked "isNull"/,
    ],
    ['isNull without an answer', { field: 'dueAt', op: 'isNull' }, 'filter.value', /true or false/],
    ['null as a value', { field: 'dueAt', op: 'eq', value: null }, 'filter.value', /isNull/],
    [
      'a day that does not exist',
      { or: [deep(0), { not: { field: 'dueAt', op: 'lt', value: '2026-02-30' } }] },
      'filter.or[1].not.value',
      /instant that exists/,
    ],
    [
      'an offset that does not exist',
      { field: 'dueAt', op: 'lt', value: '2026-02-01T00:00:00+23:00' },
      'filter.value',
      /instant that exists/,
    ],
    [
      'a value that no enum has',
      { field: 'priority', op: 'eq', value: 'HIGH' },
      'filter.value',
      /one of low, normal, high, urgent/,
    ],
    [
      'a wrong value in a list',
      { field: 'priority', op: 'in', value: ['low', 'lower'] },
      'filter.value[1]',
      /one of low/,
    ],
    ['a number that is too large', { field: 'version', op: 'gt', value: 2 ** 31 }, 'filter.value', /whole number/],
    ['a fraction', { field: 'version', op: 'gt', value: 1.5 }, 'filter.value', /whole number/],
    ['text for a number', { field: 'version', op: 'gt', value: '1' }, 'filter.value', /whole number/],
    ['text for a boolean', { field: 'tags', op: 'isEmpty', value: 'yes' }, 'filter.value', /true or false/],
    ['no id', { field: 'id', op: 'eq', value: '1' }, 'filter.value', /UUID/],
    ['NUL', { field: 'title', op: 'eq', value: 'a\0b' }, 'filter.value', /without NUL/],
    ['half a character', { field: 'title', op: 'contains', value: '\ud800' }, 'filter.value', /without NUL/],
    [
      'text that is too long',
      { field: 'title', op: 'contains', value: 'x'.repeat(1001) },
      'filter.value',
      /at most 1000/,
    ],
    ['an empty list', { field: 'version', op: 'in', value: [] }, 'filter.value', /1 to 200/],
    [
      'a list that is too long',
      { field: 'version', op: 'in', value: Array(201).fill(1) },
      'filter.value',
      /201 values/,
    ],
    ['too deep', deep(8), `filter${'.not'.repeat(8)}`, /deeper than 8/],
    ['too many nodes', { or: Array(100).fill(deep(0)) }, 'filter.or[99]', /more than 100 nodes/],
  ])('%s is refused at its path', async (_sentence, filter, path, message) => {
    const error = await callError(client, 'query', { entity: 'tasks', filter });
    expect(error).toMatchObject({ code: 'invalid_argument', field: path, retryable: false });
    expect(error.text).toMatch(message);
  });

  it.each<[string, unknown]>([
    [
      'depth 8',
      { not: { not: { not: { not: { not: { not: { not: { field: 'version', op: 'gt', value: 0 } } } } } } } },
    ],
    ['100 nodes', { or: Array(99).fill({ field: 'version', op: 'gt', value: 0 }) }],
    ['200 values', { field: 'version', op: 'in', value: Array.from({ length: 200 }, (_, n) => n) }],
  ])('%s is let through', async (_sentence, filter) => {
    const expected = LIVING.filter((task) => evaluate(filter, task));
    expect(idsOf(await allRows({ filter }))).toEqual(idsOf(expected));
  });
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
    ['an entity of nobody', { entity: 'secrets' }, 'entity', /entity/],
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
    ['an argument that is not there', { where: '1=1' }, 'where', /where/i],
  ])('%s is refused', async (_sentence, args, field, message) => {
    const error = await callError(client, 'query', { entity: 'tasks', ...args });
    expect(error.code).toBe('invalid_argument');
    expect(error.text).toMatch(message);
    if (error.field !== undefined) expect(error.field).toBe(field);
  });

  it('come in shorter pages where they are long', async () => {
    const participants = Array.from({ length: 50 }, (_, n) => `${String(n).padStart(3, '0')}${'p'.repeat(300)}`);
    await asLoader(postgres, async (sql) => {
      for (let n = 0; n < 30; n++) await insertRow(sql, 'chats', 'acme', { title: `chat ${n}`, participants });
    });
    const first = await call<Page>(client, 'query', { entity: 'chats', limit: 200 });
    expect(first.rows.length).toBeLessThan(15);
    expect(JSON.stringify(first.rows).length).toBeLessThan(210_000);
    const titles = (await allRows({ entity: 'chats', limit: 200 })).map((row) => row.title);
    expect([titles.length, new Set(titles).size]).toEqual([30, 30]);
  });

  it('go on only with a cursor of their own', async () => {
    const { nextCursor } = await call<Page>(client, 'query', { entity: 'tasks', limit: 5 });
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
      expect((await callError(client, 'query', { entity: 'tasks', limit: 5, cursor })).code).toMatch(/^invalid_/);
    }
    expect((await callError(client, 'query', { entity: 'tasks', archived: 'only', cursor: nextCursor })).code).toBe(
      'invalid_cursor',
    );
    expect((await callError(client, 'query', { entity: 'notes', cursor: nextCursor })).code).toBe('invalid_cursor');
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
    const { rows } = await call<Page>(limited, 'query', { entity: 'tasks', aggregate: [{ function: 'count' }] });
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
