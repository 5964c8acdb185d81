/** What the chart's admission policy lets the operator's account write, whatever RBAC allows it (K5, K13). */
import { type Bank, bankClassSpecSchema, bankSpecSchema, FIELD_MANAGER } from '@bankhouse/core';
import { APPLY_PATCH_TYPE, isApiError, MERGE_PATCH_TYPE, type Method, type Transport } from '@bankhouse/kube';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { namespaceOwner } from '../../../operator/src/cluster/owner.ts';
import {
  buildDeployment,
  buildPodDisruptionBudget,
  buildPolicies,
  buildPolicyBefore,
  buildSecret,
  type Child,
} from '../../../operator/src/resources/index.ts';
import { type ApiServer, startApiServer } from '../../harness/apiserver.ts';
import { installRights, pathsOf, settings } from './support/index.ts';

const NAMESPACE = 'banks';
const PATHS = pathsOf(NAMESPACE);
const COLLECTIONS: Readonly<Record<string, string>> = {
  Secret: PATHS.secrets,
  Deployment: PATHS.deployments,
  NetworkPolicy: PATHS.networkPolicies,
  PodDisruptionBudget: PATHS.budgets,
};

let api!: ApiServer;
let operator!: Transport;
beforeAll(async () => {
  // Otherwise the API server itself refuses a privileged pod, before the policy is asked.
  api = await startApiServer({ args: ['--allow-privileged=true'] });
  operator = await installRights(api);
  await api.transport.request('POST', '/api/v1/namespaces', { body: { metadata: { name: NAMESPACE } } });
});
afterAll(async () => {
  await operator?.close();
  await api?.stop();
});

type Json = Record<string, unknown>;
type Some = Child & { spec?: Json };

/** What the builders make of the bank, one of each kind. */
function childrenOf(id: string): Some[] {
  const bank: Pick<Bank, 'metadata' | 'spec'> = {
    metadata: { name: id, namespace: NAMESPACE, uid: `uid-${id}` },
    spec: bankSpecSchema.parse({}),
  };
  const spec = bankClassSpecSchema.parse({ network: { egress: [{ cidr: '203.0.113.0/24' }] } });
  return [
    buildSecret(bank, { databaseUrl: 'x', sealKeys: {} }),
    buildPolicyBefore(bank, spec, settings),
    buildPodDisruptionBudget(bank),
    buildDeployment(bank, { metadata: { name: 'standard' }, spec }, settings, 'digest'),
  ] as unknown as Some[];
}
const KINDS = Object.keys(COLLECTIONS);
const childOf = (id: string, kind: string): Some => {
  const child = childrenOf(id).find((one) => one.kind === kind);
  if (child === undefined) throw new Error(`There is no ${kind}.`);
  return child;
};

/** An object's marks, by which it is ours or not. */
const LABELS = { ours: { 'app.kubernetes.io/managed-by': 'bankhouse' }, none: {} };
const owner = (apiVersion: string, kind: string, controller: boolean) => [
  { apiVersion, kind, name: 'x', uid: 'uid-x', controller },
];
const OWNERS = {
  bank: owner('bankhouse.dev/v1alpha1', 'Bank', true),
  class: owner('bankhouse.dev/v1alpha1', 'BankClass', true),
  bankAsFriend: owner('bankhouse.dev/v1alpha1', 'Bank', false),
  replicaSet: owner('apps/v1', 'ReplicaSet', true),
  lookalike: owner('bankhouse.dev.example.com/v1', 'Bank', true),
  none: [],
};
interface Marks {
  label: keyof typeof LABELS;
  owner: keyof typeof OWNERS;
}
const marked = (child: Some, name: string, { label, owner: of }: Marks): Some => ({
  ...child,
  metadata: { name, namespace: NAMESPACE, labels: LABELS[label], ownerReferences: OWNERS[of] },
});

/** `allowed`, or what the API server said. */
async function outcome(transport: Transport, method: Method, path: string, options: Json): Promise<string> {
  try {
    await transport.request(method, path, options);
    return 'allowed';
  } catch (error) {
    return isApiError(error, 'forbidden', 'invalid') ? error.message : String(error);
  }
}
const DRY = { query: { dryRun: 'All' } };
const create = (transport: Transport, child: Some) =>
  outcome(transport, 'POST', COLLECTIONS[child.kind] ?? '', { body: child, ...DRY });

const OF_ANOTHER = /touches only what belongs to a Bank/;
const NOT_OURS = /writes only objects with the label/;
const ALLOWED = /^allowed$/;

