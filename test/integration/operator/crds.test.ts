import {
  type Bank,
  type BankClassSpec,
  bankClassSpecSchema,
  bankSpecSchema,
  DEFAULT_CLASS_ANNOTATION,
  messageOf,
} from '@bankhouse/core';
import { ApiError } from '@bankhouse/kube';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildDeployment } from '../../../operator/src/resources/index.ts';
import { type ApiServer, startApiServer } from '../../harness/apiserver.ts';
import { SOON } from '../../harness/soon.ts';

const BASE = '/apis/bankhouse.dev/v1alpha1';
const HEX = 'a'.repeat(64);

const BANK: Pick<Bank, 'metadata' | 'spec'> = {
  metadata: { name: 'acme', namespace: 'default', uid: 'uid' },
  spec: bankSpecSchema.parse({}),
};

type Spec = Record<string, unknown>;
const server = (spec: Spec): Spec => ({
  bankRef: { name: 'acme' },
  toolPrefix: 'amazon.',
  remote: { url: 'https://mcp.example.com/' },
  ...spec,
});

let api!: ApiServer;
beforeAll(async () => {
  api = await startApiServer();
});
afterAll(async () => {
  await api?.stop();
});

interface Row {
  sentence: string;
  name?: string;
  spec: Spec;
  /** Part of the refusal; absent: accepted. */
  refused?: string;
  /** The field that it is about, where another one could be meant. */
  at?: string;
}

