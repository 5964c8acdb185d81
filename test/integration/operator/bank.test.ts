import type { Bank } from '@bankhouse/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  bankWhen,
  createBank,
  createClass,
  createNamespace,
  eventually,
  getOrUndefined,
  namespaced,
  setPods,
  startWorld,
  type World,
} from './support.ts';

const MERGE = 'application/merge-patch+json';

let world!: World;
beforeAll(async () => {
  world = await startWorld();
  await createClass(world.api.transport, 'standard', { default: true });
});
afterAll(async () => {
  await world?.close();
});

/** A namespace of its own per test. */
async function place(name: string) {
  await createNamespace(world.api.transport, name);
  return namespaced(name);
}

async function readyBank(namespace: string, name: string, spec: Record<string, unknown> = {}): Promise<Bank> {
  const { transport } = world.api;
  await createBank(transport, namespace, name, spec);
  await eventually(() => setPods(transport, namespace, name, { replicas: 1, ready: 1 }));
  return bankWhen(transport, namespace, name, 'True');
}

const WRITES = new Set(['POST', 'PUT', 'PATCH', 'APPLY', 'DELETE']);
/** Writes so far by verb and resource; the API server's own (leases, its namespaces) apart, and the test's are the caller's. */
async function writesSoFar(): Promise<Map<string, number>> {
  const counts = await world.api.requests();
  return new Map(
    counts
      .filter(({ verb, resource }) => WRITES.has(verb) && resource !== 'leases')
      .map(({ verb, resource, subresource, count }) => [`${verb} ${resource}/${subresource}`, count]),
  );
}

async function writesSince(before: Map<string, number>): Promise<Record<string, number>> {
  const now = await writesSoFar();
  return Object.fromEntries(
    [...now].map(([name, count]) => [name, count - (before.get(name) ?? 0)] as const).filter(([, count]) => count > 0),
  );
}

