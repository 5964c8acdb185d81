import { ToolError } from '../../../mcp/tool-error.ts';

/** The key of an object that stands for a value of an earlier result: `{"$result": "<as>.<field>"}`. */
export const REFERENCE_KEY = '$result';
export const NAME = /^[A-Za-z][A-Za-z0-9_]{0,39}$/;

/** Structured answers of earlier operations, by the name that the caller gave them. */
export type Results = ReadonlyMap<string, Readonly<Record<string, unknown>>>;

/**
 * Arguments with every reference replaced by what it refers to. A reference is an object, so no text that somebody wrote is
 * taken for one, and only what an answer itself holds can be reached.
 *
 * @param path of the arguments, for messages
 * @throws ToolError `invalid_argument` that names the reference and what can be referred to
 */
export function resolveReferences(value: unknown, results: Results, path: string): unknown {
  if (Array.isArray(value)) return value.map((entry, index) => resolveReferences(entry, results, `${path}[${index}]`));
  if (typeof value !== 'object' || value === null) return value;
  if (Object.hasOwn(value, REFERENCE_KEY)) return resolveOne(value as Record<string, unknown>, results, path);
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [key, resolveReferences(entry, results, `${path}.${key}`)]),
  );
}

function resolveOne(reference: Record<string, unknown>, results: Results, path: string): unknown {
  const wrong = (message: string, remedy: string) =>
    new ToolError('invalid_argument', `${path}: ${message}`, remedy, { field: path });
  const target = reference[REFERENCE_KEY];
  const [name, field, ...rest] = typeof target === 'string' ? target.split('.') : [];
  if (name === undefined || field === undefined || rest.length > 0 || Object.keys(reference).length > 1) {
    throw wrong(
      'This is no reference.',
      `Send {"${REFERENCE_KEY}": "<as of an earlier operation>.<field of its result>"}.`,
    );
  }
  const result = results.get(name);
  if (result === undefined) {
    const known = [...results.keys()];
    throw wrong(
      `No earlier operation is called ${JSON.stringify(name.slice(0, 60))}.`,
      known.length === 0
        ? 'Give the operation that makes the value a name with as, and place it before this one.'
        : `Earlier ones: ${known.join(', ')}.`,
    );
  }
  const value = Object.hasOwn(result, field) ? result[field] : undefined;
  if (value === undefined || (typeof value === 'object' && value !== null)) {
    const fields = Object.keys(result).filter((key) => typeof result[key] !== 'object' || result[key] === null);
    throw wrong(
      `The result of ${name} has no ${JSON.stringify(field.slice(0, 60))} to refer to.`,
      `It has ${fields.join(', ')}.`,
    );
  }
  return value;
}
