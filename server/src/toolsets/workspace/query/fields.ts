import { COMMON_FIELDS, type ColumnType, ENTITIES, KINDS, type Kind } from '../../../entities/index.ts';
import type { Kind as SearchedKind } from '../../shared/kinds.ts';

/** What a field holds, as far as comparing and aggregating goes; aggregates give numbers. */
export type QueryType = ColumnType | 'number';

/** A field that a filter, sort, select or group may name. */
export interface QueryField {
  readonly name: string;
  readonly type: QueryType;
  readonly nullable: boolean;
  /** Of an enum, in the order in which they compare. */
  readonly values: readonly string[];
  /** Who did something: another text in the database than a tool shows. */
  readonly isSubject: boolean;
}

export type FieldMap = ReadonlyMap<string, QueryField>;

/** What one query can be about. */
export interface Queryable {
  readonly kind: QueryKind;
  /** For messages. */
  readonly plural: string;
  readonly fields: FieldMap;
  /** Fields of a row when the caller names none: all but the long ones. */
  readonly usual: readonly string[];
  readonly hasArchive: boolean;
  /** What rows come in when no sort is asked for, newest first. */
  readonly newest: string;
}

export type QueryKind = SearchedKind;

const SUBJECTS = COMMON_FIELDS.filter(({ type }) => type === 'subject').map(({ name }) => name);

function queryableOf({ kind, plural, fields, archive, newest }: Kind): Queryable {
  const label = ENTITIES.find(({ name }) => name === kind)?.label;
  return {
    kind: kind as QueryKind,
    plural,
    fields: new Map(
      fields.map(({ name, type, nullable, values = [] }) => [
        name,
        { name, type, nullable, values, isSubject: SUBJECTS.includes(name) },
      ]),
    ),
    usual: fields.filter(({ name, type }) => type !== 'longText' || name === label).map(({ name }) => name),
    hasArchive: archive,
    newest,
  };
}

export const QUERYABLES: ReadonlyMap<QueryKind, Queryable> = new Map(
  KINDS.map(queryableOf).map((queryable) => [queryable.kind, queryable]),
);

/** `title text, pinned boolean, status draft|final, tags texts` for descriptions and errors. */
export function describeFields(fields: Iterable<QueryField>): string {
  return [...fields]
    .map(({ name, type, values, nullable }) => {
      const what =
        type === 'enum' ? values.join('|') : type === 'key' ? 'id' : type === 'longText' ? 'long text' : type;
      return `${name} ${what}${nullable ? ' or null' : ''}`;
    })
    .join(', ');
}
