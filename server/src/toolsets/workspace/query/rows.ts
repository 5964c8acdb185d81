import { z } from 'zod';
import type { Statement } from '../../../database/transaction.ts';
import { cursorsOf } from '../../../paging/cursor.ts';
import { isUuid } from '../../shared/ids.ts';
import { instantSql, isWhen, toInstant } from '../../shared/when.ts';
import { isStorable } from '../schemas.ts';
import { describeFields, type Queryable, type QueryField } from './fields.ts';
import { compileFilter, enumPlace } from './filter.ts';
import { Parameters, type SqlType } from './statement.ts';
import { SQL_TYPES, shown, wrong } from './values.ts';

/** Characters of a long text in a row, and of a text that sorts: a row stays short, a cursor too. */
export const CUT_AT = 1000;
const SORTED_CHARACTERS = 100;
/** A page ends before it has more, whatever its limit is. */
const MAX_CHARACTERS = 200_000;
/** Four texts of that length, in UTF-8 and base64url, and what else is in a cursor. */
export const MAX_CURSOR = 4000;

export type Archived = 'exclude' | 'include' | 'only';
export interface Sort {
  readonly field: string;
  readonly direction: 'asc' | 'desc';
}
export interface RowsQuery {
  readonly filter: unknown;
  readonly archived: Archived;
  readonly select: readonly string[] | undefined;
  readonly sort: readonly Sort[] | undefined;
  readonly limit: number;
  readonly cursor: string | undefined;
}
export interface PlannedRows {
  readonly statement: Statement;
  readonly values: readonly unknown[];
  /** From what the database gave to what the tool answers. */
  page(found: readonly Record<string, unknown>[]): { rows: Record<string, unknown>[]; nextCursor?: string };
}

/** Where a page ended: what the last row is sorted by, as text, and its id. */
const cursors = cursorsOf(
  'query',
  z.tuple([
    z
      .array(
        z
          .string()
          .max(4 * SORTED_CHARACTERS)
          .nullable(),
      )
      .max(4),
    z.string().max(64),
  ]),
  {
    maxLength: MAX_CURSOR,
  },
);

/** A sort key: its SQL, how it goes over the wire, and how a value of it is read from a cursor. */
interface Key {
  readonly sql: string;
  readonly type: SqlType;
  readonly text: string;
  readonly descending: boolean;
  readonly nullable: boolean;
  fits(value: string): boolean;
}

/** @throws ToolError that names what is wrong and where */
export function planRows(queryable: Queryable, query: RowsQuery): PlannedRows {
  const parameters = new Parameters();
  const selected = selectedFields(queryable, query.select);
  const sort = query.sort ?? [{ field: queryable.newest, direction: 'desc' as const }];
  const keys = sort.map((entry, index) => sortKey(queryable, entry, `sort[${index}]`, parameters));
  const where = whereOf(queryable, query, parameters);
  const identity = [queryable.kind, query.filter ?? null, query.archived, sort];
  const id = idKey(queryable, keys.at(-1)?.descending ?? false);
  if (query.cursor !== undefined) {
    const [values, last] = cursors.decode(query.cursor, identity);
    where.push(after([...keys, id], [...values, last], parameters));
  }
  const columns = [
    ...selected.map((field, index) => `${columnText(field)} as f${index}`),
    ...keys.map((key, index) => `${key.text} as k${index}`),
    't.id::text as row_id',
  ];
  const limit = parameters.add(query.limit + 1, 'int4');
  const text = orderedUnion(queryable.parts, { columns, where, keys: [...keys, id], limit });
  return {
    statement: { text },
    values: parameters.values,
    page(found) {
      const all = found
        .slice(0, query.limit)
        .map((row) =>
          Object.fromEntries(selected.map((field, index) => [field.name, fieldValue(field, row[`f${index}`])])),
        );
      const rows = all.slice(0, fitting(all));
      const last = found[rows.length - 1];
      if (found.length === rows.length || last === undefined) return { rows };
      const at = keys.map((_, index) => (last[`k${index}`] as string | null) ?? null);
      return { rows, nextCursor: cursors.encode([at, String(last.row_id)], identity) };
    },
  };
}

/** How many rows of a page fit into an answer; at least one. */
function fitting(rows: readonly unknown[]): number {
  let characters = 0;
  const over = rows.findIndex((row) => {
    characters += JSON.stringify(row).length;
    return characters > MAX_CHARACTERS;
  });
  return over < 0 ? rows.length : Math.max(over, 1);
}

/** The first rows of all parts together; each part gives its own first ones, as an index of it can. */
function orderedUnion(
  parts: readonly string[],
  {
    columns,
    where,
    keys,
    limit,
  }: { columns: readonly string[]; where: readonly string[]; keys: readonly Key[]; limit: string },
): string {
  const order = keys.map((key) => orderBy(key, key.sql)).join(', ');
  const first = (relation: string, listed: readonly string[]) =>
    `select ${listed.join(', ')} from ${relation} t${conditions(where)} order by ${order} limit ${limit}`;
  const [only, ...others] = parts;
  if (only !== undefined && others.length === 0) return first(only, columns);
  const listed = [...columns, ...keys.map((key, index) => `${key.sql} as s${index}`)];
  const union = parts.map((relation) => `(${first(relation, listed)})`).join(' union all ');
  return `select * from (${union}) u order by ${keys.map((key, index) => orderBy(key, `s${index}`)).join(', ')} limit ${limit}`;
}

