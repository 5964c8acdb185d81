/** What the chart makes of good values. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '@bankhouse/core';
import { configSchema } from '@bankhouse/gateway';
import { describe, expect, it } from 'vitest';
import { CHART, ROOT, render, run, template, valuesOf } from './helm.ts';

interface Container {
  name: string;
  image: string;
  env: { name: string; value?: string }[];
  command?: string[];
}
interface PodSpec {
  containers: Container[];
  automountServiceAccountToken: boolean;
}

function podOf(objects: ReturnType<typeof render>, key: string): PodSpec {
  const object = objects.get(key);
  if (object === undefined) throw new Error(`There is no ${key}.`);
  return (object.spec.template as { spec: PodSpec }).spec;
}

function environmentOf(objects: ReturnType<typeof render>, key: string): Record<string, string | undefined> {
  const entries = podOf(objects, key).containers.flatMap(({ env }) =>
    env.map(({ name, value }) => [name, value] as const),
  );
  return Object.fromEntries(entries);
}

describe('the front door', () => {
  it.each<[string, string, string | undefined]>([
    ['of a name: the rule has it', 'https://mcp.example.com', 'mcp.example.com'],
    ['of a name with port: without the port', 'https://mcp.example.com:8443', 'mcp.example.com'],
    ['of localhost: the rule has no host', 'https://localhost:8443', undefined],
    ['of an address: the rule has no host', 'http://192.0.2.1', undefined],
    ['of an IPv6 address: the rule has no host', 'https://[2001:db8::1]:443', undefined],
  ])('%s', (_sentence, url, host) => {
    const ingress = render({ 'frontDoor.url': url }).get('Ingress/bankhouse');
    const rules = ingress?.spec.rules as { host?: string }[] | undefined;
    expect(rules?.map((rule) => rule.host)).toEqual([host]);
  });

  const PUBLIC = [
    ['/mcp', 'bankhouse-gateway'],
    ['/.well-known/oauth-protected-resource', 'bankhouse-gateway'],
    ['/v1/banks', 'bankhouse-control'],
    ['/v1/openapi.json', 'bankhouse-control'],
    ['/oauth', 'bankhouse-control'],
    ['/', 'bankhouse-gateway'],
  ];

  it('leads every path that nobody owns to the gateway, and nowhere to what takes the admin key (G10, P7)', () => {
    interface Rule {
      http: { paths: { path: string; backend: { service: { name: string; port: { name: string } } } }[] };
    }
    const [rule] = (render().get('Ingress/bankhouse')?.spec.rules ?? []) as Rule[];
    expect(rule?.http.paths.map(({ path, backend }) => [path, backend.service.name])).toEqual(PUBLIC);
    expect(new Set(rule?.http.paths.map(({ backend }) => backend.service.port.name))).toEqual(new Set(['http']));
  });

  it('does so by an HTTPRoute too', () => {
    interface Rule {
      matches: { path: { value: string } }[];
      backendRefs: { name: string; port: number }[];
    }
    const values = {
      'ingress.enabled': false,
      'httpRoute.enabled': true,
      'httpRoute.parentRefs': [{ name: 'public' }],
    };
    const rules = (render(values).get('HTTPRoute/bankhouse')?.spec.rules ?? []) as Rule[];
    const paths = rules.flatMap(({ matches, backendRefs }) =>
      matches.map(({ path }) => [path.value, backendRefs[0]?.name]),
    );
    expect(paths.sort()).toEqual([...PUBLIC].sort());
    expect(rules.map(({ backendRefs }) => backendRefs[0]?.port)).toEqual([80, 80]);
  });

  it('can be an HTTPRoute instead', () => {
    const objects = render({
      'ingress.enabled': false,
      'httpRoute.enabled': true,
      'httpRoute.parentRefs': [{ name: 'public' }],
    });
    expect(objects.has('Ingress/bankhouse')).toBe(false);
    expect(objects.get('HTTPRoute/bankhouse')?.spec.hostnames).toEqual(['mcp.example.com']);
  });

  it('is always a trusted issuer, others come after it', () => {
    const foreign = {
      issuer: 'https://id.example.com',
      jwksUrl: 'https://id.example.com/keys',
      banks: ['tenant-a/acme', 'tenant-b/*'],
      scopes: ['mcp:read'],
    };
    const objects = render({ issuers: [foreign] });
    const issuers = JSON.parse(
      environmentOf(objects, 'Deployment/bankhouse-gateway').TRUSTED_ISSUERS ?? '',
    ) as unknown[];
    expect(issuers).toEqual([
      { issuer: 'https://mcp.example.com', jwksUrl: 'http://bankhouse-control.bankhouse-system.svc/oauth/jwks' },
      foreign,
    ]);
  });
});

describe("the gateway's limits", () => {
  const GATEWAY = 'Deployment/bankhouse-gateway';
  const REQUIRED = {
    FRONT_DOOR_URL: 'https://mcp.example.com',
    ROOT_KEY: Buffer.alloc(32, 1).toString('base64'),
    DATABASE_URL: 'postgres://gateway@db/bankhouse',
    TRUSTED_ISSUERS: '[{"issuer":"https://mcp.example.com","jwksUrl":"http://control/oauth/jwks"}]',
  };
  const configOf = (changes: Record<string, string>) => loadConfig(configSchema, { ...REQUIRED, ...changes });
  const defaults: Record<string, unknown> = configOf({});
  const { properties } = (
    JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8')) as {
      properties: { gateway: { properties: { limits: { properties: Record<string, Bounds> } } } };
    }
  ).properties.gateway.properties.limits;
  interface Bounds {
    minimum: number;
    maximum: number;
  }
  /** Every number that the gateway's configuration has, but for the ports. */
  const variables = Object.keys(defaults).filter(
    (name) => typeof defaults[name] === 'number' && !name.endsWith('PORT'),
  );
  /** By the variable: each has a number of its own, and so shows where it goes. */
  const names = Object.keys(properties);
  const distinct = Object.fromEntries(names.map((name, at) => [`gateway.limits.${name}`, numberAt(name, at)]));
  function numberAt(name: string, at: number): number {
    return Math.max(properties[name]?.minimum ?? 0, 20) + at;
  }

  it('are all in the values, with the defaults that the process has itself', () => {
    const environment = environmentOf(render(), GATEWAY);
    expect(Object.fromEntries(variables.map((name) => [name, Number(environment[name])]))).toEqual(
      Object.fromEntries(variables.map((name) => [name, defaults[name]])),
    );
    expect(variables).toHaveLength(names.length);
  });

  it('go to one variable each, within the bounds that the process has', () => {
    const environment = environmentOf(render(distinct), GATEWAY);
    for (const [at, name] of names.entries()) {
      const variable = variables.find((each) => environment[each] === String(numberAt(name, at))) ?? '';
      const { minimum, maximum } = properties[name] ?? { minimum: 0, maximum: 0 };
      for (const value of [minimum, maximum]) {
        expect(configOf({ [variable]: String(value) })).toHaveProperty(variable, value);
      }
      for (const value of [minimum - 1, maximum + 1]) {
        expect(() => configOf({ [variable]: String(value) })).toThrow(`${variable} is wrong`);
      }
    }
  });
});

