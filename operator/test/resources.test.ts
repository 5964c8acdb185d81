import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { namespaceOwner } from '../src/cluster/owner.ts';
import { wantedDigest } from '../src/cluster/stored.ts';
import {
  buildDeployment,
  buildPodDisruptionBudget,
  buildPolicies,
  buildPolicyBefore,
  buildSecret,
  canonicalQuantity,
  deploymentBefore,
  exceeds,
  secretDigest,
  usesEmbeddings,
} from '../src/resources/index.ts';
import { aBank, aClass, settings } from './fixtures.ts';

const plain = aClass('standard');
const BANKS = namespaceOwner('banks', 'uid-banks');
const deployment = (bank = aBank(), bankClass = plain) => buildDeployment(bank, bankClass, settings, 'digest');
const pod = (bank = aBank(), bankClass = plain) => deployment(bank, bankClass).spec.template.spec;
const server = (bank = aBank(), bankClass = plain) => pod(bank, bankClass)?.containers[0];

describe('every child of a bank', () => {
  test.each([
    buildSecret(aBank({ id: 'other' }), { databaseUrl: 'x', sealKeys: {} }),
    buildPodDisruptionBudget(aBank({ id: 'other' })),
    deployment(aBank({ id: 'other' })),
  ])('a $kind is named after the id, labelled with it, and owned by the Bank', ({ metadata }) => {
    expect(metadata).toMatchObject({
      name: 'bank-other',
      namespace: 'banks',
      labels: { 'bankhouse.dev/bank': 'other', 'app.kubernetes.io/managed-by': 'bankhouse' },
      ownerReferences: [{ kind: 'Bank', name: 'acme', uid: 'uid-acme', controller: true }],
    });
  });
});

