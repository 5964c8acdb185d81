/** With exactly the rights that the chart gives, everything works, and nothing else does (K13). */
import { type Bank, createLogger, FINALIZER } from '@bankhouse/core';
import {
  createScopedReflector,
  holdLease,
  isApiError,
  MERGE_PATCH_TYPE,
  type Method,
  systemClock,
  type Transport,
} from '@bankhouse/kube';
import { describe, expect, test } from 'vitest';
import { NAMESPACE, render } from '../chart/helm.ts';
import { classPath, eventually, installRights, pathsOf, useWorld, type World } from './support/index.ts';

const logger = createLogger({ component: 'test', level: 'fatal' });
const BANKS = '/apis/bankhouse.dev/v1alpha1/banks';
const PODS = '/api/v1/pods';

async function makesABank(world: World, namespace: string, name = 'acme'): Promise<void> {
  const paths = pathsOf(namespace);
  await world.createBank(namespace, name);
  await world.setPods(namespace, name, { replicas: 2, ready: 2 });
  await world.bankWhen(namespace, name, 'True');
  await eventually(async () => {
    const { items } = await world.get<{ items: { reason: string; regarding: { name: string } }[] }>(paths.events);
    expect(items.filter(({ regarding }) => regarding.name === name)).toMatchObject([{ reason: 'Ready' }]);
    expect(await world.find(`${paths.budgets}/bank-${name}`)).toBeDefined();
  });
  await world.delete(`${paths.banks}/${name}`);
  await eventually(async () => expect(await world.find(`${paths.banks}/${name}`)).toBeUndefined());
  expect(await world.get(paths.budgets)).toMatchObject({ items: [] });
}

/** `allowed`, or the error's code; what is not there may still be asked for. */
async function tried(transport: Transport, method: Method, path: string): Promise<string> {
  const body = method === 'GET' || method === 'DELETE' ? undefined : { metadata: { name: 'x' } };
  try {
    await transport.request(method, path, {
      ...(body === undefined ? {} : { body }),
      ...(method === 'PATCH' ? { contentType: MERGE_PATCH_TYPE } : {}),
      ...(method === 'GET' ? {} : { query: { dryRun: 'All' } }),
    });
    return 'allowed';
  } catch (error) {
    if (isApiError(error, 'not_found')) return 'allowed';
    return isApiError(error) ? error.code : String(error);
  }
}

