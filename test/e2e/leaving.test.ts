/** A tenant leaves with everything, is erased with a receipt, comes back and moves. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRemoteJWKSet, customFetch, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  bankManifest,
  callTool,
  callToolPages,
  conditionOf,
  connect,
  frontDoorFetch,
  kubectl,
  mintToken,
  platform,
  run,
  tryKubectl,
  until,
} from './platform.ts';

const ID = 'e2e-leaver';
const MOVED = 'e2e-moved';
const VAULTS = [{ id: 'sales' }, { id: 'support' }];
const folder = mkdtempSync(join(tmpdir(), 'bankhouse-leaving-'));
const file = join(folder, 'export.jsonl');

async function bankhouse(...args: string[]): Promise<string> {
  const ran = await run('npx', ['bankhouse', ...args]);
  if (ran.code !== 0) throw new Error(`bankhouse ${args.join(' ')}: ${ran.stderr}`);
  return ran.stdout;
}

async function apply(id: string): Promise<void> {
  await kubectl(['apply', '-f', '-'], bankManifest(id, { vaults: VAULTS }));
  await conditionOf(id, 'Ready', 'True');
}

/** All that a client sees: recordings, notes with their versions, words that are found. */
async function seen(id: string) {
  await using client = await connect(`${platform.frontDoor}/mcp/bank-${id}`, await mintToken(id));
  const { results } = await callTool<{ results: { id: string }[] }>(client, 'search', { query: 'pricing', limit: 50 });
  return {
    recordings: await callToolPages(client, 'list_recordings', 'recordings'),
    notes: await callToolPages(client, 'list_notes', 'notes'),
    found: results.map((hit) => hit.id),
  };
}

let before: Awaited<ReturnType<typeof seen>>;
beforeAll(async () => {
  await apply(ID);
  await bankhouse('load', '--bank', ID, '--generate', '120');
  await using client = await connect(
    `${platform.frontDoor}/mcp/bank-${ID}`,
    await mintToken(ID, { scopes: ['mcp:read', 'mcp:write'] }),
  );
  for (const vaultId of ['sales', 'support', null]) {
    const { id } = await callTool<{ id: string }>(client, 'create_note', { title: 'About pricing', vaultId });
    await callTool(client, 'patch_note', { id, version: 1, tags: ['kept'] });
  }
  before = await seen(ID);
});
afterAll(async () => {
  for (const id of [ID, MOVED]) await tryKubectl(['delete', 'bank', id, '-n', 'banks', '--ignore-not-found']);
  rmSync(folder, { recursive: true, force: true });
});

it('a bank is exported whole, erased with a receipt that says so, and restored as it was', async () => {
  expect(before.recordings).toHaveLength(120);
  await bankhouse('export', ID, file);
  expect(await bankhouse('import', '--check', file)).toContain('is whole');

  await kubectl(['annotate', 'bank', ID, '-n', 'banks', 'bankhouse.dev/erase-now=true']);
  await kubectl(['delete', 'bank', ID, '-n', 'banks', '--timeout=60s']);
  await until(
    'the receipt of its erasure',
    async () => JSON.parse(await bankhouse('receipts', ID, '--json')).length > 0,
  );
  expect(await bankhouse('receipts', ID, '--compare', file)).toContain('holds the rows');

  await apply(ID);
  expect((await seen(ID)).recordings).toEqual([]);
  await bankhouse('import', file);
  expect(await seen(ID)).toEqual(before);
});

it('a receipt is signed with the key that the platform publishes', async () => {
  const [receipt] = JSON.parse(await bankhouse('receipts', ID, '--json')) as { id: number; bank: string }[];
  const jws = (await bankhouse('receipts', '--sign', String(receipt?.id))).trim();
  const keys = createRemoteJWKSet(new URL(`${platform.frontDoor}/oauth/jwks`), { [customFetch]: frontDoorFetch });
  const { payload } = await jwtVerify(jws, keys);
  expect(payload).toMatchObject({ receipt: { bank: ID } });
  expect(decodeProtectedHeader(jws).typ).not.toBe('at+jwt');
});

it('a bank moves to another id', async () => {
  await apply(MOVED);
  await bankhouse('import', file, '--bank', MOVED);
  const { recordings, notes } = await seen(MOVED);
  expect(recordings).toEqual(before.recordings);
  expect(notes).toEqual(before.notes);
});

it('a file that was tampered with is refused by its line', async () => {
  const damaged = join(folder, 'damaged.jsonl');
  writeFileSync(damaged, readFileSync(file, 'utf8').replace('About pricing', 'About Pricing'));
  const ran = await run('npx', ['bankhouse', 'import', '--check', damaged]);
  expect(ran.code).not.toBe(0);
  expect(ran.stderr).toMatch(/line \d+/i);
});