const banks: Row[] = [
  { sentence: 'a bank without a spec takes its name as id', spec: {} },
  { sentence: 'a name of 40 characters is an id', name: 'a'.repeat(40), spec: {} },
  {
    sentence: 'a name of 41 characters is no id',
    name: 'a'.repeat(41),
    spec: {},
    refused: "without spec.id, metadata.name is the bank's id, so it must be a DNS label of at most 40 characters",
  },
  { sentence: 'a long name is fine beside an id', name: 'a'.repeat(100), spec: { id: 'short' } },
  {
    sentence: 'a name with a dot is no id',
    name: 'acme.sales',
    spec: {},
    refused: "without spec.id, metadata.name is the bank's id",
  },
  { sentence: 'an id in upper case is refused', spec: { id: 'Acme' }, refused: 'spec.id: Invalid value' },
  {
    sentence: 'an id that ends with "-" is refused in words',
    spec: { id: 'acme-' },
    refused: 'must be a DNS label: lower-case letters, digits and "-"',
  },
  { sentence: 'an id that is too long is refused', spec: { id: 'a'.repeat(41) }, refused: 'may not be more than 40' },
  { sentence: 'an empty id is refused', spec: { id: '' }, refused: 'must be a DNS label' },
  { sentence: 'an unknown toolset is refused', spec: { toolsets: ['x'] }, refused: 'supported values: "recordings"' },
  {
    sentence: 'a vault named twice is refused',
    spec: { vaults: [{ id: 'sales' }, { id: 'sales' }] },
    refused: 'Duplicate value',
  },
  { sentence: 'a vault id with "_" is refused', spec: { vaults: [{ id: 'a_b' }] }, refused: 'must be a DNS label' },
  {
    sentence: 'a host of its own is refused: not built',
    spec: { host: { name: 'calls.example.com', tlsSecretName: 'tls' } },
    at: 'spec.host',
    refused: 'NotSupported: a bank has no host of its own yet; leave spec.host out.',
  },
  {
    sentence: 'an owner is refused: not built',
    spec: { owner: 'alice' },
    at: 'spec.owner',
    refused: 'NotSupported: a bank has no owner yet; leave spec.owner out',
  },
  {
    sentence: 'an organization is refused: not built',
    spec: { organization: 'acme' },
    refused: 'NotSupported: there are no organizations yet; leave spec.organization out.',
  },
  {
    sentence: 'suspended is refused, with the name of today',
    spec: { suspended: true },
    refused: 'NotSupported: the field is called spec.suspend.',
  },
  { sentence: 'suspend is accepted', spec: { suspend: true } },
  ...['0s', '168h', '1h30m', '500ms', '1.5h', '168h0m0s', '87600h'].map((deleteAfter) => ({
    sentence: `deleteAfter ${deleteAfter} is accepted`,
    spec: { deleteAfter },
  })),
  ...['7d', '90d', '15', '', '-1h', '1 h', '87601h', '99999h99999h99999h99999h'].map((deleteAfter) => ({
    sentence: `deleteAfter "${deleteAfter}" is refused`,
    spec: { deleteAfter },
    refused: 'must be a duration such as 168h or 1h30m, from 0s to 87600h (Go knows no days)',
  })),
  {
    sentence: 'a display name with a control character is refused',
    spec: { displayName: 'a\u0000b' },
    refused: 'have no control characters',
  },
  { sentence: 'a display name in any script is accepted', spec: { displayName: 'Акме 🏦 株式会社' } },
  ...[1, '1', '0.5', '50m', 0].map((cpu) => ({
    sentence: `${typeof cpu} ${cpu} of cpu is accepted`,
    spec: { resources: { requests: { cpu } } },
  })),
  ...[134217728, '128Mi', '1Gi', '1Ti', '1G'].map((memory) => ({
    sentence: `${typeof memory} ${memory} of memory is accepted`,
    spec: { resources: { limits: { memory } } },
  })),
  ...[-1, '-1', '', '1GB', 'lots', '1e3'].map((cpu) => ({
    sentence: `${typeof cpu} "${cpu}" of cpu is refused`,
    spec: { resources: { requests: { cpu } } },
    refused: 'must be a quantity such as 50m or 128Mi',
  })),
  {
    sentence: 'half a core as a number is refused, as Kubernetes has no such numbers in CRDs',
    spec: { resources: { requests: { cpu: 0.5 } } },
    refused: 'must be of type integer,string',
  },
  {
    sentence: 'a request above its limit is refused',
    spec: { resources: { requests: { memory: '1Gi' }, limits: { memory: '512Mi' } } },
    at: 'spec.resources.requests.memory',
    refused: 'must not be more than limits.memory',
  },
  {
    sentence: 'a request above its limit is refused as a number too',
    spec: { resources: { requests: { cpu: 2 }, limits: { cpu: '1500m' } } },
    at: 'spec.resources.requests.cpu',
    refused: 'must not be more than limits.cpu',
  },
  {
    sentence: 'a request that is its limit is accepted',
    spec: { resources: { requests: { cpu: 1 }, limits: { cpu: '1000m' } } },
  },
  {
    sentence: 'a quantity with an unknown unit is refused',
    spec: { resources: { limits: { memory: '1GB' } } },
    refused: 'must be a quantity such as 50m or 128Mi',
  },
  {
    sentence: 'an unknown type is refused',
    spec: { type: 'shop' },
    refused: 'supported values: "personal", "business"',
  },
  { sentence: 'an unknown deletion policy is refused', spec: { deletionPolicy: 'Keep' }, refused: 'supported values' },
];

