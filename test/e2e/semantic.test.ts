/** R3.12: switched on by the chart, a bank's pod reaches the endpoint for embeddings, and nothing else it could not reach before. */
import { join } from 'node:path';
import type { Client } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  BIN,
  bankManifest,
  callTool,
  conditionOf,
  connect,
  kubectl,
  kubectlJson,
  mintToken,
  platform,
  run,
  STATE,
  SYSTEM_NAMESPACE,
  settledBanks,
  tryKubectl,
} from './platform.ts';

const ID = 'e2e-semantic';
const NAMESPACE = 'e2e-embeddings';
const LABELS = { app: 'embeddings' };

/** Answers as OpenAI's API does. Its vectors are hashed bags of words: texts with the same words are close. */
const ENDPOINT = `
import { createServer } from 'node:http';
const vector = (text) => {
  const v = Array.from({ length: 64 }, (_, n) => (n === 0 ? 0.001 : 0));
  for (const word of text.toLowerCase().match(/[a-z]+/g) ?? []) {
    let hash = 7;
    for (const letter of word) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
    v[hash % 64] += 1;
  }
  return v;
};
createServer(async (request, response) => {
  if (request.method === 'GET') return response.end('ok');
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { input } = JSON.parse(Buffer.concat(chunks).toString());
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ data: input.map((text, index) => ({ index, embedding: vector(text) })) }));
}).listen(8080);
`;

const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'embeddings', namespace: NAMESPACE, labels: LABELS },
  spec: {
    containers: [
      {
        name: 'endpoint',
        image: 'localhost/bankhouse/server:dev',
        command: ['/usr/local/bin/node', '/endpoint/endpoint.mjs'],
        readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 },
        volumeMounts: [{ name: 'endpoint', mountPath: '/endpoint' }],
      },
    ],
    volumes: [{ name: 'endpoint', configMap: { name: 'endpoint' } }],
  },
};
const objects = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
  {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'endpoint', namespace: NAMESPACE },
    data: { 'endpoint.mjs': ENDPOINT },
  },
  pod,
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'embeddings', namespace: NAMESPACE },
    spec: { selector: LABELS, ports: [{ port: 80, targetPort: 8080 }] },
  },
];
const EMBEDDINGS = {
  url: `http://embeddings.${NAMESPACE}.svc.cluster.local/v1`,
  model: 'bag-of-words',
  egress: [{ namespace: NAMESPACE, podLabels: LABELS, port: 8080 }],
};

/** The chart with the values of make up and these beside them, the operator that works by them, and the banks as it wants them. */
async function upgrade(values: { embeddings?: Record<string, unknown> }): Promise<void> {
  const ran = await run(join(BIN, 'helm'), [
    ...['upgrade', 'bankhouse', 'charts/bankhouse', '--namespace', SYSTEM_NAMESPACE],
    ...['--values', join(STATE, 'node/values.json'), ...Object.entries(values).flatMap(toOption)],
    ...['--kubeconfig', platform.kubeconfig],
  ]);
  if (ran.code !== 0) throw new Error(ran.stderr);
  await kubectl(['rollout', 'status', '-n', SYSTEM_NAMESPACE, 'deployment/bankhouse-operator', '--timeout=60s']);
  await settledBanks((variables) => variables.includes('EMBEDDINGS_URL') === (values.embeddings !== undefined));
}
const toOption = ([name, value]: [string, unknown]) => ['--set-json', `${name}=${JSON.stringify(value)}`];

let client: Client;
beforeAll(async () => {
  await kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
  await kubectl(['wait', '-n', NAMESPACE, 'pod/embeddings', '--for=condition=Ready', '--timeout=60s']);
  await upgrade({ embeddings: EMBEDDINGS });
  await kubectl(['apply', '-f', '-'], bankManifest(ID, { vaults: [{ id: 'sales' }, { id: 'hr' }] }));
  await conditionOf(ID, 'Ready', 'True');
  const token = await mintToken(ID, { scopes: ['mcp:read', 'mcp:write'] });
  client = await connect(`${platform.frontDoor}/mcp/bank-${ID}`, token);
  for (const [title, body, vaultId, tags] of [
    ['Prices', 'the customer wants a lower price for more seats', 'sales', ['pricing']],
    ['Lunch', 'we will have soup and bread in the garden', 'sales', ['food']],
    ['Salaries', 'the customer wants a lower price said nobody in salary talks', 'hr', ['salary']],
  ] as const) {
    await callTool(client, 'create_note', { title, body, vaultId, tags });
  }
});
afterAll(async () => {
  await client?.close();
  await tryKubectl(['delete', 'bank', ID, '-n', 'banks', '--ignore-not-found']);
  await upgrade({});
  await tryKubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--wait=false']);
});

interface Hit {
  title: string | null;
}

it('finds what is near in meaning, listed best first', async () => {
  const { results } = await callTool<{ results: Hit[] }>(client, 'semantic_search', {
    query: 'a lower price for the customer',
    kinds: ['notes'],
    vault: 'sales',
  });
  expect(results[0]).toMatchObject({ title: 'Prices' });
});

it('shows a token of one vault nothing of another', async () => {
  const token = await mintToken(ID, { vaults: ['hr'] });
  await using reader = await connect(`${platform.frontDoor}/mcp/bank-${ID}`, token);
  const { results } = await callTool<{ results: Hit[] }>(reader, 'semantic_search', {
    query: 'lower price',
    minScore: 0,
  });
  expect(results.map(({ title }) => title)).toEqual(['Salaries']);
});

it('suggests tags and neighbours', async () => {
  const { id } = await callTool<{ id: string }>(client, 'create_note', {
    title: 'Again',
    body: 'a lower price for more seats, says the customer',
    vaultId: 'sales',
  });
  const { suggestions } = await callTool<{ suggestions: { tag: string }[] }>(client, 'tag', { kind: 'note', id });
  expect(suggestions.map(({ tag }) => tag)).toContain('pricing');
  const { notes } = await callTool<{ notes: Hit[] }>(client, 'suggest', { kind: 'note', id });
  expect(notes.map(({ title }) => title)).toContain('Prices');
});

it('opens the way to the endpoint by the policy of pods that use it, and no other', async () => {
  const policy = await kubectlJson<{ spec: { egress: unknown[]; podSelector: { matchLabels: object } } }>([
    'get',
    'networkpolicy',
    'bankclass-embeddings.default',
    '-n',
    'banks',
  ]);
  const pods = await kubectlJson<{ items: { metadata: { labels: object } }[] }>([
    'get',
    'pods',
    '-n',
    'banks',
    '-l',
    `bankhouse.dev/bank=${ID}`,
  ]);
  expect(pods.items.map(({ metadata }) => metadata.labels)).toContainEqual(
    expect.objectContaining(policy.spec.podSelector.matchLabels),
  );
  expect(policy.spec.egress).toContainEqual({
    ports: [{ port: 8080, protocol: 'TCP' }],
    to: [
      {
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': NAMESPACE } },
        podSelector: { matchLabels: LABELS },
      },
    ],
  });
});
