/** The tool `query` with groups, and over recordings, compared with the same computed here from rows read plainly (R3.10, R1.2). */
import type { Toolset } from '@bankhouse/server';
import type { Client } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { queryTool } from '../../../server/src/toolsets/workspace/query/index.ts';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { addLegacy, addRecording } from '../database/support.ts';
import { asLoader, call, callError, type RunningBank, runBank } from '../server/support.ts';
import { insertTasks, makeTasks, type Task } from './support.ts';

const toolset: Toolset = { name: 'workspace', instructions: '', tools: [queryTool], resources: [] };
/** Weeks around the change to summer time in Berlin (2026-03-29), and midnight there being 22:30 of the day before in UTC. */
const TASKS: Task[] = makeTasks(120).map((task, n) => ({
  ...task,
  createdAt: new Date(Date.UTC(2026, 1, 1, 22, 30) + n * 13 * 3_600_000).toISOString().replace('.000', ''),
}));
const LIVING = TASKS.filter((task) => task.archivedAt === null);

type Row = Record<string, unknown>;
interface Groups {
  rows: Row[];
  truncated: boolean;
}

let postgres: TestPostgres;
let running: RunningBank;
let client: Client & AsyncDisposable;
beforeAll(async () => {
  postgres = await startPostgres();
  running = await runBank(postgres, 'acme', { toolsets: [toolset] });
  await insertTasks(postgres, 'acme', TASKS);
  await seedCalls();
  client = await running.connect();
});
afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  await running?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

/** Legacy calls 1–6 (6 in no vault), of which 1 is migrated into `support`; two recordings, one of them in both vaults. */
async function seedCalls(): Promise<void> {
  await asLoader(postgres, async (sql) => {
    await sql.query('begin');
    for (let id = 1; id <= 6; id++) {
      await addLegacy(sql, 'acme', {
        id,
        vault: id === 6 ? null : 'sales',
        startedAt: `2026-0${id}-10T10:00:00Z`,
        participants: ['ann@example.com'],
      });
    }
    await addRecording(sql, 'acme', {
      title: 'moved',
      vaults: ['support'],
      legacyId: 1,
      participants: ['bob@example.com'],
    });
    await addRecording(sql, 'acme', {
      title: 'shared',
      vaults: ['sales', 'support'],
      participants: ['bob@example.com'],
    });
    await sql.query('commit');
  });
}

const groups = (args: Row, as: Client = client) => call<Groups>(as, 'query', { kind: 'task', limit: 1000, ...args });

/** Rows by key, in no order. */
function grouped<T>(rows: readonly T[], keysOf: (row: T) => unknown[]): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const row of rows)
    for (const key of keysOf(row)) found.set(JSON.stringify(key), [...(found.get(JSON.stringify(key)) ?? []), row]);
  return found;
}

/** The first day of the period in the zone, by the calendar of Intl and not by Postgres. */
function periodOf(instant: string, bucket: string, timeZone: string): string {
  const local = new Intl.DateTimeFormat('sv-SE', { timeZone }).format(new Date(instant));
  const [year = 0, month = 1] = local.split('-').map(Number);
  const day = new Date(`${local}T00:00:00Z`);
  switch (bucket) {
    case 'week':
      day.setUTCDate(day.getUTCDate() - ((day.getUTCDay() + 6) % 7));
      return day.toISOString().slice(0, 10);
    case 'month':
      return `${local.slice(0, 7)}-01`;
    case 'quarter':
      return `${year}-${String(Math.floor((month - 1) / 3) * 3 + 1).padStart(2, '0')}-01`;
    case 'year':
      return `${year}-01-01`;
    default:
      return local;
  }
}

