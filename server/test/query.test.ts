/** What the tool `query` asks of the database (R3.10); what the database makes of it is tested on a real Postgres. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildSurface } from '../src/mcp/surface.ts';
import { batchTool } from '../src/toolsets/workspace/batch/index.ts';
import { type GroupsQuery, planGroups } from '../src/toolsets/workspace/query/aggregate.ts';
import { QUERYABLES, type Queryable } from '../src/toolsets/workspace/query/fields.ts';
import { checkFilter, operatorsOf } from '../src/toolsets/workspace/query/filter.ts';
import { queryTool } from '../src/toolsets/workspace/query/index.ts';
import { planRows, type RowsQuery } from '../src/toolsets/workspace/query/rows.ts';
import { searchTool } from '../src/toolsets/workspace/search/index.ts';

const ISSUER = 'https://issuer.test';

function queryable(kind: 'task' | 'recording'): Queryable {
  const found = QUERYABLES.get(kind);
  if (found === undefined) throw new Error(kind);
  return found;
}
const tasks = queryable('task');
const check = (filter: unknown) => checkFilter(filter, { fields: tasks.fields, issuer: ISSUER });

describe('a filter is passed on', () => {
  it.each<[string, unknown]>([
    ['equality', { field: 'title', op: 'eq', value: 'x' }],
    ['a text with what LIKE takes for syntax', { field: 'title', op: 'contains', value: '50%_\\' }],
    ['a list', { field: 'version', op: 'in', value: [1, 2] }],
    ['an enum', { field: 'priority', op: 'gte', value: 'high' }],
    [
      'a tree',
      {
        or: [
          { not: { field: 'tags', op: 'has', value: 'a' } },
          { and: [{ field: 'dueAt', op: 'isNull', value: true }] },
        ],
      },
    ],
    ["a subject of another issuer's", { field: 'createdBy', op: 'eq', value: 'https://other.test ann' }],
    ['a part of a subject', { field: 'createdBy', op: 'contains', value: 'ann' }],
    ['the beginning of a subject', { field: 'updatedBy', op: 'startsWith', value: 'ann' }],
  ])('as it is: %s', (_sentence, filter) => {
    expect(check(filter)).toEqual(filter);
  });

  it.each<[string, unknown, unknown]>([
    [
      'a date as its midnight',
      { field: 'createdAt', op: 'lt', value: '2026-05-01' },
      { field: 'createdAt', op: 'lt', value: '2026-05-01T00:00:00Z' },
    ],
    [
      'an id in lower case',
      { field: 'id', op: 'eq', value: '00000000-0000-4000-8000-0000000000FF' },
      { field: 'id', op: 'eq', value: '00000000-0000-4000-8000-0000000000ff' },
    ],
    [
      "a subject as one of the caller's own issuer (D10)",
      { field: 'createdBy', op: 'ne', value: 'ann' },
      { field: 'createdBy', op: 'ne', value: `${ISSUER} ann` },
    ],
    [
      'each of several subjects (D10)',
      { field: 'updatedBy', op: 'in', value: ['ann', 'https://other.test ann'] },
      { field: 'updatedBy', op: 'in', value: [`${ISSUER} ann`, 'https://other.test ann'] },
    ],
  ])('%s', (_sentence, filter, passed) => {
    expect(check(filter)).toEqual(passed);
  });

  it('built anew: nothing that a caller sends but names and values that were checked', () => {
    const parts = {
      field: fc.constantFrom('title', 'status', 'x'),
      op: fc.constantFrom('eq', 'ne', 'x'),
      value: fc.string(),
    };
    const { node } = fc.letrec((tie) => ({
      node: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.record(parts),
        fc.record({ ...parts, more: fc.anything() }, { requiredKeys: [] }),
        fc.record({ and: fc.array(tie('node')) }),
        fc.record({ not: tie('node') }),
      ),
    }));
    const isClean = (condition: unknown): boolean => {
      const given = condition as Record<string, unknown>;
      if (given.and !== undefined) return Object.keys(given).length === 1 && (given.and as unknown[]).every(isClean);
      if (given.not !== undefined) return Object.keys(given).length === 1 && isClean(given.not);
      const field = tasks.fields.get(String(given.field));
      return (
        Object.keys(given).join() === 'field,op,value' &&
        field !== undefined &&
        operatorsOf(field).some((operator) => operator === given.op)
      );
    };
    fc.assert(
      fc.property(node, (filter) => {
        let passed: unknown;
        try {
          passed = check(filter);
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid_argument' });
          return;
        }
        expect(isClean(passed)).toBe(true);
      }),
    );
  });
});

describe('a query asks', () => {
  const plain: RowsQuery = {
    filter: undefined,
    archived: 'exclude',
    select: undefined,
    sort: undefined,
    limit: 10,
    cursor: undefined,
  };
  const groups = (query: Partial<GroupsQuery>) =>
    planGroups(tasks, { ...plain, groupBy: [], aggregate: [], having: undefined, timeZone: 'UTC', ...query }, ISSUER)
      .ask;

  it('for the newest, one more than it shows, of the fields that are not long', () => {
    const { ask } = planRows(tasks, plain, ISSUER);
    expect(ask).toMatchObject({ archived: 'exclude', sort: [{ field: 'createdAt', direction: 'desc' }], limit: 11 });
    expect(ask.fields).toContain('title');
    expect(ask.fields).not.toContain('description');
  });

  it('for recordings by their own date, which are never archived', () => {
    expect(planRows(queryable('recording'), plain, ISSUER).ask).toMatchObject({
      archived: 'include',
      sort: [{ field: 'startedAt', direction: 'desc' }],
    });
  });

  it('for what is behind the row that the page before ended with', () => {
    const query = { ...plain, limit: 1, sort: [{ field: 'dueAt', direction: 'asc' as const }] };
    const row = { id: '00000000-0000-4000-8000-000000000001' };
    const first = planRows(tasks, query, ISSUER);
    const page = first.page([
      { row, keys: [null], id: row.id },
      { row, keys: [null], id: row.id },
    ]);
    expect(planRows(tasks, { ...query, cursor: page.nextCursor }, ISSUER).ask.after).toEqual({
      values: [null],
      id: row.id,
    });
  });

  it('for groups by the places of their columns', () => {
    expect(
      groups({
        groupBy: [
          { field: 'status', as: 'state' },
          { field: 'createdAt', bucket: 'week' },
        ],
        aggregate: [{ function: 'count' }, { function: 'max', field: 'dueAt', as: 'last' }],
        having: { not: { field: 'last', op: 'lt', value: '2026-05-01' } },
        sort: [{ field: 'count', direction: 'desc' }],
      }),
    ).toEqual({
      filter: undefined,
      archived: 'exclude',
      groupBy: [
        { field: 'status', bucket: undefined },
        { field: 'createdAt', bucket: 'week' },
      ],
      timeZone: 'UTC',
      aggregate: [
        { function: 'count', field: undefined },
        { function: 'max', field: 'dueAt' },
      ],
      having: { not: { field: '3', op: 'lt', value: '2026-05-01T00:00:00Z' } },
      sort: [
        { column: 2, direction: 'desc' },
        { column: 0, direction: 'asc' },
        { column: 1, direction: 'asc' },
      ],
      limit: 11,
    });
  });

  it('and answers subjects as the caller knows them (D10)', () => {
    const { page } = planRows(tasks, { ...plain, select: ['createdBy', 'updatedBy'] }, ISSUER);
    const row = { createdBy: `${ISSUER} ann`, updatedBy: 'https://other.test ann' };
    expect(page([{ row, keys: [], id: '' }]).rows).toEqual([{ createdBy: 'ann', updatedBy: 'https://other.test ann' }]);
  });
});

describe('the schemas of batch, query and search', () => {
  const surface = buildSurface([
    { name: 'test', instructions: '', tools: [batchTool, queryTool, searchTool], resources: [] },
  ]);
  it.each(surface.tools.list('full').tools.map((tool) => [tool.name, tool] as const))(
    '%s has no reference in them and stays small',
    (_name, tool) => {
      const schemas = JSON.stringify([tool.inputSchema, tool.outputSchema]);
      expect(schemas).not.toMatch(/\$ref|\$defs/);
      expect(schemas.length + (tool.description?.length ?? 0)).toBeLessThan(10_000);
    },
  );

  it('the filter says what it is in the schema, and what can be asked stands beside the kind', () => {
    const query = surface.tools.list('full').tools.find((tool) => tool.name === 'query');
    expect(query?.inputSchema.properties?.filter).toMatchObject({
      type: 'object',
      properties: {
        and: { items: { properties: { or: { items: { type: 'object' } } } } },
        field: {},
        op: {},
        value: {},
      },
    });
    const { description } = (query?.inputSchema.properties?.kind ?? {}) as { description?: string };
    for (const { kind } of QUERYABLES.values()) expect(description).toContain(`${kind}: `);
    expect(description).toContain('priority low|normal|high|urgent');
    expect(query?.description).toContain('what can be null isNull');
  });
});