describe("what takes control's admin key (G10)", () => {
  interface Policy {
    ingress: { ports: { port: number }[]; from?: unknown[] }[];
  }
  const sources = (values: Record<string, unknown>) =>
    ((render(values).get('NetworkPolicy/bankhouse-control')?.spec ?? {}) as unknown as Policy).ingress.filter(
      ({ ports }) => ports.some(({ port }) => port === 8081),
    );
  const somebody = { podSelector: { matchLabels: { app: 'console' } } };

  it('has a port of its own, and no pod may connect to it unless the values say so', () => {
    expect(sources({})).toEqual([]);
    expect(sources({ 'networkPolicy.frontDoorFrom': [somebody] })).toEqual([]);
    expect(sources({ 'control.adminApi.allowFrom': [somebody] })).toEqual([
      { ports: [{ protocol: 'TCP', port: 8081 }], from: [somebody] },
    ]);
    expect(render().get('Service/bankhouse-control')?.spec.ports).toContainEqual({
      name: 'admin-api',
      port: 8081,
      targetPort: 'admin-api',
      appProtocol: 'http',
    });
  });

  it('is on the nodes where that is asked for', () => {
    expect(render().has('Service/bankhouse-control-admin')).toBe(false);
    const service = render({ 'control.adminApi.nodePort': 30433 }).get('Service/bankhouse-control-admin');
    expect(service?.spec).toMatchObject({ type: 'NodePort', ports: [{ nodePort: 30433, targetPort: 'admin-api' }] });
  });

  it('believes the proxies that the values name', () => {
    const control = 'Deployment/bankhouse-control';
    expect(environmentOf(render(), control)).not.toHaveProperty('TRUSTED_PROXIES');
    const { TRUSTED_PROXIES } = environmentOf(render({ 'control.trustedProxies': ['10.42.0.0/16', '::1'] }), control);
    expect(TRUSTED_PROXIES).toBe('10.42.0.0/16,::1');
  });
});