describe('groups', () => {
  it.each<[string, (task: Task) => unknown[]]>([
    ['status', (task) => [task.status]],
    ['priority', (task) => [task.priority]],
    ['assignee', (task) => [task.assignee]],
    ['version', (task) => [task.version]],
    ['vaultId', (task) => [task.vaultId]],
    ['createdAt', (task) => [task.createdAt]],
    ['tags', (task) => (task.tags.length === 0 ? [null] : task.tags)],
  ])('by %s hold what the rows say', async (field, keysOf) => {
    const { rows, truncated } = await groups({
      groupBy: [{ field }],
      aggregate: [
        { function: 'count' },
        { function: 'count', field: 'dueAt' },
        { function: 'sum', field: 'version' },
        { function: 'avg', field: 'version', as: 'mean' },
        { function: 'min', field: 'version' },
        { function: 'max', field: 'dueAt', as: 'latest' },
      ],
    });
    const expected = [...grouped(LIVING, keysOf)].map(([key, of]) => {
      const versions = of.map((task) => task.version);
      const sum = versions.reduce((total, version) => total + version, 0);
      return {
        [field]: JSON.parse(key),
        count: of.length,
        count_dueAt: of.filter((task) => task.dueAt !== null).length,
        sum_version: sum,
        mean: expect.closeTo(sum / of.length, 9),
        min_version: Math.min(...versions),
        latest:
          of
            .map((task) => task.dueAt)
            .filter((due) => due !== null)
            .sort((a, b) => Date.parse(a) - Date.parse(b))
            .at(-1) ?? null,
      };
    });
    expect(truncated).toBe(false);
    expect(rows).toHaveLength(expected.length);
    expect(rows).toEqual(expect.arrayContaining(expected));
  });

  it.each(
    ['day', 'week', 'month', 'quarter', 'year'].flatMap((bucket) =>
      ['UTC', 'Europe/Berlin', 'Pacific/Auckland', 'America/St_Johns'].map((timeZone): [string, string] => [
        bucket,
        timeZone,
      ]),
    ),
  )('by %s in %s begin where the calendar says', async (bucket, timeZone) => {
    const { rows } = await groups({ groupBy: [{ field: 'createdAt', bucket, as: 'from' }], timeZone });
    const expected = [...grouped(LIVING, (task) => [periodOf(task.createdAt, bucket, timeZone)])]
      .map(([key, of]) => ({ from: JSON.parse(key) as string, count: of.length }))
      .sort((a, b) => a.from.localeCompare(b.from));
    expect(rows).toEqual(expected);
  });

  it('by two fields, over a filter, sorted by what was computed, with having and a limit', async () => {
    const all = [
      ...grouped(
        LIVING.filter((task) => task.version > 1),
        (task) => [[task.status, task.priority]],
      ),
    ]
      .map(([key, of]) => ({ key: JSON.parse(key) as string[], n: of.length }))
      .filter(({ n }) => n >= 3)
      .sort((a, b) => b.n - a.n);
    const ask = (limit: number) =>
      groups({
        filter: { field: 'version', op: 'gt', value: 1 },
        groupBy: [{ field: 'status' }, { field: 'priority' }],
        aggregate: [{ function: 'count', as: 'n' }],
        having: { field: 'n', op: 'gte', value: 3 },
        sort: [{ field: 'n', direction: 'desc' }],
        limit,
      });
    const { rows } = await ask(1000);
    expect(rows.map((row) => row.n)).toEqual(all.map(({ n }) => n));
    expect(rows.map((row) => [row.status, row.priority]).sort()).toEqual(all.map(({ key }) => key).sort());
    expect(await ask(2)).toMatchObject({ rows: rows.slice(0, 2), truncated: true });
  });

  it('by an enum come in its own order', async () => {
    const { rows } = await groups({ groupBy: [{ field: 'priority' }] });
    expect(rows.map((row) => row.priority)).toEqual(['low', 'normal', 'high', 'urgent']);
  });

  it('without fields compute one row, of no rows too', async () => {
    const aggregate = [
      { function: 'count' },
      { function: 'max', field: 'version' },
      { function: 'min', field: 'createdAt' },
    ];
    expect((await groups({ aggregate })).rows).toEqual([
      { count: LIVING.length, max_version: 5, min_createdAt: LIVING[0]?.createdAt },
    ]);
    const none = { field: 'title', op: 'eq', value: 'nobody has this' };
    expect((await groups({ aggregate, filter: none })).rows).toEqual([
      { count: 0, max_version: null, min_createdAt: null },
    ]);
  });

  it.each<[string, Row, string, RegExp]>([
    [
      'a bucket of what is no instant',
      { groupBy: [{ field: 'title', bucket: 'day' }] },
      'groupBy[0].bucket',
      /one of createdAt.*dueAt/,
    ],
    ['a bucket of nobody', { groupBy: [{ field: 'dueAt', bucket: 'century' }] }, 'groupBy', /bucket/],
    [
      'grouping by long text',
      { groupBy: [{ field: 'status' }, { field: 'description' }] },
      'groupBy[1].field',
      /too long/,
    ],
    [
      'grouping by two lists',
      { kind: 'chat', groupBy: [{ field: 'tags' }, { field: 'participants' }] },
      'groupBy[1].field',
      /one list/,
    ],
    [
      'a sum of texts',
      { aggregate: [{ function: 'count' }, { function: 'sum', field: 'title' }] },
      'aggregate[1].field',
      /Fields for sum: version/,
    ],
    [
      'a sum of instants',
      { aggregate: [{ function: 'avg', field: 'dueAt' }] },
      'aggregate[0].field',
      /Fields for avg: version/,
    ],
    ['a sum of nothing', { aggregate: [{ function: 'sum' }] }, 'aggregate[0].field', /needs a field/],
    ['a field of nobody', { aggregate: [{ function: 'count', field: 'x"; drop' }] }, 'aggregate[0].field', /no field/],
    ['two columns of one name', { groupBy: [{ field: 'status', as: 'count' }] }, 'aggregate', /"count"/],
    ['SQL as a name', { groupBy: [{ field: 'status', as: 'a" from' }] }, 'groupBy', /letters, digits/],
    [
      'sorting by what is no column',
      { groupBy: [{ field: 'status' }], sort: [{ field: 'title' }] },
      'sort[0].field',
      /status, count/,
    ],
    [
      'having over a field',
      { groupBy: [{ field: 'status' }], having: { not: { field: 'status', op: 'eq', value: 'open' } } },
      'having.not.field',
      /Fields: count/,
    ],
    [
      'a time zone of nobody',
      { groupBy: [{ field: 'dueAt', bucket: 'day' }], timeZone: 'Berlin' },
      'timeZone',
      /Europe\/Berlin/,
    ],
    [
      'an offset as a time zone',
      { groupBy: [{ field: 'dueAt', bucket: 'day' }], timeZone: '+02:00' },
      'timeZone',
      /IANA/,
    ],
    ['POSIX as a time zone', { groupBy: [{ field: 'dueAt', bucket: 'day' }], timeZone: 'FOO+5' }, 'timeZone', /IANA/],
    ['too many groups', { groupBy: [{ field: 'title' }], limit: 1001 }, 'limit', /1000/],
    ['a page of groups', { groupBy: [{ field: 'title' }], cursor: 'x' }, 'cursor', /one page/],
    ['fields beside groups', { groupBy: [{ field: 'title' }], select: ['id'] }, 'select', /one page/],
  ])('%s is refused', async (_sentence, args, field, message) => {
    const error = await callError(client, 'query', { kind: 'task', ...args });
    expect(error).toMatchObject({ code: 'invalid_argument', field });
    expect(error.text).toMatch(message);
  });
});