describe("a bank's pod", () => {
  test('meets the restricted pod security standard', () => {
    expect(pod()?.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(server()?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(pod()?.volumes?.every((volume) => volume.secret !== undefined)).toBe(true);
  });

  test('has no token, no service variables, and its secrets as files only', () => {
    expect(pod()).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false });
    expect(server()?.env?.some(({ valueFrom }) => valueFrom !== undefined)).toBe(false);
    expect(server()?.volumeMounts).toEqual([{ name: 'secret', mountPath: '/var/run/bankhouse', readOnly: true }]);
  });

  test('is replaced when the database URL is another, by a pod that is ready first', () => {
    const [one, two] = [secretDigest('postgres://a'), secretDigest('postgres://b')];
    expect(one).not.toBe(two);
    expect(deployment().spec.strategy).toEqual({
      type: 'RollingUpdate',
      rollingUpdate: { maxUnavailable: 0, maxSurge: 1 },
    });
  });

  test.each([
    { sentence: "runs the platform's image", bankClass: {}, expected: { image: settings.SERVER_IMAGE } },
    { sentence: "runs the class's image", bankClass: { image: 'x:2' }, expected: { image: 'x:2' } },
    {
      sentence: 'has modest resources by default',
      bankClass: {},
      expected: { resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '192Mi' } } },
    },
    {
      sentence: 'has the resources of its class, as the API server writes them',
      bankClass: { resources: { requests: { cpu: '1000m' }, limits: { memory: '1024Mi' } } },
      expected: { resources: { requests: { cpu: '1' }, limits: { memory: '1Gi' } } },
    },
    {
      sentence: 'takes a number for a quantity',
      bankClass: { resources: { requests: { cpu: 1 }, limits: { cpu: 2, memory: 1073741824 } } },
      expected: { resources: { requests: { cpu: '1' }, limits: { cpu: '2', memory: '1073741824' } } },
    },
    {
      sentence: 'requests no more than a limit that the bank lowers',
      spec: { resources: { limits: { memory: '32Mi' } } },
      bankClass: { allowOverrides: ['resources' as const] },
      expected: { resources: { requests: { cpu: '10m', memory: '32Mi' }, limits: { memory: '32Mi' } } },
    },
    {
      sentence: 'requests no more than the limit of the class',
      spec: { resources: { requests: { memory: '1Gi', cpu: 1 } } },
      bankClass: { allowOverrides: ['resources' as const] },
      expected: { resources: { requests: { cpu: '1', memory: '192Mi' }, limits: { memory: '192Mi' } } },
    },
    {
      sentence: 'overrides them where the class allows',
      spec: { resources: { limits: { memory: '512Mi' } } },
      bankClass: { allowOverrides: ['resources' as const] },
      expected: { resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '512Mi' } } },
    },
    {
      sentence: 'does not where the class is silent',
      spec: { resources: { limits: { memory: '512Mi' } } },
      bankClass: {},
      expected: { resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '192Mi' } } },
    },
  ])('$sentence', ({ spec, bankClass, expected }) => {
    expect(server(aBank(spec), aClass('c', bankClass))).toMatchObject(expected);
  });

  test('runs where and as its class says', () => {
    const tolerations = [{ key: 'tenants', operator: 'Exists' as const, effect: 'NoSchedule' as const }];
    const spread = {
      maxSkew: 1,
      topologyKey: 'topology.kubernetes.io/zone',
      whenUnsatisfiable: 'DoNotSchedule' as const,
    };
    const placed = {
      imagePullSecrets: [{ name: 'registry' }],
      nodeSelector: { pool: 'tenants' },
      tolerations,
      priorityClassName: 'tenants',
      runtimeClassName: 'gvisor',
    };
    const bankClass = aClass('c', { ...placed, topologySpreadConstraints: [spread] });
    expect(pod(aBank(), bankClass)).toMatchObject({
      ...placed,
      topologySpreadConstraints: [
        {
          ...spread,
          labelSelector: { matchLabels: { 'bankhouse.dev/bank': 'acme' } },
          matchLabelKeys: ['pod-template-hash'],
        },
      ],
    });
  });

  test('leaves all of that open where the class is silent', () => {
    expect(Object.keys(pod() ?? {})).toEqual([
      'serviceAccountName',
      'automountServiceAccountToken',
      'enableServiceLinks',
      'terminationGracePeriodSeconds',
      'securityContext',
      'containers',
      'volumes',
    ]);
  });

  test.each([
    { sentence: 'a bank that is awake has the replicas of its class', suspend: false, replicas: 3 },
    { sentence: 'a suspended bank has none', suspend: true, replicas: 0 },
  ])('$sentence', ({ suspend, replicas }) => {
    expect(deployment(aBank({ suspend }), aClass('c', { replicas: 3 })).spec.replicas).toBe(replicas);
  });
});

