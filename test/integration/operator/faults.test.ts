/** The faults K1 to K17 that concern what the operator makes of the cluster; further rows of them stand beside what they are about. */
import { type Bank, type BankClass, type Condition, childLabels } from '@bankhouse/core';
import { ApiError, type KubeObject, type Transport } from '@bankhouse/kube';
import { beforeAll, describe, expect, test } from 'vitest';
import { classPath, eventually, pathsOf, useWorld } from './support/index.ts';

const world = useWorld();

async function conditionsOf(namespace: string, name: string): Promise<Record<string, Condition>> {
  const { status } = await world.get<Bank>(`${pathsOf(namespace).banks}/${name}`);
  return Object.fromEntries((status?.conditions ?? []).map((condition) => [condition.type, condition]));
}

/** `True`, or what keeps it from that. */
async function toldOf(namespace: string, name: string): Promise<Record<string, string>> {
  const conditions = await conditionsOf(namespace, name);
  return Object.fromEntries(
    Object.entries(conditions).map(([type, { status, reason }]) => [type, status === 'True' ? 'True' : reason]),
  );
}

describe('K2: objects made to blind the operator', () => {
  const fieldsV1 = { 'f:metadata': { 'f:finalizers': { 'f:x': {} } } };
  const foreign = (kind: string, apiVersion: string, rest: object) => ({
    apiVersion,
    kind,
    metadata: {
      name: 'poison',
      finalizers: ['example.com/x'],
      labels: { 'app.kubernetes.io/managed-by': 'bankhouse' },
      managedFields: [
        {
          manager: 'bankhouse-operator',
          operation: 'Apply',
          apiVersion,
          time: '2026-01-01T00:00:00Z',
          fieldsType: 'FieldsV1',
          fieldsV1,
        },
      ],
    },
    ...rest,
  });
  const rows = [
    { collection: 'secrets', child: undefined, object: foreign('Secret', 'v1', {}) },
    {
      collection: 'networkPolicies',
      child: 'bankclass.standard',
      object: foreign('NetworkPolicy', 'networking.k8s.io/v1', { spec: { podSelector: {} } }),
    },
  ] as const;
  test.each(rows)(
    'among $collection: what is deleted comes back all the same, also after a new start',
    async ({ collection, child: shared, object }) => {
      const id = `poison-${collection.toLowerCase()}`;
      const paths = await world.createNamespace(id);
      await world.readyBank(id, id);
      await world.create(paths[collection], object);
      const child = `${paths[collection]}/${shared ?? `bank-${id}`}`;
      for (const restarted of [false, true]) {
        if (restarted) await world.restart();
        const { metadata } = await world.get<KubeObject>(child);
        await world.delete(child);
        await eventually(async () => expect((await world.get<KubeObject>(child)).metadata.uid).not.toBe(metadata.uid));
      }
    },
  );
});

describe('K3: the classes that banks follow', () => {
  const DEFAULT = 'bankhouse.dev/is-default-class';
  const mark = (name: string, value: 'true' | null) =>
    world.patch(classPath(name), { metadata: { annotations: { [DEFAULT]: value } } });

  test('a default mark that is taken off, or moves, moves nobody and restarts nobody', async () => {
    const paths = await world.createNamespace('marks');
    await world.readyBank('marks', 'old');
    const generation = async () => (await world.get<KubeObject>(`${paths.deployments}/bank-old`)).metadata.generation;
    const before = await generation();
    await mark('standard', null);
    await world.createBank('marks', 'waits');
    await world.bankWhen('marks', 'waits', 'False', 'NoDefaultClass');
    await world.createClass('second', { image: 'localhost/second:2' }, { isDefault: true });
    const follower = await world.bringUp('marks', 'waits');
    expect(follower.status?.className).toBe('second');
    await world.settled('old', () => world.setPods('marks', 'old', { replicas: 1, ready: 0 }));
    expect(await toldOf('marks', 'old')).toMatchObject({ Accepted: 'True' });
    expect((await world.get<Bank>(`${paths.banks}/old`)).status?.className).toBe('standard');
    expect(await generation()).toBe(before);
    await mark('second', null);
    await mark('standard', 'true');
  });

  test('of several defaults the newest counts', async () => {
    await world.createNamespace('several');
    // Times are whole seconds.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await world.createClass('newest', {}, { isDefault: true });
    await world.createBank('several', 'new');
    const bank = await world.bringUp('several', 'new');
    expect(bank.status?.className).toBe('newest');
    await mark('newest', null);
  });

  test('a class in use is deleted once nobody follows it; until then its banks run, and new ones are refused', async () => {
    const paths = await world.createNamespace('protected');
    await world.createClass('doomed', {});
    await world.createBank('protected', 'follower', { className: 'doomed' });
    await world.bringUp('protected', 'follower');
    await eventually(async () => {
      const { metadata } = await world.get<BankClass>(classPath('doomed'));
      expect(metadata.finalizers).toEqual(['bankhouse.dev/class-in-use']);
    }, 2_000);
    await world.delete(classPath('doomed'));
    // Classes and Banks are told of apart: who comes before the operator has heard is let in.
    await eventually(async () => {
      expect((await world.get<BankClass>(classPath('doomed'))).status?.phase).toBe('Deleting');
    });
    await world.createBank('protected', 'late', { className: 'doomed' });
    await world.bankWhen('protected', 'late', 'False', 'ClassNotFound');
    await world.settled('follower', () => world.setPods('protected', 'follower', { replicas: 1, ready: 0 }));
    expect(await toldOf('protected', 'follower')).toMatchObject({ Accepted: 'True', Ready: 'True' });
    await world.delete(`${paths.banks}/follower`);
    await eventually(async () => expect(await world.find(classPath('doomed'))).toBeUndefined());
  });

  test('a class that is gone all the same, or never was, takes nothing from a bank that runs', async () => {
    const paths = await world.createNamespace('torn');
    await world.readyBank('torn', 'runs');
    await world.patch(`${paths.banks}/runs`, { spec: { className: 'nowhere' } });
    await world.bankWhen('torn', 'runs', 'False', 'ClassNotFound');
    expect(await toldOf('torn', 'runs')).toMatchObject({ Accepted: 'True', ServerReady: 'ClassNotFound' });
    expect(await world.find(`${paths.deployments}/bank-runs`)).toBeDefined();
  });
});

