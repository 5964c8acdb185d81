import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTransport, isApiError, type Transport } from '@bankhouse/kube';
import { KubeConfig } from '@kubernetes/client-node';
import { parseAllDocuments } from 'yaml';
import { atEnd, removeFolder } from './at-end.ts';
import { freePort } from './ports.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
/** Where `make up` puts the built binaries; etcd's is called `server`. */
const BIN = process.env.BANKHOUSE_BIN ?? join(ROOT, '.cluster/bin');
const START_LIMIT_MS = 60_000;

/** A real API server with etcd, its own and empty but for our CRDs. No controllers, no kubelet: tests play their part. */
export interface ApiServer {
  /** An admin's kubeconfig. */
  kubeconfig: KubeConfig;
  /** The same as a file, for kubectl. */
  kubeconfigFile: string;
  url: string;
  transport: Transport;
  /** A transport that signs in as a service account, with the rights that RBAC gives it. */
  signInAs(namespace: string, serviceAccount: string): Promise<Transport>;
  /** Ends the API server, not etcd, and starts it again at the same address. */
  restart(): Promise<void>;
  /** Makes etcd forget every version but the newest. */
  compact(): Promise<void>;
  stop(): Promise<void>;
}

export async function startApiServer(options: { crds?: boolean; args?: string[] } = {}): Promise<ApiServer> {
  if (!existsSync(join(BIN, 'kube-apiserver'))) {
    throw new Error(`There is no kube-apiserver in ${BIN}: run "make tools", or set BANKHOUSE_BIN.`);
  }
  const dir = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'bankhouse-apiserver-'));
  const children: Running[] = [];
  const forget = atEnd(() => {
    for (const child of children) child.kill();
    removeFolder(dir);
  });
  const etcdPort = await freePort();
  const port = await freePort();
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const url = `https://127.0.0.1:${port}`;
  const token = randomBytes(16).toString('hex');
  writeFileSync(join(dir, 'tokens.csv'), `${token},admin,admin,"system:masters"\n`);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(join(dir, 'sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }));

  const stopAll = async () => {
    for (const child of [...children].reverse()) await child.stop();
    removeFolder(dir);
    forget();
  };
  try {
    children.push(run(dir, 'server', etcdArguments(dir, etcdUrl)));
    let apiServer = run(dir, 'kube-apiserver', [...apiServerArguments(dir, etcdUrl, port), ...(options.args ?? [])]);
    children.push(apiServer);
    await until(() => existsSync(join(dir, 'certs/apiserver.crt')), apiServer);
    const kubeconfig = createKubeConfig(url, readFileSync(join(dir, 'certs/apiserver.crt')), token);
    const kubeconfigFile = join(dir, 'kubeconfig.yaml');
    writeFileSync(kubeconfigFile, kubeconfig.exportConfig());
    const transport = await createTransport(kubeconfig);
    await until(() => isReady(transport), apiServer);
    if (options.crds !== false) await applyCrds(transport);
    return {
      kubeconfig,
      kubeconfigFile,
      url,
      transport,
      async signInAs(namespace, serviceAccount) {
        const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`;
        const { status } = await transport.request<{ status: { token: string } }>('POST', path, { body: { spec: {} } });
        const ca = readFileSync(join(dir, 'certs/apiserver.crt'));
        return await createTransport(createKubeConfig(url, ca, status.token));
      },
      async restart() {
        children.splice(children.indexOf(apiServer), 1);
        await apiServer.stop();
        apiServer = run(dir, 'kube-apiserver', [...apiServerArguments(dir, etcdUrl, port), ...(options.args ?? [])]);
        children.push(apiServer);
        await until(() => isReady(transport), apiServer);
      },
      async compact() {
        const status = (await post(`${etcdUrl}/v3/kv/range`, { key: 'AA==', limit: '1' })) as {
          header: { revision: string };
        };
        await post(`${etcdUrl}/v3/kv/compaction`, { revision: status.header.revision, physical: true });
      },
      async stop() {
        await transport.close();
        await stopAll();
      },
    };
  } catch (error) {
    await stopAll();
    throw error;
  }
}

function etcdArguments(dir: string, url: string): string[] {
  return [
    ...['--data-dir', join(dir, 'etcd'), '--listen-client-urls', url, '--advertise-client-urls', url],
    ...['--listen-peer-urls', 'http://127.0.0.1:0', '--unsafe-no-fsync', '--log-level', 'error'],
  ];
}

function apiServerArguments(dir: string, etcdUrl: string, port: number): string[] {
  return [
    `--etcd-servers=${etcdUrl}`,
    `--cert-dir=${join(dir, 'certs')}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--token-auth-file=${join(dir, 'tokens.csv')}`,
    '--authorization-mode=RBAC',
    `--service-account-key-file=${join(dir, 'sa.key')}`,
    `--service-account-signing-key-file=${join(dir, 'sa.key')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    '--service-cluster-ip-range=198.19.0.0/16',
    // Nobody makes default ServiceAccounts here, and tests make no pods.
    '--disable-admission-plugins=ServiceAccount',
    '--endpoint-reconciler-type=none',
  ];
}

interface Running {
  readonly exited: boolean;
  lastWords(): string;
  kill(): void;
  stop(): Promise<void>;
}

function run(dir: string, name: string, args: string[]): Running {
  const logFile = join(dir, `${name}.log`);
  const log = openSync(logFile, 'a');
  const child: ChildProcess = spawn(join(BIN, name), args, { stdio: ['ignore', log, log] });
  const exit = once(child, 'exit');
  const hasExited = () => child.exitCode !== null || child.signalCode !== null;
  return {
    get exited() {
      return hasExited();
    },
    lastWords: () => `${name}: ${readFileSync(logFile, 'utf8').trim().split('\n').slice(-5).join('\n')}`,
    kill: () => child.kill('SIGKILL'),
    async stop() {
      if (hasExited()) return;
      child.kill('SIGKILL');
      await exit;
    },
  };
}

function createKubeConfig(url: string, ca: Buffer, token: string): KubeConfig {
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromClusterAndUser(
    { name: 'test', server: url, caData: ca.toString('base64'), skipTLSVerify: false },
    { name: 'admin', token },
  );
  return kubeconfig;
}

async function isReady(transport: Transport): Promise<boolean> {
  try {
    await transport.request('GET', '/api/v1/namespaces/default', { timeout: 2_000 });
    await transport.request('GET', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { timeout: 2_000 });
    return true;
  } catch (error) {
    if (isApiError(error)) return false;
    throw error;
  }
}

/** Polls a condition of another process; the only waiting that tests do by the clock. */
async function until(condition: () => boolean | Promise<boolean>, process?: Running): Promise<void> {
  const limit = Date.now() + START_LIMIT_MS;
  while (!(await condition())) {
    if (process?.exited === true) throw new Error(`exited at start. ${process.lastWords()}`);
    if (Date.now() > limit) throw new Error(`not ready after ${START_LIMIT_MS} ms. ${process?.lastWords() ?? ''}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

interface Definition {
  metadata: { name: string };
  spec: { group: string; names: { plural: string }; versions: { name: string }[] };
}

async function applyCrds(transport: Transport): Promise<void> {
  const folder = join(ROOT, 'crds');
  const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'));
  const definitions = files.flatMap((file) =>
    parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map((document) => document.toJSON() as Definition),
  );
  const collection = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  for (const body of definitions) await transport.request('POST', collection, { body });
  for (const { metadata, spec } of definitions) {
    await until(async () => {
      const found = await transport.request<{ status?: { conditions?: { type: string; status: string }[] } }>(
        'GET',
        `${collection}/${metadata.name}`,
      );
      return found.status?.conditions?.some((c) => c.type === 'Established' && c.status === 'True') === true;
    });
    await until(async () => {
      try {
        await transport.request('GET', `/apis/${spec.group}/${spec.versions[0]?.name}/${spec.names.plural}`);
        return true;
      } catch (error) {
        if (isApiError(error, 'not_found', 'too_many_requests', 'service_unavailable')) return false;
        throw error;
      }
    });
  }
}

async function post(url: string, body: unknown): Promise<unknown> {
  const answer = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}: ${await answer.text()}`);
  return await answer.json();
}