describe.each(KINDS)('a %s', (kind) => {
  test.each<Marks & { said: RegExp }>([
    { label: 'ours', owner: 'bank', said: ALLOWED },
    { label: 'ours', owner: 'class', said: ALLOWED },
    { label: 'none', owner: 'bank', said: NOT_OURS },
    { label: 'ours', owner: 'none', said: NOT_OURS },
    { label: 'ours', owner: 'bankAsFriend', said: NOT_OURS },
    { label: 'ours', owner: 'replicaSet', said: NOT_OURS },
    { label: 'ours', owner: 'lookalike', said: NOT_OURS },
    { label: 'none', owner: 'none', said: NOT_OURS },
  ])('created with label $label and owner $owner: $said', async ({ said, ...marks }) => {
    expect(await create(operator, marked(childOf('acme', kind), 'new', marks))).toMatch(said);
  });

  test.each<Marks & { patched: RegExp; adopted: RegExp; removed: RegExp }>([
    { label: 'ours', owner: 'bank', patched: ALLOWED, adopted: ALLOWED, removed: ALLOWED },
    { label: 'ours', owner: 'class', patched: ALLOWED, adopted: ALLOWED, removed: ALLOWED },
    // Somebody took the label off: it comes back, and until then nothing else happens to the object.
    { label: 'none', owner: 'bank', patched: NOT_OURS, adopted: ALLOWED, removed: OF_ANOTHER },
    { label: 'ours', owner: 'none', patched: OF_ANOTHER, adopted: OF_ANOTHER, removed: OF_ANOTHER },
    { label: 'ours', owner: 'bankAsFriend', patched: OF_ANOTHER, adopted: OF_ANOTHER, removed: OF_ANOTHER },
    { label: 'ours', owner: 'replicaSet', patched: OF_ANOTHER, adopted: OF_ANOTHER, removed: OF_ANOTHER },
    { label: 'none', owner: 'none', patched: OF_ANOTHER, adopted: OF_ANOTHER, removed: OF_ANOTHER },
  ])(
    'that is there with label $label and owner $owner: changed, made ours, deleted',
    async ({ patched, adopted, removed, ...marks }) => {
      const name = `there-${marks.label}-${marks.owner}`.toLowerCase();
      const collection = COLLECTIONS[kind] ?? '';
      await api.transport.request('POST', collection, { body: marked(childOf('acme', kind), name, marks) });
      const path = `${collection}/${name}`;
      const patch = (body: Json) => outcome(operator, 'PATCH', path, { body, contentType: MERGE_PATCH_TYPE, ...DRY });
      expect(await patch({ metadata: { annotations: { changed: 'yes' } } })).toMatch(patched);
      expect(await patch({ metadata: { labels: LABELS.ours, ownerReferences: OWNERS.bank } })).toMatch(adopted);
      expect(await patch({ metadata: { labels: LABELS.ours, ownerReferences: null } })).not.toMatch(ALLOWED);
      expect(await outcome(operator, 'DELETE', path, DRY)).toMatch(removed);
    },
  );

  test('as the builder makes it is applied, changed and deleted', async () => {
    const child = childOf('whole', kind);
    const path = `${COLLECTIONS[kind]}/${child.metadata.name}`;
    const apply = (body: Some) =>
      outcome(operator, 'PATCH', path, {
        body,
        contentType: APPLY_PATCH_TYPE,
        query: { fieldManager: FIELD_MANAGER, force: true },
      });
    expect(await apply(child)).toBe('allowed');
    const annotations = { changed: 'yes' };
    expect(await apply({ ...child, metadata: { ...child.metadata, annotations } })).toBe('allowed');
    expect(await outcome(operator, 'DELETE', path, { body: { propagationPolicy: 'Foreground' } })).toBe('allowed');
  });

  test('of others is no business of the policy', async () => {
    expect(await create(api.transport, marked(childOf('acme', kind), 'any', { label: 'none', owner: 'none' }))).toBe(
      'allowed',
    );
  });
});

