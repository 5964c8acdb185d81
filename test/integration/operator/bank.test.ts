import { type Bank, databaseRole } from '@bankhouse/core';
import { DatabaseError } from '@bankhouse/operator';
import { describe, expect, test } from 'vitest';
import { classPath, eventually, useWorld } from './support/index.ts';

const world = useWorld();

describe('a Bank becomes what it says (R0.1, R0.2)', () => {
  test('from apply to Ready in six writes, the first of its class in the namespace in one more, with its children, role and conditions', async () => {
    const paths = await world.createNamespace('create');
    const before = world.written.soFar();
    const bank = await world.readyBank('create', 'acme', { displayName: 'Acme', vaults: [{ id: 'sales' }] });
    await eventually(async () => {
      const { items } = await world.get<{ items: unknown[] }>(paths.events);
      expect(items).toHaveLength(1);
      expect(world.operator.isIdle).toBe(true);
    });
    // The class is kept from its first bank on, and tells how many it has, five seconds later.
    const { 'PATCH bankclasses': _, 'PATCH bankclasses/status': __, ...writes } = world.written.since(before);
    expect(writes).toEqual({
      'PATCH banks': 1,
      'PATCH banks/status': 2,
      'APPLY secrets': 1,
      'APPLY networkpolicies': 1,
      'APPLY deployments': 1,
      'POST events': 1,
    });
    expect(bank.metadata.finalizers).toEqual(['bankhouse.dev/cleanup']);
    expect(bank.status).toMatchObject({
      phase: 'Ready',
      id: 'acme',
      url: 'https://mcp.example.com/mcp/bank-acme',
      className: 'standard',
      version: 'dev',
      incarnation: bank.metadata.uid,
      databaseRole: databaseRole(bank.metadata.uid ?? '', 'a'),
      keyGeneration: 1,
      observedGeneration: 1,
    });
    expect(bank.status?.conditions?.map(({ type, status }) => `${type} ${status}`)).toEqual([
      'Accepted True',
      'CredentialsReady True',
      'DatabaseReady True',
      'ServerReady True',
      'RouteReady True',
      'Verified True',
      'Ready True',
    ]);
    const secret = await world.get<{ data: Record<string, string> }>(`${paths.secrets}/bank-acme`);
    const url = new URL(Buffer.from(secret.data['database-url'] ?? '', 'base64').toString());
    expect(url.username).toBe(databaseRole(bank.metadata.uid ?? '', 'a'));
    expect(url.password).toHaveLength(43);
    expect(Object.keys(JSON.parse(Buffer.from(secret.data['seal-keys'] ?? '', 'base64').toString()))).toEqual(['1']);
    expect(world.database.ids.get('acme')?.claim).toMatchObject({ owner: 'create/acme', uid: bank.metadata.uid });
    expect(world.database.banks.get('acme')).toMatchObject({ uid: bank.metadata.uid, vaults: [{ id: 'sales' }] });
    for (const path of [paths.secrets, paths.deployments]) {
      expect(await world.find(`${path}/bank-acme`)).toMatchObject({
        metadata: { ownerReferences: [{ kind: 'Bank', name: 'acme', controller: true }] },
      });
    }
    for (const path of [paths.budgets, paths.services, paths.serviceAccounts]) {
      expect(await world.get(path)).toMatchObject({ items: [] });
    }
    const again = world.written.soFar();
    await world.readyBank('create', 'next');
    await eventually(() => expect(world.operator.isIdle).toBe(true));
    expect(Object.entries(world.written.since(again)).filter(([name]) => name.includes('polic'))).toEqual([]);
  });

  test('nothing is written while nothing changes, nor by an operator that starts anew', async () => {
    await world.createNamespace('quiet');
    await world.readyBank('quiet', 'quiet');
    await eventually(async () => {
      expect(world.operator.isIdle).toBe(true);
      expect(await world.get(classPath('standard'))).toMatchObject({ status: { banks: 3 } });
    });
    const before = world.written.soFar();
    const databaseWrites = world.database.writes;
    world.frontDoor.handshakes.length = 0;
    await world.restart();
    await eventually(() => expect(world.frontDoor.handshakes.toSorted()).toEqual(['acme', 'next', 'quiet']));
    await eventually(() => expect(world.operator.isIdle).toBe(true));
    expect(world.written.since(before)).toEqual({});
    expect(world.database.writes).toBe(databaseWrites);
  });

  test('a handshake makes it Ready before the cluster calls its pod ready', async () => {
    const { banks } = await world.createNamespace('early');
    await world.createBank('early', 'early');
    await world.setPods('early', 'early', { replicas: 1, ready: 0 });
    const bank = await world.bankWhen('early', 'early', 'True');
    await world.settled('early', () => world.setPods('early', 'early', { replicas: 1, ready: 1 }));
    const after = await world.get<Bank>(`${banks}/early`);
    expect(after.metadata.resourceVersion).toBe(bank.metadata.resourceVersion);
  });

  test('a class with several pods adds a disruption budget, and a smaller one takes it away', async () => {
    const paths = await world.createNamespace('budget');
    await world.createClass('double', { replicas: 2 });
    await world.createBank('budget', 'budget', { className: 'double' });
    await eventually(async () => {
      expect(await world.find(`${paths.budgets}/bank-budget`)).toBeDefined();
    });
    await world.patch(classPath('double'), { spec: { replicas: 1, image: 'localhost/other:2' } });
    await eventually(async () => {
      expect(await world.find(`${paths.budgets}/bank-budget`)).toBeUndefined();
      expect(await world.get(`${paths.deployments}/bank-budget`)).toMatchObject({
        spec: { replicas: 1, template: { spec: { containers: [{ image: 'localhost/other:2' }] } } },
      });
    });
  });

  test('K13: another name or tool profile reaches database and pod by a file, and starts no other pod', async () => {
    const paths = await world.createNamespace('renamed');
    await world.readyBank('renamed', 'renamed', { displayName: 'Old', vaults: [{ id: 'sales', displayName: 'Old' }] });
    const { metadata } = await world.get<{ metadata: { generation: number } }>(`${paths.deployments}/bank-renamed`);
    const spec = {
      displayName: 'New',
      tools: { profile: 'compact' },
      vaults: [{ id: 'sales', displayName: 'New' }, { id: 'added' }],
    };
    await world.patch(`${paths.banks}/renamed`, { spec });
    await eventually(async () => {
      const { data } = await world.get<{ data: Record<string, string> }>(`${paths.secrets}/bank-renamed`);
      expect(Buffer.from(data['bank-name'] ?? '', 'base64').toString()).toBe('New');
      expect(Buffer.from(data['tool-profile'] ?? '', 'base64').toString()).toBe('compact');
      expect(world.database.banks.get('renamed')).toMatchObject({
        displayName: 'New',
        vaults: [{ displayName: 'New' }, { id: 'added' }],
      });
      expect(world.operator.isIdle).toBe(true);
    });
    expect(await world.get(`${paths.deployments}/bank-renamed`)).toMatchObject({
      metadata: { generation: metadata.generation },
    });
  });

  test('a suspended bank has no pod and says so', async () => {
    const paths = await world.createNamespace('suspended');
    await world.readyBank('suspended', 'idle');
    await world.patch(`${paths.banks}/idle`, { spec: { suspend: true } });
    const bank = await world.bankWhen('suspended', 'idle', 'False', 'Suspended');
    expect(bank.status?.phase).toBe('Suspended');
    expect(await world.get(`${paths.deployments}/bank-idle`)).toMatchObject({ spec: { replicas: 0 } });
  });
});

