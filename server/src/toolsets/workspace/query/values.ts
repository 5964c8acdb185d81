import { ToolError } from '../../../mcp/tool-error.ts';
import { isUuid } from '../../shared/ids.ts';
import { isWhen, toStart } from '../../shared/when.ts';
import { isStorable } from '../schemas.ts';
import type { QueryField } from './fields.ts';

export const MAX_TEXT = 1000;
export const MAX_LIST = 200;
const INT_MAX = 2 ** 31 - 1;

/** What is wrong with a query, where in it, and what can stand there. */
export function wrong(path: string, message: string, remedy: string): ToolError {
  return new ToolError('invalid_argument', `${path}: ${message}`, remedy, { field: path });
}

/** A value of the caller in short, for messages. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/**
 * The value in the database's terms. A plain date is its midnight, UTC.
 *
 * @throws ToolError that names `path` and what the field takes
 */
export function checkValue(field: QueryField, value: unknown, path: string): string | number | boolean {
  const refuse = (takes: string) => wrong(path, `${shown(value)} is no value for ${field.name}.`, `Send ${takes}.`);
  switch (field.type) {
    case 'boolean':
      if (typeof value !== 'boolean') throw refuse('true or false');
      return value;
    case 'integer':
      if (!Number.isInteger(value) || Math.abs(value as number) > INT_MAX) {
        throw refuse(`a whole number between -${INT_MAX} and ${INT_MAX}`);
      }
      return value as number;
    case 'number':
      if (typeof value !== 'number' || !Number.isFinite(value)) throw refuse('a number');
      return value;
    case 'instant':
      if (typeof value !== 'string' || value.length > 40 || !isWhen(value)) {
        throw refuse('an instant that exists, such as 2026-05-01T09:30:00Z, or a date such as 2026-05-01');
      }
      return toStart(value);
    case 'enum':
      if (typeof value !== 'string' || !field.values.includes(value)) throw refuse(`one of ${field.values.join(', ')}`);
      return value;
    case 'uuid':
      if (typeof value !== 'string' || !isUuid(value.toLowerCase()))
        throw refuse('an id (a UUID), as the other tools give it');
      return value.toLowerCase();
    default:
      if (typeof value !== 'string' || value.length > MAX_TEXT || !isStorable(value)) {
        throw refuse(`text of at most ${MAX_TEXT} characters, without NUL`);
      }
      return value;
  }
}

/** @throws ToolError for what is no list, too long, or holds a wrong value */
export function checkList(field: QueryField, value: unknown, path: string): (string | number | boolean)[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw wrong(path, `${shown(value)} is no list of values.`, `Send an array of 1 to ${MAX_LIST} values.`);
  }
  if (value.length > MAX_LIST) {
    throw wrong(path, `The list has ${value.length} values.`, `Send at most ${MAX_LIST}, or several queries.`);
  }
  return value.map((entry, index) => checkValue(field, entry, `${path}[${index}]`));
}