const servers: Row[] = [
  { sentence: 'a remote server is accepted', spec: server({}) },
  {
    sentence: 'a stdio server is accepted',
    spec: server({ remote: undefined, stdio: { image: 'node', command: 'node', args: ['x.js'] } }),
  },
  { sentence: 'a container is accepted', spec: server({ remote: undefined, container: { image: 'x' } }) },
  {
    sentence: 'none of container, stdio and remote is refused',
    spec: server({ remote: undefined }),
    refused: 'give exactly one of container, stdio and remote',
  },
  {
    sentence: 'two of container, stdio and remote are refused',
    spec: server({ container: { image: 'x' } }),
    refused: 'give exactly one of container, stdio and remote',
  },
  {
    sentence: 'an empty command is refused (R5.1)',
    spec: server({ remote: undefined, stdio: { image: 'node', command: '', args: ['x'] } }),
    refused: 'spec.stdio.command',
  },
  {
    sentence: 'empty args are refused (R5.1)',
    spec: server({ remote: undefined, stdio: { image: 'node', command: 'node', args: [] } }),
    refused: 'spec.stdio.args',
  },
  {
    sentence: 'a prefix without its dot is refused (R5.1)',
    spec: server({ toolPrefix: 'amazon' }),
    refused: 'must end with "."',
  },
  {
    sentence: 'a prefix that is only a dot is refused',
    spec: server({ toolPrefix: '.' }),
    refused: 'must end with "."',
  },
  {
    sentence: 'a prefix with two dots is refused',
    spec: server({ toolPrefix: 'a.b.' }),
    refused: 'must end with "."',
  },
  {
    sentence: 'a tool name of 64 characters with its prefix is accepted',
    spec: server({ tools: { allow: ['t'.repeat(57)] } }),
  },
  {
    sentence: 'a tool name of 65 characters with its prefix is refused',
    spec: server({ tools: { allow: ['ok', 't'.repeat(58)] } }),
    refused: "a tool's name with its prefix must have at most 64 characters",
  },
  {
    sentence: 'plain http is refused',
    spec: server({ remote: { url: 'http://x/' } }),
    refused: 'must be an https URL',
  },
  {
    sentence: 'a variable in lower case is refused',
    spec: server({ credentials: [{ env: 'token', service: 's', type: 't' }] }),
    refused: 'must be the name of an environment variable',
  },
  {
    sentence: 'the same variable twice is refused',
    spec: server({
      credentials: [
        { env: 'TOKEN', service: 's', type: 't' },
        { env: 'TOKEN', service: 's2', type: 't' },
      ],
    }),
    refused: 'Duplicate value',
  },
  {
    sentence: 'a digest of another form is refused',
    spec: server({ tools: { pinnedContract: `md5:${HEX}` } }),
    refused: 'must be sha256: and 64 hexadecimal digits',
  },
  { sentence: 'a whole digest is accepted', spec: server({ tools: { pinnedContract: `sha256:${HEX}` } }) },
  {
    sentence: 'a container path without "/" is refused',
    spec: server({ remote: undefined, container: { image: 'x', path: 'mcp' } }),
    refused: 'must begin with "/"',
  },
  {
    sentence: 'egress to something that is no DNS name is refused',
    spec: server({ egress: [{ host: 'https://x' }] }),
    refused: 'must be a DNS name in lower case',
  },
];

const classes: Row[] = [
  { sentence: 'an empty class is accepted', spec: {} },
  { sentence: 'a class without replicas of its own is refused at 0', spec: { replicas: 0 }, refused: 'spec.replicas' },
  {
    sentence: 'the mark of the default in the spec is refused, with the annotation of today',
    spec: { default: true },
    at: 'spec.default',
    refused:
      'NotSupported: mark the class of the banks that name none by the annotation bankhouse.dev/is-default-class: "true".',
  },
  {
    sentence: 'sleep is refused: not built',
    spec: { idle: { after: '15m' } },
    refused: 'NotSupported: banks do not sleep yet; leave spec.idle out.',
  },
  {
    sentence: 'a rollout is refused: not built',
    spec: { rollout: { cohorts: [5, 25, 100], halt: true } },
    refused: 'NotSupported: a new image reaches all banks of the class at once; leave spec.rollout out.',
  },
  {
    sentence: 'rotation is refused: not built',
    spec: { credentials: { rotateEvery: '2160h' } },
    at: 'spec.credentials.rotateEvery',
    refused: 'NotSupported: credentials are not rotated',
  },
  { sentence: 'the shared database is accepted', spec: { database: { isolation: 'shared' } } },
  { sentence: 'a database without more is the shared one', spec: { database: {} } },
  { sentence: 'a database of its own is accepted', spec: { database: { isolation: 'dedicated' } } },
  {
    sentence: 'another Postgres is accepted',
    spec: { database: { secretRef: { name: 'other' } } },
  },
  {
    sentence: 'another Postgres without a name is refused',
    spec: { database: { secretRef: {} } },
    refused: 'spec.database.secretRef.name',
  },
  {
    sentence: 'another Postgres under a name that no object has is refused',
    spec: { database: { secretRef: { name: 'Other_One' } } },
    refused: 'spec.database.secretRef.name',
  },
  {
    sentence: 'a limit of banks a namespace is accepted',
    spec: { maxBanksPerNamespace: 1 },
  },
  {
    sentence: 'a limit of no banks is refused',
    spec: { maxBanksPerNamespace: 0 },
    refused: 'spec.maxBanksPerNamespace',
  },
  {
    sentence: 'namespaces by name and by label are accepted',
    spec: { allowedNamespaces: { names: ['a', 'b-1'], matchLabels: { 'example.com/tenants': 'yes' } } },
  },
  {
    sentence: 'an empty list of names is accepted: nobody takes the class',
    spec: { allowedNamespaces: { names: [] } },
  },
  {
    sentence: 'namespaces by nothing are refused',
    spec: { allowedNamespaces: {} },
    refused: 'give names, matchLabels or both; without the field all are allowed',
  },
  {
    sentence: 'namespaces by no label are refused',
    spec: { allowedNamespaces: { matchLabels: {} } },
    refused: 'must have at least one label',
  },
  {
    sentence: 'a namespace by no name of one is refused',
    spec: { allowedNamespaces: { names: ['A'] } },
    refused: 'must be the name of a namespace',
  },
  {
    sentence: 'a namespace twice is refused',
    spec: { allowedNamespaces: { names: ['a', 'a'] } },
    refused: 'Duplicate value',
  },
  {
    sentence: 'a label that is none is refused',
    spec: { allowedNamespaces: { matchLabels: { 'a b': 'x' } } },
    refused: 'every key must be one of a label',
  },
  {
    sentence: 'an image with a blank is refused',
    spec: { image: ' registry/server:1' },
    refused: 'must be the reference of an image, without blanks',
  },
  {
    sentence: 'a pull secret that is named twice is refused',
    spec: { imagePullSecrets: [{ name: 'a' }, { name: 'a' }] },
    refused: 'Duplicate value',
  },
  {
    sentence: 'a range without its length is refused',
    spec: { network: { egress: [{ cidr: '10.0.0.1' }] } },
    refused: 'must be an address range such as 203.0.113.0/24',
  },
  {
    sentence: 'a range that is too long is refused',
    spec: { network: { egress: [{ cidr: '10.0.0.0/33' }] } },
    refused: 'must be an address range such as 203.0.113.0/24',
  },
  { sentence: 'an unknown override is refused', spec: { allowOverrides: ['image'] }, refused: 'supported values' },
];

