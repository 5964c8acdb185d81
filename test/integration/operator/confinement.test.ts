/** What banks of a class share in a namespace: it confines them from before the first pod until after the last (ADR 17, K7). */
import { type Bank, type BankClass, FIELD_MANAGER } from '@bankhouse/core';
import { APPLY_PATCH_TYPE, type KubeObject, type Transport } from '@bankhouse/kube';
import { describe, expect, test } from 'vitest';
import {
  buildDeployment,
  buildPolicyBefore,
  type Child,
  deploymentBefore,
  SECRET_DIGEST_ANNOTATION,
} from '../../../operator/src/resources/index.ts';
import { classPath, eventually, pathsOf, settings, useWorld } from './support/index.ts';

const world = useWorld();

const CLASS = 'bankhouse.dev/class';
const STANDARD = 'bankclass.standard';
interface Templated extends KubeObject {
  spec: { template: { metadata: { labels: Record<string, string>; annotations: Record<string, string> } } };
}

async function policiesIn(namespace: string): Promise<string[]> {
  const { items } = await world.get<{ items: KubeObject[] }>(pathsOf(namespace).networkPolicies);
  return items.map(({ metadata }) => metadata.name).sort();
}

/** The world's transport; what is sent to write is told of first, and may be held up. */
function watched(before: (method: string, path: string) => void | Promise<void>): Transport {
  return {
    request: async (method, path, options) => {
      if (method !== 'GET') await before(method, path);
      return world.transport.request(method, path, options);
    },
    stream: (path, options) => world.transport.stream(path, options),
    separate: () => world.transport.separate(),
    close: async () => {},
  };
}

