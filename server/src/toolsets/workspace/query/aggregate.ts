import type { Statement } from '../../../database/transaction.ts';
import { instantSql } from '../../shared/when.ts';
import { isStorable } from '../schemas.ts';
import type { Queryable, QueryField, QueryType } from './fields.ts';
import { compileFilter, enumPlace } from './filter.ts';
import { type Archived, conditions, fieldValue, knownField, type Sort, whereOf } from './rows.ts';
import { Parameters } from './statement.ts';
import { shown, wrong } from './values.ts';

export const BUCKETS = ['day', 'week', 'month', 'quarter', 'year'] as const;
export type Bucket = (typeof BUCKETS)[number];
export const FUNCTIONS = ['count', 'sum', 'avg', 'min', 'max'] as const;

export interface GroupBy {
  readonly field: string;
  readonly bucket?: Bucket | undefined;
  readonly as?: string | undefined;
}
export interface Aggregate {
  readonly function: (typeof FUNCTIONS)[number];
  readonly field?: string | undefined;
  readonly as?: string | undefined;
}
export interface GroupsQuery {
  readonly filter: unknown;
  readonly archived: Archived;
  readonly groupBy: readonly GroupBy[];
  readonly aggregate: readonly Aggregate[];
  readonly having: unknown;
  readonly sort: readonly Sort[] | undefined;
  readonly timeZone: string;
  readonly limit: number;
}
export interface PlannedGroups {
  readonly statement: Statement;
  readonly values: readonly unknown[];
  page(found: readonly Record<string, unknown>[]): { rows: Record<string, unknown>[]; truncated: boolean };
}

/** A column of the answer, over the grouped rows `g`. */
interface Column extends QueryField {
  /** Expression over the rows before they are grouped. */
  readonly inner: string;
  /** What the groups are sorted by, where that is not the column itself. */
  readonly place?: string;
}

/**
 * Groups and what is computed of each. A group by a list has a row in each of its entries' groups; a date bucket is the first
 * day of the period in the time zone.
 *
 * @throws ToolError that names what is wrong and where
 */
export function planGroups(queryable: Queryable, query: GroupsQuery): PlannedGroups {
  const parameters = new Parameters();
  const groups = query.groupBy.map((group, index) => groupColumn(queryable, group, index, query.timeZone, parameters));
  const wanted = query.aggregate.length > 0 ? query.aggregate : [{ function: 'count' as const }];
  const aggregates = wanted.map((one, index) => aggregateColumn(queryable, one, { index, at: groups.length + index }));
  const columns = [...groups, ...aggregates];
  refuseTwins(columns);
  const where = whereOf(queryable, query, parameters);
  const lists = query.groupBy.filter(({ field }) => queryable.fields.get(field)?.type === 'texts');
  const [list, second] = lists;
  if (second !== undefined) {
    throw wrong(
      `groupBy[${query.groupBy.indexOf(second)}].field`,
      'Groups can be of one list only.',
      'Group by the other in a query of its own.',
    );
  }
  const source = [
    `${queryable.relation} t`,
    ...(list === undefined
      ? []
      : [` left join lateral unnest(${knownField(queryable, list.field, 'groupBy').sql}) entry on true`]),
  ].join('');
  const inner = [
    `select ${columns.map((column, index) => `${column.inner} as c${index}${column.place === undefined ? '' : `, ${column.place} as p${index}`}`).join(', ')}`,
    ` from ${source}${conditions(where)}`,
    groups.length === 0 ? '' : ` group by ${groups.map((_, index) => `c${index}`).join(', ')}`,
  ].join('');
  const having =
    query.having === undefined
      ? []
      : [compileFilter(query.having, new Map(aggregates.map((one) => [one.name, one])), parameters, 'having')];
  const order = orderOf(columns, [
    ...(query.sort ?? []),
    ...groups.map(({ name }): Sort => ({ field: name, direction: 'asc' })),
  ]);
  const outer = columns.map(({ type, sql }, index) => `${type === 'instant' ? instantSql(sql) : sql} as c${index}`);
  const text = `select ${outer.join(', ')} from (${inner}) g${conditions(having)}${order} limit ${parameters.add(query.limit + 1, 'int4')}`;
  return {
    statement: { text },
    values: parameters.values,
    page: (found) => ({
      rows: found
        .slice(0, query.limit)
        .map((row) =>
          Object.fromEntries(columns.map((column, index) => [column.name, fieldValue(column, row[`c${index}`])])),
        ),
      truncated: found.length > query.limit,
    }),
  };
}

