import { fitting } from '../../shared/budget.ts';
import type { Archived, Condition, GroupsAsk, SortKey } from '../api.ts';
import { isStorable } from '../schemas.ts';
import type { Queryable, QueryField, QueryType } from './fields.ts';
import { checkFilter } from './filter.ts';
import { fieldValue, filterOf, knownField } from './rows.ts';
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
  readonly sort: readonly SortKey[] | undefined;
  readonly timeZone: string;
  readonly limit: number;
}
export interface PlannedGroups {
  readonly ask: GroupsAsk;
  /** From what the database gave to what the tool answers. */
  page(found: readonly (readonly unknown[])[]): { rows: Record<string, unknown>[]; truncated: boolean };
}

/**
 * Groups and what is computed of each. A group by a list has a row in each of its entries' groups; a date bucket is the first
 * day of the period in the time zone.
 *
 * @param issuer the caller's own
 * @throws ToolError that names what is wrong and where
 */
export function planGroups(queryable: Queryable, query: GroupsQuery, issuer: string): PlannedGroups {
  const groups = query.groupBy.map((group, index) => groupColumn(queryable, group, `groupBy[${index}]`));
  const wanted = query.aggregate.length > 0 ? query.aggregate : [{ function: 'count' as const }];
  const aggregates = wanted.map((one, index) => aggregateColumn(queryable, one, `aggregate[${index}]`));
  const columns = [...groups, ...aggregates];
  refuseTwins(columns);
  const filter = filterOf(queryable, query, issuer);
  refuseSecondList(queryable, query.groupBy);
  return {
    ask: {
      filter,
      archived: queryable.hasArchive ? query.archived : 'include',
      groupBy: query.groupBy.map(({ field, bucket }) => ({ field, bucket })),
      timeZone: query.timeZone,
      aggregate: wanted.map(({ function: name, field }) => ({ function: name, field })),
      having: havingOf(query.having, columns, aggregates, issuer),
      sort: orderOf(columns, [
        ...(query.sort ?? []),
        ...groups.map(({ name }): SortKey => ({ field: name, direction: 'asc' })),
      ]),
      limit: query.limit + 1,
    },
    page(found) {
      const all = found
        .slice(0, query.limit)
        .map((values) =>
          Object.fromEntries(columns.map((column, index) => [column.name, fieldValue(column, values[index], issuer)])),
        );
      const rows = all.slice(0, fitting(all, []));
      return { rows, truncated: found.length > rows.length };
    },
  };
}

/** The database calls a column by its place. */
function havingOf(
  having: unknown,
  columns: readonly QueryField[],
  aggregates: readonly QueryField[],
  issuer: string,
): Condition | undefined {
  if (having === undefined) return undefined;
  return checkFilter(having, {
    fields: new Map(aggregates.map((one) => [one.name, one])),
    issuer,
    path: 'having',
    refer: (column) => String(columns.indexOf(column)),
  });
}

function refuseSecondList(queryable: Queryable, groupBy: readonly GroupBy[]): void {
  const [, second] = groupBy.filter(({ field }) => queryable.fields.get(field)?.type === 'texts');
  if (second === undefined) return;
  throw wrong(
    `groupBy[${groupBy.indexOf(second)}].field`,
    'Groups can be of one list only.',
    'Group by the other in a query of its own.',
  );
}

/** A column of the answer. */
function groupColumn(queryable: Queryable, { field: name, bucket, as }: GroupBy, path: string): QueryField {
  const field = knownField(queryable, name, `${path}.field`);
  const column = { ...field, name: as ?? name, nullable: true };
  if (bucket !== undefined) {
    if (field.type === 'instant') return { ...column, type: 'text' };
    const instants = [...queryable.fields.values()].filter(({ type }) => type === 'instant');
    throw wrong(
      `${path}.bucket`,
      `${name} is no instant, so it has no ${bucket}.`,
      `Leave bucket out, or group by one of ${instants.map((other) => other.name).join(', ')}.`,
    );
  }
  if (field.type === 'longText') {
    throw wrong(`${path}.field`, `${name} is too long to group by.`, 'Group by a short field, or filter by contains.');
  }
  return field.type === 'texts' ? { ...column, type: 'text' } : column;
}

const TAKES: Record<'sum' | 'avg' | 'min' | 'max', readonly QueryType[]> = {
  sum: ['integer'],
  avg: ['integer'],
  min: ['integer', 'instant'],
  max: ['integer', 'instant'],
};

function aggregateColumn(queryable: Queryable, one: Aggregate, path: string): QueryField {
  const base = { nullable: true, values: [], isSubject: false };
  if (one.function === 'count') {
    if (one.field !== undefined) knownField(queryable, one.field, `${path}.field`);
    const name = one.as ?? (one.field === undefined ? 'count' : `count_${one.field}`);
    return { ...base, name, type: 'number', nullable: false };
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
  return {
    ...base,
    name: one.as ?? `${one.function}_${field.name}`,
    type: field.type === 'instant' ? 'instant' : 'number',
  };
}

function refuseTwins(columns: readonly QueryField[]): void {
  const names = columns.map(({ name }) => name);
  const twin = names.find((name, index) => names.indexOf(name) !== index);
  if (twin === undefined) return;
  throw wrong(
    'aggregate',
    `Two columns of the answer are called ${shown(twin)}.`,
    'Give one of them another name with as.',
  );
}

function orderOf(columns: readonly QueryField[], sort: readonly SortKey[]): GroupsAsk['sort'] {
  return sort.map(({ field: name, direction }, index) => {
    const column = columns.findIndex((one) => one.name === name);
    if (column >= 0) return { column, direction };
    throw wrong(
      `sort[${index}].field`,
      `The answer has no column ${shown(name)}.`,
      `Sort groups by ${columns.map((other) => other.name).join(', ')}.`,
    );
  });
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