describe('the policy of a class in a namespace', () => {
  test.each([
    { sentence: 'opened', change: { spec: { egress: [{}] } } },
    { sentence: 'made to select nothing', change: { spec: { podSelector: { matchLabels: { x: 'y' } } } } },
    { sentence: 'hidden from us', change: { metadata: { labels: { 'app.kubernetes.io/managed-by': null } } } },
    { sentence: 'deleted', change: undefined },
  ])('that somebody has $sentence is put right', async ({ sentence, change }) => {
    const id = `put-right-${sentence.replaceAll(' ', '-')}`;
    const paths = await world.createNamespace(id);
    await world.readyBank(id, id);
    const path = `${paths.networkPolicies}/${STANDARD}`;
    const wanted = async () => {
      const { spec, metadata } = await world.get<KubeObject & { spec: object }>(path);
      return { spec, labels: metadata.labels, owners: metadata.ownerReferences };
    };
    const before = await wanted();
    expect(before.owners).toMatchObject([{ kind: 'Namespace', name: id, controller: true }]);
    if (change === undefined) await world.delete(path);
    else await world.patch(path, change);
    await eventually(async () => expect(await wanted()).toEqual(before));
  });

  test('is there before the first pod can be, also where the last bank is leaving', async () => {
    const paths = await world.createNamespace('meeting');
    const [deleting, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const unconfined: string[] = [];
    const transport = watched(async (method, path) => {
      if (method === 'DELETE' && path.endsWith(`/meeting/networkpolicies/${STANDARD}`)) {
        deleting.resolve();
        await go.promise;
      }
      if (!path.includes('/meeting/deployments/') || method !== 'PATCH') return;
      if (!(await policiesIn('meeting')).includes(STANDARD)) unconfined.push(path);
    });
    await world.restart({ transport });
    await world.readyBank('meeting', 'leaves');
    await world.delete(`${paths.banks}/leaves`);
    await deleting.promise;
    await world.createBank('meeting', 'comes');
    // It is as far as its policy.
    await eventually(async () => expect(await world.find(`${paths.secrets}/bank-comes`)).toBeDefined());
    go.resolve();
    await world.bringUp('meeting', 'comes');
    expect(unconfined).toEqual([]);
    expect(await policiesIn('meeting')).toEqual([STANDARD]);
    await world.restart();
  });

  test('stays with a pod that is left, and goes with the last', async () => {
    const paths = await world.createNamespace('last');
    await world.createClass('brief', {});
    await world.createBank('last', 'brief', { className: 'brief' });
    await world.bringUp('last', 'brief');
    const labels = {
      [CLASS]: 'brief',
      'app.kubernetes.io/managed-by': 'bankhouse',
      'app.kubernetes.io/component': 'bank-server',
    };
    const spec = { containers: [{ name: 'server', image: 'x' }] };
    await world.create(paths.pods, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'left', labels }, spec });
    await world.delete(`${paths.banks}/brief`);
    await eventually(async () => {
      expect(await world.find(`${paths.banks}/brief`)).toBeUndefined();
      expect(world.operator.isIdle).toBe(true);
    });
    expect(await policiesIn('last')).toEqual(['bankclass.brief']);
    await world.delete(`${paths.pods}/left`);
    await eventually(async () => expect(await policiesIn('last')).toEqual([]));
  });

  test('stays as it is when its class is torn away', async () => {
    await world.createNamespace('torn');
    await world.createClass('torn', {});
    await world.createBank('torn', 'torn', { className: 'torn' });
    await world.bringUp('torn', 'torn');
    await eventually(async () => {
      expect((await world.get<BankClass>(classPath('torn'))).metadata.finalizers).toHaveLength(1);
    });
    await world.operator.stop();
    await world.patch(classPath('torn'), { metadata: { finalizers: null } });
    await world.delete(classPath('torn'));
    expect(await world.find(classPath('torn'))).toBeUndefined();
    await world.restart();
    await world.bankWhen('torn', 'torn', 'False', 'ClassNotFound');
    await eventually(() => expect(world.operator.isIdle).toBe(true));
    expect(await policiesIn('torn')).toEqual(['bankclass.torn']);
  });

  test('follows its class', async () => {
    const paths = await world.createNamespace('follows');
    await world.createClass('wide', {});
    await world.createBank('follows', 'follows', { className: 'wide' });
    await world.bringUp('follows', 'follows');
    const generation = async () =>
      (await world.get<KubeObject>(`${paths.deployments}/bank-follows`)).metadata.generation;
    const before = await generation();
    await world.patch(classPath('wide'), { spec: { network: { egress: [{ cidr: '192.0.2.0/24' }] } } });
    await eventually(async () => {
      expect(JSON.stringify(await world.get(`${paths.networkPolicies}/bankclass.wide`))).toContain('192.0.2.0/24');
    });
    expect(await generation()).toBe(before);
  });

  test('of another class is there before a bank that moves to it, and the former until its last pod has ended', async () => {
    const paths = await world.createNamespace('moves');
    await world.createClass('gold', { network: { egress: [{ cidr: '192.0.2.0/24' }] } });
    await world.readyBank('moves', 'moves');
    await world.setPod('moves', 'moves', { name: 'old', image: 'x', ready: true });
    await world.patch(`${paths.pods}/old`, { metadata: { labels: { [CLASS]: 'standard' } } });
    const seen: string[][] = [];
    const transport = watched(async (method, path) => {
      if (method === 'PATCH' && path.includes('/moves/deployments/')) seen.push(await policiesIn('moves'));
    });
    await world.restart({ transport });
    await world.patch(`${paths.banks}/moves`, { spec: { className: 'gold' } });
    await eventually(async () => {
      const { spec } = await world.get<Templated>(`${paths.deployments}/bank-moves`);
      expect(spec.template.metadata.labels[CLASS]).toBe('gold');
      expect((await world.get<Bank>(`${paths.banks}/moves`)).status?.className).toBe('gold');
      expect(world.operator.isIdle).toBe(true);
    });
    expect(seen).toEqual([['bankclass.gold', STANDARD]]);
    expect(await policiesIn('moves')).toEqual(['bankclass.gold', STANDARD]);
    await world.delete(`${paths.pods}/old`);
    await eventually(async () => expect(await policiesIn('moves')).toEqual(['bankclass.gold']));
    await world.restart();
  });
});

