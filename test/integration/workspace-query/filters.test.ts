/** Filters of the tool `query`, by SDK clients, on a real Postgres (R3.10): each condition, their joins, and what is wrong. */
import { describe, expect, it } from 'vitest';
import { shared } from '../../harness/shared.ts';
import { callError } from '../server/support.ts';
import { idsOf, LIVING, type Queries, startQueries, TASKS } from './queries.ts';
import { evaluate, uuid } from './support.ts';

let { client, allRows } = {} as Queries;
shared(startQueries, (queries) => {
  ({ client, allRows } = queries);
});

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
  ['createdBy', 'eq', 'user1'],
  ['createdBy', 'eq', 'https://other.test user2'],
  ['createdBy', 'eq', 'user2'],
  ['createdBy', 'ne', 'user0'],
  ['createdBy', 'in', ['user0', 'https://other.test user2']],
  ['createdBy', 'contains', 'USER'],
  ['createdBy', 'contains', 'other.test'],
  ['createdBy', 'startsWith', 'https://other'],
  ['updatedBy', 'eq', 'loader'],
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
    ['no object', 'status = open', 'filter', /must be a condition such as/],
    ['an array', [], 'filter', /is no condition/],
    ['nothing in it', {}, 'filter', /is not one condition/],
    ['two things at once', { and: [deep(0)], or: [deep(0)] }, 'filter', /is not one condition/],
    ['and with a field beside it', { and: [deep(0)], field: 'title' }, 'filter', /is not one condition/],
    ['an empty and', { and: [] }, 'filter.and', /at least one/],
    ['an or that is no list', { or: 'title' }, 'filter.or', /no list of conditions/],
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
      { field: 'priority', op: 'eq', value: 'HIGHEST' },
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
    ['text for a number', { field: 'version', op: 'gt', value: 'one' }, 'filter.value', /whole number/],
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
    const error = await callError(client, 'query', { kind: 'task', filter });
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