describe('what is changed by hand is repaired', () => {
  const rows = [
    {
      kind: 'Deployment',
      collection: 'deployments',
      change: { spec: { template: { spec: { enableServiceLinks: true } } } },
    },
    { kind: 'Secret', collection: 'secrets', change: { data: { 'seal-keys': 'e30=' } } },
    {
      kind: 'label of the Deployment',
      collection: 'deployments',
      change: { metadata: { labels: { 'app.kubernetes.io/managed-by': null } } },
    },
  ] as const;

  test.each(rows)('a changed $kind', async ({ kind, collection, change }) => {
    const id = `changed-${kind.toLowerCase().replaceAll(' ', '-')}`;
    const paths = await world.createNamespace(id);
    await world.readyBank(id, id);
    const path = `${paths[collection]}/bank-${id}`;
    const relevant = (object: object) => {
      const { metadata, status: _, ...rest } = object as { metadata: { labels: object }; status?: object };
      return { ...rest, labels: metadata.labels };
    };
    const wanted = relevant(await world.get<object>(path));
    await world.patch(path, change);
    await eventually(async () => expect(relevant(await world.get<object>(path))).toEqual(wanted));
  });

  test.each(['deployments', 'secrets'] as const)('a deleted child of %s comes back', async (collection) => {
    const id = `deleted-${collection.toLowerCase()}`;
    const paths = await world.createNamespace(id);
    await world.readyBank(id, id);
    const path = `${paths[collection]}/bank-${id}`;
    const { metadata } = await world.get<{ metadata: { uid: string } }>(path);
    await world.delete(path);
    await eventually(async () => {
      const found = await world.get<{ metadata: { uid: string } }>(path);
      expect(found.metadata.uid).not.toBe(metadata.uid);
    });
  });

  test('a deleted Secret gets a new password, which the role and the pods get too', async () => {
    const paths = await world.createNamespace('lost-secret');
    await world.readyBank('lost-secret', 'lost');
    const digestBefore = world.database.banks.get('lost')?.roles[0]?.credentialDigest;
    const annotations = async () => {
      const found = await world.get<{
        spec: { template: { metadata: { annotations: Record<string, string> } } };
      }>(`${paths.deployments}/bank-lost`);
      return found.spec.template.metadata.annotations;
    };
    const annotationsBefore = await annotations();
    await world.delete(`${paths.secrets}/bank-lost`);
    await eventually(async () => {
      expect(await world.find(`${paths.secrets}/bank-lost`)).toBeDefined();
      expect(world.database.banks.get('lost')?.roles[0]?.credentialDigest).not.toBe(digestBefore);
      expect(await annotations()).not.toEqual(annotationsBefore);
    });
  });

  test('additions by others are left alone', async () => {
    const paths = await world.createNamespace('additions');
    await world.readyBank('additions', 'open');
    await world.patch(`${paths.deployments}/bank-open`, { metadata: { annotations: { 'example.com/note': 'mine' } } });
    // What comes later on the same watch is heard later.
    await world.settled('open', () => world.setPods('additions', 'open', { replicas: 1, ready: 0 }));
    expect(await world.get(`${paths.deployments}/bank-open`)).toMatchObject({
      metadata: { annotations: { 'example.com/note': 'mine' } },
    });
  });
});

