import type { Bank } from '@bankhouse/core';
import { DatabaseError } from '@bankhouse/operator';
import { describe, expect, test } from 'vitest';
import { classPath, eventually, useWorld } from './support/index.ts';

const world = useWorld();

describe('a Bank becomes what it says (R0.1, R0.2)', () => {
  test('from apply to Ready in nine writes, with its children, role and conditions', async () => {
    const paths = await world.createNamespace('create');
    const before = world.written.soFar();
    const bank = await world.readyBank('create', 'acme', { displayName: 'Acme', vaults: [{ id: 'sales' }] });
    await eventually(async () => {
      const { items } = await world.get<{ items: unknown[] }>(paths.events);
      expect(items).toHaveLength(1);
      expect(world.operator.isIdle).toBe(true);
    });
    // The class tells how many banks it has, five seconds later.
    const { 'PATCH bankclasses/status': _, ...writes } = world.written.since(before);
    expect(writes).toEqual({
      'PATCH banks': 1,
      'PATCH banks/status': 2,
      'APPLY secrets': 1,
      'APPLY serviceaccounts': 1,
      'APPLY networkpolicies': 1,
      'APPLY services': 1,
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
      databaseRole: 'bank_acme_a',
      keyGeneration: 1,
      observedGeneration: 1,
    });
    expect(bank.status?.conditions?.map(({ type, status }) => `${type} ${status}`)).toEqual([
      'Accepted True',
      'DatabaseReady True',
      'CredentialsReady True',
      'ServerReady True',
      'RouteReady True',
      'Verified True',
      'Ready True',
    ]);
    const secret = await world.get<{ data: Record<string, string> }>(`${paths.secrets}/bank-acme`);
    const url = new URL(Buffer.from(secret.data['database-url'] ?? '', 'base64').toString());
    expect(url.username).toBe('bank_acme_a');
    expect(url.password).toHaveLength(43);
    expect(Object.keys(JSON.parse(Buffer.from(secret.data['seal-keys'] ?? '', 'base64').toString()))).toEqual(['1']);
    expect(world.database.banks.get('acme')).toMatchObject({ owner: 'create/acme', vaults: [{ id: 'sales' }] });
    for (const path of [paths.serviceAccounts, paths.services, paths.networkPolicies, paths.deployments]) {
      expect(await world.find(`${path}/bank-acme`)).toMatchObject({
        metadata: { ownerReferences: [{ kind: 'Bank', name: 'acme', controller: true }] },
      });
    }
    expect(await world.find(`${paths.budgets}/bank-acme`)).toBeUndefined();
  });

  test('nothing is written while nothing changes, nor by an operator that starts anew', async () => {
    await world.createNamespace('quiet');
    await world.readyBank('quiet', 'quiet');
    await eventually(async () => {
      expect(world.operator.isIdle).toBe(true);
      expect(await world.get(classPath('standard'))).toMatchObject({ status: { banks: 2 } });
    });
    const before = world.written.soFar();
    const databaseWrites = world.database.writes;
    world.frontDoor.handshakes.length = 0;
    await world.restart();
    await eventually(() => expect(world.frontDoor.handshakes.toSorted()).toEqual(['acme', 'quiet']));
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
    { kind: 'Service', collection: 'services', change: { spec: { selector: { 'bankhouse.dev/bank': 'other' } } } },
    { kind: 'NetworkPolicy', collection: 'networkPolicies', change: { spec: { egress: [{}] } } },
    { kind: 'ServiceAccount', collection: 'serviceAccounts', change: { automountServiceAccountToken: true } },
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

  test.each(['deployments', 'services', 'networkPolicies', 'serviceAccounts'] as const)(
    'a deleted child of %s comes back',
    async (collection) => {
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
    },
  );

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
  test('an id that an older Bank has is refused until that one is gone', async () => {
    const { banks } = await world.createNamespace('twins-a');
    await world.createNamespace('twins-b');
    await world.readyBank('twins-a', 'twin');
    await world.createBank('twins-b', 'younger', { id: 'twin' });
    const younger = await world.bankWhen('twins-b', 'younger', 'False', 'DuplicateId');
    expect(younger.status?.phase).toBe('Rejected');
    expect(younger.metadata.finalizers).toBeUndefined();
    expect(younger.status?.conditions?.[0]?.message).toBe(
      'The id "twin" belongs to the Bank twins-a/twin, which is older; create this Bank again with another spec.id.',
    );
    await world.delete(`${banks}/twin`);
    await world.bringUp('twins-b', 'younger', 'twin');
    expect(world.database.banks.get('twin')?.owner).toBe('twins-b/younger');
  });

  test('an unknown class is named, and its arrival makes the bank go on', async () => {
    await world.createNamespace('classes');
    await world.createBank('classes', 'late', { className: 'gold' });
    const bank = await world.bankWhen('classes', 'late', 'False', 'ClassNotFound');
    expect(bank.status?.conditions?.[0]?.message).toMatch(/^There is no BankClass "gold"; create it, or set/);
    await world.createClass('gold', {});
    await world.bringUp('classes', 'late');
  });

  test('two default classes refuse new banks, keep old ones, and both say so', async () => {
    await world.createNamespace('defaults');
    await world.readyBank('defaults', 'old');
    await world.createClass('second', {}, { isDefault: true });
    await world.createBank('defaults', 'new');
    const bank = await world.bankWhen('defaults', 'new', 'False', 'SeveralDefaultClasses');
    expect(bank.status?.conditions?.[0]?.message).toContain('(second, standard)');
    await world.bankWhen('defaults', 'old', 'True');
    await eventually(async () => {
      for (const name of ['standard', 'second']) {
        expect(await world.get(classPath(name))).toMatchObject({
          status: { phase: 'Ambiguous', conditions: [{ type: 'Accepted', status: 'False' }] },
        });
      }
    });
    await world.delete(classPath('second'));
    await world.bringUp('defaults', 'new');
  });

  test('a database out of reach is a condition, repairs go on, and the bank recovers by itself', async () => {
    const paths = await world.createNamespace('outage');
    world.database.failure = new DatabaseError('unreachable', "Postgres at db can't be reached; tries again.");
    try {
      await world.createBank('outage', 'outage');
      const bank = await world.bankWhen('outage', 'outage', 'False', 'Unreachable');
      expect(bank.status?.phase).toBe('Failing');
      expect(await world.find(`${paths.deployments}/bank-outage`)).toBeDefined();
    } finally {
      world.database.failure = undefined;
    }
    await world.bringUp('outage', 'outage');
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
    { policy: 'Delete', kept: false },
    { policy: 'Retain', kept: true },
  ])('leaves no child behind; rows with $policy: $kept', async ({ policy, kept }) => {
    const id = `gone-${policy.toLowerCase()}`;
    const paths = await world.createNamespace(id);
    await world.readyBank(id, id, { deletionPolicy: policy });
    await world.delete(`${paths.banks}/${id}`);
    await eventually(async () => {
      for (const path of Object.values(paths).filter((path) => path !== paths.events && path !== paths.mcpServers)) {
        const { items } = await world.get<{ items: unknown[] }>(path);
        expect(items).toEqual([]);
      }
    });
    expect(world.database.banks.has(id)).toBe(kept);
  });

  test('stays until the database can be cleaned up', async () => {
    const paths = await world.createNamespace('stuck');
    await world.readyBank('stuck', 'stuck');
    world.database.failure = new DatabaseError('unreachable', "Postgres at db can't be reached; tries again.");
    try {
      await world.delete(`${paths.banks}/stuck`);
      await eventually(async () => {
        const bank = await world.get<Bank>(`${paths.banks}/stuck`);
        expect(bank.status?.phase).toBe('Deleting');
      });
    } finally {
      world.database.failure = undefined;
    }
    await eventually(async () => expect(await world.find(`${paths.banks}/stuck`)).toBeUndefined());
    expect(world.database.banks.has('stuck')).toBe(false);
  });
});