describe('K5: what was there before is not ours', () => {
  const labels = childLabels('x');
  const policy = { podSelector: {} };
  const template = { metadata: { labels: { app: 'x' } }, spec: { containers: [{ name: 'x', image: 'x' }] } };
  const deployment = { selector: { matchLabels: { app: 'x' } }, template };
  const rows = [
    {
      kind: 'Secret',
      collection: 'secrets',
      apiVersion: 'v1',
      body: { stringData: { 'database-url': 'postgres://x:y@z/' } },
      blames: 'CredentialsReady',
    },
    {
      kind: 'Deployment',
      collection: 'deployments',
      apiVersion: 'apps/v1',
      body: { spec: deployment },
      blames: 'ServerReady',
    },
    {
      kind: 'NetworkPolicy',
      collection: 'networkPolicies',
      apiVersion: 'networking.k8s.io/v1',
      shared: 'bankclass.standard',
      body: { spec: policy },
      blames: 'ServerReady',
    },
  ] as const;
  const other = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    name: 'x',
    uid: '11111111-1111-1111-1111-111111111111',
    controller: true,
  };
  const guises = [
    { guise: 'plain', metadata: {} },
    { guise: 'with our labels', metadata: { labels } },
    { guise: "with our labels and somebody else's owner", metadata: { labels, ownerReferences: [other] } },
  ];
  const cases = rows.flatMap((row) => guises.map((guise) => ({ ...row, ...guise })));
  test.each(cases)(
    'a $kind, $guise',
    async ({ kind, collection, apiVersion, body, blames, metadata, guise, ...rest }) => {
      const id = `own-${kind.toLowerCase()}-${guise.length}`;
      const paths = await world.createNamespace(id);
      const name = 'shared' in rest ? rest.shared : `bank-${id}`;
      const path = `${paths[collection]}/${name}`;
      await world.create(paths[collection], { apiVersion, kind, metadata: { name, ...metadata }, ...body });
      const before = await world.get<KubeObject>(path);
      await world.createBank(id, id);
      await world.bankWhen(id, id, 'False', 'NotOwned');
      const conditions = await conditionsOf(id, id);
      expect(conditions[blames]).toMatchObject({
        status: 'False',
        reason: 'NotOwned',
        message: `The ${kind} "${name}" in the namespace ${id} was not made for ${'shared' in rest ? "the namespace's banks" : 'this Bank'}; delete it, and the operator goes on by itself.`,
      });
      expect(await world.get(path)).toEqual(before);
      await world.delete(`${paths.banks}/${id}`);
      await eventually(async () => expect(await world.find(`${paths.banks}/${id}`)).toBeUndefined());
      expect(await world.get(path)).toEqual(before);
    },
  );

  test('the bank goes on by itself when it is gone', async () => {
    const paths = await world.createNamespace('freed');
    await world.create(paths.secrets, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'bank-freed', labels } });
    await world.createBank('freed', 'freed');
    await world.bankWhen('freed', 'freed', 'False', 'NotOwned');
    await world.delete(`${paths.secrets}/bank-freed`);
    await world.bringUp('freed', 'freed');
  });

  test('a password that somebody wrote into our Secret is not taken', async () => {
    const paths = await world.createNamespace('chosen');
    await world.readyBank('chosen', 'chosen');
    const read = async () => {
      const { data } = await world.get<{ data: Record<string, string> }>(`${paths.secrets}/bank-chosen`);
      return new URL(Buffer.from(data['database-url'] ?? '', 'base64').toString());
    };
    const url = await read();
    url.password = 'chosen-by-somebody-of-43-characters-length';
    await world.patch(`${paths.secrets}/bank-chosen`, { stringData: { 'database-url': url.toString() } });
    await eventually(async () => expect((await read()).password).not.toBe(url.password));
  });
});

