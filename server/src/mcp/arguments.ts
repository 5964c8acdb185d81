import type { z } from 'zod';
import { type ArgumentSchema, asMeant, type Meaning, withoutEmpty } from './leniency.ts';
import { inputSchemaOf, jsonSchema } from './listing.ts';
import { ToolError } from './tool-error.ts';
import type { ForwardingTool, LocalTool } from './toolset.ts';
import { meantName, nearestNames } from './vocabulary.ts';

const SHOWN_PROBLEMS = 5;
const SHOWN_WORD = 64;

type Issue = z.core.$ZodIssue;

/**
 * @param whose `the prompt x`, for the error
 * @throws ToolError `invalid_argument` that names every wrong argument
 */
export function parseInput<I>(schema: z.ZodType<I>, given: unknown, whose: string): I {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw refusal(parsed.error.issues, given, { whose, names: namesOf(schema) });
}

interface Meant {
  readonly whose: string;
  /** The schema as JSON Schema; asked for only when something doesn't fit. */
  listed(): ArgumentSchema;
  readonly meaning: Meaning;
  /** Arguments that there are, where the schema has not all of them. */
  names?(): string[];
}

/**
 * Arguments that fit the schema, or are meant to (leniency.ts). What fits as it is costs nothing more.
 *
 * @throws ToolError `invalid_argument` that names every wrong argument, those that there are and the nearest
 */
export function parseMeant<I>(schema: z.ZodType<I>, given: unknown, { whose, listed, meaning, names }: Meant): I {
  const exact = schema.safeParse(given);
  if (exact.success) return exact.data;
  const wanted = listed();
  const meant = asMeant(wanted, given, meaning);
  const lenient = schema.safeParse(meant);
  if (lenient.success) return lenient.data;
  const wrong = new Set(lenient.error.issues.flatMap(({ path }) => path.slice(0, 1)));
  const filled = schema.safeParse(withoutEmpty(wanted, meant, wrong));
  if (filled.success) return filled.data;
  const known = names?.() ?? Object.keys(wanted.properties ?? {});
  throw refusal(lenient.error.issues, meant, { whose, names: known });
}

/** @throws ToolError `invalid_argument` that names every wrong argument, and which there are */
export function parseArguments<I>(tool: LocalTool<I>, args: unknown): I {
  return parseMeant(tool.input, args ?? {}, {
    whose: tool.name,
    listed: () => inputSchemaOf(tool as unknown as LocalTool) as ArgumentSchema,
    meaning: { emptied: tool.emptied, idWords: idWordsOf(tool.name) },
  });
}

/** What a forwarding tool reads itself; whatever else is there goes on as it came. @throws ToolError */
export function parseForwarding<I>(tool: ForwardingTool<I>, args: unknown): I {
  return parseMeant(tool.input, args ?? {}, {
    whose: tool.name,
    listed: () => jsonSchema(tool.input, 'input') as ArgumentSchema,
    meaning: { idWords: [] },
    names: () => Object.keys(inputSchemaOf(tool).properties ?? {}),
  });
}

/** `noteid` and `note` of get_note; a tool about calls takes their other names. */
function idWordsOf(tool: string): string[] {
  const noun = tool.replace(/^[a-z]+_/, '').replaceAll('_', '');
  const nouns = noun === 'recording' || noun === 'transcript' ? ['recording', 'call', 'meeting'] : [noun];
  return [...nouns, ...nouns.map((each) => `${each}id`)];
}

function refusal(
  issues: readonly Issue[],
  given: unknown,
  { whose, names }: { whose: string; names: readonly string[] },
): ToolError {
  const problems = issues.slice(0, SHOWN_PROBLEMS).map((issue) => problemOf(issue, given, names));
  const [first] = issues;
  const field = first?.path[0] ?? (first?.code === 'unrecognized_keys' ? first.keys[0] : undefined);
  const remedy =
    names.length === 0 ? `Send arguments that fit ${whose}.` : `Arguments of ${whose}: ${names.join(', ')}.`;
  return new ToolError(
    'invalid_argument',
    `${problems.join('; ')}.`,
    remedy,
    field === undefined ? {} : { field: String(field).slice(0, SHOWN_WORD) },
  );
}

function problemOf(issue: Issue, given: unknown, names: readonly string[]): string {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    // Names of deeper objects are not at hand here; zod's own words name the wrong one.
    const known = issue.path.length === 0 ? names : [];
    const words = issue.keys.slice(0, SHOWN_PROBLEMS).map((key) => unknownWord(key, known));
    return path === '' ? words.join('; ') : `${path}: ${words.join('; ')}`;
  }
  if (issue.code === 'invalid_type' && valueAt(given, issue.path) === undefined) return `${path}: it is missing`;
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}

/** `there is no argument "vaultName" (did you mean vaultId?)` */
function unknownWord(word: string, names: readonly string[]): string {
  const meant = meantName(word, names);
  const nearest = meant === undefined ? nearestNames(word, names) : [meant];
  const hint = nearest.length === 0 ? '' : ` (did you mean ${nearest.join(' or ')}?)`;
  return `there is no argument "${word.slice(0, SHOWN_WORD)}"${hint}`;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | null | undefined)?.[key], value);
}

function namesOf(schema: z.ZodType): string[] {
  const shape = (schema as { shape?: unknown }).shape;
  return typeof shape === 'object' && shape !== null ? Object.keys(shape) : [];
}