/** Only what can be null says where null goes: an index of the order that is meant has nulls first. */
function orderBy({ descending, nullable }: Key, sql: string): string {
  return `${sql}${descending ? ' desc' : ' asc'}${nullable ? ' nulls last' : ''}`;
}

/** Conditions of the filter and the archive. */
export function whereOf(
  queryable: Queryable,
  { filter, archived }: { filter: unknown; archived: Archived },
  parameters: Parameters,
): string[] {
  const where: string[] = [];
  if (filter !== undefined) where.push(compileFilter(filter, queryable.fields, parameters));
  if (archived !== 'include' && queryable.hasArchive) {
    where.push(archived === 'only' ? 't.archived_at is not null' : 't.archived_at is null');
  } else if (archived === 'only') {
    throw wrong('archived', `${queryable.kind} can't be archived.`, 'Leave archived out.');
  }
  return where;
}

export function conditions(where: readonly string[]): string {
  return where.length === 0 ? '' : ` where ${where.join(' and ')}`;
}

/** @throws ToolError for a field that isn't there, at `path` */
export function knownField(queryable: Queryable, name: string, path: string): QueryField {
  const field = queryable.fields.get(name);
  if (field !== undefined) return field;
  throw wrong(
    path,
    `${queryable.kind} have no field ${shown(name)}.`,
    `Fields of ${queryable.kind}: ${describeFields(queryable.fields.values())}.`,
  );
}

/** What the database gave, in a tool's terms. */
export function fieldValue(field: { type: QueryField['type'] }, value: unknown): unknown {
  return field.type === 'instant' && typeof value === 'string' ? toInstant(value) : (value ?? null);
}

function selectedFields(queryable: Queryable, select: readonly string[] | undefined): QueryField[] {
  const names = select ?? queryable.usual;
  return [...new Set(names)].map((name) => knownField(queryable, name, `select[${names.indexOf(name)}]`));
}

function columnText(field: QueryField): string {
  if (field.type === 'instant') return instantSql(field.sql);
  if (field.type === 'longText') return `left(${field.sql}, ${CUT_AT})`;
  return field.sql;
}

const INTEGER = /^-?\d{1,10}$/;

function sortKey(queryable: Queryable, { field: name, direction }: Sort, path: string, parameters: Parameters): Key {
  const field = knownField(queryable, name, `${path}.field`);
  const common = { descending: direction === 'desc', nullable: field.nullable };
  const isShortText = (value: string) => value.length <= 2 * SORTED_CHARACTERS && isStorable(value);
  switch (field.type) {
    case 'instant':
      return { ...common, sql: field.sql, type: 'timestamptz', text: instantSql(field.sql), fits: isWhen };
    case 'enum': {
      const sql = enumPlace(field, parameters);
      return { ...common, sql, type: 'int4', text: `(${sql})::text`, fits: isInt4 };
    }
    case 'integer':
      return { ...common, sql: field.sql, type: 'int4', text: `${field.sql}::text`, fits: isInt4 };
    case 'boolean':
      return {
        ...common,
        sql: field.sql,
        type: 'boolean',
        text: `${field.sql}::text`,
        fits: (v) => /^(true|false)$/.test(v),
      };
    case 'text':
    case 'key': {
      const sql = `left(${field.sql}, ${SORTED_CHARACTERS}) collate "C"`;
      return { ...common, sql, type: 'text', text: sql, fits: isShortText };
    }
    case 'uuid':
      return { ...common, sql: field.sql, type: 'uuid', text: `${field.sql}::text`, fits: isUuid };
    default: {
      const sortable = [...queryable.fields.values()].filter(({ type }) => type !== 'longText' && type !== 'texts');
      throw wrong(
        `${path}.field`,
        `${name} is nothing to sort by.`,
        `Sort by ${sortable.map((other) => other.name).join(', ')}.`,
      );
    }
  }
}

function isInt4(value: string): boolean {
  return INTEGER.test(value) && Math.abs(Number(value)) < 2 ** 31;
}

/** The last key, so that no two rows are alike. */
function idKey(queryable: Queryable, descending: boolean): Key {
  const field = knownField(queryable, 'id', 'id');
  const fits = field.type === 'uuid' ? isUuid : isStorable;
  return { sql: field.sql, type: SQL_TYPES[field.type], text: field.sql, descending, nullable: false, fits };
}

/** The rows behind a position, null being last in either direction. */
function after(keys: readonly Key[], position: readonly (string | null)[], parameters: Parameters): string {
  const alternatives: string[] = [];
  const bound: string[] = [];
  const same: string[] = [];
  keys.forEach((key, index) => {
    const value = position[index] ?? null;
    if (value !== null && !key.fits(value)) throw wrong('cursor', 'It is not one that this list gave.', START_AGAIN);
    if (value === null) {
      same.push(`${key.sql} is null`);
      return;
    }
    const at = parameters.add(value, key.type);
    const behind = `${key.sql} ${key.descending ? '<' : '>'} ${at}`;
    // Says nothing new, but an index can begin there.
    if (index === 0 && !key.nullable) bound.push(`${key.sql} ${key.descending ? '<=' : '>='} ${at}`);
    alternatives.push([...same, key.nullable ? `(${behind} or ${key.sql} is null)` : behind].join(' and '));
    same.push(`${key.sql} = ${at}`);
  });
  return [...bound, `(${alternatives.map((alternative) => `(${alternative})`).join(' or ')})`].join(' and ');
}

const START_AGAIN = 'Send nextCursor of the previous page unchanged, or leave cursor out to begin again.';