describe('K6: a bank whose rows take long to erase', () => {
  test('holds up nobody, and a stop breaks it off', async () => {
    const held = Promise.withResolvers<void>();
    world.database.beforeErasing = (id, signal) =>
      id === 'big'
        ? (Promise.race([
            held.promise,
            new Promise((_, reject) => signal.addEventListener('abort', reject)),
          ]) as Promise<void>)
        : Promise.resolve();
    const paths = await world.createNamespace('big');
    await world.readyBank('big', 'big', { deleteAfter: '0s' });
    await world.delete(`${paths.banks}/big`);
    await eventually(async () => expect(await world.find(`${paths.banks}/big`)).toBeUndefined());
    expect(world.database.ids.has('big')).toBe(true);
    await world.readyBank('big', 'other', { deleteAfter: '0s' });
    await world.delete(`${paths.banks}/other`);
    await eventually(async () => expect(await world.find(`${paths.banks}/other`)).toBeUndefined());
    const startedAt = performance.now();
    await world.restart();
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    held.resolve();
    await eventually(() => expect(world.database.ids.has('big')).toBe(false));
    world.database.beforeErasing = async () => {};
  });
});

describe('K10: a rollout that is stuck', () => {
  test('shows, though an old pod answers; the version is what answers', async () => {
    const paths = await world.createNamespace('stuck');
    await world.createClass('moving', { image: 'localhost/server:1' });
    await world.createBank('stuck', 'stuck', { className: 'moving' });
    expect((await world.bringUp('stuck', 'stuck')).status?.version).toBe('1');
    await world.setPod('stuck', 'stuck', { name: 'old', image: 'localhost/server:1', ready: true });
    await world.patch(classPath('moving'), { spec: { image: 'localhost/server:2' } });
    const path = `${paths.deployments}/bank-stuck`;
    await eventually(async () => expect(JSON.stringify(await world.get(path))).toContain('server:2'));
    const { metadata } = await world.get<KubeObject>(path);
    const counts = { replicas: 2, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, unavailableReplicas: 1 };
    await world.patch(`${path}/status`, { status: { observedGeneration: metadata.generation, ...counts } });
    await world.setPod('stuck', 'stuck', {
      name: 'new',
      image: 'localhost/server:2',
      waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling image "localhost/server:2"' },
    });
    const bank = await world.bankWhen('stuck', 'stuck', 'False', 'ImagePullFails');
    expect(bank.status?.version).toBe('1');
    const told = bank.status?.conditions?.find(({ type }) => type === 'ServerReady')?.message;
    expect(told).toContain('localhost/server:2');
    expect(told).toContain('Meanwhile what ran before (1) answers.');
    await world.delete(`${paths.pods}/old`);
    await world.delete(`${paths.pods}/new`);
    await world.setPods('stuck', 'stuck', { replicas: 1, ready: 1 });
    await world.bankWhen('stuck', 'stuck', 'True');
    await eventually(async () => expect((await world.get<Bank>(`${paths.banks}/stuck`)).status?.version).toBe('2'));
  });

  test('K16: an image that can not be pulled is told of, with the reason', async () => {
    await world.createNamespace('pull');
    await world.createBank('pull', 'pull');
    await world.setPods('pull', 'pull', { replicas: 1, ready: 0 });
    world.frontDoor.answers = false;
    try {
      const waiting = { reason: 'ErrImagePull', message: 'no such image' };
      await world.setPod('pull', 'pull', { name: 'pull', image: 'localhost/none:1', waiting });
      const bank = await world.bankWhen('pull', 'pull', 'False', 'ImagePullFails');
      expect(bank.status?.conditions?.find(({ type }) => type === 'Ready')?.message).toContain('no such image');
    } finally {
      world.frontDoor.answers = true;
    }
  });
});

