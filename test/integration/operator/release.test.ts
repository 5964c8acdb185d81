/** `helm uninstall` with Banks left: the operator lets go of them, so that nobody waits for it afterwards. */
import { type Bank, type BankClass, createLogger } from '@bankhouse/core';
import { type ReleaseOptions, release } from '@bankhouse/operator';
import { expect, test } from 'vitest';
import { classPath } from './support/cluster.ts';
import { eventually, pathsOf, useWorld } from './support/index.ts';

const world = useWorld();
const SYSTEM = 'bankhouse-system';
const deployments = `/apis/apps/v1/namespaces/${SYSTEM}/deployments`;

/** The operator's own Deployment, which nothing runs here. */
async function createOperatorDeployment(): Promise<void> {
  await world.createNamespace(SYSTEM).catch(() => {});
  const labels = { app: 'operator' };
  const body = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'bankhouse-operator' },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'operator', image: 'x' }] } },
    },
  };
  await world.transport.request('POST', deployments, { body });
}

function letGo(change: Partial<ReleaseOptions> = {}): Promise<void> {
  return release({
    transport: world.transport,
    database: world.database,
    deployment: { namespace: SYSTEM, name: 'bankhouse-operator' },
    namespaces: [],
    alone: world.operator.stop(),
    logger: createLogger({ component: 'operator', level: 'fatal' }),
    ...change,
  });
}

test('the operator is stopped, every Bank and class can go, and ids are kept for their owners', async () => {
  await createOperatorDeployment();
  for (const id of ['left-a', 'left-b']) {
    await world.createNamespace(id);
    await world.readyBank(id, id);
  }
  await letGo();

  const { spec } = await world.get<{ spec: { replicas: number } }>(`${deployments}/bankhouse-operator`);
  expect(spec.replicas).toBe(0);
  for (const id of ['left-a', 'left-b']) {
    const bank = await world.get<Bank>(`${pathsOf(id).banks}/${id}`);
    expect(bank.metadata.finalizers ?? []).toEqual([]);
    await world.delete(`${pathsOf(id).banks}/${id}`);
    expect(await world.find(`${pathsOf(id).banks}/${id}`)).toBeUndefined();
    expect(world.database.ids.get(id)?.retained).toEqual({ eraseAfter: undefined });
  }
  const standard = await world.get<BankClass>(classPath('standard'));
  expect(standard.metadata.finalizers ?? []).toEqual([]);
});

test('a database that is away keeps no Bank, and repeating it is harmless', async () => {
  await world.restart();
  await world.createNamespace('away');
  await world.readyBank('away', 'away');
  world.database.failure = new Error('away');
  await letGo();
  await letGo({ alone: Promise.resolve() });
  world.database.failure = undefined;
  const bank = await world.get<Bank>(`${pathsOf('away').banks}/away`);
  expect(bank.metadata.finalizers ?? []).toEqual([]);
});

test('what comes back afterwards finds its Banks as they are', async () => {
  await world.restart();
  await eventually(async () => {
    const bank = await world.get<Bank>(`${pathsOf('away').banks}/away`);
    expect(bank.metadata.finalizers).toEqual(['bankhouse.dev/cleanup']);
  });
});
