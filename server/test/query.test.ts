/** How the tool `query` writes SQL (R3.10); what the SQL does is tested on a real Postgres. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildSurface } from '../src/mcp/surface.ts';
import { batchTool } from '../src/toolsets/workspace/batch/index.ts';
import { planGroups } from '../src/toolsets/workspace/query/aggregate.ts';
import { QUERYABLES, type Queryable } from '../src/toolsets/workspace/query/fields.ts';
import { compileFilter, operatorsOf } from '../src/toolsets/workspace/query/filter.ts';
import { queryTool } from '../src/toolsets/workspace/query/index.ts';
import { planRows } from '../src/toolsets/workspace/query/rows.ts';
import { Parameters } from '../src/toolsets/workspace/query/statement.ts';
import { searchTool } from '../src/toolsets/workspace/search/index.ts';

function queryable(kind: 'tasks' | 'recordings'): Queryable {
  const found = QUERYABLES.get(kind);
  if (found === undefined) throw new Error(kind);
  return found;
}
const tasks = queryable('tasks');

function compile(filter: unknown) {
  const parameters = new Parameters();
  return { text: compileFilter(filter, tasks.fields, parameters), values: parameters.values };
}

describe('a filter', () => {
  it.each<[string, unknown, string, unknown[]]>([
    ['equality', { field: 'title', op: 'eq', value: 'x' }, 't.title = $1::text', ['x']],
    [
      'a field that can be null',
      { field: 'assignee', op: 'eq', value: 'x' },
      '(t.assignee = $1::text and t.assignee is not null)',
      ['x'],
    ],
    ['ne, also of null', { field: 'assignee', op: 'ne', value: 'x' }, 't.assignee is distinct from $1::text', ['x']],
    [
      'a pattern, escaped',
      { field: 'title', op: 'contains', value: '50%_\\' },
      't.title ilike $1::text',
      ['%50\\%\\_\\\\%'],
    ],
    ['a list', { field: 'version', op: 'in', value: [1, 2] }, 't.version = any ($1::int4[])', [[1, 2]]],
    [
      'a date as its midnight',
      { field: 'createdAt', op: 'lt', value: '2026-05-01' },
      't.created_at < $1::timestamptz',
      ['2026-05-01T00:00:00Z'],
    ],
    [
      'an enum by its place',
      { field: 'priority', op: 'gte', value: 'high' },
      'array_position($2::text[], t.priority::text) >= $1::int4',
      [3, ['low', 'normal', 'high', 'urgent']],
    ],
    [
      'a tree',
      {
        or: [
          { not: { field: 'tags', op: 'has', value: 'a' } },
          { and: [{ field: 'dueAt', op: 'isNull', value: true }] },
        ],
      },
      '(not (t.tags @> array[$1::text]) or ((t.due_at is null) = $2::boolean))',
      ['a', true],
    ],
  ])('%s', (_sentence, filter, text, values) => {
    expect(compile(filter)).toEqual({ text, values });
  });

  it('is the same text whatever its values are', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0')),
        (value) => {
          for (const field of tasks.fields.values()) {
            if (field.type !== 'text' && field.type !== 'longText' && field.type !== 'key') continue;
            for (const op of operatorsOf(field).filter((operator) => operator !== 'in' && operator !== 'isNull')) {
              const of = (text: string) => compile({ not: { field: field.name, op, value: text } }).text;
              expect(of(value)).toBe(of('x'));
            }
          }
        },
      ),
    );
  });
});

describe('a statement', () => {
  const plain = {
    filter: undefined,
    archived: 'exclude',
    select: undefined,
    sort: undefined,
    limit: 10,
    cursor: undefined,
  } as const;
  it('has no name, since its text is one of many', () => {
    expect(planRows(tasks, plain).statement).not.toHaveProperty('name');
    expect(
      planGroups(tasks, { ...plain, groupBy: [{ field: 'status' }], aggregate: [], having: undefined, timeZone: 'UTC' })
        .statement,
    ).not.toHaveProperty('name');
  });

  it('takes the newest in the order of an index, without a word about null', () => {
    expect(planRows(tasks, plain).statement.text).toMatch(
      / from bank\.tasks t where t\.archived_at is null order by t\.created_at desc, t\.id desc limit \$1::int4$/,
    );
  });

  it('takes recordings from both tables', () => {
    expect(planRows(queryable('recordings'), plain).statement.text).toMatch(
      /bank\.new_calls t .* union all .*bank\.legacy_calls t /,
    );
  });
});

describe('the schemas of batch, query and search', () => {
  const surface = buildSurface(
    [{ name: 'test', instructions: '', tools: [batchTool, queryTool, searchTool], resources: [] }],
    'Acme',
  );
  it.each(surface.toolList.tools.map((tool) => [tool.name, tool] as const))(
    '%s has no reference in them and stays small',
    (_name, tool) => {
      const schemas = JSON.stringify([tool.inputSchema, tool.outputSchema]);
      expect(schemas).not.toMatch(/\$ref|\$defs/);
      expect(schemas.length + (tool.description?.length ?? 0)).toBeLessThan(10_000);
    },
  );

  it('the filter says what it is in the schema and what can be asked in the description', () => {
    const query = surface.toolList.tools.find((tool) => tool.name === 'query');
    expect(query?.inputSchema.properties?.filter).toMatchObject({
      type: 'object',
      properties: {
        and: { items: { properties: { or: { items: { type: 'object' } } } } },
        field: {},
        op: {},
        value: {},
      },
    });
    for (const { kind } of QUERYABLES.values()) expect(query?.description).toContain(`${kind}: `);
    expect(query?.description).toContain('priority low|normal|high|urgent');
  });
});
