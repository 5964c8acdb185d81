import {
  type Action,
  allFields,
  type EntityDefinition,
  type Field,
  type FieldType,
  type Writable,
} from './definition.ts';

/** What a column holds, as far as comparing and storing goes. */
export type ColumnType =
  | 'text'
  | 'longText'
  | 'boolean'
  | 'integer'
  | 'instant'
  | 'enum'
  | 'texts'
  | 'uuid'
  /** Id of a call, of a vault, or a language tag: text that is compared whole. */
  | 'key';

/** A field as the database knows it: what `bank.definition_of` says about it. */
export interface KindField {
  readonly name: string;
  /** What the database's functions call it. */
  readonly stored: string;
  readonly column: string;
  readonly type: ColumnType;
  readonly sqlType: 'text' | 'boolean' | 'int4' | 'timestamptz' | 'text[]' | 'uuid';
  readonly nullable: boolean;
  /** Of an enum, in the order in which they compare. */
  readonly values?: readonly string[];
  readonly writable: Writable;
  /** Absent: what create leaves out is null. */
  readonly default?: Exclude<Field['default'], undefined>;
}

/** What can be read by `api.read_page`, and for all but recordings written: an entity, or the two tables of calls as one. */
export interface Kind {
  /** Singular, as the functions of schema `api` take it. */
  readonly kind: string;
  readonly plural: string;
  /** Table of schema `bank`; null: a relation of the database's own making, which nobody writes. */
  readonly table: string | null;
  /** Whether rows can be archived. */
  readonly archive: boolean;
  /** The field whose length decides whether a row is `truncated`. */
  readonly long: string | null;
  /** What rows come in when no sort is asked for, newest first. */
  readonly newest: string;
  /** Kinds that go along when a row is deleted. */
  readonly children: readonly string[];
  /** Whose vault a row is in; null: it may be in several. */
  readonly placed: 'self' | 'parent' | null;
  readonly fields: readonly KindField[];
  readonly actions: Readonly<Record<string, Pick<Action, 'from' | 'to' | 'sets'>>>;
}

const COLUMN_TYPES: Readonly<Record<FieldType, ColumnType>> = {
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
  subject: 'text',
};

const SQL_TYPES: Readonly<Record<ColumnType, KindField['sqlType']>> = {
  text: 'text',
  longText: 'text',
  boolean: 'boolean',
  integer: 'int4',
  instant: 'timestamptz',
  enum: 'text',
  texts: 'text[]',
  uuid: 'uuid',
  key: 'text',
};

export function entityKind(definition: EntityDefinition): Kind {
  const { name, plural, children, actions, parent } = definition;
  return {
    kind: name,
    plural,
    table: plural,
    archive: true,
    long: definition.fields.find(({ type }) => type === 'longText')?.name ?? null,
    newest: 'createdAt',
    children,
    placed: parent === undefined ? 'self' : 'parent',
    fields: allFields(definition).map(kindField),
    actions,
  };
}

function kindField(field: Field): KindField {
  const type = COLUMN_TYPES[field.type];
  return {
    name: field.name,
    stored: field.stored ?? field.name,
    column: field.column,
    type,
    sqlType: SQL_TYPES[type],
    nullable: field.nullable ?? false,
    ...(field.values === undefined ? {} : { values: field.values }),
    writable: field.writable,
    ...(field.default === undefined ? {} : { default: field.default }),
  };
}

/** The two tables of calls as one. */
export const RECORDING_KIND: Kind = {
  kind: 'recording',
  plural: 'recordings',
  table: null,
  archive: false,
  long: 'summary',
  newest: 'startedAt',
  children: [],
  placed: null,
  fields: [
    readOnly('id', 'id', 'key'),
    readOnly('source', 'source', 'enum', { values: ['recording', 'legacy'] }),
    readOnly('title', 'title', 'text'),
    readOnly('startedAt', 'started_at', 'instant'),
    readOnly('durationSeconds', 'duration_seconds', 'integer'),
    readOnly('participants', 'participants', 'texts'),
    readOnly('vaultIds', 'vault_ids', 'texts'),
    readOnly('language', 'language', 'key', { nullable: true }),
    readOnly('url', 'url', 'text', { nullable: true }),
    readOnly('summary', 'summary', 'longText', { nullable: true }),
  ],
  actions: {},
};

function readOnly(
  name: string,
  column: string,
  type: ColumnType,
  more: Pick<Partial<KindField>, 'nullable' | 'values'> = {},
): KindField {
  return { name, stored: name, column, type, sqlType: SQL_TYPES[type], nullable: false, ...more, writable: 'never' };
}
