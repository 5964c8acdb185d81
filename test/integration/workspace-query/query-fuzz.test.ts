/** Random filters, valid and broken, against the tool `query`: no SQL error, nobody else's row, no limit escaped (R3.10, R1.6). */
import type { Toolset } from '@bankhouse/server';
import type { CallToolResult, Client } from '@modelcontextprotocol/client';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { queryTool } from '../../../server/src/toolsets/workspace/query/index.ts';
import { startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { type RunningBank, runBank, textOf } from '../server/support.ts';
import { evaluate, insertTasks, makeTasks, type Task, uuid, WORDS } from './support.ts';

const toolset: Toolset = { name: 'workspace', instructions: '', tools: [queryTool], resources: [] };
const TASKS = makeTasks(100);
const OTHERS = makeTasks(100, 5000);

let postgres: TestPostgres;
let running: RunningBank;
let whole: Client & AsyncDisposable;
let limited: Client & AsyncDisposable;
beforeAll(async () => {
  postgres = await startPostgres();
  running = await runBank(postgres, 'acme', { toolsets: [toolset] });
  await using other = await runBank(postgres, 'globex', { toolsets: [toolset] });
  await insertTasks(postgres, 'acme', TASKS);
  await insertTasks(postgres, other.id, OTHERS);
  whole = await running.connect();
  limited = await running.connect('modern', { vaults: ['sales'] });
});
afterAll(async () => {
  await whole?.[Symbol.asyncDispose]();
  await limited?.[Symbol.asyncDispose]();
  await running?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

const HOSTILE = [
  ...WORDS,
  "' or '1'='1",
  "'; drop table bank.tasks; --",
  '$1',
  '$100::text',
  "E'\\x00'",
  '\\',
  '%',
  '_',
  '%%%\\%',
  '"',
  '\u0000',
  '\ud800',
  '🦩'.repeat(50),
  'x'.repeat(999),
  'x'.repeat(5000),
  'select pg_sleep(10)',
  't.bank_id',
  'bank_id',
  'globex',
  '__proto__',
  'constructor',
  'toString',
  'İ',
  '\u202e',
  '1e400',
  '',
];
const hostile = fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'grapheme', maxLength: 20 }));
const storable = hostile.filter((text) => !text.includes('\0') && text.isWellFormed() && text.length <= 1000);
const instant = fc.oneof(
  fc.constantFrom(...TASKS.flatMap((task) => [task.createdAt, task.dueAt ?? task.updatedAt])),
  fc
    .date({ min: new Date('0001-01-02'), max: new Date('9999-12-29'), noInvalidDate: true })
    .map((date) => date.toISOString()),
);
const integer = fc.oneof(fc.integer({ min: -1, max: 7 }), fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 }));
const id = fc.oneof(fc.integer({ min: 0, max: 120 }), fc.integer({ min: 5000, max: 5050 })).map(uuid);
const list = <T>(value: fc.Arbitrary<T>) => fc.array(value, { minLength: 1, maxLength: 5 });

function conditionOf(field: string, value: fc.Arbitrary<unknown>, operators: string[]): fc.Arbitrary<unknown> {
  const single = operators.filter((op) => op !== 'in');
  return fc.oneof(
    fc.record({ field: fc.constant(field), op: fc.constantFrom(...single), value }),
    ...(operators.includes('in')
      ? [fc.record({ field: fc.constant(field), op: fc.constant('in'), value: list(value) })]
      : []),
  );
}

const ORDERED = ['eq', 'ne', 'in', 'lt', 'lte', 'gt', 'gte'];
const flag = (field: string, op: string) =>
  fc.record({ field: fc.constant(field), op: fc.constant(op), value: fc.boolean() });
const condition = fc.oneof(
  conditionOf('title', storable, ['eq', 'ne', 'in', 'contains', 'startsWith']),
  conditionOf('createdBy', fc.oneof(fc.constantFrom('user0', 'https://other.test user2'), storable), [
    'eq',
    'ne',
    'in',
    'contains',
    'startsWith',
  ]),
  conditionOf('assignee', storable, ['eq', 'ne', 'in', 'contains', 'startsWith']),
  conditionOf('description', storable, ['eq', 'ne', 'contains', 'startsWith']),
  conditionOf('version', integer, ORDERED),
  conditionOf('createdAt', instant, ORDERED),
  conditionOf('dueAt', instant, ORDERED),
  conditionOf('priority', fc.constantFrom('low', 'normal', 'high', 'urgent'), ORDERED),
  conditionOf('status', fc.constantFrom('open', 'in_progress', 'done', 'cancelled'), ORDERED),
  conditionOf('id', id, ['eq', 'ne', 'in']),
  conditionOf('vaultId', fc.oneof(fc.constantFrom('sales', 'support'), storable), ['eq', 'ne', 'in', 'startsWith']),
  conditionOf('tags', storable, ['has']),
  fc.record({ field: fc.constant('tags'), op: fc.constantFrom('hasAny', 'hasAll'), value: list(storable) }),
  flag('tags', 'isEmpty'),
  ...['dueAt', 'assignee', 'vaultId', 'language', 'completedAt'].map((field) => flag(field, 'isNull')),
);

