import { z } from 'zod';
import { allFields, type EntityDefinition, type Field } from '../../entities/index.ts';
import { instantSql, toInstant, toStart } from '../shared/when.ts';
import type { Values } from './schemas.ts';

/** Lists show this much of a long text. */
export const SHOWN_CHARACTERS = 280;
const LABEL_CHARACTERS = 80;

/** SQL type of a parameter; a statement of many parameters is parsed before it has a value. */
const SQL_TYPES: Readonly<Record<Field['type'], string>> = {
  text: 'text',
  longText: 'text',
  boolean: 'boolean',
  integer: 'int',
  instant: 'timestamptz',
  enum: 'text',
  texts: 'text[]',
  uuid: 'uuid',
  recordingId: 'text',
  vaultId: 'text',
  language: 'text',
};

/** `$3::text[]` */
export function parameter(number: number, field: Field): string {
  return `$${number}::${SQL_TYPES[field.type]}`;
}

/** A field's value as Postgres takes it. */
export function toParameter(field: Field, value: unknown): unknown {
  if (value === undefined || value === null) return null;
  return field.type === 'instant' ? toStart(String(value)) : value;
}

/** The columns of a row, under the names of its fields; with `cut`, long texts as far as lists show them. */
export function selectList(definition: EntityDefinition, options: { cut: boolean }): string {
  const columns = allFields(definition).map((field) => `${column(field, options.cut)} as "${field.name}"`);
  const long = longText(definition);
  if (options.cut && long !== undefined) columns.push(`length(${long.column}) > ${SHOWN_CHARACTERS} as truncated`);
  return columns.join(', ');
}

function column(field: Field, cut: boolean): string {
  if (field.type === 'instant') return instantSql(field.column);
  return cut && field.type === 'longText' ? `left(${field.column}, ${SHOWN_CHARACTERS})` : field.column;
}

export function longText(definition: EntityDefinition): Field | undefined {
  return definition.fields.find((field) => field.type === 'longText');
}

/** A row of `selectList` as tools answer it. */
export function toEntry(definition: EntityDefinition, row: Values): Record<string, unknown> {
  const entry: Record<string, unknown> = { ...row };
  for (const field of allFields(definition)) {
    const value = row[field.name];
    if (field.type === 'instant' && typeof value === 'string') entry[field.name] = toInstant(value);
  }
  return entry;
}

/** One line about a row: what it is, what is not as usual with it, and what other tools need. */
export function entryLine(definition: EntityDefinition, entry: Values): string {
  const told = definition.fields.filter((field) => isTold(definition, field, entry[field.name]));
  return [
    `${label(definition, entry)} [${entry.status}]`,
    ...told.map((field) => `${field.name} ${entry[field.name]}`),
    ...(entry.archivedAt === null ? [] : ['archived']),
    `version ${entry.version}`,
    `id ${entry.id}`,
  ].join(', ');
}

/** All of a row, for a model that is shown no more than text. */
export function entryText(definition: EntityDefinition, entry: Values): string {
  const lists = definition.fields.flatMap(({ name }) => {
    const value = entry[name];
    return Array.isArray(value) && value.length > 0 ? [`${name}: ${value.join(', ')}`] : [];
  });
  const long = longText(definition);
  return [
    entryLine(definition, entry),
    ...lists,
    `made ${entry.createdAt} by ${entry.createdBy}, changed ${entry.updatedAt} by ${entry.updatedBy}`,
    ...(long === undefined ? [] : ['', entry[long.name]]),
  ].join('\n');
}

export function label(definition: EntityDefinition, entry: Values): string {
  const whole = String(entry[definition.label]).replace(/\s+/g, ' ').trim();
  if (whole === '') return '(empty)';
  return whole.length > LABEL_CHARACTERS ? `${[...whole].slice(0, LABEL_CHARACTERS - 1).join('')}…` : whole;
}

function isTold(definition: EntityDefinition, field: Field, value: unknown): boolean {
  if (field.name === definition.label || field.type === 'longText' || field.type === 'texts') return false;
  return value !== null && value !== field.default;
}

/** What tools that write answer: enough to go on with; get_* has the rest. */
export const receiptShape = {
  id: z.string(),
  version: z.int(),
  status: z.string(),
  vaultId: z.string().nullable(),
  archived: z.boolean(),
  updatedAt: z.string(),
};
export const receiptSchema = z.object(receiptShape);
export type Receipt = z.infer<typeof receiptSchema>;

/** To be returned by whatever writes a row. */
export const RECEIPT = `id, version, status, vault_id as "vaultId", archived_at is not null as archived, ${instantSql('updated_at')} as "updatedAt"`;

export function toReceipt(row: Receipt): Receipt {
  return { ...row, updatedAt: toInstant(row.updatedAt) };
}

/** `Replaced note 1f…: version 3, final, in vault sales.` */
export function receiptText(definition: EntityDefinition, did: string, receipt: Receipt): string {
  const where = receipt.vaultId === null ? 'in no vault' : `in vault ${receipt.vaultId}`;
  return `${did} ${noun(definition)} ${receipt.id}: version ${receipt.version}, ${receipt.status}${receipt.archived ? ', archived' : ''}, ${where}.`;
}

/** `chat message` */
export function noun(definition: EntityDefinition): string {
  return definition.name.replaceAll('_', ' ');
}

/** `chat messages` */
export function nouns(definition: EntityDefinition): string {
  return definition.plural.replaceAll('_', ' ');
}