describe('a bank that searches by meaning (R3.12)', () => {
  const on = {
    ...settings,
    EMBEDDINGS_URL: 'https://api.example.com/v1',
    EMBEDDINGS_MODEL: 'm',
    EMBEDDINGS_DIMENSIONS: 256,
    EMBEDDINGS_EGRESS: [{ cidr: '203.0.113.9/32', port: 443 }],
  };
  const variablesOf = (bank: ReturnType<typeof aBank>, config: typeof settings) =>
    buildDeployment(bank, plain, config, 'digest').spec.template.spec?.containers[0]?.env?.filter(({ name }) =>
      name.startsWith('EMBEDDINGS'),
    );
  /** Whether a policy that selects its pod leads there. */
  const reach = (bank: ReturnType<typeof aBank>, config: typeof settings) => {
    const labels = buildDeployment(bank, plain, config, 'digest').spec.template.metadata?.labels ?? {};
    return buildPolicies(BANKS, plain, config)
      .filter(({ spec }) => Object.entries(spec.podSelector.matchLabels).every(([key, value]) => labels[key] === value))
      .some(({ spec }) => JSON.stringify(spec.egress).includes('203.0.113.9/32'));
  };

  test('knows the endpoint and can reach it', () => {
    expect(variablesOf(aBank(), on)).toEqual([
      { name: 'EMBEDDINGS_URL', value: 'https://api.example.com/v1' },
      { name: 'EMBEDDINGS_MODEL', value: 'm' },
      { name: 'EMBEDDINGS_DIMENSIONS', value: '256' },
    ]);
    expect(reach(aBank(), on)).toBe(true);
  });

  test.each([
    { sentence: 'without an endpoint', bank: aBank(), config: settings },
    { sentence: 'without the toolset', bank: aBank({ toolsets: ['recordings'] }), config: on },
  ])('$sentence it knows and reaches none', ({ bank, config }) => {
    expect(usesEmbeddings(bank, config)).toBe(false);
    expect(variablesOf(bank, config)).toEqual([]);
    expect(reach(bank, config)).toBe(false);
  });

  test('has the key in its Secret, and no entry where there is none', () => {
    const secrets = { databaseUrl: 'x', sealKeys: {} };
    const keyed = buildSecret(aBank(), { ...secrets, embeddingsKey: 'k' });
    expect(keyed.data['embeddings-key']).toBe(Buffer.from('k').toString('base64'));
    expect(Object.keys(buildSecret(aBank(), secrets).data)).toEqual(['database-url', 'seal-keys']);
  });
});

describe("a bank's network", () => {
  const policies = (egress?: { cidr: string; port?: number }[]) =>
    buildPolicies(BANKS, aClass('gold', egress === undefined ? {} : { network: { egress } }), settings);
  const policy = (egress?: { cidr: string; port?: number }[]) => {
    const [first] = policies(egress);
    if (first === undefined) throw new Error('There is no policy.');
    return first.spec;
  };

  test("is the class's in its namespace, which owns the policy, and by labels", () => {
    expect(policies().map(({ metadata }) => metadata)).toMatchObject([
      {
        name: 'bankclass.gold',
        namespace: 'banks',
        labels: { 'app.kubernetes.io/managed-by': 'bankhouse' },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Namespace', name: 'banks', uid: 'uid-banks', controller: true }],
      },
    ]);
    const { metadata } = deployment(aBank(), aClass('gold')).spec.template;
    expect(metadata?.labels).toMatchObject(policy().podSelector.matchLabels);
    expect(deployment(aBank(), aClass('other')).spec.template.metadata?.labels).not.toMatchObject(
      policy().podSelector.matchLabels,
    );
  });

  test.each([
    { sentence: "leads to the platform's Postgres", server: undefined, rowsOn: [], reached: ['bankhouse-system'] },
    { sentence: 'leads to the server of the class and not there', server: 'eu', rowsOn: [], reached: ['192.0.2.7/32'] },
    {
      sentence: 'leads to each server that rows are on',
      server: undefined,
      rowsOn: ['us', 'eu', 'us', undefined],
      reached: ['bankhouse-system', '192.0.2.7/32', '192.0.2.8/32'],
    },
    { sentence: 'leads nowhere for a server that nobody knows', server: 'nowhere', rowsOn: [], reached: [] },
  ])('$sentence', ({ server, rowsOn, reached }) => {
    const egress = (cidr: string) => ({ url: undefined, egress: [{ cidr, port: 5433 }] });
    const SERVERS = new Map([
      ['us', egress('192.0.2.8/32')],
      ['eu', egress('192.0.2.7/32')],
    ]);
    const database = { isolation: 'shared' as const, ...(server === undefined ? {} : { secretRef: { name: server } }) };
    const [first] = buildPolicies(BANKS, aClass('gold', { database }), { ...settings, SERVERS }, rowsOn);
    const peers = JSON.stringify(first?.spec.egress.slice(settings.DNS_EGRESS.length)).matchAll(
      /bankhouse-system|192[^"]*/g,
    );
    expect([...peers].map(([peer]) => peer)).toEqual(reached);
  });

  test('lets in the gateway of the platform on one port, and nobody else', () => {
    expect(policy().policyTypes).toEqual(['Ingress', 'Egress']);
    expect(policy().ingress).toEqual([
      {
        from: [
          {
            namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'bankhouse-system' } },
            podSelector: { matchLabels: { 'app.kubernetes.io/component': 'gateway' } },
          },
        ],
        ports: [{ protocol: 'TCP', port: 8080 }],
      },
    ]);
  });

  test('lets out to DNS, Postgres and what the class names, and nowhere else', () => {
    const egress = policy([{ cidr: '203.0.113.0/24', port: 443 }, { cidr: '192.0.2.0/24' }]).egress;
    expect(egress).toEqual([
      {
        to: [{ ipBlock: { cidr: '198.19.0.10/32' } }],
        ports: [
          { protocol: 'UDP', port: 53 },
          { protocol: 'TCP', port: 53 },
        ],
      },
      {
        to: [
          {
            namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'bankhouse-system' } },
            podSelector: { matchLabels: { app: 'postgres' } },
          },
        ],
        ports: [{ protocol: 'TCP', port: 5432 }],
      },
      { to: [{ ipBlock: { cidr: '203.0.113.0/24' } }], ports: [{ protocol: 'TCP', port: 443 }] },
      { to: [{ ipBlock: { cidr: '192.0.2.0/24' } }] },
    ]);
  });
});