describe('an operator of the whole cluster', () => {
  const world = useWorld(async ({ api }) => {
    const transport = await installRights(api);
    world.onClose(() => transport.close());
    return { transport, classSpec: { replicas: 2 } };
  });

  test('makes a bank Ready, reports it and takes it away again', async () => {
    await world.createNamespace('banks');
    await makesABank(world, 'banks');
    expect(await world.get(classPath('standard'))).toMatchObject({ status: { phase: 'Accepted' } });
  });

  test('holds its lease, a second one waits, and takes over once it is given back', async () => {
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

  test.each<{ account: string; method: Method; path: string; said: string }>([
    {
      account: 'operator',
      method: 'POST',
      path: BANKS.replace('/banks', '/namespaces/banks/banks'),
      said: 'forbidden',
    },
    { account: 'operator', method: 'DELETE', path: `${pathsOf('banks').banks}/x`, said: 'forbidden' },
    { account: 'operator', method: 'DELETE', path: classPath('standard'), said: 'forbidden' },
    { account: 'operator', method: 'POST', path: '/api/v1/namespaces/banks/pods', said: 'forbidden' },
    { account: 'operator', method: 'GET', path: '/api/v1/namespaces/banks/pods/x/log', said: 'forbidden' },
    {
      account: 'operator',
      method: 'POST',
      path: '/api/v1/namespaces/banks/serviceaccounts/x/token',
      said: 'forbidden',
    },
    { account: 'operator', method: 'GET', path: '/api/v1/namespaces/banks/configmaps', said: 'forbidden' },
    { account: 'operator', method: 'GET', path: '/api/v1/nodes', said: 'forbidden' },
    { account: 'operator', method: 'POST', path: '/api/v1/namespaces/banks/serviceaccounts', said: 'forbidden' },
    { account: 'operator', method: 'POST', path: '/api/v1/namespaces/banks/services', said: 'forbidden' },
    { account: 'gateway', method: 'GET', path: BANKS, said: 'allowed' },
    { account: 'gateway', method: 'GET', path: PODS, said: 'allowed' },
    { account: 'gateway', method: 'GET', path: '/api/v1/secrets', said: 'forbidden' },
    { account: 'gateway', method: 'PATCH', path: `${pathsOf('banks').banks}/x`, said: 'forbidden' },
    { account: 'control', method: 'GET', path: BANKS, said: 'forbidden' },
    { account: 'migrate', method: 'GET', path: BANKS, said: 'forbidden' },
    { account: 'release', method: 'GET', path: BANKS, said: 'allowed' },
    { account: 'release', method: 'GET', path: '/apis/bankhouse.dev/v1alpha1/bankclasses', said: 'allowed' },
    { account: 'release', method: 'GET', path: '/api/v1/secrets', said: 'forbidden' },
    {
      account: 'release',
      method: 'PATCH',
      path: `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/bankhouse-operator/scale`,
      said: 'allowed',
    },
    {
      account: 'release',
      method: 'PATCH',
      path: `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/bankhouse-gateway/scale`,
      said: 'forbidden',
    },
  ])('$account: $method $path is $said', async ({ account, method, path, said }) => {
    const transport = await world.api.signInAs(NAMESPACE, `bankhouse-${account}`);
    expect(await tried(transport, method, path)).toBe(said);
    await transport.close();
  });

  test('before it goes, the finalizers of all its Banks and classes can be taken off', async () => {
    const { banks } = await world.createNamespace('leaving');
    await world.createBank('leaving', 'left');
    await eventually(async () => {
      expect((await world.get<Bank>(`${banks}/left`)).metadata.finalizers).toContain(FINALIZER);
    });
    await world.operator.stop();
    const transport = await world.api.signInAs(NAMESPACE, 'bankhouse-release');
    for (const path of [`${banks}/left`, classPath('standard')]) {
      const body = { metadata: { finalizers: null } };
      await transport.request('PATCH', path, { body, contentType: MERGE_PATCH_TYPE });
    }
    await transport.close();
    await world.delete(`${banks}/left`);
    expect(await world.find(`${banks}/left`)).toBeUndefined();
  });
});

describe('an operator of some namespaces', () => {
  const namespaces = ['ours', 'ours-too'];
  const world = useWorld(async ({ api }) => {
    const transport = await installRights(api, { watchNamespaces: namespaces });
    world.onClose(() => transport.close());
    return { transport, namespaces, classSpec: { replicas: 2 } };
  });

  test.each(namespaces)('makes a bank Ready in %s, reports it and takes it away again', async (namespace) => {
    // An id stays its owner's for a while.
    await makesABank(world, namespace, `bank-of-${namespace}`);
  });

  test('leaves Banks elsewhere alone, and classes as they are', async () => {
    const elsewhere = await world.createNamespace('elsewhere');
    await world.createBank('elsewhere', 'foreign');
    await makesABank(world, 'ours', 'meanwhile');
    const bank = await world.get<Bank>(`${elsewhere.banks}/foreign`);
    expect([bank.metadata.finalizers, bank.status]).toEqual([undefined, undefined]);
    expect(await world.get(classPath('standard'))).not.toHaveProperty('status');
  });

  test.each<{ account: string; method: Method; path: string; said: string }>([
    { account: 'operator', method: 'GET', path: '/api/v1/secrets', said: 'forbidden' },
    { account: 'operator', method: 'GET', path: '/api/v1/namespaces/elsewhere/secrets', said: 'forbidden' },
    { account: 'operator', method: 'GET', path: '/api/v1/namespaces/ours/secrets', said: 'allowed' },
    { account: 'operator', method: 'POST', path: pathsOf('elsewhere').secrets, said: 'forbidden' },
    { account: 'operator', method: 'GET', path: '/api/v1/namespaces', said: 'forbidden' },
    { account: 'operator', method: 'GET', path: '/api/v1/namespaces/ours', said: 'allowed' },
    { account: 'operator', method: 'GET', path: '/api/v1/namespaces/elsewhere', said: 'forbidden' },
    { account: 'operator', method: 'GET', path: classPath('standard'), said: 'allowed' },
    { account: 'operator', method: 'PATCH', path: classPath('standard'), said: 'forbidden' },
    { account: 'operator', method: 'PATCH', path: `${classPath('standard')}/status`, said: 'forbidden' },
    { account: 'gateway', method: 'GET', path: PODS, said: 'forbidden' },
    { account: 'gateway', method: 'GET', path: '/api/v1/namespaces/ours/pods', said: 'allowed' },
    { account: 'gateway', method: 'GET', path: pathsOf('elsewhere').banks, said: 'forbidden' },
    { account: 'release', method: 'PATCH', path: `${pathsOf('ours').banks}/x`, said: 'allowed' },
    { account: 'release', method: 'PATCH', path: `${pathsOf('elsewhere').banks}/x`, said: 'forbidden' },
    { account: 'release', method: 'PATCH', path: classPath('standard'), said: 'forbidden' },
  ])('$account: $method $path is $said', async ({ account, method, path, said }) => {
    const transport = await world.api.signInAs(NAMESPACE, `bankhouse-${account}`);
    expect(await tried(transport, method, path)).toBe(said);
    await transport.close();
  });

  test.each([
    { account: 'operator', path: '/api/v1/namespaces' },
    { account: 'operator', path: BANKS },
    { account: 'operator', path: PODS },
    { account: 'gateway', path: BANKS },
    { account: 'gateway', path: PODS },
  ])('$account follows $path there', async ({ account, path }) => {
    const transport = await world.api.signInAs(NAMESPACE, `bankhouse-${account}`);
    const reflector = createScopedReflector({ transport, path, logger }, namespaces);
    reflector.start();
    await reflector.synced;
    await reflector.stop();
    await transport.close();
  });
});

describe('people', () => {
  const world = useWorld(async ({ api }) => {
    const transport = await installRights(api);
    world.onClose(() => transport.close());
    const subject = { kind: 'User', apiGroup: 'rbac.authorization.k8s.io' };
    for (const role of ['view', 'edit', 'admin']) {
      await api.transport.request('POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings', {
        body: {
          metadata: { name: role },
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: `bankhouse-${role}` },
          subjects: [{ ...subject, name: role }],
        },
      });
    }
    return {};
  });

  async function may(user: string, verb: string, resource: string, group = 'bankhouse.dev'): Promise<boolean> {
    const [name, subresource] = resource.split('/');
    const attributes = { namespace: 'default', verb, group, resource: name, subresource };
    const { status } = await world.transport.request<{ status: { allowed: boolean } }>(
      'POST',
      '/apis/authorization.k8s.io/v1/subjectaccessreviews',
      { body: { spec: { user, resourceAttributes: attributes } } },
    );
    return status.allowed;
  }

  const READ = ['get', 'list', 'watch'];
  const WRITE = ['create', 'update', 'patch', 'delete'];
  test.each<{ resource: string; group?: string; verbs: string[]; roles: string[] }>([
    { resource: 'banks', verbs: READ, roles: ['view', 'edit', 'admin'] },
    { resource: 'mcpservers', verbs: READ, roles: ['view', 'edit', 'admin'] },
    { resource: 'banks/status', verbs: ['get'], roles: ['view', 'edit', 'admin'] },
    { resource: 'banks', verbs: WRITE, roles: ['edit', 'admin'] },
    { resource: 'mcpservers', verbs: WRITE, roles: ['edit', 'admin'] },
    { resource: 'banks', verbs: ['deletecollection'], roles: ['admin'] },
    { resource: 'banks/status', verbs: ['patch', 'update'], roles: [] },
    { resource: 'banks/finalizers', verbs: ['update'], roles: [] },
    { resource: 'bankclasses', verbs: WRITE, roles: [] },
    { resource: 'secrets', group: '', verbs: [...READ, ...WRITE], roles: [] },
    { resource: 'pods', group: '', verbs: [...READ, ...WRITE], roles: [] },
  ])('$verbs $resource: $roles', async ({ resource, group, verbs, roles }) => {
    for (const role of ['view', 'edit', 'admin']) {
      for (const verb of verbs) {
        expect({ role, verb, may: await eventually(() => may(role, verb, resource, group)) }).toEqual({
          role,
          verb,
          may: roles.includes(role),
        });
      }
    }
  });

  test.each(['view', 'edit', 'admin'])("the cluster's own %s takes ours in", async (role) => {
    interface ClusterRole {
      aggregationRule?: { clusterRoleSelectors: { matchLabels: Record<string, string> }[] };
    }
    const path = `/apis/rbac.authorization.k8s.io/v1/clusterroles/${role}`;
    const { aggregationRule } = await world.get<ClusterRole>(path);
    const labels = render().get(`ClusterRole/bankhouse-${role}`)?.metadata.labels ?? {};
    expect(
      aggregationRule?.clusterRoleSelectors.some(({ matchLabels }) =>
        Object.entries(matchLabels).every(([name, value]) => labels[name] === value),
      ),
    ).toBe(true);
    const own = render({ 'rbac.aggregate': false }).get(`ClusterRole/bankhouse-${role}`)?.metadata.labels ?? {};
    expect(Object.keys(own).filter((name) => name.includes('aggregate'))).toEqual([]);
  });
});