describe('what is wrong is said in one sentence', () => {
  test('K1: an id that another Bank has is refused, also after that one is gone, until its rows are erased', async () => {
    const { banks } = await world.createNamespace('twins-a');
    await world.createNamespace('twins-b');
    await world.readyBank('twins-a', 'twin', { deleteAfter: '0s' });
    await world.createBank('twins-b', 'younger', { id: 'twin' });
    const younger = await world.bankWhen('twins-b', 'younger', 'False', 'IdTaken');
    expect(younger.status).toMatchObject({
      phase: 'Rejected',
      conditions: [{ type: 'Accepted', status: 'False' }, {}, {}, {}, {}, {}, {}],
    });
    expect(younger.status?.id).toBeUndefined();
    expect(younger.status?.incarnation).toBeUndefined();
    // Of no other tenant is anything said (K13).
    expect(JSON.stringify(younger.status)).not.toContain('twins-a');
    const erasing = Promise.withResolvers<void>();
    world.database.beforeErasing = () => erasing.promise;
    await world.delete(`${banks}/twin`);
    await eventually(async () => expect(await world.find(`${banks}/twin`)).toBeUndefined());
    expect(await world.bankWhen('twins-b', 'younger', 'False', 'IdTaken')).toBeDefined();
    erasing.resolve();
    await world.bringUp('twins-b', 'younger', 'twin');
    expect(world.database.ids.get('twin')?.claim.owner).toBe('twins-b/younger');
  });

  test('an unknown class is named, and its arrival makes the bank go on', async () => {
    await world.createNamespace('classes');
    await world.createBank('classes', 'late', { className: 'gold' });
    const bank = await world.bankWhen('classes', 'late', 'False', 'ClassNotFound');
    expect(bank.status?.conditions?.[0]?.message).toMatch(/^There is no BankClass "gold"; create it, or name another/);
    await world.createClass('gold', {});
    await world.bringUp('classes', 'late');
  });

  test('K8: a database out of reach is a condition, repairs go on, one asks for all, and all recover by themselves', async () => {
    const paths = await world.createNamespace('outage');
    await world.readyBank('outage', 'outage');
    const { calls } = world.database;
    world.database.failure = new DatabaseError('unreachable', "Postgres at db can't be reached; tries again.");
    try {
      await world.patch(`${paths.banks}/outage`, { spec: { displayName: 'Other' } });
      const bank = await world.bankWhen('outage', 'outage', 'False', 'Unreachable');
      expect(bank.status).toMatchObject({
        phase: 'Failing',
        conditions: [{ type: 'Accepted', status: 'True' }, {}, { type: 'DatabaseReady' }, {}, {}, {}, {}],
      });
      await world.delete(`${paths.deployments}/bank-outage`);
      await eventually(async () => expect(await world.find(`${paths.deployments}/bank-outage`)).toBeDefined());
      await world.createBank('outage', 'new');
      const rejected = await world.bankWhen('outage', 'new', 'False', 'Unreachable');
      expect(rejected.status).toMatchObject({
        phase: 'Failing',
        conditions: [{ type: 'Accepted', status: 'False' }, {}, {}, {}, {}, {}, {}],
      });
      expect(await world.find(`${paths.secrets}/bank-new`)).toBeUndefined();
      const before = { ...calls };
      await eventually(() => expect(calls.check).toBeGreaterThan((before.check ?? 0) + 1));
      expect({ ...calls, check: 0 }).toEqual({ ...before, check: 0 });
    } finally {
      world.database.failure = undefined;
    }
    await Promise.all([world.bringUp('outage', 'outage'), world.bringUp('outage', 'new')]);
    // A Bank that only waits for the end of an outage writes no Event of it; one that was ready tells why it is not.
    await eventually(async () => {
      const { items } = await world.get<{ items: { reason: string; regarding: { name: string } }[] }>(paths.events);
      const toldOf = (name: string) =>
        items.filter(({ regarding }) => regarding.name === name).map(({ reason }) => reason);
      expect(toldOf('new')).toEqual(['Ready']);
      expect(toldOf('outage')).toContain('Unreachable');
    });
  });

  test('an McpServer without its bank, and a prefix twice (R5.1)', async () => {
    const paths = await world.createNamespace('servers');
    const create = (name: string) =>
      world.create(paths.mcpServers, {
        apiVersion: 'bankhouse.dev/v1alpha1',
        kind: 'McpServer',
        metadata: { name },
        spec: { bankRef: { name: 'shop' }, toolPrefix: 'amazon.', remote: { url: 'https://x.example.com/' } },
      });
    const reasons = async () => {
      const { items } = await world.get<{
        items: { status?: { conditions: { status: string; reason: string }[] } }[];
      }>(paths.mcpServers);
      return items.map(({ status }) => status?.conditions[0]?.reason).sort();
    };
    await create('one');
    await eventually(async () => expect(await reasons()).toEqual(['BankNotFound']));
    await world.createBank('servers', 'shop');
    await eventually(async () => expect(await reasons()).toEqual(['Accepted']));
    await create('two');
    await eventually(async () => expect(await reasons()).toEqual(['Accepted', 'DuplicatePrefix']));
    await world.delete(`${paths.mcpServers}/one`);
    await eventually(async () => expect(await reasons()).toEqual(['Accepted']));
  });
});

