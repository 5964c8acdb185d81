/** What a field holds; it decides the zod schema, the comparison operators and the column's type. */
export type FieldType =
  /** One line of text. */
  | 'text'
  /** Text of any length; cut in lists. */
  | 'longText'
  | 'boolean'
  | 'integer'
  /** RFC 3339 in and out, timestamptz in the database. */
  | 'instant'
  /** One of `values`. */
  | 'enum'
  /** Several short texts. */
  | 'texts'
  /** Id of a row: of `refersTo`, where that is given. */
  | 'uuid'
  /** Id of a call, as list_recordings gives it. */
  | 'recordingId'
  /** Id of a vault. */
  | 'vaultId'
  /** BCP 47, such as `de` or `en-GB`. */
  | 'language'
  /** Who did something: issuer and subject of a token, as subjects.ts shows and takes them. */
  | 'subject';

/** When a caller may set a field: `always` by create, update and patch, `create` by create alone, `never` by none of them. */
export type Writable = 'always' | 'create' | 'never';

/** A field of an entity: a column of its table, an argument and a part of the answer of its tools. */
export interface Field {
  /** camelCase, as in tools. */
  readonly name: string;
  /** What the database's functions call it, where a tool's word for it has changed since: they serve the version before too. */
  readonly stored?: string;
  /** snake_case, as in the table. */
  readonly column: string;
  readonly type: FieldType;
  readonly writable: Writable;
  /** What create may leave out has a `default` or is null. */
  readonly required?: boolean;
  /** May be null. */
  readonly nullable?: boolean;
  readonly default?: string | boolean | readonly string[];
  /** Characters, or entries of `texts`. */
  readonly max?: number;
  /** Characters of an entry of `texts`. */
  readonly entryMax?: number;
  readonly values?: readonly string[];
  readonly refersTo?: EntityName;
  /** One phrase for tools and docs. */
  readonly description: string;
}

/** One way from a status to another, by the tool `process_<entity>`. */
export interface Action {
  readonly from: readonly string[];
  readonly to: string;
  /** Further columns: `now` is the time of the call. */
  readonly sets?: Readonly<Record<string, 'now' | '' | null>>;
  readonly description: string;
}

export type EntityName = 'note' | 'task' | 'comment' | 'chat' | 'chat_message';

/**
 * An entity (R3.1). Its eight tools, its resources, its docs and what the database lets be asked of it are made from this. Each
 * has, besides `fields`, the `COMMON_FIELDS`, and a table `bank.<plural>`, whose policies decide who sees a row.
 */
export interface EntityDefinition {
  readonly name: EntityName;
  /** Name of the table, of the list in answers, and of the kind in URIs. */
  readonly plural: string;
  /** For people, singular. */
  readonly title: string;
  /** What one is, in a sentence. */
  readonly description: string;
  readonly fields: readonly Field[];
  /** State machine over `status`. */
  readonly statuses: readonly string[];
  readonly actions: Readonly<Record<string, Action>>;
  /** Fields that say in a line what a row is. */
  readonly label: string;
  /** The long text; body of the search document. */
  readonly text: string | undefined;
  /** The row that this one belongs to and whose vault it is in. */
  readonly parent?: { readonly entity: EntityName; readonly field: string } | { readonly entity: 'any' };
  /** What goes along when one is deleted. */
  readonly children: readonly EntityName[];
}

export const MAX_TITLE = 300;
export const MAX_BODY = 100_000;
export const MAX_TAGS = 20;

/** Of every entity. `vaultId` is listed by each entity itself, since where it may be set differs. */
export const COMMON_FIELDS: readonly Field[] = [
  { name: 'id', column: 'id', type: 'uuid', writable: 'never', description: 'Id' },
  {
    name: 'version',
    column: 'version',
    type: 'integer',
    writable: 'never',
    description: 'Counts changes; send it to update and patch',
  },
  { name: 'status', column: 'status', type: 'enum', writable: 'never', description: 'Changed by the process tool' },
  { name: 'createdAt', column: 'created_at', type: 'instant', writable: 'never', description: 'When it was made' },
  { name: 'createdBy', column: 'created_by', type: 'subject', writable: 'never', description: 'Who made it' },
  { name: 'updatedAt', column: 'updated_at', type: 'instant', writable: 'never', description: 'When it last changed' },
  { name: 'updatedBy', column: 'updated_by', type: 'subject', writable: 'never', description: 'Who changed it last' },
  {
    name: 'archivedAt',
    column: 'archived_at',
    type: 'instant',
    writable: 'never',
    nullable: true,
    description: 'When it was archived, null if it is not',
  },
];

export const TITLE: Field = {
  name: 'title',
  column: 'title',
  type: 'text',
  writable: 'always',
  required: true,
  max: MAX_TITLE,
  description: 'Title',
};

export const TAGS: Field = {
  name: 'tags',
  column: 'tags',
  type: 'texts',
  writable: 'always',
  default: [],
  max: MAX_TAGS,
  entryMax: 50,
  description: 'Tags',
};

export const VAULT: Field = {
  name: 'vaultId',
  column: 'vault_id',
  type: 'vaultId',
  writable: 'always',
  nullable: true,
  description: 'Vault that it is in; null: in none, only for callers who may see all vaults',
};

export const RECORDING: Field = {
  name: 'recordingId',
  column: 'recording_id',
  type: 'recordingId',
  writable: 'always',
  nullable: true,
  description: 'Recording that it is about',
};

export const LANGUAGE: Field = {
  name: 'language',
  column: 'language',
  type: 'language',
  writable: 'always',
  nullable: true,
  description: 'Language of the text, such as de',
};

/** Every field of an entity, common ones first; `status` with the entity's own values. */
export function allFields(definition: EntityDefinition): Field[] {
  return [
    ...COMMON_FIELDS.map((field) => (field.name === 'status' ? { ...field, values: definition.statuses } : field)),
    ...definition.fields,
  ];
}
