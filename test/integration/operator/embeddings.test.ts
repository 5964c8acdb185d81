/** R3.12: the endpoint for embeddings, its key and its rotation, as a bank's pod gets them. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  createBank,
  createClass,
  createNamespace,
  eventually,
  namespaced,
  settings,
  startWorld,
  type World,
} from './support.ts';

const mine = {
  ...settings,
  EMBEDDINGS_URL: 'https://api.example.com/v1',
  EMBEDDINGS_MODEL: 'm',
  EMBEDDINGS_KEY: 'the-first-key',
  EMBEDDINGS_EGRESS: [{ cidr: '203.0.113.9/32', port: 443 }],
};

let world!: World;
beforeAll(async () => {
  world = await startWorld({ settings: mine });
  await createClass(world.api.transport, 'standard', { default: true });
  await createNamespace(world.api.transport, 'meaning');
});
afterAll(async () => {
  await world?.close();
});

const paths = namespaced('meaning');

async function keyOf(bank: string): Promise<string | undefined> {
  const { data } = await world.api.transport.request<{ data: Record<string, string> }>(
    'GET',
    `${paths.secrets}/bank-${bank}`,
  );
  const key = data['embeddings-key'];
  return key === undefined ? undefined : Buffer.from(key, 'base64').toString('utf8');
}

test('a bank gets the key, the way there and the address, and a new key without a new pod', async () => {
  const { transport } = world.api;
  await createBank(transport, 'meaning', 'acme');
  const deployment = await eventually(() =>
    transport.request<{ metadata: { generation: number } }>('GET', `${paths.deployments}/bank-acme`),
  );
  expect(JSON.stringify(deployment)).toContain('{"name":"EMBEDDINGS_URL","value":"https://api.example.com/v1"}');
  expect(JSON.stringify(deployment)).not.toContain('the-first-key');
  const policy = await transport.request('GET', `${paths.networkPolicies}/bank-acme`);
  expect(JSON.stringify(policy)).toContain('203.0.113.9/32');
  expect(await keyOf('acme')).toBe('the-first-key');

  mine.EMBEDDINGS_KEY = 'the-second-key';
  await world.restart();
  await eventually(async () => expect(await keyOf('acme')).toBe('the-second-key'));
  const after = await transport.request<typeof deployment>('GET', `${paths.deployments}/bank-acme`);
  expect(after.metadata.generation).toBe(deployment.metadata.generation);
});

test('a bank without the toolset gets nothing of it', async () => {
  const { transport } = world.api;
  await createBank(transport, 'meaning', 'plain', { toolsets: ['recordings'] });
  const deployment = await eventually(() => transport.request('GET', `${paths.deployments}/bank-plain`));
  expect(JSON.stringify(deployment)).not.toContain('EMBEDDINGS');
  expect(JSON.stringify(await transport.request('GET', `${paths.networkPolicies}/bank-plain`))).not.toContain(
    '203.0.113.9',
  );
  expect(await keyOf('plain')).toBeUndefined();
});