/** Depth at most 8 and 100 nodes, as the tool takes them. */
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'filter', withCrossShrink: true },
    condition,
    fc.record({ and: fc.array(tie('tree'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ or: fc.array(tie('tree'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ not: tie('tree') }),
  ),
}));

/** What looks like a filter, with anything in any place. */
const junk = fc.oneof(hostile, fc.double(), fc.boolean(), fc.constant(null), fc.jsonValue({ maxDepth: 2 }));
const names = fc.oneof(fc.constantFrom('title', 'version', 'dueAt', 'tags', 'id', 'count'), hostile);
const { broken } = fc.letrec<{ broken: unknown }>((tie) => ({
  broken: fc.oneof(
    { maxDepth: 5 },
    fc.record({
      field: names,
      op: fc.oneof(fc.constantFrom('eq', 'in', 'has', 'contains', 'lt', 'isNull'), hostile),
      value: junk,
    }),
    junk,
    fc.record({ and: fc.oneof(fc.array(tie('broken'), { maxLength: 4 }), junk) }),
    fc.record({ or: fc.array(tie('broken'), { maxLength: 4 }), not: fc.option(tie('broken'), { nil: undefined }) }),
    fc.record({ not: tie('broken') }),
  ),
}));

async function ask(client: Client, args: Record<string, unknown>) {
  const result: CallToolResult = await client.callTool({ name: 'query', arguments: args });
  const code = (result._meta?.['bankhouse.dev/error'] as { code: string } | undefined)?.code;
  const { rows = [] } = (result.structuredContent ?? {}) as { rows?: Record<string, unknown>[] };
  return { code, rows, text: textOf(result) };
}

const visibleTo = (client: Client): Task[] =>
  client === whole ? TASKS : TASKS.filter((task) => task.vaultId === 'sales');
/** Told by the message of Postgres or of node-postgres, and never by ours. */
const LEAK =
  /syntax error|relation|operator does not exist|invalid input (syntax|value)|pg_catalog|bank\.|\$\d+::|at character|select /i;

it('a valid filter gives exactly the rows that it fits, of those that the caller may see', async () => {
  await fc.assert(
    fc.asyncProperty(tree, fc.boolean(), async (filter, isLimited) => {
      const client = isLimited ? limited : whole;
      const { code, rows, text } = await ask(client, {
        kind: 'task',
        filter,
        archived: 'include',
        select: ['id'],
        limit: 200,
      });
      expect({ code, text: code === undefined ? '' : text }).toEqual({ code: undefined, text: '' });
      const expected = visibleTo(client).filter((task) => evaluate(filter, task));
      expect(rows.map((row) => row.id).sort()).toEqual(expected.map((task) => task.id).sort());
    }),
    { numRuns: 300 },
  );
});