describe('a Bank becomes what it says (R0.1, R0.2)', () => {
  test('from apply to Ready in nine writes, with its children, role and conditions', async () => {
    const paths = await place('create');
    const { transport } = world.api;
    const before = await writesSoFar();
    const bank = await readyBank('create', 'acme', { displayName: 'Acme', vaults: [{ id: 'sales' }] });
    await eventually(async () => {
      const { items } = await transport.request<{ items: unknown[] }>('GET', paths.events);
      expect(items).toHaveLength(1);
    });
    // The Bank itself and the Deployment's status are the test's own.
    expect(await writesSince(before)).toEqual({
      'POST banks/': 1,
      'PATCH deployments/status': 1,
      'PATCH banks/': 1,
      'PATCH banks/status': 2,
      'APPLY secrets/': 1,
      'APPLY serviceaccounts/': 1,
      'APPLY networkpolicies/': 1,
      'APPLY services/': 1,
      'APPLY deployments/': 1,
      'POST events/': 1,
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
    const secret = await transport.request<{ data: Record<string, string> }>('GET', `${paths.secrets}/bank-acme`);
    const url = new URL(Buffer.from(secret.data['database-url'] ?? '', 'base64').toString());
    expect(url.username).toBe('bank_acme_a');
    expect(url.password).toHaveLength(43);
    expect(Object.keys(JSON.parse(Buffer.from(secret.data['seal-keys'] ?? '', 'base64').toString()))).toEqual(['1']);
    expect(world.database.banks.get('acme')).toMatchObject({ owner: 'create/acme', vaults: [{ id: 'sales' }] });
    for (const path of [paths.serviceAccounts, paths.services, paths.networkPolicies, paths.deployments]) {
      expect(await getOrUndefined(transport, `${path}/bank-acme`)).toMatchObject({
        metadata: { ownerReferences: [{ kind: 'Bank', name: 'acme', controller: true }] },
      });
    }
    expect(await getOrUndefined(transport, `${paths.budgets}/bank-acme`)).toBeUndefined();
  });

  test('nothing is written while nothing changes, nor by an operator that starts anew', async () => {
    await place('quiet');
    await readyBank('quiet', 'quiet');
    await eventually(async () => {
      expect(world.operator.isIdle).toBe(true);
      const path = '/apis/bankhouse.dev/v1alpha1/bankclasses/standard';
      expect(await world.api.transport.request('GET', path)).toMatchObject({ status: { banks: 2 } });
    });
    const before = await writesSoFar();
    const databaseWrites = world.database.writes;
    const handshakes = world.frontDoor.handshakes;
    await world.restart();
    await eventually(() => expect(world.frontDoor.handshakes).toBeGreaterThan(handshakes));
    await eventually(() => expect(world.operator.isIdle).toBe(true));
    expect(await writesSince(before)).toEqual({});
    expect(world.database.writes).toBe(databaseWrites);
  });

  test('a handshake makes it Ready before the cluster calls its pod ready', async () => {
    await place('early');
    const { transport } = world.api;
    await createBank(transport, 'early', 'early');
    await eventually(() => setPods(transport, 'early', 'early', { replicas: 1, ready: 0 }));
    const bank = await bankWhen(transport, 'early', 'early', 'True');
    await setPods(transport, 'early', 'early', { replicas: 1, ready: 1 });
    await eventually(() => expect(world.operator.isIdle).toBe(true));
    const after = await transport.request<Bank>('GET', `${namespaced('early').banks}/early`);
    expect(after.metadata.resourceVersion).toBe(bank.metadata.resourceVersion);
  });

  test('a class with several pods adds a disruption budget, and a smaller one takes it away', async () => {
    const paths = await place('budget');
    const { transport } = world.api;
    await createClass(transport, 'double', { replicas: 2 });
    await createBank(transport, 'budget', 'budget', { className: 'double' });
    await eventually(async () => {
      expect(await getOrUndefined(transport, `${paths.budgets}/bank-budget`)).toBeDefined();
    });
    await transport.request('PATCH', '/apis/bankhouse.dev/v1alpha1/bankclasses/double', {
      body: { spec: { replicas: 1, image: 'localhost/other:2' } },
      contentType: MERGE,
    });
    await eventually(async () => {
      expect(await getOrUndefined(transport, `${paths.budgets}/bank-budget`)).toBeUndefined();
      expect(await transport.request('GET', `${paths.deployments}/bank-budget`)).toMatchObject({
        spec: { replicas: 1, template: { spec: { containers: [{ image: 'localhost/other:2' }] } } },
      });
    });
  });

  test('a suspended bank has no pod and says so', async () => {
    const paths = await place('suspended');
    const { transport } = world.api;
    await readyBank('suspended', 'idle');
    await transport.request('PATCH', `${paths.banks}/idle`, {
      body: { spec: { suspended: true } },
      contentType: MERGE,
    });
    const bank = await bankWhen(transport, 'suspended', 'idle', 'False', 'Suspended');
    expect(bank.status?.phase).toBe('Suspended');
    expect(await transport.request('GET', `${paths.deployments}/bank-idle`)).toMatchObject({ spec: { replicas: 0 } });
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
    const paths = await place(id);
    const { transport } = world.api;
    await readyBank(id, id);
    const path = `${paths[collection]}/bank-${id}`;
    const relevant = (object: object) => {
      const { metadata, status: _, ...rest } = object as { metadata: { labels: object }; status?: object };
      return { ...rest, labels: metadata.labels };
    };
    const wanted = relevant(await transport.request<object>('GET', path));
    await transport.request('PATCH', path, { body: change, contentType: MERGE });
    await eventually(async () => expect(relevant(await transport.request<object>('GET', path))).toEqual(wanted));
  });

  test.each(['deployments', 'services', 'networkPolicies', 'serviceAccounts'] as const)(
    'a deleted child of %s comes back',
    async (collection) => {
      const id = `deleted-${collection.toLowerCase()}`;
      const paths = await place(id);
      const { transport } = world.api;
      await readyBank(id, id);
      const path = `${paths[collection]}/bank-${id}`;
      const { metadata } = await transport.request<{ metadata: { uid: string } }>('GET', path);
      await transport.request('DELETE', path);
      await eventually(async () => {
        const found = await transport.request<{ metadata: { uid: string } }>('GET', path);
        expect(found.metadata.uid).not.toBe(metadata.uid);
      });
    },
  );

  test('a deleted Secret gets a new password, which the role and the pods get too', async () => {
    const paths = await place('lost-secret');
    const { transport } = world.api;
    await readyBank('lost-secret', 'lost');
    const digestBefore = world.database.banks.get('lost')?.roles[0]?.credentialDigest;
    const annotations = async () => {
      const found = await transport.request<{
        spec: { template: { metadata: { annotations: Record<string, string> } } };
      }>('GET', `${paths.deployments}/bank-lost`);
      return found.spec.template.metadata.annotations;
    };
    const annotationsBefore = await annotations();
    await transport.request('DELETE', `${paths.secrets}/bank-lost`);
    await eventually(async () => {
      expect(await getOrUndefined(transport, `${paths.secrets}/bank-lost`)).toBeDefined();
      expect(world.database.banks.get('lost')?.roles[0]?.credentialDigest).not.toBe(digestBefore);
      expect(await annotations()).not.toEqual(annotationsBefore);
    });
  });

  test('additions by others are left alone', async () => {
    const paths = await place('additions');
    const { transport } = world.api;
    await readyBank('additions', 'open');
    await transport.request('PATCH', `${paths.deployments}/bank-open`, {
      body: { metadata: { annotations: { 'example.com/note': 'mine' } } },
      contentType: MERGE,
    });
    await eventually(() => expect(world.operator.isIdle).toBe(true));
    expect(await transport.request('GET', `${paths.deployments}/bank-open`)).toMatchObject({
      metadata: { annotations: { 'example.com/note': 'mine' } },
    });
  });
});

describe('what is wrong is said in one sentence', () => {
  test('an id that an older Bank has is refused until that one is gone', async () => {
    const { banks } = await place('twins-a');
    await place('twins-b');
    const { transport } = world.api;
    await readyBank('twins-a', 'twin');
    await createBank(transport, 'twins-b', 'younger', { id: 'twin' });
    const younger = await bankWhen(transport, 'twins-b', 'younger', 'False', 'DuplicateId');
    expect(younger.status?.phase).toBe('Rejected');
    expect(younger.metadata.finalizers).toBeUndefined();
    expect(younger.status?.conditions?.[0]?.message).toBe(
      'The id "twin" belongs to the Bank twins-a/twin, which is older; create this Bank again with another spec.id.',
    );
    await transport.request('DELETE', `${banks}/twin`);
    await eventually(() => setPods(transport, 'twins-b', 'twin', { replicas: 1, ready: 1 }));
    await bankWhen(transport, 'twins-b', 'younger', 'True');
    expect(world.database.banks.get('twin')?.owner).toBe('twins-b/younger');
  });

  test('an unknown class is named, and its arrival makes the bank go on', async () => {
    await place('classes');
    const { transport } = world.api;
    await createBank(transport, 'classes', 'late', { className: 'gold' });
    const bank = await bankWhen(transport, 'classes', 'late', 'False', 'ClassNotFound');
    expect(bank.status?.conditions?.[0]?.message).toMatch(/^There is no BankClass "gold"; create it, or set/);
    await createClass(transport, 'gold', {});
    await eventually(() => setPods(transport, 'classes', 'late', { replicas: 1, ready: 1 }));
    await bankWhen(transport, 'classes', 'late', 'True');
  });

  test('two default classes refuse new banks, keep old ones, and both say so', async () => {
    await place('defaults');
    const { transport } = world.api;
    await readyBank('defaults', 'old');
    await createClass(transport, 'second', { default: true });
    await createBank(transport, 'defaults', 'new');
    const bank = await bankWhen(transport, 'defaults', 'new', 'False', 'SeveralDefaultClasses');
    expect(bank.status?.conditions?.[0]?.message).toContain('(second, standard)');
    await bankWhen(transport, 'defaults', 'old', 'True');
    await eventually(async () => {
      for (const name of ['standard', 'second']) {
        expect(await transport.request('GET', `/apis/bankhouse.dev/v1alpha1/bankclasses/${name}`)).toMatchObject({
          status: { phase: 'Ambiguous', conditions: [{ type: 'Accepted', status: 'False' }] },
        });
      }
    });
    await transport.request('DELETE', '/apis/bankhouse.dev/v1alpha1/bankclasses/second');
    await eventually(() => setPods(transport, 'defaults', 'new', { replicas: 1, ready: 1 }));
    await bankWhen(transport, 'defaults', 'new', 'True');
  });

  test('a database out of reach is a condition, repairs go on, and the bank recovers by itself', async () => {
    const paths = await place('outage');
    const { transport } = world.api;
    const { DatabaseError } = await import('@bankhouse/operator');
    world.database.failure = new DatabaseError('unreachable', "Postgres at db can't be reached; tries again.");
    try {
      await createBank(transport, 'outage', 'outage');
      const bank = await bankWhen(transport, 'outage', 'outage', 'False', 'Unreachable');
      expect(bank.status?.phase).toBe('Failing');
      expect(await getOrUndefined(transport, `${paths.deployments}/bank-outage`)).toBeDefined();
    } finally {
      world.database.failure = undefined;
    }
    await setPods(transport, 'outage', 'outage', { replicas: 1, ready: 1 });
    await bankWhen(transport, 'outage', 'outage', 'True');
  });

  test('an McpServer without its bank, and a prefix twice (R5.1)', async () => {
    const paths = await place('servers');
    const { transport } = world.api;
    const create = (name: string) =>
      transport.request('POST', paths.mcpServers, {
        body: {
          apiVersion: 'bankhouse.dev/v1alpha1',
          kind: 'McpServer',
          metadata: { name },
          spec: { bankRef: { name: 'shop' }, toolPrefix: 'amazon.', remote: { url: 'https://x.example.com/' } },
        },
      });
    const reasons = async () => {
      const { items } = await transport.request<{
        items: { status?: { conditions: { status: string; reason: string }[] } }[];
      }>('GET', paths.mcpServers);
      return items.map(({ status }) => status?.conditions[0]?.reason).sort();
    };
    await create('one');
    await eventually(async () => expect(await reasons()).toEqual(['BankNotFound']));
    await createBank(transport, 'servers', 'shop');
    await eventually(async () => expect(await reasons()).toEqual(['Accepted']));
    await create('two');
    await eventually(async () => expect(await reasons()).toEqual(['Accepted', 'DuplicatePrefix']));
    await transport.request('DELETE', `${paths.mcpServers}/one`);
    await eventually(async () => expect(await reasons()).toEqual(['Accepted']));
  });
});

describe('a Bank that is deleted', () => {
  test.each([
    { policy: 'Delete', kept: false },
    { policy: 'Retain', kept: true },
  ])('leaves no child behind; rows with $policy: $kept', async ({ policy, kept }) => {
    const id = `gone-${policy.toLowerCase()}`;
    const paths = await place(id);
    const { transport } = world.api;
    await readyBank(id, id, { deletionPolicy: policy });
    await transport.request('DELETE', `${paths.banks}/${id}`);
    await eventually(async () => {
      for (const path of Object.values(paths).filter((path) => path !== paths.events && path !== paths.mcpServers)) {
        const { items } = await transport.request<{ items: unknown[] }>('GET', path);
        expect(items).toEqual([]);
      }
    });
    expect(world.database.banks.has(id)).toBe(kept);
  });

  test('stays until the database can be cleaned up', async () => {
    const paths = await place('stuck');
    const { transport } = world.api;
    const { DatabaseError } = await import('@bankhouse/operator');
    await readyBank('stuck', 'stuck');
    world.database.failure = new DatabaseError('unreachable', "Postgres at db can't be reached; tries again.");
    try {
      await transport.request('DELETE', `${paths.banks}/stuck`);
      await eventually(async () => {
        const bank = await transport.request<Bank>('GET', `${paths.banks}/stuck`);
        expect(bank.status?.phase).toBe('Deleting');
      });
    } finally {
      world.database.failure = undefined;
    }
    await eventually(async () => expect(await getOrUndefined(transport, `${paths.banks}/stuck`)).toBeUndefined());
    expect(world.database.banks.has('stuck')).toBe(false);
  });
});
