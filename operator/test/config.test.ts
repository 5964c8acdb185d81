import { loadConfig } from '@bankhouse/core';
import { describe, expect, test } from 'vitest';
import { configSchema } from '../src/config.ts';

const good = {
  FRONT_DOOR_URL: 'https://localhost:8443',
  ROOT_KEY: Buffer.alloc(32).toString('base64'),
  DATABASE_URL: 'postgres://bankhouse_operator@db:5432/bankhouse',
  CONTROL_URL: 'http://bankhouse-control/',
  VERIFIER_KEY: 'v'.repeat(32),
  SERVER_IMAGE: 'server:dev',
  PLATFORM_NAMESPACE: 'bankhouse-system',
  DATABASE_EGRESS: '[{"cidr":"192.0.2.1/32","port":5432}]',
};

describe("the operator's configuration", () => {
  test('the rest has defaults', () => {
    expect(loadConfig(configSchema, good)).toMatchObject({
      WORKERS: 16,
      WATCH_STATEMENTS: true,
      DATABASE_CONNECTIONS: 4,
      ADMIN_PORT: 9090,
      CONTROL_URL: 'http://bankhouse-control',
      DNS_EGRESS: [{ namespace: 'kube-system', podLabels: { 'k8s-app': 'kube-dns' }, port: 53 }],
      DATABASE_EGRESS: [{ cidr: '192.0.2.1/32', port: 5432 }],
    });
  });

  test.each([
    { given: undefined, namespaces: [] },
    { given: 'a', namespaces: ['a'] },
    { given: 'a, b-1,a', namespaces: ['a', 'b-1'] },
  ])('namespaces $given are $namespaces', ({ given, namespaces }) => {
    expect(loadConfig(configSchema, { ...good, WATCH_NAMESPACES: given }).WATCH_NAMESPACES).toEqual(namespaces);
  });

  test.each([
    {
      name: 'WATCH_NAMESPACES',
      value: 'a;b',
      said: /^WATCH_NAMESPACES is wrong: it must be names of namespaces, separated by commas/,
    },
    { name: 'DATABASE_EGRESS', value: '{}', said: /^DATABASE_EGRESS is wrong: it must be a JSON list of/ },
    {
      name: 'DATABASE_EGRESS',
      value: undefined,
      said: /^DATABASE_EGRESS is not set: say where bank pods reach Postgres/,
    },
    { name: 'DATABASE_SERVERS', value: 'eu', said: /^DATABASE_SERVERS is wrong: it must be a JSON list of/ },
    {
      name: 'DATABASE_SERVERS',
      value: '[{"name":"platform"}]',
      said: /^DATABASE_SERVERS is wrong: it must be a JSON list of/,
    },
    {
      name: 'DATABASE_SERVERS_EGRESS',
      value: '{"eu":[{"cidr":"192.0.2.1/32"}]}',
      said: /^DATABASE_SERVERS_EGRESS is wrong: it must be JSON, lists as DATABASE_EGRESS/,
    },
    { name: 'CONTROL_URL', value: 'control', said: /^CONTROL_URL is wrong: it must be an http or https URL$/ },
    { name: 'CONTROL_URL', value: undefined, said: /^CONTROL_URL is not set: give the URL of the control service/ },
    { name: 'WATCH_STATEMENTS', value: 'off', said: /^WATCH_STATEMENTS is wrong: it must be true or false$/ },
    { name: 'WORKERS', value: '0', said: /^WORKERS is wrong: it must be a whole number from 1 to 64$/ },
    { name: 'WORKERS', value: 'many', said: /^WORKERS is wrong: it must be a whole number from 1 to 64$/ },
    {
      name: 'FRONT_DOOR_CONNECT',
      value: 'https://x',
      said: /^FRONT_DOOR_CONNECT is wrong: it must have the form HOST:PORT$/,
    },
    { name: 'FRONT_DOOR_CA', value: '/etc/ca.crt', said: /^FRONT_DOOR_CA is wrong: it must be a PEM certificate$/ },
    { name: 'EMBEDDINGS_URL', value: 'api', said: /^EMBEDDINGS_URL is wrong: it must be an http or https URL/ },
    { name: 'EMBEDDINGS_EGRESS', value: '{}', said: /^EMBEDDINGS_EGRESS is wrong: it must be a JSON list of/ },
    { name: 'EMBEDDINGS_KEY', value: 'a b', said: /^EMBEDDINGS_KEY is wrong: it must be one line of printable/ },
    { name: 'VERIFIER_KEY', value: undefined, said: /^VERIFIER_KEY is not set: give control's verifier key$/ },
  ])('$name=$value is one sentence', ({ name, value, said }) => {
    const environment: Record<string, string | undefined> = { ...good, [name]: value };
    expect(() => loadConfig(configSchema, environment)).toThrow(said);
  });
});