describe('what banks say to the database', () => {
  it.each([
    ['is watched', {}, 'true'],
    ['is not, where images have SQL of their own', { 'operator.watchStatements': false }, 'false'],
  ])('%s', (_sentence, values, said) => {
    expect(environmentOf(render(values), 'Deployment/bankhouse-operator').WATCH_STATEMENTS).toBe(said);
  });
});

describe('the database', () => {
  it.each<[string, Record<string, unknown>, unknown[]]>([
    [
      'bundled: banks reach its pods',
      {},
      [
        {
          namespace: 'bankhouse-system',
          podLabels: {
            'app.kubernetes.io/component': 'postgres',
            'app.kubernetes.io/instance': 'bankhouse',
            'app.kubernetes.io/name': 'bankhouse',
          },
          port: 5432,
        },
      ],
    ],
    [
      'at an address: only that',
      { 'postgres.enabled': false, 'database.url': 'postgres://u:p@10.0.0.1:6432/d' },
      [{ cidr: '10.0.0.1/32', port: 6432 }],
    ],
    [
      'at a name: its port anywhere',
      { 'postgres.enabled': false, 'database.url': 'postgres://u:p@db.example.com/d' },
      [
        { cidr: '0.0.0.0/0', port: 5432 },
        { cidr: '::/0', port: 5432 },
      ],
    ],
    [
      'as the user says',
      {
        'postgres.enabled': false,
        'database.existingSecret': 'main-app',
        'database.egress': [{ cidr: '10.1.0.0/16', port: 5432 }],
      },
      [{ cidr: '10.1.0.0/16', port: 5432 }],
    ],
  ])('%s', (_sentence, values, egress) => {
    const { DATABASE_EGRESS } = environmentOf(render(values), 'Deployment/bankhouse-operator');
    expect(JSON.parse(DATABASE_EGRESS ?? '')).toEqual(egress);
  });

  it('takes parameters from the URL, and no environment has a password', () => {
    const { stdout } = template({
      'frontDoor.url': 'https://mcp.example.com',
      'postgres.enabled': false,
      'database.url': 'postgres://u:hunter2hunter2@db/d?sslmode=require',
    });
    expect(stdout).toContain(
      'postgres://bankhouse_gateway@$(DATABASE_HOST):$(DATABASE_PORT)/$(DATABASE_NAME)?sslmode=require',
    );
    expect(stdout).not.toContain('hunter2');
    expect(stdout).toContain(Buffer.from('hunter2hunter2').toString('base64'));
  });
});