describe('K11: what the API server refuses shows in the condition of the step that asked', () => {
  const rows = [
    {
      resource: 'secrets',
      blames: 'CredentialsReady',
      others: { Accepted: 'True', DatabaseReady: 'Waiting', ServerReady: 'Waiting' },
    },
    {
      resource: 'networkpolicies',
      blames: 'ServerReady',
      others: { Accepted: 'True', CredentialsReady: 'True', DatabaseReady: 'True' },
    },
    {
      resource: 'deployments',
      blames: 'ServerReady',
      others: { Accepted: 'True', CredentialsReady: 'True', DatabaseReady: 'True' },
    },
  ];
  test.each(rows)('$resource: $blames', async ({ resource, blames, others }) => {
    const id = `refused-${resource}`;
    const refusing: Transport = {
      ...world.transport,
      request: (method, path, options) =>
        method === 'PATCH' && path.includes(`/${resource}/`)
          ? Promise.reject(new ApiError({ status: 403, reason: 'Forbidden', message: `${resource} are not for you` }))
          : world.transport.request(method, path, options),
      stream: (path, options) => world.transport.stream(path, options),
      separate: () => world.transport.separate(),
      close: async () => {},
    };
    await world.createNamespace(id);
    await world.restart({ transport: refusing });
    await world.createBank(id, id);
    await world.bankWhen(id, id, 'False', 'RequestRefused');
    const told = await toldOf(id, id);
    expect(told).toMatchObject({ [blames]: 'RequestRefused', ...others });
    await world.restart();
    await world.bringUp(id, id);
  });
});

describe('K13: tenants of the cluster', () => {
  beforeAll(() =>
    world.createClass('gold', {
      allowedNamespaces: { names: ['rich'], matchLabels: { plan: 'gold' } },
      maxBanksPerNamespace: 2,
    }),
  );

  test('a class is for the namespaces that it names, or that have its labels; a bank that has it keeps it', async () => {
    await world.createNamespace('rich');
    await world.createNamespace('poor');
    await world.createBank('rich', 'rich', { className: 'gold' });
    await world.bringUp('rich', 'rich');
    await world.createBank('poor', 'poor', { className: 'gold' });
    const refused = await world.bankWhen('poor', 'poor', 'False', 'ClassNotAllowed');
    expect(JSON.stringify(refused.status)).not.toContain('rich');
    await world.patch('/api/v1/namespaces/poor', { metadata: { labels: { plan: 'gold' } } });
    await world.bringUp('poor', 'poor');
    await world.patch('/api/v1/namespaces/poor', { metadata: { labels: { plan: null } } });
    await world.settled('poor', () => world.setPods('poor', 'poor', { replicas: 1, ready: 0 }));
    expect(await toldOf('poor', 'poor')).toMatchObject({ Accepted: 'True' });
  });

  test('of many Banks made at once a namespace gets as many as it may have, and the next when one goes', async () => {
    const paths = await world.createNamespace('many');
    await world.patch('/api/v1/namespaces/many', { metadata: { labels: { plan: 'gold' } } });
    const names = Array.from({ length: 8 }, (_, index) => `many-${index}`);
    await Promise.all(names.map((name) => world.createBank('many', name, { className: 'gold' })));
    const accepted = async () => {
      const told = await Promise.all(
        names.map(async (name) => [name, await toldOf('many', name).catch(() => ({}))] as const),
      );
      expect(
        told.filter(([, { Accepted }]: readonly [string, Record<string, string>]) => Accepted === undefined),
      ).toEqual([]);
      return told
        .filter(([, { Accepted }]: readonly [string, Record<string, string>]) => Accepted === 'True')
        .map(([name]) => name);
    };
    await eventually(async () => expect(await accepted()).toHaveLength(2));
    expect(world.database.calls.claim).toBeGreaterThan(0);
    const [gone = ''] = await accepted();
    await world.delete(`${paths.banks}/${gone}`);
    names.splice(names.indexOf(gone), 1);
    await eventually(async () => expect(await accepted()).toHaveLength(2));
  });
});

describe('K14: an operator that stands by', () => {
  test('has everything listed when it takes over', async () => {
    await world.createNamespace('warm');
    let lists = 0;
    const counting: Transport = {
      request: (method, path, options) => world.transport.request(method, path, options),
      stream: (path, options) => {
        lists += 1;
        return world.transport.stream(path, options);
      },
      separate: () => world.transport.separate(),
      close: async () => {},
    };
    const standby = await world.standBy({ transport: counting });
    const before = world.written.soFar();
    const listed = lists;
    await world.createBank('warm', 'warm');
    await world.bringUp('warm', 'warm');
    expect(world.written.since(before)).not.toEqual({});
    await world.takeOver(standby);
    expect(lists).toBe(listed);
    await world.createBank('warm', 'after');
    await world.bringUp('warm', 'after');
  });
});