describe('what an object of ours may hold', () => {
  const ours = { label: 'ours', owner: 'bank' } as const;
  const pod = (change: Json): Some => {
    const child = childOf('acme', 'Deployment') as Some & { spec: { template: { spec: Json } } };
    const { template } = child.spec;
    const spec = { ...child.spec, template: { ...template, spec: { ...template.spec, ...change } } };
    return marked({ ...child, spec } as Some, 'new', ours);
  };
  const secret = [{ name: 'secret', secret: { secretName: 'x' } }];
  const container = (securityContext: Json | undefined, name = 'server', more: Json = {}) => [
    { name, image: 'x', ...(securityContext === undefined ? {} : { securityContext }), ...more },
  ];
  const safe = { allowPrivilegeEscalation: false };
  const PRIVILEGES = /writes only pods without privileges/;

  test.each<{ sentence: string; object: () => Some; said: RegExp }>([
    {
      sentence: "a Secret that is another account's token",
      object: () => {
        const child = marked(childOf('acme', 'Secret'), 'new', ours);
        const annotations = { 'kubernetes.io/service-account.name': 'default' };
        return {
          ...child,
          type: 'kubernetes.io/service-account-token',
          metadata: { ...child.metadata, annotations },
        } as Some;
      },
      said: /writes only Secrets of type Opaque/,
    },
    { sentence: 'a pod as it is', object: () => pod({}), said: ALLOWED },
    { sentence: "a pod on the host's network", object: () => pod({ hostNetwork: true }), said: PRIVILEGES },
    { sentence: "a pod among the host's processes", object: () => pod({ hostPID: true }), said: PRIVILEGES },
    { sentence: "a pod with the host's memory", object: () => pod({ hostIPC: true }), said: PRIVILEGES },
    {
      sentence: 'a pod with a token',
      object: () => pod({ automountServiceAccountToken: undefined }),
      said: PRIVILEGES,
    },
    {
      sentence: 'a pod with a token in a volume',
      object: () =>
        pod({ volumes: [...secret, { name: 'x', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } }] }),
      said: PRIVILEGES,
    },
    {
      sentence: "a pod with the host's files",
      object: () => pod({ volumes: [...secret, { name: 'x', hostPath: { path: '/' } }] }),
      said: PRIVILEGES,
    },
    {
      sentence: 'a privileged container',
      object: () => pod({ containers: container({ privileged: true }) }),
      said: PRIVILEGES,
    },
    {
      sentence: 'a container that says nothing of privileges',
      object: () => pod({ containers: container(undefined) }),
      said: PRIVILEGES,
    },
    {
      sentence: 'a privileged container among the first',
      object: () => pod({ containers: container(safe), initContainers: container({ privileged: true }, 'first') }),
      said: PRIVILEGES,
    },
    {
      sentence: 'a container with a capability',
      object: () => pod({ containers: container({ ...safe, capabilities: { add: ['NET_ADMIN'] } }) }),
      said: PRIVILEGES,
    },
    {
      sentence: "a container on the host's port",
      object: () => pod({ containers: container(safe, 'server', { ports: [{ containerPort: 80, hostPort: 80 }] }) }),
      said: PRIVILEGES,
    },
    { sentence: 'a container without', object: () => pod({ containers: container(safe) }), said: ALLOWED },
  ])('$sentence: $said', async ({ object, said }) => {
    expect(await create(operator, object())).toMatch(said);
  });
});

