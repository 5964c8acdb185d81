import { jsonWithinBounds } from '@bankhouse/core';
import { meantName, meantValue } from './vocabulary.ts';

/** What is read of the JSON Schema of a tool's arguments. */
export interface ArgumentSchema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly ArgumentSchema[];
  readonly items?: ArgumentSchema;
  readonly properties?: Readonly<Record<string, ArgumentSchema>>;
  readonly required?: readonly string[];
}

export interface Meaning {
  /** What null means for a field that can't be null; left out where nothing is said. */
  readonly emptied?: Readonly<Record<string, unknown>> | undefined;
  /** More words for `id`, such as `noteId` of get_note. */
  readonly idWords: readonly string[];
}

type Values = Readonly<Record<string, unknown>>;

const NUMBER = /^[+-]?\d+(\.\d+)?$/;
const TRUTH: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['false', false],
]);
/** No tool has half as many arguments. What has more words is no slip, and each word costs a look at every name. */
const MAX_WORDS = 100;

/**
 * Arguments as they were meant, where that is certain: other words for a name (vocabulary.ts), numbers and booleans as text, text as
 * numbers, one value for a list, JSON as text, a value of an enum in another spelling, and null for an argument that can't be null, which
 * is as good as left out. What is not certain stays as it is, to be refused in words. It adds no argument, and changes none that fits.
 */
export function asMeant(schema: ArgumentSchema, given: unknown, meaning: Meaning): unknown {
  return meantOf(schema, given, meaning);
}

/** Without arguments that are empty text and may be left out: some clients fill a form so. */
export function withoutEmpty(schema: ArgumentSchema, given: unknown, wrong: ReadonlySet<PropertyKey>): unknown {
  if (!isObject(given)) return given;
  const required = new Set(schema.required ?? []);
  return Object.fromEntries(
    Object.entries(given).filter(([name, value]) => value !== '' || required.has(name) || !wrong.has(name)),
  );
}

function meantOf(schema: ArgumentSchema, given: unknown, meaning: Meaning): unknown {
  const wanted = schema.anyOf?.find((each) => each.type !== 'null') ?? schema;
  if (given === null || given === undefined) return given;
  if (wanted.enum !== undefined) return enumOf(wanted.enum, given);
  switch (wanted.type) {
    case 'object':
      return objectOf(wanted, given, meaning);
    case 'array':
      return listOf(wanted, given, meaning);
    case 'integer':
    case 'number':
      return numberOf(single(given));
    case 'boolean':
      return booleanOf(single(given));
    case 'string':
      return textOf(single(given));
    default:
      return given;
  }
}

function objectOf(schema: ArgumentSchema, given: unknown, meaning: Meaning): unknown {
  const value = typeof given === 'string' ? fromText(given, schema) : given;
  const { properties } = schema;
  if (!isObject(value) || properties === undefined) return value;
  const named = withKnownNames(value, Object.keys(properties), meaning);
  const entries = Object.entries(named).flatMap(([name, one]): [string, unknown][] => {
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (property === undefined) return [[name, one]];
    if (!isNull(one, property) || takesNull(property)) return [[name, meantOf(property, one, meaning)]];
    const { emptied } = meaning;
    return emptied !== undefined && Object.hasOwn(emptied, name) ? [[name, emptied[name]]] : [];
  });
  return Object.fromEntries(entries);
}

/** Also written out, as some clients send it, where no text is wanted that could be meant. */
function isNull(value: unknown, { type, enum: values }: ArgumentSchema): boolean {
  return value === null || (value === 'null' && (values !== undefined || (type !== undefined && type !== 'string')));
}

/** Two words for one argument are both kept, so that it is said, unless they say the same. */
function withKnownNames(value: Values, names: readonly string[], { idWords }: Meaning): Values {
  if (Object.keys(value).length > MAX_WORDS) return value;
  const named: Record<string, unknown> = {};
  const isKnown = (name: string) => names.includes(name);
  for (const [name, one] of Object.entries(value)) if (isKnown(name)) named[name] = one;
  for (const [name, one] of Object.entries(value)) {
    if (isKnown(name)) continue;
    const meant =
      idWords.includes(name.toLowerCase().replaceAll('_', '')) && isKnown('id') ? 'id' : meantName(name, names);
    if (meant === undefined || (Object.hasOwn(named, meant) && !isSame(named[meant], one))) named[name] = one;
    else named[meant] = one;
  }
  return named;
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** JSON, or the one text that the object needs: `status` for `{field: 'status'}`. */
function fromText(text: string, { properties = {}, required = [] }: ArgumentSchema): unknown {
  const parsed = parse(text);
  if (isObject(parsed)) return parsed;
  const [only, ...others] = required.filter((name) => properties[name]?.type === 'string');
  return only === undefined || others.length > 0 || required.length > 1 ? text : { [only]: text };
}

function listOf(schema: ArgumentSchema, given: unknown, meaning: Meaning): unknown {
  const list = Array.isArray(given) ? given : entriesOf(given, schema.items);
  return schema.items === undefined
    ? list
    : list.map((entry) => meantOf(schema.items as ArgumentSchema, entry, meaning));
}

/** JSON, a row of words where only some words are possible, or one entry. */
function entriesOf(given: unknown, items: ArgumentSchema | undefined): unknown[] {
  if (typeof given !== 'string') return [given];
  const parsed = parse(given);
  if (Array.isArray(parsed)) return parsed;
  return items?.enum === undefined ? [given] : given.split(',').map((word) => word.trim());
}

function enumOf(values: readonly unknown[], given: unknown): unknown {
  const one = single(given);
  if (typeof one !== 'string' || values.includes(one)) return one;
  return (
    meantValue(
      one,
      values.filter((value) => typeof value === 'string'),
    ) ?? one
  );
}

function numberOf(given: unknown): unknown {
  return typeof given === 'string' && NUMBER.test(given.trim()) ? Number(given) : given;
}

function booleanOf(given: unknown): unknown {
  return typeof given === 'string' ? (TRUTH.get(given.trim().toLowerCase()) ?? given) : given;
}

function textOf(given: unknown): unknown {
  return typeof given === 'number' || typeof given === 'boolean' ? String(given) : given;
}

/** The one entry of a list of one. */
function single(given: unknown): unknown {
  return Array.isArray(given) && given.length === 1 ? given[0] : given;
}

/** What says nothing about its type takes anything. */
function takesNull({ type, anyOf, enum: values }: ArgumentSchema): boolean {
  return type === 'null' || (type === undefined && values === undefined && (anyOf?.some(takesNull) ?? true));
}

/** Within the bounds of a body, which the JSON in a text of it would else get around. */
function parse(text: string): unknown {
  try {
    return jsonWithinBounds(Buffer.from(text)) === 'within' ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