describe('recordings (R1.2)', () => {
  const ask = (args: Row, as: Client = client) => call<Groups>(as, 'query', { kind: 'recording', ...args });
  it.each<[string, Row | undefined, string[]]>([
    [
      'all, a migrated call once',
      undefined,
      ['legacy 2', 'legacy 3', 'legacy 4', 'legacy 5', 'legacy 6', 'moved', 'shared'],
    ],
    ['by source', { field: 'source', op: 'eq', value: 'recording' }, ['moved', 'shared']],
    ['by vault', { field: 'vaultIds', op: 'has', value: 'support' }, ['moved', 'shared']],
    ['in no vault', { field: 'vaultIds', op: 'isEmpty', value: true }, ['legacy 6']],
    ['by participant', { field: 'participants', op: 'hasAny', value: ['bob@example.com', 'x'] }, ['moved', 'shared']],
    [
      'by time',
      {
        and: [
          { field: 'startedAt', op: 'gte', value: '2026-04-10T10:00:00Z' },
          { field: 'startedAt', op: 'lt', value: '2026-06-10T10:00:00Z' },
        ],
      },
      ['legacy 4', 'legacy 5'],
    ],
    ['by id', { field: 'id', op: 'in', value: ['fathom-3', 'fathom-1'] }, ['legacy 3']],
    [
      'by length and summary',
      {
        and: [
          { field: 'durationSeconds', op: 'eq', value: 1800 },
          { field: 'summary', op: 'isNull', value: false },
        ],
      },
      [],
    ],
  ])('%s', async (_sentence, filter, titles) => {
    const { rows } = await ask({ select: ['title'], ...(filter === undefined ? {} : { filter }) });
    expect(rows.map((row) => row.title).sort()).toEqual(titles);
  });

  it('page and count', async () => {
    const first = await call<Groups & { nextCursor: string }>(client, 'query', { kind: 'recording', limit: 4 });
    const rest = await ask({ limit: 4, cursor: first.nextCursor });
    expect(new Set([...first.rows, ...rest.rows].map((row) => row.id)).size).toBe(7);
    expect(
      (
        await ask({
          groupBy: [{ field: 'vaultIds' }],
          aggregate: [{ function: 'count' }, { function: 'sum', field: 'durationSeconds' }],
        })
      ).rows,
    ).toEqual([
      { vaultIds: 'sales', count: 5, sum_durationSeconds: 9000 },
      { vaultIds: 'support', count: 2, sum_durationSeconds: 3600 },
      { vaultIds: null, count: 1, sum_durationSeconds: 1800 },
    ]);
  });

  it('are seen by vault alone, a migrated one by its new vaults (R1.6)', async () => {
    await using sales = await running.connect('modern', { vaults: ['sales'] });
    const { rows } = await ask({ select: ['title', 'vaultIds'], sort: [{ field: 'title' }] }, sales);
    expect(rows.map((row) => row.title)).toEqual(['legacy 2', 'legacy 3', 'legacy 4', 'legacy 5', 'shared']);
    expect(rows.at(-1)).toEqual({ title: 'shared', vaultIds: ['sales'] });
  });

  it('have no archive', async () => {
    expect(await callError(client, 'query', { kind: 'recording', archived: 'only' })).toMatchObject({
      field: 'archived',
    });
  });
});

