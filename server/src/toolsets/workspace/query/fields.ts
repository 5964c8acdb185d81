import { allFields, ENTITIES, type EntityDefinition, type Field } from '../../../entities/index.ts';

/** What a field holds, as far as comparing and aggregating goes. */
export type QueryType =
  | 'text'
  | 'longText'
  | 'boolean'
  | 'integer'
  /** What aggregates give. */
  | 'number'
  | 'instant'
  | 'enum'
  | 'texts'
  | 'uuid'
  /** Id of a call, of a vault, or a language tag: text that is compared whole. */
  | 'key';

/** A field that a filter, sort, select or group may name. */
export interface QueryField {
  readonly name: string;
  readonly type: QueryType;
  /** An SQL expression over the row `t`, of ours alone: nothing that a caller sends may reach it. */
  readonly sql: string;
  readonly nullable: boolean;
  /** Of an enum, in the order in which they compare. */
  readonly values: readonly string[];
}

export type FieldMap = ReadonlyMap<string, QueryField>;

/** What one query can be about. */
export interface Queryable {
  readonly kind: QueryKind;
  /** Relation in the database, whose policies or whose own reader decide what is seen. */
  readonly relation: string;
  /** What the relation is the union of, where it is one: an order that an index gives is each part's own. */
  readonly parts: readonly string[];
  readonly fields: FieldMap;
  /** Fields of a row when the caller names none: all but the long ones. */
  readonly usual: readonly string[];
  readonly hasArchive: boolean;
  /** What rows come in when no sort is asked for, newest first. */
  readonly newest: string;
}

export const QUERY_KINDS = ['notes', 'tasks', 'comments', 'chats', 'chat_messages', 'recordings'] as const;
export type QueryKind = (typeof QUERY_KINDS)[number];

const TYPES: Record<Field['type'], QueryType> = {
  text: 'text',
  longText: 'longText',
  boolean: 'boolean',
  integer: 'integer',
  instant: 'instant',
  enum: 'enum',
  texts: 'texts',
  uuid: 'uuid',
  recordingId: 'key',
  vaultId: 'key',
  language: 'key',
};

function entityQueryable(definition: EntityDefinition): Queryable {
  const fields = allFields(definition).map((field): [string, QueryField] => [
    field.name,
    {
      name: field.name,
      type: TYPES[field.type],
      sql: `t.${field.column}`,
      nullable: field.nullable ?? false,
      values: field.values ?? [],
    },
  ]);
  return {
    kind: definition.plural as QueryKind,
    relation: `bank.${definition.plural}`,
    parts: [`bank.${definition.plural}`],
    fields: new Map(fields),
    usual: fields
      .filter(([name, field]) => field.type !== 'longText' || name === definition.label)
      .map(([name]) => name),
    hasArchive: true,
    newest: 'createdAt',
  };
}

/** The two tables of calls as one (bank.unified_recordings). */
function recordingsQueryable(): Queryable {
  const field = (
    name: string,
    column: string,
    type: QueryType,
    more: Partial<QueryField> = {},
  ): [string, QueryField] => [name, { name, type, sql: `t.${column}`, nullable: false, values: [], ...more }];
  const fields = [
    field('id', 'id', 'key'),
    field('source', 'source', 'enum', { values: ['recording', 'legacy'] }),
    field('title', 'title', 'text'),
    field('startedAt', 'started_at', 'instant'),
    field('durationSeconds', 'duration_seconds', 'integer'),
    field('participants', 'participants', 'texts'),
    field('vaultIds', 'vault_ids', 'texts'),
    field('language', 'language', 'key', { nullable: true }),
    field('url', 'url', 'text', { nullable: true }),
    field('summary', 'summary', 'longText', { nullable: true }),
  ];
  return {
    kind: 'recordings',
    relation: 'bank.unified_recordings',
    parts: ['bank.new_calls', 'bank.legacy_calls'],
    fields: new Map(fields),
    usual: fields.filter(([, { type }]) => type !== 'longText').map(([name]) => name),
    hasArchive: false,
    newest: 'startedAt',
  };
}

export const QUERYABLES: ReadonlyMap<QueryKind, Queryable> = new Map(
  [...ENTITIES.map(entityQueryable), recordingsQueryable()].map((queryable) => [queryable.kind, queryable]),
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
