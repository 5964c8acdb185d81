import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { createLogger } from '@bankhouse/core';
import { createReflector, holdLease, systemClock } from '@bankhouse/kube';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { classPath, eventually, useWorld } from './support/index.ts';

const ROOT = new URL('../../..', import.meta.url).pathname;
const HELM = join(process.env.BANKHOUSE_BIN ?? join(ROOT, '.cluster/bin'), 'helm');
const NAMESPACE = 'bankhouse-system';
const logger = createLogger({ component: 'test', level: 'fatal' });

const PATHS: Readonly<Record<string, string>> = {
  ServiceAccount: `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`,
  ClusterRole: '/apis/rbac.authorization.k8s.io/v1/clusterroles',
  ClusterRoleBinding: '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
  Role: `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}/roles`,
  RoleBinding: `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}/rolebindings`,
};

/** The chart's accounts and rights, and nothing else of it. */
async function installRights(): Promise<void> {
  const args = ['template', 'bankhouse', join(ROOT, 'charts/bankhouse'), '--namespace', NAMESPACE];
  const yaml = execFileSync(
    HELM,
    [...args, '--set', 'frontDoor.url=https://mcp.example.com', '--show-only', 'templates/rbac.yaml'],
    { encoding: 'utf8' },
  );
  await world.createNamespace(NAMESPACE);
  for (const document of parseAllDocuments(yaml)) {
    const body = document.toJSON() as { kind: string } | null;
    if (body !== null) await world.create(PATHS[body.kind] ?? `/unexpected/${body.kind}`, body);
  }
}

const world = useWorld(async () => {
  await installRights();
  const transport = await world.api.signInAs(NAMESPACE, 'bankhouse-operator');
  world.onClose(() => transport.close());
  return { transport, classSpec: { replicas: 2 } };
});

describe('with the rights that the chart gives, and no other', () => {
  test('the operator makes a bank Ready, reports it and takes it away again', async () => {
    const paths = await world.createNamespace('banks');
    await world.createBank('banks', 'acme');
    await world.setPods('banks', 'acme', { replicas: 2, ready: 2 });
    await world.bankWhen('banks', 'acme', 'True');
    await eventually(async () => {
      expect(await world.get(paths.events)).toMatchObject({ items: [{ reason: 'Ready' }] });
      expect(await world.find(`${paths.budgets}/bank-acme`)).toBeDefined();
      expect(await world.get(classPath('standard'))).toMatchObject({ status: { phase: 'Accepted' } });
    });
    await world.delete(`${paths.banks}/acme`);
    await eventually(async () => expect(await world.find(`${paths.banks}/acme`)).toBeUndefined());
    expect(await world.get(paths.budgets)).toMatchObject({ items: [] });
  });

  test('the operator holds its lease, a second one waits, and takes over once it is given back', async () => {
    const transport = await world.api.signInAs(NAMESPACE, 'bankhouse-operator');
    const lost: string[] = [];
    const hold = (identity: string) =>
      holdLease({
        transport,
        namespace: NAMESPACE,
        name: 'bankhouse-operator',
        identity,
        clock: systemClock,
        logger,
        onLost: () => lost.push(identity),
      });
    const first = hold('first');
    await first.acquired;
    const second = hold('second');
    const path = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/bankhouse-operator`;
    const holder = async () => (await world.get<{ spec: { holderIdentity: string } }>(path)).spec.holderIdentity;
    expect(await holder()).toBe('first');
    await first.release();
    await second.acquired;
    expect(await holder()).toBe('second');
    await second.release();
    expect(await holder()).toBe('');
    expect(lost).toEqual([]);
    await transport.close();
  });

  test('the gateway sees banks and addresses, but no secret', async () => {
    const transport = await world.api.signInAs(NAMESPACE, 'bankhouse-gateway');
    const reflectors = ['/apis/bankhouse.dev/v1alpha1/banks', '/api/v1/pods'].map((path) =>
      createReflector({ transport, path, logger }),
    );
    for (const reflector of reflectors) reflector.start();
    await Promise.all(reflectors.map((reflector) => reflector.synced));
    await expect(transport.request('GET', '/api/v1/secrets')).rejects.toMatchObject({ code: 'forbidden' });
    await Promise.all(reflectors.map((reflector) => reflector.stop()));
    await transport.close();
  });
});
