import { VAULT_ID_PATTERN } from '@bankhouse/core';
import { z } from 'zod';
import { allFields, type EntityDefinition, type Field } from '../../entities/index.ts';
import { isRecordingId, isUuid } from '../shared/ids.ts';
import { isWhen } from '../shared/when.ts';

/** Arguments and answers of the forty tools are made from definitions, so their names are known to no type. */
export type Shape = Record<string, z.ZodType>;
export type Values = Readonly<Record<string, unknown>>;

/** Characters of a text of one line, and entries of a list, whose field says nothing else. */
const MAX_LINE = 320;
const MAX_ENTRIES = 50;
/** An issuer, a blank and a subject. */
const MAX_SUBJECT = 600;
const LANGUAGE = /^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}$/;

/** Postgres stores no NUL, and half of a surrogate pair is no character (Unicode, D75). */
export function isStorable(value: string): boolean {
  return !value.includes('\0') && value.isWellFormed();
}

const STORABLE = { message: 'it must not contain NUL characters or unpaired surrogates' };

/** One line of text, without the blanks around it. */
function line(max: number) {
  return z.string().trim().min(1).max(max).refine(isStorable, STORABLE);
}

function uuid(message: string) {
  return z.string().toLowerCase().refine(isUuid, { message });
}

export function rowId(definition: EntityDefinition) {
  return uuid(`it must be an id as list_${definition.plural} gives it`);
}

export const version = z.int().min(1).max(2_147_483_647);
export const readVersion = version.meta({ description: 'The version that you read.' });

export const instant = z.string().refine(isWhen, {
  message: 'it must be a date such as 2026-05-01 or an instant such as 2026-05-01T09:30:00Z',
});

/** What a field takes, whoever sets or filters it; null and defaults are the tool's own matter. */
export function valueSchema(field: Field): z.ZodType {
  switch (field.type) {
    case 'text':
      return line(field.max ?? MAX_LINE);
    case 'subject':
      return line(MAX_SUBJECT);
    case 'longText':
      return z
        .string()
        .min(field.required === true ? 1 : 0)
        .max(field.max ?? MAX_LINE)
        .refine(isStorable, STORABLE);
    case 'boolean':
      return z.boolean();
    case 'integer':
      return z.int();
    case 'instant':
      return instant;
    case 'enum':
      return z.enum(field.values ?? []);
    case 'texts':
      return z.array(line(field.entryMax ?? MAX_LINE)).max(field.max ?? MAX_ENTRIES);
    case 'uuid':
      return uuid('it must be an id, as the lists give it');
    case 'recordingId':
      return z.string().refine(isRecordingId, { message: 'it must be a recording id, as list_recordings gives it' });
    case 'vaultId':
      return z
        .string()
        .refine((value) => VAULT_ID_PATTERN.test(value), { message: 'it must be a vault id, as list_vaults gives it' });
    case 'language':
      return z
        .string()
        .refine((value) => LANGUAGE.test(value), { message: 'it must be a language tag such as de or en-GB' });
  }
}

/** Fields that a caller sets when it makes an entry. */
export function creatable(definition: EntityDefinition): Field[] {
  return definition.fields.filter((field) => field.writable !== 'never');
}

/** Fields that a caller can change later. */
export function changeable(definition: EntityDefinition): Field[] {
  return definition.fields.filter((field) => field.writable === 'always');
}

/** Arguments that give every field a value: what may be left out is its default or null. */
export function wholeShape(fields: readonly Field[], options: { described: boolean }): Shape {
  return shapeOf(fields, (field) => {
    const value = valueSchema(field);
    const given =
      field.default !== undefined ? value.default(field.default) : field.nullable === true ? value.nullish() : value;
    if (options.described) return given.meta({ description: described(field) });
    // What is left out stays where it is, so that null says something of its own.
    return field.type === 'vaultId' ? given.meta({ description: 'null: in none.' }) : given;
  });
}

function described({ type, description }: Field): string {
  return type === 'instant' ? `${description}: a date, or an instant of RFC 3339.` : `${description}.`;
}

/** Arguments of which each may be left out. */
export function partShape(fields: readonly Field[]): Shape {
  return shapeOf(fields, (field) =>
    field.nullable === true ? valueSchema(field).nullish() : valueSchema(field).optional(),
  );
}

/** A row, as `get` and lists answer it. */
export function rowShape(definition: EntityDefinition): Shape {
  return shapeOf(allFields(definition), (field) =>
    field.nullable === true ? answered(field).nullable() : answered(field),
  );
}

function answered(field: Field): z.ZodType {
  switch (field.type) {
    case 'boolean':
      return z.boolean();
    case 'integer':
      return z.int();
    case 'enum':
      return z.enum(field.values ?? []);
    case 'texts':
      return z.array(z.string());
    default:
      return z.string();
  }
}

function shapeOf(fields: readonly Field[], schema: (field: Field) => z.ZodType): Shape {
  return Object.fromEntries(fields.map((field) => [field.name, schema(field)]));
}
