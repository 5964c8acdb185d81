import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { JSON_MAX_DEPTH, JSON_MAX_VALUES } from '@bankhouse/core';
import { describe, expect, it } from 'vitest';
import { loadServerConfig } from '../src/config.ts';
import { BodyError, parseJsonBody } from '../src/http/body.ts';
import { openSecrets } from '../src/secrets.ts';
import { makeSecretDir, NOWHERE } from './fixtures.ts';

describe('the configuration', () => {
  it('needs only the id', () => {
    expect(loadServerConfig({ BANK_ID: 'acme' })).toEqual({
      bank: 'acme',
      toolsets: ['recordings', 'workspace', 'semantic'],
      secretDir: '/var/run/bankhouse',
      port: 8080,
      logLevel: 'info',
    });
  });

  it('has an endpoint for embeddings where a URL and a model are given (R3.12)', () => {
    const given = { EMBEDDINGS_URL: 'http://localhost:1234/v1', EMBEDDINGS_MODEL: 'm', EMBEDDINGS_DIMENSIONS: '256' };
    expect(loadServerConfig({ BANK_ID: 'acme', ...given }).embeddings).toEqual({
      url: 'http://localhost:1234/v1',
      model: 'm',
      dimensions: 256,
    });
  });

  it.each<[string, Record<string, string>, RegExp]>([
    [
      'a URL of another kind',
      { BANK_ID: 'acme', EMBEDDINGS_URL: 'ftp://x/v1', EMBEDDINGS_MODEL: 'm' },
      /^EMBEDDINGS_URL is wrong: it must be an http or https URL/,
    ],
    [
      'a URL with its last part',
      { BANK_ID: 'acme', EMBEDDINGS_URL: 'https://api.example.com/v1/embeddings', EMBEDDINGS_MODEL: 'm' },
      /^EMBEDDINGS_URL is wrong: .*such as https:/,
    ],
    [
      'a URL with a password',
      { BANK_ID: 'acme', EMBEDDINGS_URL: 'https://u:hunter2@x/v1', EMBEDDINGS_MODEL: 'm' },
      /^EMBEDDINGS_URL is wrong: (?!.*hunter2)/,
    ],
    [
      'a URL without a model',
      { BANK_ID: 'acme', EMBEDDINGS_URL: 'http://x/v1' },
      /^EMBEDDINGS_MODEL is not set: name the/,
    ],
    [
      'a model without a URL',
      { BANK_ID: 'acme', EMBEDDINGS_MODEL: 'm' },
      /^EMBEDDINGS_MODEL is set without EMBEDDINGS_URL/,
    ],
    [
      'too many dimensions',
      { BANK_ID: 'acme', EMBEDDINGS_URL: 'http://x/v1', EMBEDDINGS_MODEL: 'm', EMBEDDINGS_DIMENSIONS: '9000' },
      /^EMBEDDINGS_DIMENSIONS is wrong: it must be at most 8192/,
    ],
    [
      'a CA that is no PEM',
      { BANK_ID: 'acme', EMBEDDINGS_URL: 'http://x/v1', EMBEDDINGS_MODEL: 'm', EMBEDDINGS_CA: '/ca.pem' },
      /^EMBEDDINGS_CA is wrong: it must be a PEM certificate/,
    ],
    ['no id', {}, /^BANK_ID is not set: give the bank's id/],
    ['an id of no form', { BANK_ID: 'Acme Corp' }, /^BANK_ID is wrong: it must be a DNS label/],
    [
      'a toolset that is not there',
      { BANK_ID: 'acme', TOOLSETS: 'recordings,weather' },
      /^TOOLSETS is wrong: .*there are: recordings/,
    ],
    ['a port in words', { BANK_ID: 'acme', PORT: 'http' }, /^PORT is wrong: it must be a port from 0 to 65535$/],
    ['a level that is not there', { BANK_ID: 'acme', LOG_LEVEL: 'loud' }, /^LOG_LEVEL is wrong/],
  ])('is refused in one sentence: %s', (_sentence, env, message) => {
    expect(() => loadServerConfig(env)).toThrow(message);
  });
});

describe('the secret', () => {
  it.each<[string, string, string]>([
    ['seal keys that are no JSON', 'seal-keys', 'x'],
    ['seal keys that are a list', 'seal-keys', '["YWJj"]'],
    ['no seal key', 'seal-keys', '{}'],
    ['a short seal key', 'seal-keys', '{"1":"YWJj"}'],
    ['a database URL of another kind', 'database-url', 'mysql://root@localhost/x'],
    ['an empty database URL', 'database-url', ''],
    ['a name of two lines', 'bank-name', 'one\ntwo'],
    ['a key for embeddings of two lines', 'embeddings-key', 'one\ntwo'],
  ])('is refused at the start with its file: %s', (_sentence, file, text) => {
    const secret = makeSecretDir('acme');
    secret.write(file, text);
    expect(() => openSecrets(secret.dir)).toThrow(`${join(secret.dir, file)} is wrong`);
  });

  it('that is missing is refused with what to mount', () => {
    const { dir } = makeSecretDir('acme');
    rmSync(join(dir, 'seal-keys'));
    expect(() => openSecrets(dir)).toThrow("mount the bank's Secret at SECRET_DIR");
  });

  it('is looked at again as time passes; what becomes unusable is reported, and the last good value stays', () => {
    const secret = makeSecretDir('acme');
    const problems: string[] = [];
    let clock = 0;
    const secrets = openSecrets(secret.dir, { now: () => clock, onProblem: (error) => problems.push(error.message) });
    secret.write('database-url', `${NOWHERE}2`);
    expect(secrets.databaseUrl()).toBe(NOWHERE);
    clock += 1000;
    expect(secrets.databaseUrl()).toBe(`${NOWHERE}2`);
    secret.write('database-url', 'nonsense');
    clock += 1000;
    expect(secrets.databaseUrl()).toBe(`${NOWHERE}2`);
    expect(problems).toEqual([expect.stringContaining('postgres://USER:PASSWORD@HOST')]);
  });
});

describe('a request body', () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

  it('may nest as deep as the limit', () => {
    expect(() => parseJsonBody(Buffer.from(nested(JSON_MAX_DEPTH)))).not.toThrow();
  });

  it.each([
    ['no JSON', '{', 'body_no_json'],
    ['nothing', '', 'body_no_json'],
    ['nesting over the limit', nested(JSON_MAX_DEPTH + 1), 'body_too_deep'],
    ['nesting without end', nested(100_000), 'body_too_deep'],
    ['more values than the limit', `[${'0,'.repeat(JSON_MAX_VALUES)}0]`, 'body_too_many'],
  ])('is refused: %s', (_sentence, text, code) => {
    expect(() => parseJsonBody(Buffer.from(text))).toThrow(BodyError);
    expect(() => parseJsonBody(Buffer.from(text))).toThrow(expect.objectContaining({ status: 400, code }));
  });
});