describe('quantities as the API server writes them back', () => {
  test.each([
    ['100m', '100m'],
    ['1000m', '1'],
    ['0.5', '500m'],
    ['1.5', '1500m'],
    ['2', '2'],
    ['2000', '2k'],
    ['64Mi', '64Mi'],
    ['1024Mi', '1Gi'],
    ['0.5Gi', '512Mi'],
    ['1.5Gi', '1536Mi'],
    ['1M', '1M'],
    ['1000k', '1M'],
    ['0', '0'],
    ['0.0001', '1m'],
    [1, '1'],
    [4000, '4k'],
    ['1Ti', '1Ti'],
    ['1000G', '1T'],
  ])('%s is %s', (given, expected) => {
    expect(canonicalQuantity(given)).toBe(expected);
  });

  test.each([
    ['1', '999m', true],
    [1, '1000m', false],
    ['1Gi', '1G', true],
    ['0.5Gi', '512Mi', false],
    ['1Ti', '1000Gi', true],
  ])('%s is more than %s: %s', (one, other, expected) => {
    expect(exceeds(one, other)).toBe(expected);
  });
});

/** What commit 28a753f made of the same: whatever else the builders come to do, a pod that runs as it was is not replaced (ADR 17). */
describe('a bank of the version before', () => {
  const before = JSON.parse(readFileSync(new URL('before.json', import.meta.url), 'utf8'));
  const config = {
    ...settings,
    EMBEDDINGS_URL: 'https://api.example.com/v1',
    EMBEDDINGS_MODEL: 'm',
    EMBEDDINGS_EGRESS: [{ cidr: '203.0.113.9/32', port: 443 }],
  };
  const bank = aBank({ displayName: 'Acme Corp' });
  const bankClass = aClass('standard', { network: { egress: [{ cidr: '192.0.2.0/24', port: 443 }] } });
  const now = buildDeployment(bank, bankClass, config, 'digest');

  test('has the same Deployment in the form before', () => {
    expect(deploymentBefore(now, bank)).toEqual(before.deployment);
    expect(wantedDigest(deploymentBefore(now, bank))).toBe(wantedDigest(before.deployment));
    expect(wantedDigest(now)).not.toBe(wantedDigest(before.deployment));
  });

  test('has the same policy of its own', () => {
    expect(wantedDigest(buildPolicyBefore(bank, bankClass.spec, config))).toBe(wantedDigest(before.policy));
  });
});