describe.each([
  { kind: 'Bank', path: `${BASE}/namespaces/default/banks`, rows: banks },
  { kind: 'McpServer', path: `${BASE}/namespaces/default/mcpservers`, rows: servers },
  { kind: 'BankClass', path: `${BASE}/bankclasses`, rows: classes },
])('what the API server says to a $kind (R0.1)', ({ kind, path, rows }) => {
  test.each(rows)('$sentence', async ({ name, spec, refused, at }) => {
    const body = { apiVersion: 'bankhouse.dev/v1alpha1', kind, metadata: { name: name ?? 'acme' }, spec };
    const answer = api.transport.request('POST', path, { body, query: { dryRun: 'All' } });
    if (refused === undefined) await answer;
    else {
      const error = await answer.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(ApiError);
      expect(error).toMatchObject({ code: 'invalid', message: expect.stringContaining(refused) });
      if (at !== undefined) expect(String(error)).toContain(`${at}: Invalid value`);
    }
  });
});

describe('changes to what stands', () => {
  const patch = (path: string, body: unknown) =>
    api.transport.request('PATCH', path, { body, contentType: 'application/merge-patch+json' });
  const bank = `${BASE}/namespaces/default/banks/lasting`;

  beforeAll(async () => {
    await api.transport.request('POST', `${BASE}/namespaces/default/banks`, {
      body: { apiVersion: 'bankhouse.dev/v1alpha1', kind: 'Bank', metadata: { name: 'lasting' } },
    });
    await api.transport.request('POST', `${BASE}/namespaces/default/mcpservers`, {
      body: { apiVersion: 'bankhouse.dev/v1alpha1', kind: 'McpServer', metadata: { name: 'shop' }, spec: server({}) },
    });
  });

  test('defaults are filled in', async () => {
    const found = await api.transport.request<{ spec: unknown }>('GET', bank);
    expect(found.spec).toEqual({
      type: 'business',
      toolsets: ['recordings', 'workspace', 'semantic'],
      suspend: false,
      deletionPolicy: 'Delete',
      deleteAfter: '168h',
    });
  });

  test('an id that is added later must be the name', async () => {
    await expect(patch(bank, { spec: { id: 'other' } })).rejects.toThrow('spec.id never changes');
    await patch(bank, { spec: { id: 'lasting' } });
    await patch(bank, { spec: { id: null } });
  });

  test('another field may change', async () => {
    await patch(bank, { spec: { displayName: 'Lasting' } });
  });

  test('a server keeps its bank', async () => {
    const path = `${BASE}/namespaces/default/mcpservers/shop`;
    await expect(patch(path, { spec: { bankRef: { name: 'other' } } })).rejects.toThrow('spec.bankRef never changes');
    await patch(path, { spec: { toolPrefix: 'shop.' } });
  });
});

