import { randomBytes } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Assertion, deriveSealKey, SECRET_DATABASE_URL, SECRET_SEAL_KEYS, sealAssertion } from '@bankhouse/core';
import { afterAll } from 'vitest';
import { createEmbeddings } from '../src/embeddings/index.ts';
import { TOOLSET_NAMES, toolsetsNamed } from '../src/toolsets/index.ts';

const NOWHERE_AT_ALL = 'http://127.0.0.1:1/v1';

/** All that a bank can offer; nobody asks its endpoint anything. */
export const ALL_TOOLSETS = toolsetsNamed(TOOLSET_NAMES, {
  embeddings: createEmbeddings({ url: NOWHERE_AT_ALL, model: 'any' }, { key: () => undefined }),
});

export const ROOT_KEY = randomBytes(32);
/** Of the Bank, whichever its id is. */
export const UID = 'b1f9c1de-0000-4000-8000-000000000001';
export const NOWHERE = 'postgres://nobody:secret@127.0.0.1:1/bankhouse';

export const nowSeconds = () => Math.floor(Date.now() / 1000);

export function makeAssertion(bank: string, changes: Partial<Assertion> = {}): Assertion {
  return {
    bank,
    sub: 'someone',
    iss: 'https://issuer.test',
    access: 'read',
    scopes: ['mcp:read'],
    vaults: null,
    jti: 'jti',
    exp: nowSeconds() + 3600,
    iat: nowSeconds(),
    rid: 'rid',
    ...changes,
  };
}

/** What the gateway sends along. */
export function sealedHeaders(assertion: Assertion, options: { bank?: string; generation?: number } = {}) {
  const { bank = assertion.bank, generation = 1 } = options;
  const seal = (target: 'pod' | 'database') =>
    sealAssertion(assertion, deriveSealKey(ROOT_KEY, target, bank, UID, generation), generation);
  return { 'bankhouse-assertion': seal('pod'), 'bankhouse-database-assertion': seal('database') };
}

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** The bank's Secret as a folder, removed after the tests of a file; `write` changes a file at once, as Kubernetes does. */
export function makeSecretDir(bank: string, options: { databaseUrl?: string; generations?: number[] } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'bankhouse-secret-'));
  folders.push(dir);
  const write = (name: string, text: string) => {
    writeFileSync(join(dir, `.${name}`), text);
    renameSync(join(dir, `.${name}`), join(dir, name));
  };
  const writeKeys = (generations: number[]) =>
    write(
      SECRET_SEAL_KEYS,
      JSON.stringify(
        Object.fromEntries(
          generations.map((g) => [g, deriveSealKey(ROOT_KEY, 'pod', bank, UID, g).toString('base64')]),
        ),
      ),
    );
  writeKeys(options.generations ?? [1]);
  write(SECRET_DATABASE_URL, options.databaseUrl ?? NOWHERE);
  return { dir, write, writeKeys };
}
