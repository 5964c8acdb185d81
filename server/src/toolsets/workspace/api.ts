/**
 * The database's functions for rows of a kind (schema `api`), which are all that a bank's role may call. They take names of
 * kinds and fields, values, and trees of conditions, never SQL, and check all of it against bank.definition_of; what tools check
 * before, they check for words with a path. So the statements are few and fixed, and each is prepared once a connection.
 */
import { type Statement, statement } from '../../database/statement.ts';
import type { Transaction } from '../../database/transaction.ts';
import { type EntityName, KINDS, type Kind } from '../../entities/index.ts';
import { SORTED_CHARACTERS } from '../../entities/sql.ts';
import type { Values } from './schemas.ts';

export type Scalar = string | number | boolean;

/** A condition that is true or false and never null. `ieq` is equality in any case, `call` takes a call's former id for its new one. */
export type Condition =
  | { readonly and: readonly Condition[] }
  | { readonly or: readonly Condition[] }
  | { readonly not: Condition }
  | { readonly field: string; readonly op: string; readonly value: Scalar | readonly Scalar[] };

export type Archived = 'exclude' | 'include' | 'only';
export type Direction = 'asc' | 'desc';

/** Null comes last in either direction, and the id decides in the direction of the last key. */
export interface SortKey {
  readonly field: string;
  readonly direction: Direction;
}

/** Where a page ended: what its last row is sorted by, each as text, and its id. */
export interface Position {
  readonly values: readonly (string | null)[];
  readonly id: string;
}

export interface RowsAsk {
  readonly fields: readonly string[];
  /** Characters of long texts. */
  readonly cut?: number;
  readonly filter?: Condition | undefined;
  readonly archived: Archived;
  /** Left out: newest first. */
  readonly sort?: readonly SortKey[];
  readonly after?: Position | undefined;
  readonly limit: number;
}

/** Instants are texts with microseconds, which `toInstant` makes shorter; `keys` has one for each sort key. */
export interface FoundRow {
  /** With `cut`, `truncated` besides the fields, where the kind has a long text. */
  readonly row: Values;
  readonly keys: readonly (string | null)[];
  readonly id: string;
}

export interface GroupsAsk {
  readonly filter?: Condition | undefined;
  readonly archived: Archived;
  readonly groupBy: readonly { readonly field: string; readonly bucket?: string | undefined }[];
  readonly timeZone: string;
  readonly aggregate: readonly { readonly function: string; readonly field?: string | undefined }[];
  /** Its fields are the places of columns, over `groupBy` and then `aggregate`. */
  readonly having?: Condition | undefined;
  readonly sort: readonly { readonly column: number; readonly direction: Direction }[];
  readonly limit: number;
}

/** A row after a change of it, in the database's terms. */
export interface StoredReceipt {
  readonly id: string;
  readonly version: number;
  readonly status: string;
  readonly vaultId: string | null;
  readonly archived: boolean;
  readonly updatedAt: string;
}

/** What became of a change; of one that was not made, the receipt says how the row is. */
export interface Changed {
  readonly changed: boolean;
  readonly receipt: StoredReceipt;
}

export type Created =
  | { readonly replayed: false; readonly receipt: StoredReceipt }
  /** The key was known: whether for the same arguments, and the row that was made, if it is there and the caller may see it. */
  | { readonly replayed: true; readonly same: boolean; readonly receipt: StoredReceipt | null };

export type Deleted =
  | { readonly changed: true; readonly deleted: Readonly<Record<string, number>> }
  | { readonly changed: false; readonly receipt: StoredReceipt };

const READ_PAGE = statement({ name: 'read_page', text: 'select api.read_page($1, $2::jsonb) as answer' });
const GROUP_ROWS = statement({ name: 'group_rows', text: 'select api.group_rows($1, $2::jsonb) as answer' });
const CREATE_ROW = statement({
  name: 'create_row',
  text: 'select api.create_row($1, $2::jsonb, $3, $4::bytea) as answer',
});
const CHANGE_ROW = statement({
  name: 'change_row',
  text: 'select api.change_row($1, $2::uuid, $3::int, $4::jsonb) as answer',
});
const ARCHIVE_ROW = statement({
  name: 'archive_row',
  text: 'select api.archive_row($1, $2::uuid, $3::boolean) as answer',
});
const PROCESS_ROW = statement({
  name: 'process_row',
  text: 'select api.process_row($1, $2::uuid, $3, $4::int) as answer',
});
const DELETE_ROW = statement({
  name: 'delete_row',
  text: 'select api.delete_row($1, $2::uuid, $3::int) as answer',
});

/** @param name of a kind: of an entity, or `recording` */
export async function readRows(tx: Transaction, name: string, { fields, ...ask }: RowsAsk): Promise<FoundRow[]> {
  const kind = kindNamed(name);
  const sort = ask.sort ?? [{ field: kind.newest, direction: 'desc' }];
  // A long text is most of a row.
  const asked = kind.long === null || fields.includes(kind.long) ? ask : { ...ask, cut: -1 };
  const page = await answer<string>(tx, READ_PAGE, [name, JSON.stringify(storedAsk(kind, asked))]);
  const rows: Values[] = JSON.parse(`[${page ?? ''}]`);
  return rows.map((row) => ({
    row: Object.fromEntries(
      [...fields, ...(row.truncated === undefined ? [] : ['truncated'])].map((field) => [
        field,
        row[storedName(kind, field)],
      ]),
    ),
    keys: sort.map(({ field }) => keyText(kind, field, row[storedName(kind, field)])),
    id: String(row.id),
  }));
}