describe('databases of banks’ own', () => {
  const DATABASES = 'Deployment/bankhouse-databases';
  const OPERATOR = 'Deployment/bankhouse-operator';
  const scriptOf = (objects: ReturnType<typeof render>) =>
    JSON.stringify(objects.get('ConfigMap/bankhouse-postgres-init'));

  it('are off by default: nobody keeps any, and the owner may make none', () => {
    const objects = render({});
    expect(objects.has(DATABASES)).toBe(false);
    expect(environmentOf(objects, OPERATOR)).not.toHaveProperty('DEDICATED_DATABASES');
    expect(scriptOf(objects)).toContain('LOGIN CREATEROLE PASSWORD');
  });

  it('are kept by one that has the owner’s password, and no other key, token or way out', () => {
    const objects = render({ 'database.dedicated.enabled': true });
    expect(environmentOf(objects, OPERATOR)).toMatchObject({ DEDICATED_DATABASES: 'true' });
    expect(scriptOf(objects)).toContain('LOGIN CREATEROLE CREATEDB PASSWORD');
    const { automountServiceAccountToken, volumes } = podOf(objects, DATABASES) as PodSpec & { volumes: unknown };
    expect(automountServiceAccountToken).toBe(false);
    expect(JSON.stringify(volumes).match(/"secret":\{"[^}]*/g)).toHaveLength(1);
    expect(JSON.stringify(volumes)).toContain('"bankhouse-database"');
    expect(environmentOf(objects, DATABASES)).toMatchObject({ DATABASE_PASSWORD_FILE: '/etc/bankhouse/keys/owner' });
    const policy = objects.get('NetworkPolicy/bankhouse-databases')?.spec as {
      policyTypes: string[];
      ingress?: unknown;
    };
    expect(policy).toMatchObject({ policyTypes: ['Ingress', 'Egress'] });
    expect(policy.ingress).toBeUndefined();
    const roles = [...objects.values()].filter(({ kind }) => /RoleBinding$/.test(kind));
    expect(JSON.stringify(roles)).not.toContain('bankhouse-databases');
    for (const key of [OPERATOR, 'Deployment/bankhouse-gateway', 'Deployment/bankhouse-control']) {
      expect(JSON.stringify(podOf(objects, key))).not.toContain('"owner"');
    }
  });
});

describe('further servers', () => {
  const DATABASES = 'Deployment/bankhouse-databases';
  const OPERATOR = 'Deployment/bankhouse-operator';
  const SERVERS = [
    { name: 'eu', existingSecret: 'eu-app', host: '10.1.2.3', parameters: 'sslmode=verify-full' },
    { name: 'us.east', egress: [{ namespace: 'pg', podLabels: { app: 'us' }, port: 5433 }] },
    { name: 'asia', host: 'asia.databases.svc' },
  ];
  const objects = () => render({ 'database.servers': SERVERS });
  const itemsOf = (all: ReturnType<typeof render>, key: string) => {
    const { volumes } = podOf(all, key) as PodSpec & { volumes: { name: string; projected?: unknown }[] };
    return volumes.find(({ name }) => name === 'servers')?.projected;
  };
  const folder = (secret: string, name: string, keys: string[]) => ({
    secret: { name: secret, optional: true, items: keys.map((key) => ({ key, path: `${name}/${key}` })) },
  });

  it('are unknown by default, and nobody mounts anything of them', () => {
    const all = render({});
    expect(all.has(DATABASES)).toBe(false);
    expect(environmentOf(all, OPERATOR)).not.toHaveProperty('DATABASE_SERVERS');
    expect(itemsOf(all, OPERATOR)).toBeUndefined();
  });

  it('are named to operator and keeper; of their Secrets the operator has where they are, and the keeper the rest', () => {
    const all = objects();
    const named = [
      { name: 'eu', host: '10.1.2.3', parameters: 'sslmode=verify-full' },
      { name: 'us.east' },
      { name: 'asia', host: 'asia.databases.svc' },
    ];
    for (const key of [OPERATOR, DATABASES]) {
      const { DATABASE_SERVERS = '', DATABASE_SERVERS_DIR } = environmentOf(all, key) as Record<string, string>;
      expect(JSON.parse(DATABASE_SERVERS)).toEqual(named);
      expect(DATABASE_SERVERS_DIR).toBe('/etc/bankhouse/servers');
    }
    const keys = (...of: string[]) => [
      folder('eu-app', 'eu', of),
      folder('us.east', 'us.east', of),
      folder('asia', 'asia', of),
    ];
    expect(itemsOf(all, OPERATOR)).toMatchObject({ sources: keys('host', 'port') });
    expect(itemsOf(all, DATABASES)).toMatchObject({ sources: keys('host', 'port', 'dbname', 'username', 'password') });
    for (const key of ['Deployment/bankhouse-gateway', 'Deployment/bankhouse-control']) {
      expect(JSON.stringify(podOf(all, key))).not.toMatch(/eu-app|us\.east/);
    }
    expect(environmentOf(all, DATABASES)).toMatchObject({ OPERATOR_PASSWORD_FILE: '/etc/bankhouse/keys/operator' });
    const roles = [...all.values()].filter(({ kind }) => /Role$/.test(kind));
    expect(JSON.stringify(roles)).not.toMatch(/eu-app|us\.east/);
  });

  it("are where banks' pods and the keeper may connect, and nobody else of the platform", () => {
    const all = objects();
    const { DATABASE_SERVERS_EGRESS = '' } = environmentOf(all, OPERATOR) as Record<string, string>;
    expect(JSON.parse(DATABASE_SERVERS_EGRESS)).toEqual({
      eu: [{ cidr: '10.1.2.3/32', port: 5432 }],
      'us.east': [{ namespace: 'pg', podLabels: { app: 'us' }, port: 5433 }],
      asia: [
        { cidr: '0.0.0.0/0', port: 5432 },
        { cidr: '::/0', port: 5432 },
      ],
    });
    const egressOf = (component: string) => JSON.stringify(all.get(`NetworkPolicy/bankhouse-${component}`)?.spec);
    expect(egressOf('databases')).toContain('10.1.2.3/32');
    expect(egressOf('databases')).toContain('5433');
    expect(egressOf('control')).not.toContain('10.1.2.3/32');
    expect(egressOf('migrate')).not.toContain('5433');
  });
});

describe('embeddings (R3.12)', () => {
  const OPERATOR = 'Deployment/bankhouse-operator';
  const on = (values: Record<string, unknown> = {}) =>
    render({ 'embeddings.url': 'https://api.example.com/v1', 'embeddings.model': 'm', ...values });

  it('are off by default: the operator hears nothing of them', () => {
    const names = Object.keys(environmentOf(render({}), OPERATOR));
    expect(names.filter((name) => name.startsWith('EMBEDDINGS'))).toEqual([]);
  });

  it('go to the operator with the key as a file, from the Secret that is named', () => {
    const objects = on({
      'embeddings.dimensions': 256,
      'embeddings.existingSecret': 'openai',
      'embeddings.secretKey': 'key',
    });
    expect(environmentOf(objects, OPERATOR)).toMatchObject({
      EMBEDDINGS_URL: 'https://api.example.com/v1',
      EMBEDDINGS_MODEL: 'm',
      EMBEDDINGS_DIMENSIONS: '256',
      EMBEDDINGS_KEY_FILE: '/etc/bankhouse/keys/embeddings-key',
    });
    expect(JSON.stringify(objects.get(OPERATOR))).toContain(
      '{"secret":{"name":"openai","items":[{"key":"key","path":"embeddings-key"}]}}',
    );
  });

  it('need no key', () => {
    expect(environmentOf(on(), OPERATOR)).not.toHaveProperty('EMBEDDINGS_KEY_FILE');
  });

  it.each<[string, Record<string, unknown>, unknown[]]>([
    [
      'a name: its port anywhere',
      {},
      [
        { cidr: '0.0.0.0/0', port: 443 },
        { cidr: '::/0', port: 443 },
      ],
    ],
    ['an address: only that', { 'embeddings.url': 'http://10.0.0.7/v1' }, [{ cidr: '10.0.0.7/32', port: 80 }]],
    [
      'an IPv6 address with a port: only that',
      { 'embeddings.url': 'http://[2001:db8::7]:8080' },
      [{ cidr: '2001:db8::7/128', port: 8080 }],
    ],
    [
      'pods, as the user says',
      { 'embeddings.egress': [{ namespace: 'ai', podLabels: { app: 'tei' }, port: 8080 }] },
      [{ namespace: 'ai', podLabels: { app: 'tei' }, port: 8080 }],
    ],
  ])('are reached by banks at %s', (_sentence, values, egress) => {
    expect(JSON.parse(environmentOf(on(values), OPERATOR).EMBEDDINGS_EGRESS ?? '')).toEqual(egress);
  });
});

describe('the migration job', () => {
  const jobOf = (values: Record<string, unknown>) =>
    [...render(values).keys()].find((key) => key.startsWith('Job/bankhouse-migrate'));

  it('is the same one as long as nothing changes', () => {
    expect(jobOf({})).toBe(jobOf({ 'gateway.replicas': 3 }));
  });

  it.each<[string, Record<string, unknown>]>([
    ['a new tag', { 'image.platform.tag': '2' }],
    ['a rebuilt image', { 'image.platform.revision': 'abc' }],
    ['another database', { 'postgres.enabled': false, 'database.existingSecret': 'main-app' }],
  ])('is a new one for %s', (_sentence, values) => {
    expect(jobOf(values)).not.toBe(jobOf({}));
  });
});

describe('every pod', () => {
  const objects = render({ 'image.platform.revision': 'abc', 'gateway.replicas': 2 });

  it.each([
    ['Deployment/bankhouse-operator', true],
    ['Deployment/bankhouse-gateway', true],
    ['Deployment/bankhouse-control', false],
    ['StatefulSet/bankhouse-postgres', false],
  ])('%s has an API token: %s', (key, expected) => {
    expect(podOf(objects, key).automountServiceAccountToken).toBe(expected);
  });

  it('with more than one replica has a budget', () => {
    expect(objects.has('PodDisruptionBudget/bankhouse-gateway')).toBe(true);
    expect(objects.has('PodDisruptionBudget/bankhouse-control')).toBe(false);
  });
});

describe('a release that serves some namespaces', () => {
  const objects = render({ watchNamespaces: ['a', 'b'] });
  const kinds = (start: string) => [...objects.keys()].filter((key) => key.startsWith(start));

  it('has rights there, and reads classes and these namespaces beside', () => {
    expect(kinds('Role/')).toEqual([
      'Role/a/bankhouse-operator',
      'Role/b/bankhouse-operator',
      'Role/a/bankhouse-gateway',
      'Role/b/bankhouse-gateway',
      'Role/bankhouse-operator-lease',
      'Role/bankhouse-release-operator',
      'Role/a/bankhouse-release',
      'Role/b/bankhouse-release',
    ]);
    const people = ['view', 'edit', 'admin'].map((role) => `ClusterRole/bankhouse-${role}`);
    const hooks = ['ClusterRole/bankhouse-crds'];
    expect(kinds('ClusterRole/').filter((key) => ![...people, ...hooks].includes(key))).toEqual([
      'ClusterRole/bankhouse-operator',
    ]);
    expect(objects.get('ClusterRole/bankhouse-operator')?.rules).toEqual([
      { apiGroups: ['bankhouse.dev'], resources: ['bankclasses'], verbs: ['get', 'list', 'watch'] },
      { apiGroups: [''], resources: ['namespaces'], resourceNames: ['a', 'b'], verbs: ['get', 'list', 'watch'] },
    ]);
  });

  it.each(['operator', 'gateway'])('tells the %s', (component) => {
    expect(environmentOf(objects, `Deployment/bankhouse-${component}`).WATCH_NAMESPACES).toBe('a,b');
    expect(environmentOf(render(), `Deployment/bankhouse-${component}`)).not.toHaveProperty('WATCH_NAMESPACES');
  });
});

describe("the operator's account", () => {
  it('is bound by a policy, which can be left out', () => {
    const policy = 'ValidatingAdmissionPolicy/bankhouse-operator-writes';
    const { matchConditions } = (render().get(policy)?.spec ?? {}) as { matchConditions: { expression: string }[] };
    expect(matchConditions.map(({ expression }) => expression)).toEqual([
      "request.userInfo.username == 'system:serviceaccount:bankhouse-system:bankhouse-operator'",
    ]);
    const without = [...render({ 'operator.admissionPolicy.enabled': false }).keys()];
    expect(without.filter((key) => key.startsWith('ValidatingAdmissionPolicy'))).toEqual([]);
  });
});

describe('before a release is removed', () => {
  it('a job lets go of every Bank, with all that the operator is told', () => {
    const objects = render({ 'frontDoor.caSecret': 'ca' });
    const job = 'Job/bankhouse-release';
    expect(objects.get(job)?.metadata.annotations).toMatchObject({ 'helm.sh/hook': 'pre-delete' });
    expect(podOf(objects, job).containers[0]?.command).toEqual(['/usr/local/bin/node', '/app/operator.mjs', 'release']);
    const { OPERATOR_DEPLOYMENT, ...rest } = environmentOf(objects, job);
    expect(OPERATOR_DEPLOYMENT).toBe('bankhouse-operator');
    expect(rest).toEqual(environmentOf(objects, 'Deployment/bankhouse-operator'));
  });
});

describe('the class that comes with it', () => {
  const annotationsOf = (values: Record<string, unknown>) =>
    render(values).get('BankClass/default')?.metadata.annotations;

  it.each([
    ['is the default', {}, 'true'],
    ['is not, where another one is', { 'bankClass.default': false }, 'false'],
  ])('%s', (_sentence, values, mark) => {
    expect(annotationsOf(values)).toEqual({ 'bankhouse.dev/is-default-class': mark });
  });
});

describe('the chart itself', () => {
  it('is clean for helm lint', () => {
    const { code, stdout, stderr } = run('helm', [
      'lint',
      CHART,
      '--strict',
      ...valuesOf({ 'frontDoor.url': 'https://h' }),
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).not.toMatch(/WARNING|ERROR/);
  });

  it('has the very CRDs that the schemas generate', () => {
    const files = readdirSync(join(ROOT, 'crds')).filter((file) => file.endsWith('.yaml'));
    expect(readdirSync(join(CHART, 'crds'))).toEqual(files);
    for (const file of files) {
      expect(readFileSync(join(CHART, 'crds', file), 'utf8')).toBe(readFileSync(join(ROOT, 'crds', file), 'utf8'));
    }
  });
});