describe('limits', () => {
  it('a query that takes too long is ended after 2 s and says what to do', async () => {
    await asLoader(postgres, (sql) =>
      sql.query(
        `insert into bank.notes (bank_id, created_by, updated_by, title, body)
         select 'acme', 'l', 'l', 'long', repeat('x', 99000) from generate_series(1, 150)`,
      ),
    );
    const slow = Array.from({ length: 90 }, (_, n) => ({
      field: 'body',
      op: 'contains',
      value: `${'a%b_'.repeat(3)}${n}`,
    }));
    const calling = callError(client, 'query', { kind: 'note', filter: { or: slow } });
    const ages = await agesUntil(calling);
    const error = await calling;
    expect(error).toMatchObject({ code: 'too_slow' });
    expect(error.text).toMatch(/2 s.*period of createdAt/);
    expect(ages.length).toBeGreaterThan(0);
    expect(Math.max(...ages)).toBeLessThan(4500);
  });
});

/** For how many milliseconds the bank's statement had run, asked over and over until the call is answered: its way here and back is left out. */
async function agesUntil(call: Promise<unknown>): Promise<number[]> {
  let isAnswered = false;
  const answered = call.finally(() => {
    isAnswered = true;
  });
  answered.catch(() => {});
  return withClient(postgres.superuserUrl, async (sql) => {
    const ages: number[] = [];
    while (!isAnswered) {
      const { rows } = await sql.query<{ age: number }>(
        `select extract(epoch from clock_timestamp() - query_start)::float8 * 1000 as age
           from pg_stat_activity where usename = $1 and state = 'active'`,
        [running.bank.role],
      );
      ages.push(...rows.map(({ age }) => age));
    }
    return ages;
  });
}
