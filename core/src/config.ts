import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ConfigError, messageOf } from './errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads a process's configuration from its environment. A variable `X` may instead come as `X_FILE`, a path whose content
 * (trailing newline removed) is the value: that is how secrets arrive, so that no environment dump shows them.
 *
 * @throws ConfigError one sentence per wrong variable, with its name and what it must be; never its value
 */
export function loadConfig<S extends z.ZodObject>(schema: S, env: Environment): z.infer<S> {
  const input: Record<string, string> = {};
  for (const name of Object.keys(schema.shape)) {
    const value = readVariable(name, env);
    if (value !== undefined) input[name] = value;
  }
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => {
    const name = String(issue.path[0] ?? 'configuration');
    return input[name] === undefined
      ? `${name} is not set: ${hint(schema, name)}`
      : `${name} is wrong: ${issue.message}`;
  });
  throw new ConfigError(problems.join('. '));
}

function readVariable(name: string, env: Environment): string | undefined {
  const direct = env[name];
  if (direct !== undefined && direct !== '') return direct;
  const file = env[`${name}_FILE`];
  if (file === undefined || file === '') return undefined;
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new ConfigError(`${name}_FILE names ${file}, which can't be read: ${messageOf(error)}`, { cause: error });
  }
}

function hint(schema: z.ZodObject, name: string): string {
  const field = schema.shape[name];
  return field instanceof z.ZodType && field.description !== undefined ? field.description : 'it is required';
}

export const logLevelSchema = z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info');

/** Bounds are inclusive. */
export function wholeNumber(lowest: number, highest: number, what = 'whole number') {
  const error = `it must be a ${what} from ${lowest} to ${highest}`;
  return z.coerce.number({ error }).int(error).min(lowest, error).max(highest, error);
}

/** A port to listen on; 0: any. */
export const portSchema = wholeNumber(0, 65535, 'port');

/** Namespaces that a process keeps to, separated by commas; none: it serves all. */
export const namespacesSchema = z
  .string()
  .transform((text) => text.split(',').map((name) => name.trim()))
  .refine((names) => names.every((name) => /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name) && name.length <= 63), {
    message: 'it must be names of namespaces, separated by commas',
  })
  .transform((names) => [...new Set(names)])
  .default([]);

/** A `postgres://` URL. Describe it so: the sentence is what a user reads when it is missing. */
export const databaseUrlSchema = z
  .string()
  .describe(
    'give the connection as postgres://USER@HOST:PORT/DATABASE (chart: database.url or database.existingSecret)',
  )
  .refine((value) => /^postgres(ql)?:\/\/[^/]+\/.+/.test(value) && URL.canParse(value), {
    message: 'it must have the form postgres://USER@HOST:PORT/DATABASE',
  });

/** Origin of the front door, such as `https://mcp.example.com`: no path, no trailing slash. */
export const frontDoorSchema = z
  .string()
  .describe('give the public origin of the platform, such as https://mcp.example.com')
  .refine((value) => URL.canParse(value) && new URL(value).origin === value && value.startsWith('http'), {
    message: 'it must be an origin such as https://mcp.example.com, without path or trailing slash',
  });

/** Puts a password from a file of its own into a database URL that has none. */
export function withPassword(databaseUrl: string, password: string | undefined): string {
  if (password === undefined) return databaseUrl;
  const url = new URL(databaseUrl);
  url.password = encodeURIComponent(password);
  return url.toString();
}

/** The same sign-in at another database of the server. */
export function databaseUrlAt(url: string, name: string): string {
  const moved = new URL(url);
  moved.pathname = `/${encodeURIComponent(name)}`;
  return moved.toString();
}
