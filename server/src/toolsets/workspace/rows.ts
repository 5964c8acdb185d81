import { z } from 'zod';
import { allFields, type EntityDefinition, type Field } from '../../entities/index.ts';
import { shownSubject } from '../../subjects.ts';
import { toInstant, toStart } from '../shared/when.ts';
import { oneLine } from '../shared/words.ts';
import type { StoredReceipt } from './api.ts';
import type { Values } from './schemas.ts';

/** Lists show this much of a long text. */
export const SHOWN_CHARACTERS = 280;
const LABEL_CHARACTERS = 80;

/** A field's value as the database takes it. */
export function toValue(field: Field, value: unknown): unknown {
  return field.type === 'instant' && typeof value === 'string' ? toStart(value) : value;
}

/** The fields of a row, in the order in which tools answer them. */
export function fieldNames(definition: EntityDefinition): string[] {
  return allFields(definition).map(({ name }) => name);
}

export function longText(definition: EntityDefinition): Field | undefined {
  return definition.fields.find((field) => field.type === 'longText');
}

/** A row as tools answer it to a caller of this issuer. */
export function toEntry(definition: EntityDefinition, row: Values, issuer: string): Record<string, unknown> {
  const entry: Record<string, unknown> = { ...row };
  for (const { name, type } of allFields(definition)) {
    const value = row[name];
    if (typeof value !== 'string') continue;
    if (type === 'instant') entry[name] = toInstant(value);
    if (type === 'subject') entry[name] = shownSubject(value, issuer);
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

/** A row in a list: its line, its lists, when it was made and changed, and the beginning of its long text. */
export function listLine(definition: EntityDefinition, entry: Values): string {
  const long = longText(definition);
  const text = long === undefined || long.name === definition.label ? '' : oneLine(String(entry[long.name]));
  const facts = [
    entryLine(definition, entry),
    ...listsOf(definition, entry),
    `made ${day(entry.createdAt)}, changed ${day(entry.updatedAt)}`,
  ].join(', ');
  const rest = entry.truncated === true ? `… (get_${definition.name} gives all)` : '';
  return `- ${facts}${text === '' ? rest : `\n  ${text}${rest}`}`;
}

function listsOf(definition: EntityDefinition, entry: Values): string[] {
  return definition.fields.flatMap(({ name }) => {
    const value = entry[name];
    return Array.isArray(value) && value.length > 0 ? [`${name}: ${value.join(', ')}`] : [];
  });
}

function day(instant: unknown): string {
  return String(instant).slice(0, 10);
}

/** All of a row, for a model that is shown no more than text. */
export function entryText(definition: EntityDefinition, entry: Values): string {
  const long = longText(definition);
  return [
    entryLine(definition, entry),
    ...listsOf(definition, entry),
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

export function toReceipt(stored: StoredReceipt): Receipt {
  return { ...stored, updatedAt: toInstant(stored.updatedAt) };
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
