/** Clients of other makers through the gateway to a bank on a real Postgres; test/e2e does the same at the real front door. */
import { randomBytes } from 'node:crypto';
import { type Manifest, manifestOf } from '@bankhouse/client';
import { toolsetsNamed } from '@bankhouse/server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadRecordings, numbered } from '../../../client/src/load/index.ts';
import { generateCalls } from '../../../client/src/samples/index.ts';
import { CLIENTS } from '../../clients/clients.ts';
import { expectedOf } from '../../clients/expected.ts';
import { goClient, npmClients, pythonClient } from '../../clients/install.ts';
import { type FrontDoor, openFrontDoor } from '../../harness/front-door.ts';
import { startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { type RunningBank, runBank, VAULTS } from '../server/support.ts';

const WORD = 'telemetry';
let postgres: TestPostgres;
let bank: RunningBank;
let door: FrontDoor;
let manifest: Manifest;

beforeAll(async () => {
  postgres = await startPostgres();
  const root = randomBytes(32);
  bank = await runBank(postgres, 'acme', { root, toolsets: toolsetsNamed(['recordings', 'workspace']) });
  const calls = { bank: 'acme', seed: 7, count: 250, vaults: VAULTS.map(({ id }) => id) };
  manifest = manifestOf(generateCalls(calls), [WORD]);
  await loadRecordings({ databaseUrl: postgres.ownerUrl, bank: 'acme', lines: numbered(generateCalls(calls)) });
  door = await openFrontDoor(postgres, bank, root);
});
beforeAll(async () => {
  await Promise.all([npmClients(), pythonClient(), goClient()]);
}, 600_000);
afterAll(async () => {
  await door?.[Symbol.asyncDispose]();
  await bank?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

describe('what people connect with', () => {
  it.each(CLIENTS)('$client, $era', { timeout: 180_000 }, async (row) => {
    const seen = await row.run({ id: 'acme', url: door.url, token: await door.token(), word: WORD });
    expect(seen).toEqual(expectedOf(row, { recordings: manifest.total, found: manifest.words.get(WORD) ?? 0 }));
  });
});