function kindNamed(name: string): Kind {
  const kind = KINDS.find(({ kind }) => kind === name);
  if (kind === undefined) throw new TypeError(name);
  return kind;
}

/** By kind, the names that the database has for what tools call otherwise; of most kinds none. */
const STORED: ReadonlyMap<Kind, ReadonlyMap<string, string>> = new Map(
  KINDS.map((kind) => [
    kind,
    new Map(kind.fields.filter(({ name, stored }) => name !== stored).map(({ name, stored }) => [name, stored])),
  ]),
);

function storedName(kind: Kind, name: string): string {
  return STORED.get(kind)?.get(name) ?? name;
}

function storedAsk<A extends Omit<RowsAsk, 'fields'>>(kind: Kind, ask: A): A {
  if (STORED.get(kind)?.size === 0) return ask;
  const { filter, sort } = ask;
  return {
    ...ask,
    ...(filter === undefined ? {} : { filter: storedCondition(kind, filter) }),
    ...(sort === undefined ? {} : { sort: sort.map((key) => storedField(kind, key)) }),
  };
}

function storedCondition(kind: Kind, condition: Condition): Condition {
  if ('and' in condition) return { and: condition.and.map((each) => storedCondition(kind, each)) };
  if ('or' in condition) return { or: condition.or.map((each) => storedCondition(kind, each)) };
  if ('not' in condition) return { not: storedCondition(kind, condition.not) };
  return storedField(kind, condition);
}

function storedField<T extends { readonly field?: string | undefined }>(kind: Kind, of: T): T {
  return of.field === undefined ? of : { ...of, field: storedName(kind, of.field) };
}

/** A value as the database compares it (definitionsSql): an enum by its place, a text as far as it sorts. */
function keyText(kind: Kind, name: string, value: unknown): string | null {
  if (value === null || value === undefined) return null;
  const field = kind.fields.find((each) => each.name === name);
  if (field?.type === 'enum') return String((field.values?.indexOf(String(value)) ?? -1) + 1);
  return field?.type === 'text' || field?.type === 'key' ? firstCharacters(String(value)) : String(value);
}

/** In characters as Postgres counts them. */
function firstCharacters(text: string): string {
  return text.length <= SORTED_CHARACTERS ? text : [...text].slice(0, SORTED_CHARACTERS).join('');
}

/** One row by its id, archived or not; undefined where there is none that the caller may see. */
export async function readRow(
  tx: Transaction,
  kind: EntityName,
  id: string,
  fields: readonly string[],
): Promise<Values | undefined> {
  const filter: Condition = { field: 'id', op: 'eq', value: id };
  const [found] = await readRows(tx, kind, { fields, filter, archived: 'include', limit: 1 });
  return found?.row;
}

/** Of each group, the values of its columns: those of `groupBy`, then those of `aggregate`. */
export function groupRows(tx: Transaction, name: string, ask: GroupsAsk): Promise<unknown[][]> {
  const kind = kindNamed(name);
  const { filter, groupBy, aggregate } = ask;
  const stored: GroupsAsk = {
    ...ask,
    filter: filter && storedCondition(kind, filter),
    groupBy: groupBy.map((each) => storedField(kind, each)),
    aggregate: aggregate.map((each) => storedField(kind, each)),
  };
  return answers<unknown[]>(tx, GROUP_ROWS, [name, JSON.stringify(stored)]);
}

/** @param once the caller's key for this creation, and the digest of what it asks for */
export function createRow(
  tx: Transaction,
  kind: EntityName,
  values: Values,
  once?: { readonly key: string; readonly digest: Buffer },
): Promise<Created | null> {
  const named = storedValues(kind, values);
  return answer(tx, CREATE_ROW, [kind, JSON.stringify(named), once?.key ?? null, once?.digest ?? null]);
}

/** Values by the names that the database has, which the version before has too. */
export function storedValues(name: EntityName, values: Values): Values {
  const kind = kindNamed(name);
  return Object.fromEntries(Object.entries(values).map(([field, value]) => [storedName(kind, field), value]));
}

/** Sets exactly these fields, where the row is at this version. Null: there is no such row that the caller may see. */
export function changeRow(
  tx: Transaction,
  kind: EntityName,
  { id, version, values }: { id: string; version: number; values: Values },
): Promise<Changed | null> {
  return answer(tx, CHANGE_ROW, [kind, id, version, JSON.stringify(storedValues(kind, values))]);
}

/** A row that is as it should be is not touched: it keeps its version. */
export function archiveRow(tx: Transaction, kind: EntityName, id: string, archived: boolean): Promise<Changed | null> {
  return answer(tx, ARCHIVE_ROW, [kind, id, archived]);
}

export function processRow(
  tx: Transaction,
  kind: EntityName,
  { id, action, version }: { id: string; action: string; version: number | undefined },
): Promise<Changed | null> {
  return answer(tx, PROCESS_ROW, [kind, id, action, version ?? null]);
}

/** `deleted` counts by plural what went, with what belonged to it. */
export function deleteRow(
  tx: Transaction,
  kind: EntityName,
  { id, version }: { id: string; version: number | undefined },
): Promise<Deleted | null> {
  return answer(tx, DELETE_ROW, [kind, id, version ?? null]);
}

async function answers<A>(tx: Transaction, statement: Statement, values: readonly unknown[]): Promise<A[]> {
  const rows = await tx.rows<{ answer: A }>(statement, values);
  return rows.map((row) => row.answer);
}

async function answer<A>(tx: Transaction, statement: Statement, values: readonly unknown[]): Promise<A | null> {
  const [row] = await tx.rows<{ answer: A | null }>(statement, values);
  return row?.answer ?? null;
}
