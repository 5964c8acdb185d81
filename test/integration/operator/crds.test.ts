import { ApiError } from '@bankhouse/kube';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ApiServer, startApiServer } from '../../harness/apiserver.ts';

const BASE = '/apis/bankhouse.dev/v1alpha1';
const HEX = 'a'.repeat(64);

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
  { sentence: 'a host without a dot is refused', spec: { host: { name: 'calls' } }, refused: 'must be a DNS name' },
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
  { sentence: 'growing cohorts are accepted', spec: { rollout: { cohorts: [5, 25, 100] } } },
  {
    sentence: 'cohorts that shrink are refused',
    spec: { rollout: { cohorts: [25, 5] } },
    refused: 'must grow from each share to the next',
  },
  {
    sentence: 'cohorts that stand still are refused',
    spec: { rollout: { cohorts: [5, 5] } },
    refused: 'must grow from each share to the next',
  },
  {
    sentence: 'a duration without a unit is refused',
    spec: { idle: { after: '15' } },
    refused: 'must be a whole number with its unit s, m, h or d',
  },
  {
    sentence: 'a range without its length is refused',
    spec: { network: { egress: [{ cidr: '10.0.0.1' }] } },
    refused: 'must be an address range',
  },
  { sentence: 'an unknown override is refused', spec: { allowOverrides: ['image'] }, refused: 'supported values' },
];

describe.each([
  { kind: 'Bank', path: `${BASE}/namespaces/default/banks`, rows: banks },
  { kind: 'McpServer', path: `${BASE}/namespaces/default/mcpservers`, rows: servers },
  { kind: 'BankClass', path: `${BASE}/bankclasses`, rows: classes },
])('what the API server says to a $kind (R0.1)', ({ kind, path, rows }) => {
  test.each(rows)('$sentence', async ({ name, spec, refused }) => {
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
      suspended: false,
      deletionPolicy: 'Delete',
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
