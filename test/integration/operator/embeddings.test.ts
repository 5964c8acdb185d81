/** R3.12: the endpoint for embeddings, its key and its rotation, as a bank's pod gets them. */
import { beforeAll, expect, test } from 'vitest';
import { eventually, pathsOf, settings, useWorld } from './support/index.ts';

const mine = {
  ...settings,
  EMBEDDINGS_URL: 'https://api.example.com/v1',
  EMBEDDINGS_MODEL: 'm',
  EMBEDDINGS_KEY: 'the-first-key',
  EMBEDDINGS_EGRESS: [{ cidr: '203.0.113.9/32', port: 443 }],
};

const world = useWorld(() => ({ settings: mine }));
beforeAll(() => world.createNamespace('meaning'));
const paths = pathsOf('meaning');

async function keyOf(bank: string): Promise<string | undefined> {
  const { data } = await world.get<{ data: Record<string, string> }>(`${paths.secrets}/bank-${bank}`);
  const key = data['embeddings-key'];
  return key === undefined ? undefined : Buffer.from(key, 'base64').toString('utf8');
}

interface Templated {
  spec: { template: { metadata: { labels: Record<string, string> } } };
}
const labelsOf = (deployment: unknown) => (deployment as Templated).spec.template.metadata.labels;

/** Of the one policy that leads to the endpoint. */
async function selectorOf(): Promise<Record<string, string>> {
  interface Policy {
    metadata: { name: string };
    spec: { podSelector: { matchLabels: Record<string, string> } };
  }
  const { items } = await world.get<{ items: Policy[] }>(paths.networkPolicies);
  const [leads, ...others] = items.filter((policy) => JSON.stringify(policy).includes('203.0.113.9/32'));
  expect(others).toEqual([]);
  expect(leads?.metadata.name).toBe('bankclass-embeddings.standard');
  return leads?.spec.podSelector.matchLabels ?? {};
}

test('a bank gets the key, the way there and the address, and a new key without a new pod', async () => {
  await world.createBank('meaning', 'acme');
  const deployment = await eventually(() =>
    world.get<{ metadata: { generation: number } }>(`${paths.deployments}/bank-acme`),
  );
  expect(JSON.stringify(deployment)).toContain('{"name":"EMBEDDINGS_URL","value":"https://api.example.com/v1"}');
  expect(JSON.stringify(deployment)).not.toContain('the-first-key');
  expect(labelsOf(deployment)).toMatchObject(await selectorOf());
  expect(await keyOf('acme')).toBe('the-first-key');

  mine.EMBEDDINGS_KEY = 'the-second-key';
  await world.restart();
  await eventually(async () => expect(await keyOf('acme')).toBe('the-second-key'));
  await eventually(() => expect(world.operator.isIdle).toBe(true));
  const after = await world.get<typeof deployment>(`${paths.deployments}/bank-acme`);
  expect(after.metadata.generation).toBe(deployment.metadata.generation);
});

test('a bank without the toolset gets nothing of it', async () => {
  await world.createBank('meaning', 'plain', { toolsets: ['recordings'] });
  const deployment = await eventually(() => world.get(`${paths.deployments}/bank-plain`));
  expect(JSON.stringify(deployment)).not.toContain('EMBEDDINGS');
  expect(labelsOf(deployment)).not.toMatchObject(await selectorOf());
  expect(await keyOf('plain')).toBeUndefined();
});

test('without the endpoint no policy leads there', async () => {
  await world.restart({ settings });
  await eventually(async () => {
    const { items } = await world.get<{ items: { metadata: { name: string } }[] }>(paths.networkPolicies);
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['bankclass.standard']);
  });
});