/** What can be said of a pod's place, and whether the API server makes a pod of it. */
const placements: {
  sentence: string;
  spec: Partial<BankClassSpec>;
  refused?: string;
  /** The API server makes such a pod, and it waits for ever; or the builder mends what is wrong. */
  podIsTaken?: true;
}[] = [
  {
    sentence: 'every field',
    spec: {
      imagePullSecrets: [{ name: 'registry.example.com' }, { name: 'b' }],
      nodeSelector: { 'kubernetes.io/os': 'linux', empty: '' },
      tolerations: [
        { operator: 'Exists' },
        { key: 'a', operator: 'Exists', effect: 'NoSchedule' },
        { key: 'example.com/b', operator: 'Equal', value: 'x', effect: 'NoExecute', tolerationSeconds: 60 },
        { key: 'c', operator: 'Equal', value: '' },
      ],
      topologySpreadConstraints: [
        { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', minDomains: 2 },
        { maxSkew: 2, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway', nodeTaintsPolicy: 'Honor' },
        { maxSkew: 1, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'ScheduleAnyway' },
      ],
      priorityClassName: 'tenants',
      runtimeClassName: 'gvisor',
      resources: { requests: { cpu: 1 }, limits: { cpu: '1', memory: 268435456 } },
    },
  },
  {
    sentence: 'a pull secret that is no name',
    spec: { imagePullSecrets: [{ name: 'Registry' }] },
    refused: 'must be the name of an object',
    podIsTaken: true,
  },
  {
    sentence: "a node's label that is none",
    spec: { nodeSelector: { '/a': 'x' } },
    refused: 'every key must be one of a label',
  },
  {
    sentence: "a node's label with a long name",
    spec: { nodeSelector: { ['a'.repeat(64)]: 'x' } },
    refused: 'every key must be one of a label',
  },
  {
    sentence: "a value of a node's label that is none",
    spec: { nodeSelector: { a: '-x' } },
    refused: 'must be the value of a label',
  },
  {
    sentence: 'a toleration of every taint by value',
    spec: { tolerations: [{ operator: 'Equal', value: 'x' }] },
    refused: 'without a key the operator must be Exists',
  },
  {
    sentence: 'a toleration of any value, with one',
    spec: { tolerations: [{ key: 'a', operator: 'Exists', value: 'x' }] },
    refused: 'Exists takes no value',
  },
  {
    sentence: 'a toleration for a time that does not count',
    spec: { tolerations: [{ key: 'a', operator: 'Exists', effect: 'NoSchedule', tolerationSeconds: 1 }] },
    refused: 'is only for the effect NoExecute',
  },
  {
    sentence: 'a toleration of a taint that has no such key',
    spec: { tolerations: [{ key: 'a b', operator: 'Exists' }] },
    refused: 'must be a key such as',
  },
  {
    sentence: 'places by a label that is none',
    spec: { topologySpreadConstraints: [{ maxSkew: 1, topologyKey: '-', whenUnsatisfiable: 'ScheduleAnyway' }] },
    refused: 'must be a key such as topology.kubernetes.io/zone',
    podIsTaken: true,
  },
  {
    sentence: 'no skew',
    spec: { topologySpreadConstraints: [{ maxSkew: 0, topologyKey: 'a', whenUnsatisfiable: 'ScheduleAnyway' }] },
    refused: 'spec.topologySpreadConstraints[0].maxSkew',
  },
  {
    sentence: 'a number of places where pods go anyway',
    spec: {
      topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'a', whenUnsatisfiable: 'ScheduleAnyway', minDomains: 1 }],
    },
    refused: 'is only for DoNotSchedule',
  },
  {
    sentence: 'the same place twice',
    spec: {
      topologySpreadConstraints: [
        { maxSkew: 1, topologyKey: 'a', whenUnsatisfiable: 'ScheduleAnyway' },
        { maxSkew: 2, topologyKey: 'a', whenUnsatisfiable: 'ScheduleAnyway' },
      ],
    },
    refused: 'Duplicate value',
  },
  {
    sentence: 'a priority by no name of one',
    spec: { priorityClassName: 'High!' },
    refused: 'must be the name of an object',
    podIsTaken: true,
  },
  {
    sentence: 'a runtime by no name of one',
    spec: { runtimeClassName: 'kata_qemu' },
    refused: 'must be the name of an object',
    podIsTaken: true,
  },
  {
    sentence: 'a request above its limit',
    spec: { resources: { requests: { cpu: 2 }, limits: { cpu: 1 } } },
    refused: 'must not be more than limits.cpu',
    podIsTaken: true,
  },
  {
    sentence: 'an image that ends with a blank',
    spec: { image: 'x ' },
    refused: 'must be the reference of an image, without blanks',
  },
];

