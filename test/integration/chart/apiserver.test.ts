/** The chart against a real API server: accepted without a word, installed, upgraded with its keys kept (R0.4). */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BankClass, DEFAULT_CLASS_ANNOTATION } from '@bankhouse/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiServer, startApiServer } from '../../harness/apiserver.ts';
import { CHART, GOOD, NAMESPACE, type Ran, run, template, valuesOf } from './helm.ts';

let api: ApiServer;
const kubectl = (args: readonly string[], input?: string): Ran =>
  run('kubectl', args, { kubeconfig: api.kubeconfigFile, ...(input === undefined ? {} : { input }) });
const helm = (args: readonly string[], values: Record<string, unknown>): Ran =>
  run('helm', [...args, 'bankhouse', CHART, '--namespace', NAMESPACE, ...valuesOf({ ...GOOD, ...values })], {
    kubeconfig: api.kubeconfigFile,
  });

beforeAll(async () => {
  api = await startApiServer();
  kubectl(['create', 'namespace', NAMESPACE]);
  // Whatever would break the strictest standard is a warning, and so a failed test.
  kubectl(['label', 'namespace', NAMESPACE, 'pod-security.kubernetes.io/warn=restricted']);
});
afterAll(() => api?.stop());

describe('a server-side dry run is clean', () => {
  it.each<[string, Record<string, unknown>]>([
    ['of the defaults', {}],
    [
      'of everything that can be set',
      {
        'operator.replicas': 2,
        'gateway.replicas': 3,
        'control.replicas': 2,
        'frontDoor.connect': '10.0.0.1:8443',
        'frontDoor.caSecret': 'ca',
        'ingress.className': 'traefik',
        'ingress.tls.secretName': 'tls',
        'postgres.nodePort': 30432,
        'postgres.storage.className': 'fast',
        'networkPolicy.frontDoorFrom': [{ podSelector: {} }],
        'metrics.from': [{ podSelector: {} }],
        'gateway.limits.memoryBytes': 256 * 1024 * 1024,
        'gateway.annotations': { a: 'b' },
        'gateway.nodeSelector': { a: 'b' },
        'gateway.tolerations': [{ operator: 'Exists' }],
        'gateway.extraEnv': [{ name: 'A', value: 'b' }],
        'image.platform.revision': 'abc',
        'bankClass.spec': { replicas: 2 },
        'operator.admissionPolicy.enabled': false,
        'rbac.aggregate': false,
        watchNamespaces: ['default', 'kube-public'],
      },
    ],
    ['without storage', { 'postgres.storage.enabled': false }],
    [
      'with a database of the user',
      { 'postgres.enabled': false, 'database.existingSecret': 'main-app', 'database.host': 'main-rw.db.svc' },
    ],
    ['with Secrets of the user', { 'keys.existingSecret': 'keys', 'database.roles.existingSecret': 'roles' }],
  ])('%s', (_sentence, values) => {
    const rendered = template({ ...GOOD, ...values }, 'dry-run');
    expect(rendered).toMatchObject({ code: 0, stderr: '' });
    expect(kubectl(['apply', '--dry-run=server', '-f', '-'], rendered.stdout)).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('a release', () => {
  const secrets = () =>
    ['keys', 'database', 'database-roles', 'postgres'].map(
      (name) => kubectl(['get', 'secret', `bankhouse-${name}`, '-n', NAMESPACE, '-o', 'jsonpath={.data}']).stdout,
    );

  it('installs, and an upgrade keeps every key and password', () => {
    expect(helm(['install'], {})).toMatchObject({ code: 0, stderr: '' });
    const before = secrets();
    expect(before.every((data) => data.length > 20)).toBe(true);
    // The hook is a Job, which nothing here runs; it is tried below.
    expect(helm(['upgrade', '--no-hooks'], { 'image.platform.revision': '2' })).toMatchObject({ code: 0, stderr: '' });
    expect(secrets()).toEqual(before);
    const { stdout } = kubectl(['get', 'bankclass', 'default', '-o', 'json']);
    expect((JSON.parse(stdout) as BankClass).metadata.annotations?.[DEFAULT_CLASS_ANNOTATION]).toBe('true');
  });
});

describe('the CRDs before an upgrade', () => {
  const account = mkdtempSync(join(tmpdir(), 'bankhouse-account-'));
  afterAll(() => rmSync(account, { recursive: true, force: true }));

  const applyCrds = (token: string): Promise<Ran> => {
    const cluster = api.kubeconfig.getCurrentCluster();
    writeFileSync(join(account, 'ca.crt'), Buffer.from(cluster?.caData ?? '', 'base64'));
    writeFileSync(join(account, 'token'), token);
    const url = new URL(api.url);
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [join(CHART, 'files/apply-crds.mjs')], {
        env: {
          ACCOUNT_DIR: account,
          CRDS_DIR: join(CHART, 'crds'),
          KUBERNETES_SERVICE_HOST: url.hostname,
          KUBERNETES_SERVICE_PORT: url.port,
        },
      });
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (chunk: Buffer) => {
        stdout += chunk;
      });
      child.stderr.on('data', (chunk: Buffer) => {
        stderr += chunk;
      });
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, stdout, stderr }));
    });
  };

  it('are applied by the hook, whatever was there', async () => {
    kubectl(['label', 'crd', 'banks.bankhouse.dev', 'old=yes']);
    const patch = JSON.stringify([{ op: 'replace', path: '/spec/names/shortNames', value: ['old'] }]);
    kubectl(['patch', 'crd', 'banks.bankhouse.dev', '--type=json', '-p', patch]);
    expect(await applyCrds(api.kubeconfig.getCurrentUser()?.token ?? '')).toMatchObject({ code: 0, stderr: '' });
    expect(kubectl(['get', 'crd', 'banks.bankhouse.dev', '-o', 'jsonpath={.spec.names.shortNames}']).stdout).toBe(
      '["bk"]',
    );
  });

  it('say what the API server said when it refuses', async () => {
    const ran = await applyCrds('nobody');
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/could not be brought up to date\. .*401/);
  });
});
