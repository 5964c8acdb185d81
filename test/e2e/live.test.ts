/** R3.11, R3.3: changes reach clients through the front door, whichever of a bank's pods they are on. */
import type { SubscriptionFilter } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  bankManifest,
  callTool,
  conditionOf,
  connect,
  kubectl,
  mintToken,
  platform,
  requestsOf,
  run,
  tryKubectl,
  until,
} from './platform.ts';

const ID = 'e2e-live';
const URL_OF_BANK = `${platform.frontDoor}/mcp/bank-${ID}`;
const CLASS = {
  apiVersion: 'bankhouse.dev/v1alpha1',
  kind: 'BankClass',
  metadata: { name: 'e2e-two' },
  spec: { replicas: 2 },
};

beforeAll(async () => {
  await kubectl(['apply', '-f', '-'], JSON.stringify(CLASS));
  const vaults = [{ id: 'sales' }, { id: 'support' }];
  await kubectl(['apply', '-f', '-'], bankManifest(ID, { className: 'e2e-two', vaults }));
  await conditionOf(ID, 'Ready', 'True');
  await until('both pods', async () => Object.keys(await requestsOf(ID)).length === 2);
});
afterAll(async () => {
  await tryKubectl(['delete', 'bank', ID, '-n', 'banks', '--ignore-not-found']);
  await tryKubectl(['delete', 'bankclass', 'e2e-two', '--ignore-not-found']);
});

const token = (vaults?: string[]) =>
  mintToken(ID, { scopes: ['mcp:read', 'mcp:write'], ...(vaults === undefined ? {} : { vaults }) });

/** A client that listens, and what it has heard so far. */
async function listen(bearer: string, filter: SubscriptionFilter) {
  const client = await connect(URL_OF_BANK, bearer);
  const heard = new Set<string>();
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => void heard.add(params.uri));
  const subscription = await client.listen(filter);
  return {
    heard,
    async [Symbol.asyncDispose]() {
      await subscription.close();
      await client.close();
    },
  };
}

it('a client hears of every change, of whichever pod, and of no vault that is not its own', async () => {
  const [all, sales] = [await token(), await token(['sales'])];
  await using writer = await connect(URL_OF_BANK, all);
  const make = async (vaultId: string) =>
    (await callTool<{ id: string }>(writer, 'create_note', { title: 'Watched', vaultId })).id;
  const ours = [await make('sales'), await make('sales')];
  const theirs = await make('support');
  const uriOf = (id: string) => `bankhouse://${ID}/notes/${id}`;
  const watched = [...ours, theirs].map(uriOf);
  await using first = await listen(all, { resourceSubscriptions: watched });
  await using second = await listen(sales, { resourceSubscriptions: watched });
  const before = await requestsOf(ID);

  // Each on a connection of its own, so that both pods have work.
  for (const id of [theirs, ...ours]) {
    for (const pinned of [true, false]) {
      await using another = await connect(URL_OF_BANK, all);
      const { version } = await callTool<{ version: number }>(another, 'get_note', { id });
      await callTool(another, 'patch_note', { id, version, pinned });
    }
  }
  await expect.poll(() => [...first.heard].sort(), { timeout: 20_000 }).toEqual([...watched].sort());
  await expect.poll(() => [...second.heard].sort(), { timeout: 20_000 }).toEqual(ours.map(uriOf).sort());
  const after = await requestsOf(ID);
  expect(Object.keys(before).filter((pod) => (after[pod] ?? 0) > (before[pod] ?? 0))).toHaveLength(2);
});

it('a stream ends when its token is revoked (R1.4)', async () => {
  const bearer = await token();
  await using client = await connect(URL_OF_BANK, bearer);
  const subscription = await client.listen({ resourceSubscriptions: [`bankhouse://${ID}/notes`] });
  const ran = await run('npx', ['bankhouse', 'revoke', '-'], { input: bearer });
  expect(ran).toMatchObject({ code: 0 });
  expect(await subscription.closed).not.toBe('local');
});