function groupColumn(
  queryable: Queryable,
  { field: name, bucket, as }: GroupBy,
  index: number,
  timeZone: string,
  parameters: Parameters,
): Column {
  const path = `groupBy[${index}]`;
  const field = knownField(queryable, name, `${path}.field`);
  const column = { name: as ?? name, sql: `g.c${index}`, nullable: true, values: field.values };
  if (bucket !== undefined) {
    if (field.type !== 'instant') {
      const instants = [...queryable.fields.values()].filter(({ type }) => type === 'instant');
      throw wrong(
        `${path}.bucket`,
        `${name} is no instant, so it has no ${bucket}.`,
        `Leave bucket out, or group by one of ${instants.map((other) => other.name).join(', ')}.`,
      );
    }
    const local = `date_trunc('${bucketWord(bucket)}', ${field.sql} at time zone ${parameters.add(timeZone, 'text')})`;
    return { ...column, type: 'text', inner: `to_char(${local}, 'YYYY-MM-DD')` };
  }
  switch (field.type) {
    case 'longText':
      throw wrong(
        `${path}.field`,
        `${name} is too long to group by.`,
        'Group by a short field, or filter by contains.',
      );
    case 'texts':
      return { ...column, type: 'text', inner: 'entry' };
    case 'enum':
      return { ...column, type: 'enum', inner: field.sql, place: `min(${enumPlace(field, parameters)})` };
    default:
      return { ...column, type: field.type, inner: field.sql };
  }
}

/** The literal itself and not what the caller sent, though that has been compared with it. */
function bucketWord(bucket: Bucket): Bucket {
  return BUCKETS.find((known) => known === bucket) ?? 'day';
}

const TAKES: Record<'sum' | 'avg' | 'min' | 'max', readonly QueryType[]> = {
  sum: ['integer'],
  avg: ['integer'],
  min: ['integer', 'instant'],
  max: ['integer', 'instant'],
};

function aggregateColumn(queryable: Queryable, one: Aggregate, { index, at }: { index: number; at: number }): Column {
  const path = `aggregate[${index}]`;
  const base = { sql: `g.c${at}`, nullable: true, values: [] };
  if (one.function === 'count') {
    const counted = one.field === undefined ? '*' : knownField(queryable, one.field, `${path}.field`).sql;
    const name = one.as ?? (one.field === undefined ? 'count' : `count_${one.field}`);
    return { ...base, name, type: 'number', nullable: false, inner: `count(${counted})::float8` };
  }
  const takes = TAKES[one.function];
  const able = [...queryable.fields.values()].filter(({ type }) => takes.includes(type));
  const field = able.find(({ name }) => name === one.field);
  if (field === undefined) {
    throw wrong(
      `${path}.field`,
      one.field === undefined
        ? `${one.function} needs a field.`
        : `${one.function} of ${shown(one.field)} can't be computed.`,
      `Fields for ${one.function}: ${able.map(({ name }) => name).join(', ')}.`,
    );
  }
  const name = one.as ?? `${one.function}_${field.name}`;
  if (field.type === 'instant') return { ...base, name, type: 'instant', inner: `${one.function}(${field.sql})` };
  return { ...base, name, type: 'number', inner: `${one.function}(${field.sql})::float8` };
}

function refuseTwins(columns: readonly Column[]): void {
  const names = columns.map(({ name }) => name);
  const twin = names.find((name, index) => names.indexOf(name) !== index);
  if (twin === undefined) return;
  throw wrong(
    'aggregate',
    `Two columns of the answer are called ${shown(twin)}.`,
    'Give one of them another name with as.',
  );
}

function orderOf(columns: readonly Column[], sort: readonly Sort[]): string {
  const keys = sort.map(({ field: name, direction }, index) => {
    const at = columns.findIndex((column) => column.name === name);
    const column = columns[at];
    if (column === undefined) {
      throw wrong(
        `sort[${index}].field`,
        `The answer has no column ${shown(name)}.`,
        `Sort groups by ${columns.map((other) => other.name).join(', ')}.`,
      );
    }
    const sql = column.place === undefined ? column.sql : `g.p${at}`;
    const compared = column.type === 'text' || column.type === 'key' ? `${sql} collate "C"` : sql;
    return `${compared}${direction === 'desc' ? ' desc' : ' asc'} nulls last`;
  });
  return keys.length === 0 ? '' : ` order by ${keys.join(', ')}`;
}

/** @throws ToolError for a name that the IANA database doesn't have */
export function checkTimeZone(name: string): string {
  const refusal = wrong(
    'timeZone',
    `There is no time zone ${shown(name)}.`,
    'Send an IANA name such as Europe/Berlin or America/New_York, or UTC.',
  );
  if (!/^[A-Za-z]/.test(name) || !isStorable(name)) throw refusal;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    throw refusal;
  }
}