it("a broken filter is told so, without a word of SQL, and shows nobody else's row", async () => {
  await fc.assert(
    fc.asyncProperty(broken, fc.boolean(), async (filter, isLimited) => {
      const client = isLimited ? limited : whole;
      const { code, rows, text } = await ask(client, { kind: 'task', filter, archived: 'include', limit: 200 });
      expect([undefined, 'invalid_argument']).toContain(code);
      if (code !== undefined) expect(text.replace(/"(\\.|[^"\\])*("|…)/g, '')).not.toMatch(LEAK);
      const own = new Set(visibleTo(client).map((task) => task.id));
      expect(rows.filter((row) => !own.has(String(row.id)))).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

/** Now and then something else than what fits. */
const mostly = <T>(fitting: fc.Arbitrary<T>, other: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 12, arbitrary: fitting as fc.Arbitrary<unknown> }, { weight: 1, arbitrary: other });
const shortField = fc.constantFrom('title', 'version', 'dueAt', 'status', 'id', 'vaultId', 'createdAt');
const direction = mostly(fc.constantFrom('asc', 'desc'), hostile);
const common = {
  entity: mostly(fc.constantFrom('tasks', 'tasks', 'notes'), hostile),
  filter: fc.option(mostly(tree, broken), { nil: undefined }),
  limit: mostly(fc.constantFrom(1, 50, 200), fc.oneof(fc.constantFrom(201, 1000, 1001, 2 ** 40), junk)),
  archived: mostly(fc.constantFrom('include', 'only', 'exclude'), hostile),
};
const rowsArguments = fc.record(
  {
    ...common,
    select: mostly(fc.array(shortField, { minLength: 1, maxLength: 4 }), fc.array(names, { maxLength: 4 })),
    sort: fc.array(mostly(fc.record({ field: mostly(shortField, names), direction }), junk), {
      minLength: 1,
      maxLength: 4,
    }),
    cursor: mostly(
      fc.constant(undefined),
      fc.oneof(
        hostile,
        fc.jsonValue().map((value) => Buffer.from(JSON.stringify([1, 'query', '', value])).toString('base64url')),
      ),
    ),
  },
  { requiredKeys: ['entity'] },
);
const groupsArguments = fc.record(
  {
    ...common,
    groupBy: fc.uniqueArray(
      mostly(
        fc.oneof(
          fc.record({ field: shortField }),
          fc.record({
            field: fc.constantFrom('createdAt', 'updatedAt'),
            bucket: mostly(fc.constantFrom('day', 'week'), hostile),
          }),
        ),
        fc.record({ field: names, as: hostile }),
      ),
      { minLength: 1, maxLength: 3, selector: (entry) => JSON.stringify((entry as { field: unknown }).field) },
    ),
    aggregate: mostly(
      fc.constantFrom([{ function: 'count' }], [{ function: 'count' }, { function: 'avg', field: 'version' }]),
      fc.array(fc.record({ function: fc.oneof(fc.constantFrom('sum', 'min'), hostile), field: names, as: hostile })),
    ),
    having: fc.option(mostly(fc.constant({ field: 'count', op: 'gt', value: 1 }), broken), { nil: undefined }),
    timeZone: mostly(
      fc.constantFrom('UTC', 'Europe/Berlin', 'US/Eastern', 'EST5EDT'),
      fc.oneof(fc.constantFrom('Factory', 'posixrules', 'GMT+5', 'localtime'), hostile),
    ),
  },
  { requiredKeys: ['entity', 'groupBy'] },
);

it('any arguments at all give rows of the caller or a clear refusal, within the limits', async () => {
  const outcomes = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(fc.oneof(rowsArguments, groupsArguments), fc.boolean(), async (given, isLimited) => {
      const client = isLimited ? limited : whole;
      const { code, rows, text } = await ask(client, given);
      outcomes.set(code ?? 'ok', (outcomes.get(code ?? 'ok') ?? 0) + 1);
      expect([undefined, 'invalid_argument', 'invalid_cursor']).toContain(code);
      if (code !== undefined) expect(text.replace(/"(\\.|[^"\\])*("|…)/g, '')).not.toMatch(LEAK);
      expect(rows.length).toBeLessThanOrEqual(1000);
      const counted = rows.reduce((sum, row) => sum + (typeof row.count === 'number' ? row.count : 0), 0);
      // A group by tags counts a row once for each.
      expect(counted).toBeLessThanOrEqual(3 * visibleTo(client).length);
      const own = new Set(visibleTo(client).map((task) => task.id));
      if (given.entity === 'tasks')
        expect(rows.filter((row) => typeof row.id === 'string' && !own.has(row.id))).toEqual([]);
    }),
    { numRuns: 400 },
  );
  // So that neither side of it goes untried.
  expect(outcomes.get('ok')).toBeGreaterThan(100);
  expect(outcomes.get('invalid_argument')).toBeGreaterThan(100);
});

it('time zones that Node knows are answered or refused by name', async () => {
  const unknown: string[] = [];
  for (const timeZone of Intl.supportedValuesOf('timeZone').filter((_zone, index) => index % 8 === 0)) {
    const { code, text } = await ask(whole, {
      kind: 'task',
      groupBy: [{ field: 'dueAt', bucket: 'day' }],
      timeZone,
      limit: 1,
    });
    if (code !== undefined) unknown.push(`${timeZone}: ${code} ${text.slice(0, 40)}`);
  }
  expect(unknown.filter((told) => !/: invalid_argument invalid_argument: timeZone/.test(told))).toEqual([]);
  expect(unknown.length).toBeLessThan(5);
});