describe('what the banks of a namespace share', () => {
  const bankClass = { metadata: { name: 'standard' }, spec: bankClassSpecSchema.parse({}) };
  const on = {
    ...settings,
    EMBEDDINGS_URL: 'https://x.example.com',
    EMBEDDINGS_EGRESS: [{ cidr: '203.0.113.9/32', port: 443 }],
  };
  let uid = '';
  beforeAll(async () => {
    const { metadata } = await api.transport.request<{ metadata: { uid: string } }>(
      'GET',
      `/api/v1/namespaces/${NAMESPACE}`,
    );
    uid = metadata.uid;
  });
  const policies = (of = uid) => buildPolicies(namespaceOwner(NAMESPACE, of), bankClass, on) as unknown as Some[];
  const policy = (change: Json, of = uid): Some => {
    const [first] = policies(of);
    if (first === undefined) throw new Error('There is no policy.');
    return { ...first, metadata: { ...first.metadata, ...change } };
  };
  const apply = (body: Some) =>
    outcome(operator, 'PATCH', `${PATHS.networkPolicies}/${body.metadata.name}`, {
      body,
      contentType: APPLY_PATCH_TYPE,
      query: { fieldManager: FIELD_MANAGER, force: true },
    });

  test.each([0, 1])('policy %i as the builder makes it is applied, changed and deleted', async (index) => {
    const made = policies()[index] as Some;
    expect(await apply(made)).toBe('allowed');
    expect(await apply({ ...made, metadata: { ...made.metadata, annotations: { changed: 'yes' } } })).toBe('allowed');
    expect(await outcome(operator, 'DELETE', `${PATHS.networkPolicies}/${made.metadata.name}`, {})).toBe('allowed');
  });

  const ours = (change: Json = {}) => [
    { apiVersion: 'v1', kind: 'Namespace', name: NAMESPACE, uid, controller: true, ...change },
  ];
  const rows: { sentence: string; made: () => Some; said: RegExp }[] = [
    { sentence: 'as it is', made: () => policy({}), said: ALLOWED },
    { sentence: "of another namespace's uid", made: () => policy({}, 'uid-x'), said: NOT_OURS },
    { sentence: 'under another name', made: () => policy({ name: 'default-deny' }), said: NOT_OURS },
    { sentence: 'without our label', made: () => policy({ labels: {} }), said: NOT_OURS },
    { sentence: 'without an owner', made: () => policy({ ownerReferences: [] }), said: NOT_OURS },
    {
      sentence: 'whose owner is no controller',
      made: () => policy({ ownerReferences: ours({ controller: false }) }),
      said: NOT_OURS,
    },
    {
      sentence: 'of something else with the uid',
      made: () => policy({ ownerReferences: ours({ kind: 'ConfigMap' }) }),
      said: NOT_OURS,
    },
  ];
  test.each(rows)('a policy $sentence, created: $said', async ({ made, said }) => {
    expect(await create(operator, made())).toMatch(said);
  });

  test.each(rows.filter(({ sentence }) => sentence !== 'as it is'))(
    'a policy $sentence that is there is left alone',
    async ({ made }) => {
      const there = made();
      const path = `${PATHS.networkPolicies}/${there.metadata.name}`;
      await api.transport.request('POST', PATHS.networkPolicies, { body: there });
      try {
        // A label that was taken off may come back, so that this one is not another's.
        if (there.metadata.labels?.['app.kubernetes.io/managed-by'] !== undefined) {
          expect(await apply(policy({ name: there.metadata.name }))).not.toMatch(ALLOWED);
        }
        expect(await outcome(operator, 'DELETE', path, DRY)).toMatch(OF_ANOTHER);
      } finally {
        await api.transport.request('DELETE', path);
      }
    },
  );

  test.each(['Secret', 'Deployment', 'PodDisruptionBudget'])('is no %s', async (kind) => {
    const child = childOf('acme', kind);
    const metadata = { ...policy({}).metadata, name: 'bankclass.standard' };
    expect(await create(operator, { ...child, metadata })).toMatch(NOT_OURS);
  });
});

describe("people's own objects", () => {
  const BANK = `${PATHS.banks}/wanted`;
  const CLASS = '/apis/bankhouse.dev/v1alpha1/bankclasses/wanted';
  const SPEC = /changes no spec of a Bank/;
  beforeAll(async () => {
    const apiVersion = 'bankhouse.dev/v1alpha1';
    const metadata = { name: 'wanted' };
    await api.transport.request('POST', PATHS.banks, { body: { apiVersion, kind: 'Bank', metadata } });
    await api.transport.request('POST', CLASS.replace('/wanted', ''), {
      body: { apiVersion, kind: 'BankClass', metadata },
    });
  });

  test.each<{ sentence: string; path: string; body: Json; said: RegExp }>([
    { sentence: "a Bank's finalizers", path: BANK, body: { metadata: { finalizers: ['a.b/c'] } }, said: ALLOWED },
    { sentence: "a Bank's status", path: `${BANK}/status`, body: { status: { id: 'wanted' } }, said: ALLOWED },
    { sentence: "a Bank's spec", path: BANK, body: { spec: { displayName: 'x' } }, said: SPEC },
    { sentence: 'its suspension', path: BANK, body: { spec: { suspend: true } }, said: SPEC },
    { sentence: "a class's finalizers", path: CLASS, body: { metadata: { finalizers: ['a.b/c'] } }, said: ALLOWED },
    { sentence: "a class's status", path: `${CLASS}/status`, body: { status: { banks: 1 } }, said: ALLOWED },
    { sentence: "a class's image", path: CLASS, body: { spec: { image: 'evil' } }, said: SPEC },
  ])('$sentence: $said', async ({ path, body, said }) => {
    expect(await outcome(operator, 'PATCH', path, { body, contentType: MERGE_PATCH_TYPE, ...DRY })).toMatch(said);
  });
});