/** Otherwise the Deployment is there, no pod comes, and the reason is in a ReplicaSet that nobody looks at. */
describe('a class is refused where its pods would be', () => {
  test.each(placements)('$sentence', async ({ spec, refused, podIsTaken = refused === undefined }) => {
    const dryRun = (path: string, body: object) =>
      api.transport.request('POST', path, { body, query: { dryRun: 'All' } }).then(
        () => undefined,
        (error: unknown) => (error instanceof ApiError ? error.message : String(error)),
      );
    const bankClass = { ...bankClassSpecSchema.parse({}), ...spec };
    const identity = { metadata: { name: 'tried' }, spec: bankClass };
    const { template } = buildDeployment(BANK, identity, { SERVER_IMAGE: 'x', LOG_LEVEL: 'info' }, 'digest').spec;
    const metadata = { name: 'tried', annotations: template.metadata?.annotations, labels: template.metadata?.labels };
    const said = await dryRun(`${BASE}/bankclasses`, {
      apiVersion: 'bankhouse.dev/v1alpha1',
      kind: 'BankClass',
      metadata: { name: 'tried' },
      spec,
    });
    const podSaid = await dryRun('/api/v1/namespaces/default/pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      spec: { ...template.spec, priorityClassName: undefined, runtimeClassName: undefined },
    });
    if (refused === undefined) expect(said).toBeUndefined();
    else expect(said).toContain(refused);
    if (podIsTaken) expect(podSaid).toBeUndefined();
    else expect(podSaid).toBeDefined();
  });
});

/** As above: the bank would be without its NetworkPolicy. */
describe('a range of addresses is taken exactly where a NetworkPolicy takes it', () => {
  test.each([
    ['203.0.113.0/24', true],
    ['0.0.0.0/0', true],
    ['2001:DB8::/32', true],
    ['10.0.0.1/8', false],
    ['010.0.0.0/8', false],
    ['10.0.0.0/08', false],
    ['10.0.0.0', false],
    ['::ffff:10.0.0.0/104', false],
    ['fe80::1%eth0/64', false],
  ])('%s: %s', async (cidr, taken) => {
    const isTaken = (path: string, body: object) =>
      api.transport.request('POST', path, { body, query: { dryRun: 'All' } }).then(
        () => true,
        () => false,
      );
    const bankClass = {
      apiVersion: 'bankhouse.dev/v1alpha1',
      kind: 'BankClass',
      metadata: { name: 'tried' },
      spec: { network: { egress: [{ cidr }] } },
    };
    const policy = {
      metadata: { name: 'tried' },
      spec: { podSelector: {}, policyTypes: ['Egress'], egress: [{ to: [{ ipBlock: { cidr } }] }] },
    };
    expect([
      await isTaken(`${BASE}/bankclasses`, bankClass),
      await isTaken('/apis/networking.k8s.io/v1/namespaces/default/networkpolicies', policy),
    ]).toEqual([taken, taken]);
  });
});