describe('a bank that the version before made', () => {
  const apply = (path: string, child: Child | object) =>
    world.transport.request('PATCH', path, {
      body: child,
      contentType: APPLY_PATCH_TYPE,
      query: { fieldManager: FIELD_MANAGER, force: true },
    });

  /** A bank as it was left by the version before, with a pod, and no operator at work. */
  async function makeBefore(id: string, className: string): Promise<ReturnType<typeof pathsOf>> {
    const paths = await world.createNamespace(id);
    await world.createBank(id, id, { className, displayName: 'Acme' });
    await world.bringUp(id, id);
    await world.operator.stop();
    const [bank, bankClass, deployment] = [
      await world.get<Bank>(`${paths.banks}/${id}`),
      await world.get<BankClass>(classPath(className)),
      await world.get<Templated>(`${paths.deployments}/bank-${id}`),
    ];
    const digest = deployment.spec.template.metadata.annotations[SECRET_DIGEST_ANNOTATION] ?? '';
    const before = deploymentBefore(buildDeployment(bank, bankClass, settings, digest), bank);
    const { metadata } = before;
    await apply(`${paths.deployments}/bank-${id}`, before);
    await apply(`${paths.networkPolicies}/bank-${id}`, buildPolicyBefore(bank, bankClass.spec, settings));
    await apply(`${paths.serviceAccounts}/bank-${id}`, { apiVersion: 'v1', kind: 'ServiceAccount', metadata });
    const spec = { clusterIP: 'None', ports: [{ port: 8080 }] };
    await apply(`${paths.services}/bank-${id}`, { apiVersion: 'v1', kind: 'Service', metadata, spec });
    await world.delete(`${paths.networkPolicies}/bankclass.${className}`);
    await world.setPods(id, id, { replicas: 1, ready: 1 });
    await world.setPod(id, id, { name: 'old', image: settings.SERVER_IMAGE, ready: true });
    return paths;
  }
  const generationOf = async (path: string) => (await world.get<KubeObject>(path)).metadata.generation;

  test('keeps pod, account and policy, which follows the class, and loses only the Service', async () => {
    await world.createClass('old', {});
    const paths = await makeBefore('kept', 'old');
    const deployment = `${paths.deployments}/bank-kept`;
    const before = await generationOf(deployment);
    await world.restart();
    await eventually(async () => {
      expect(await world.find(`${paths.services}/bank-kept`)).toBeUndefined();
      expect(await policiesIn('kept')).toEqual(['bank-kept', 'bankclass.old']);
    });
    await world.patch(classPath('old'), { spec: { network: { egress: [{ cidr: '192.0.2.0/24' }] } } });
    await eventually(async () => {
      expect(JSON.stringify(await world.get(`${paths.networkPolicies}/bank-kept`))).toContain('192.0.2.0/24');
      expect(world.operator.isIdle).toBe(true);
    });
    expect(await world.find(`${paths.serviceAccounts}/bank-kept`)).toBeDefined();
    expect(await generationOf(deployment)).toBe(before);
  });

  test('takes the form of now when its pods are replaced anyway, and what the old pods need goes after them', async () => {
    await world.createClass('rolls', {});
    const paths = await makeBefore('rolls', 'rolls');
    await world.restart();
    await world.patch(classPath('rolls'), { spec: { image: 'localhost/other:2' } });
    await eventually(async () => {
      const { spec } = await world.get<Templated>(`${paths.deployments}/bank-rolls`);
      expect(spec.template).toMatchObject({ spec: { serviceAccountName: 'default' } });
      expect(spec.template.metadata.labels[CLASS]).toBe('rolls');
    });
    await world.setPods('rolls', 'rolls', { replicas: 2, ready: 1 });
    await eventually(() => expect(world.operator.isIdle).toBe(true));
    expect(await policiesIn('rolls')).toEqual(['bank-rolls', 'bankclass.rolls']);
    await world.delete(`${paths.pods}/old`);
    await eventually(async () => {
      expect(await policiesIn('rolls')).toEqual(['bankclass.rolls']);
      expect(await world.find(`${paths.serviceAccounts}/bank-rolls`)).toBeUndefined();
    });
  });

  test.each(['networkPolicies', 'serviceAccounts'] as const)(
    'takes the form of now where its own of %s is gone, without which its pods could not be made or confined',
    async (collection) => {
      const id = `lost-${collection.toLowerCase()}`;
      await world.createClass(id, {});
      const paths = await makeBefore(id, id);
      await world.delete(`${paths[collection]}/bank-${id}`);
      await world.restart();
      await eventually(async () => {
        const { spec } = await world.get<Templated>(`${paths.deployments}/bank-${id}`);
        expect(spec.template.metadata.labels[CLASS]).toBe(id);
      });
    },
  );

  test('is deleted with all of it', async () => {
    await world.createClass('ends', {});
    const paths = await makeBefore('ends', 'ends');
    await world.delete(`${paths.pods}/old`);
    await world.restart();
    await world.delete(`${paths.banks}/ends`);
    await eventually(async () => {
      for (const path of [
        paths.deployments,
        paths.secrets,
        paths.services,
        paths.serviceAccounts,
        paths.networkPolicies,
      ]) {
        expect(await world.get(path)).toMatchObject({ items: [] });
      }
    });
  });
});