describe('a Bank that is deleted', () => {
  test.each([
    { sentence: 'its rows go at once with deleteAfter 0', spec: { deleteAfter: '0s' }, kept: false },
    { sentence: 'its rows stay for a grace', spec: {}, kept: true },
    {
      sentence: 'its rows stay for ever with Retain',
      spec: { deletionPolicy: 'Retain', deleteAfter: '0s' },
      kept: true,
    },
  ])('leaves no child behind, and $sentence', async ({ spec, kept }) => {
    const id = `gone-${
      JSON.stringify(spec)
        .replace(/[^a-z0-9]+/gi, '-')
        .toLowerCase()
        .slice(1, -1) || 'grace'
    }`.slice(0, 40);
    const paths = await world.createNamespace(id);
    await world.readyBank(id, id, spec);
    await world.delete(`${paths.banks}/${id}`);
    await eventually(async () => {
      for (const path of Object.values(paths).filter((path) => path !== paths.events && path !== paths.mcpServers)) {
        const { items } = await world.get<{ items: unknown[] }>(path);
        expect(items).toEqual([]);
      }
      expect(world.database.banks.has(id)).toBe(kept);
      expect(world.database.ids.has(id)).toBe(kept);
    });
    if (kept) expect(world.database.banks.get(id)).toMatchObject({ roles: [], retired: true });
  });

  test('finds its rows when the same Bank is applied again within the grace', async () => {
    const paths = await world.createNamespace('again');
    const first = await world.readyBank('again', 'again');
    await world.delete(`${paths.banks}/again`);
    await eventually(async () => expect(await world.find(`${paths.banks}/again`)).toBeUndefined());
    const second = await world.readyBank('again', 'again');
    expect(second.status?.incarnation).not.toBe(first.status?.incarnation);
    expect(world.database.ids.get('again')?.retained).toBeUndefined();
  });

  test('is erased at once with the annotation', async () => {
    const paths = await world.createNamespace('now');
    await world.readyBank('now', 'now');
    await world.patch(`${paths.banks}/now`, { metadata: { annotations: { 'bankhouse.dev/erase-now': 'true' } } });
    await world.delete(`${paths.banks}/now`);
    await eventually(() => expect(world.database.receipts.map(({ id }) => id)).toContain('now'));
  });

  test('K17: says that it is being deleted and what that waits for, and stays until the database can be cleaned up', async () => {
    const paths = await world.createNamespace('stuck');
    await world.readyBank('stuck', 'stuck');
    world.database.failure = new DatabaseError('unreachable', "Postgres at db can't be reached; tries again.");
    try {
      await world.delete(`${paths.banks}/stuck`);
      const bank = await world.bankWhen('stuck', 'stuck', 'False', 'Deleting');
      expect(bank.status?.phase).toBe('Deleting');
      await eventually(async () => {
        const { status } = await world.get<Bank>(`${paths.banks}/stuck`);
        expect(status?.conditions?.find(({ type }) => type === 'Ready')?.message).toBe(
          "The bank is being deleted. Postgres at db can't be reached; tries again.",
        );
        expect(status?.conditions?.find(({ type }) => type === 'DatabaseReady')).toMatchObject({
          reason: 'Unreachable',
        });
      });
    } finally {
      world.database.failure = undefined;
    }
    await eventually(async () => expect(await world.find(`${paths.banks}/stuck`)).toBeUndefined());
  });

  test('K7: what confines and feeds its pods stays until they have ended', async () => {
    const paths = await world.createNamespace('order');
    await world.readyBank('order', 'order');
    world.collector.hold();
    try {
      await world.delete(`${paths.banks}/order`);
      const bank = await world.bankWhen('order', 'order', 'False', 'Deleting');
      expect(bank.status?.conditions?.find(({ type }) => type === 'Ready')?.message).toContain(
        "bank's pods have ended",
      );
      expect(await world.find(`${paths.secrets}/bank-order`)).toBeDefined();
      expect(await world.find(`${paths.networkPolicies}/bankclass.standard`)).toBeDefined();
      expect(world.database.banks.get('order')?.retired).toBe(false);
    } finally {
      world.collector.release();
    }
    await eventually(async () => expect(await world.find(`${paths.banks}/order`)).toBeUndefined());
    await eventually(async () => expect(await world.get(paths.networkPolicies)).toMatchObject({ items: [] }));
  });
});
