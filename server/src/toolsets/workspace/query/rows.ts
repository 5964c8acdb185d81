import { z } from 'zod';
import { SORTED_CHARACTERS } from '../../../entities/sql.ts';
import { cursorsOf } from '../../../paging/cursor.ts';
import { shownSubject } from '../../../subjects.ts';
import { fitting } from '../../shared/budget.ts';
import { isUuid } from '../../shared/ids.ts';
import { isWhen, toInstant } from '../../shared/when.ts';
import type { Archived, Condition, FoundRow, Position, RowsAsk, SortKey } from '../api.ts';
import { isStorable } from '../schemas.ts';
import { describeFields, type Queryable, type QueryField } from './fields.ts';
import { checkFilter } from './filter.ts';
import { shown, wrong } from './values.ts';

/** Characters of a long text in a row. */
export const CUT_AT = 1000;
/** Four texts of that length, in UTF-8 and base64url, and what else is in a cursor. */
export const MAX_CURSOR = 4000;

export interface RowsQuery {
  readonly filter: unknown;
  readonly archived: Archived;
  readonly select: readonly string[] | undefined;
  readonly sort: readonly SortKey[] | undefined;
  readonly limit: number;
  readonly cursor: string | undefined;
}
export interface PlannedRows {
  readonly ask: RowsAsk;
  /** From what the database gave to what the tool answers. */
  page(found: readonly FoundRow[]): { rows: Record<string, unknown>[]; nextCursor?: string };
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

/**
 * @param issuer the caller's own
 * @throws ToolError that names what is wrong and where
 */
export function planRows(queryable: Queryable, query: RowsQuery, issuer: string): PlannedRows {
  const selected = selectedFields(queryable, query.select);
  const sort = query.sort ?? [{ field: queryable.newest, direction: 'desc' as const }];
  const keys = sort.map(({ field }, index) => sortable(queryable, field, `sort[${index}].field`));
  const filter = filterOf(queryable, query, issuer);
  const identity = [queryable.kind, query.filter ?? null, query.archived, sort];
  const after = query.cursor === undefined ? undefined : positionOf(query.cursor, { queryable, keys, identity });
  return {
    ask: {
      fields: selected.map(({ name }) => name),
      cut: CUT_AT,
      filter,
      archived: queryable.hasArchive ? query.archived : 'include',
      sort,
      after,
      limit: query.limit + 1,
    },
    page(found) {
      const all = found
        .slice(0, query.limit)
        .map(({ row }) =>
          Object.fromEntries(selected.map((field) => [field.name, fieldValue(field, row[field.name], issuer)])),
        );
      const rows = all.slice(0, fitting(all, [], MAX_CURSOR));
      const last = found[rows.length - 1];
      if (found.length === rows.length || last === undefined) return { rows };
      return { rows, nextCursor: cursors.encode([[...last.keys], last.id], identity) };
    },
  };
}

/**
 * The filter as the database takes it, and whether the archive can be asked for.
 *
 * @throws ToolError
 */
export function filterOf(
  queryable: Queryable,
  { filter, archived }: { filter: unknown; archived: Archived },
  issuer: string,
): Condition | undefined {
  const checked = filter === undefined ? undefined : checkFilter(filter, { fields: queryable.fields, issuer });
  if (archived === 'only' && !queryable.hasArchive) {
    throw wrong('archived', `${queryable.plural} can't be archived.`, 'Leave archived out.');
  }
  return checked;
}

/** @throws ToolError for a field that isn't there, at `path` */
export function knownField(queryable: Queryable, name: string, path: string): QueryField {
  const field = queryable.fields.get(name);
  if (field !== undefined) return field;
  throw wrong(
    path,
    `${queryable.plural} have no field ${shown(name)}.`,
    `Fields of ${queryable.plural}: ${describeFields(queryable.fields.values())}.`,
  );
}

/** What the database gave, in a tool's terms. */
export function fieldValue(
  { type, isSubject }: Pick<QueryField, 'type' | 'isSubject'>,
  value: unknown,
  issuer: string,
): unknown {
  if (typeof value !== 'string') return value ?? null;
  if (type === 'instant') return toInstant(value);
  return isSubject ? shownSubject(value, issuer) : value;
}

function selectedFields(queryable: Queryable, select: readonly string[] | undefined): QueryField[] {
  const names = select ?? queryable.usual;
  return [...new Set(names)].map((name) => knownField(queryable, name, `select[${names.indexOf(name)}]`));
}

/** @throws ToolError at `path` for a field that has no order */
function sortable(queryable: Queryable, name: string, path: string): QueryField {
  const field = knownField(queryable, name, path);
  const unsortable = ({ type }: QueryField) => type === 'longText' || type === 'texts';
  if (!unsortable(field)) return field;
  const others = [...queryable.fields.values()].filter((other) => !unsortable(other));
  throw wrong(path, `${name} is nothing to sort by.`, `Sort by ${others.map((other) => other.name).join(', ')}.`);
}

/** @throws ToolError for a cursor that holds what no row can be sorted by */
function positionOf(
  cursor: string,
  { queryable, keys, identity }: { queryable: Queryable; keys: readonly QueryField[]; identity: unknown },
): Position {
  const [given, id] = cursors.decode(cursor, identity);
  const values = keys.map((_, index) => given[index] ?? null);
  const fits = keys.every((field, index) => {
    const value = values[index] ?? null;
    return value === null ? field.nullable : fitsKey(field, value);
  });
  const fitsId = knownField(queryable, 'id', 'id').type === 'uuid' ? isUuid : isStorable;
  if (!fits || !fitsId(id)) throw wrong('cursor', 'It is not one that this list gave.', START_AGAIN);
  return { values, id };
}

/** Whether the database can have given this text for a sort key. An enum sorts by its place. */
function fitsKey({ type }: QueryField, value: string): boolean {
  switch (type) {
    case 'instant':
      return isWhen(value);
    case 'enum':
    case 'integer':
      return INTEGER.test(value) && Math.abs(Number(value)) < 2 ** 31;
    case 'boolean':
      return value === 'true' || value === 'false';
    case 'uuid':
      return isUuid(value);
    default:
      return value.length <= 2 * SORTED_CHARACTERS && isStorable(value);
  }
}

const INTEGER = /^-?\d{1,10}$/;
const START_AGAIN = 'Send nextCursor of the previous page unchanged, or leave cursor out to begin again.';
