import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  ConfigError,
  databaseUrlSchema,
  frontDoorSchema,
  loadConfig,
  rootKeysSchema,
  withPassword,
} from '../src/index.ts';

const schema = z.object({
  DATABASE_URL: databaseUrlSchema,
  FRONT_DOOR_URL: frontDoorSchema,
  ROOT_KEY: rootKeysSchema,
  PORT: z.coerce.number().int().min(1).max(65535).default(8080),
});
const good = {
  DATABASE_URL: 'postgres://operator@db:5432/bankhouse',
  FRONT_DOOR_URL: 'https://mcp.example.com',
  ROOT_KEY: Buffer.alloc(32, 1).toString('base64'),
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'config-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('configuration', () => {
  it('reads variables and fills defaults', () => {
    const config = loadConfig(schema, good);
    expect(config.PORT).toBe(8080);
    expect(config.ROOT_KEY.get(1)).toHaveLength(32);
  });

  it('reads a secret from the file that X_FILE names, without its last newline', () => {
    const path = join(folder, 'url');
    writeFileSync(path, `${good.DATABASE_URL}\n`);
    const { DATABASE_URL: _, ...rest } = good;
    expect(loadConfig(schema, { ...rest, DATABASE_URL_FILE: path }).DATABASE_URL).toBe(good.DATABASE_URL);
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ['a missing database', { DATABASE_URL: '' }, /^DATABASE_URL is not set: give the connection as postgres:\/\//],
    [
      'a database of another kind',
      { DATABASE_URL: 'mysql://u:hunter2@db/x' },
      /^DATABASE_URL is wrong: it must have the form/,
    ],
    [
      'a front door with a path',
      { FRONT_DOOR_URL: 'https://a.example/mcp' },
      /^FRONT_DOOR_URL is wrong: it must be an origin/,
    ],
    ['a short key', { ROOT_KEY: 'aGVsbG8=' }, /^ROOT_KEY is wrong: it must be base64 of at least 32 bytes/],
    ['a port that is none', { PORT: 'http' }, /^PORT is wrong: /],
    ['two wrong ones', { DATABASE_URL: '', PORT: '0' }, /DATABASE_URL is not set.*PORT is wrong/],
    [
      'a file that is not there',
      { DATABASE_URL: '', DATABASE_URL_FILE: '/no/such' },
      /^DATABASE_URL_FILE names \/no\/such, which can't be read/,
    ],
  ])('refuses %s in a sentence, and never repeats a value', (_sentence, changes, message) => {
    const load = () => loadConfig(schema, { ...good, ...changes });
    expect(load).toThrow(ConfigError);
    expect(load).toThrow(message);
    expect(load).not.toThrow(/hunter2|aGVsbG8/);
  });
});

describe('a database URL', () => {
  it.each([
    ['takes a password with reserved characters', 'p@ss/w:rd', 'postgres://bank:p%40ss%2Fw%3Ard@db:5432/x'],
    ['stays as it is without one', undefined, 'postgres://bank@db:5432/x'],
  ])('%s', (_sentence, password, expected) => {
    expect(withPassword('postgres://bank@db:5432/x', password)).toBe(expected);
  });
});