describe('kubectl get', () => {
  /** As kubectl gets it; of each column its name, and whether it is shown without `-o wide`. */
  async function table(path: string): Promise<{ columns: string[]; wide: string[]; rows: unknown[][] }> {
    const answer = await api.transport.request<{
      columnDefinitions: { name: string; priority: number }[];
      rows: { cells: unknown[] }[];
    }>('GET', path, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' });
    const named = (isWide: boolean) =>
      answer.columnDefinitions.filter(({ priority }) => priority > 0 === isWide).map(({ name }) => name);
    return { columns: named(false), wide: named(true), rows: answer.rows.map(({ cells }) => cells) };
  }

  test('banks: id, whether it is ready, and why', async () => {
    const path = `${BASE}/namespaces/default/banks`;
    await api.transport.request('POST', path, {
      body: { apiVersion: 'bankhouse.dev/v1alpha1', kind: 'Bank', metadata: { name: 'shown' }, spec: { id: 'its-id' } },
    });
    const condition = { type: 'Ready', status: 'False', reason: 'Quarantined', message: 'x' };
    await api.transport.request('PATCH', `${path}/shown/status`, {
      body: {
        status: {
          id: 'its-id',
          incarnation: '0b9b1c9e-6d3c-4a52-9a3a-1f0d5a2f7c11',
          url: 'https://x/mcp/bank-its-id',
          className: 'standard',
          version: '1.2.3',
          conditions: [{ ...condition, lastTransitionTime: '2026-11-28T12:00:00Z' }],
        },
      },
      contentType: 'application/merge-patch+json',
    });
    const { columns, wide, rows } = await table(`${path}?fieldSelector=metadata.name%3Dshown`);
    expect(columns).toEqual(['Name', 'ID', 'Ready', 'Reason', 'Age']);
    expect(wide).toEqual(['URL', 'Class', 'Version']);
    expect(rows[0]?.slice(0, 4)).toEqual(['shown', 'its-id', 'False', 'Quarantined']);
    expect(rows[0]?.slice(5)).toEqual(['https://x/mcp/bank-its-id', 'standard', '1.2.3']);
  });

  test('classes: which is the default, and how many banks follow it', async () => {
    const annotations = { [DEFAULT_CLASS_ANNOTATION]: 'true' };
    await api.transport.request('POST', `${BASE}/bankclasses`, {
      body: {
        apiVersion: 'bankhouse.dev/v1alpha1',
        kind: 'BankClass',
        metadata: { name: 'shown', annotations },
        spec: { image: 'registry/server:1' },
      },
    });
    await api.transport.request('PATCH', `${BASE}/bankclasses/shown/status`, {
      body: { status: { banks: 3 } },
      contentType: 'application/merge-patch+json',
    });
    const { columns, wide, rows } = await table(`${BASE}/bankclasses`);
    expect(columns).toEqual(['Name', 'Default', 'Banks', 'Image', 'Age']);
    expect(wide).toEqual([]);
    expect(rows[0]?.slice(0, 4)).toEqual(['shown', 'true', 3, 'registry/server:1']);
  });
});

test('a ResourceQuota of the namespace counts Banks, as it counts anything', async () => {
  await api.transport.request('POST', '/api/v1/namespaces', { body: { metadata: { name: 'limited' } } });
  const path = '/api/v1/namespaces/limited/resourcequotas';
  const hard = { 'count/banks.bankhouse.dev': '1' };
  await api.transport.request('POST', path, { body: { metadata: { name: 'banks' }, spec: { hard } } });
  // The quota controller's part, which nobody plays here.
  await api.transport.request('PATCH', `${path}/banks/status`, {
    body: { status: { hard, used: { 'count/banks.bankhouse.dev': '0' } } },
    contentType: 'application/merge-patch+json',
  });
  const create = (name: string) =>
    api.transport.request('POST', `${BASE}/namespaces/limited/banks`, {
      body: { apiVersion: 'bankhouse.dev/v1alpha1', kind: 'Bank', metadata: { name } },
    });
  let count = 0;
  // The API server counts from the moment that its cache has the quota.
  const createNext = () => create(`bank-${++count}`).then(() => 'created', messageOf);
  await expect.poll(createNext, SOON).toContain('exceeded quota: banks');
});
