import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { CA_FILE, FRONT_DOOR_STATE, KUBECONFIG, NODE_STATE, run } from '../shared/index.ts';
import { API_PORT, API_SERVICE, HOST_ADDRESS, NODE_ADDRESS, NODE_NAME } from './names.ts';

export const PKI = join(NODE_STATE, 'pki');
const DAYS = '3650';

export interface Pair {
  cert: string;
  key: string;
}

export const frontDoorPair: Pair = pairIn(FRONT_DOOR_STATE, 'tls');

export function clusterPair(name: 'ca' | 'apiserver' | 'kubelet' | 'admin'): Pair {
  return pairIn(PKI, name);
}

/** Signs ServiceAccount tokens. */
export const SERVICE_ACCOUNT_KEY = join(PKI, 'service-accounts.key');
export const KUBELET_KUBECONFIG = join(PKI, 'kubelet.kubeconfig');

/** The CA that users trust, made once, and the front door's certificate, made anew each time as addresses change. */
export async function createFrontDoorCertificates(): Promise<void> {
  mkdirSync(FRONT_DOOR_STATE, { recursive: true });
  const ca = pairIn(FRONT_DOOR_STATE, 'ca');
  if (!existsSync(CA_FILE)) await createCa(ca, 'Bankhouse development CA');
  const names = ['localhost', '*.localhost', hostname().toLowerCase()].map((name) => `DNS:${name}`);
  const addresses = ['127.0.0.1', '::1', HOST_ADDRESS].map((address) => `IP:${address}`);
  await createCertificate(ca, frontDoorPair, '/CN=localhost', [...names, ...addresses], 'serverAuth');
}

/** The cluster's own CA, certificates, keys and kubeconfigs; they live as long as the cluster. */
export async function createClusterCertificates(): Promise<void> {
  mkdirSync(PKI, { recursive: true, mode: 0o700 });
  const ca = clusterPair('ca');
  await createCa(ca, 'Bankhouse development cluster');
  const kubernetes = [
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
  ];
  const apiServerNames = [
    ...[...kubernetes, 'localhost'].map((name) => `DNS:${name}`),
    ...['127.0.0.1', NODE_ADDRESS, API_SERVICE].map((address) => `IP:${address}`),
  ];
  await Promise.all([
    createCertificate(ca, clusterPair('apiserver'), '/CN=kube-apiserver', apiServerNames, 'serverAuth'),
    createCertificate(ca, clusterPair('admin'), '/O=system:masters/CN=admin', ['DNS:admin'], 'clientAuth'),
    createCertificate(
      ca,
      clusterPair('kubelet'),
      `/O=system:nodes/CN=system:node:${NODE_NAME}`,
      [`DNS:${NODE_NAME}`, `IP:${NODE_ADDRESS}`, 'IP:127.0.0.1'],
      'serverAuth,clientAuth',
    ),
  ]);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(SERVICE_ACCOUNT_KEY, privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 });
  writeKubeconfig(KUBELET_KUBECONFIG, clusterPair('kubelet'));
  writeKubeconfig(KUBECONFIG, clusterPair('admin'));
}

async function createCa(pair: Pair, name: string): Promise<void> {
  await openssl(pair, `/CN=${name}`, [
    ...[
      '-addext',
      'basicConstraints=critical,CA:TRUE',
      '-addext',
      'keyUsage=critical,keyCertSign,cRLSign,digitalSignature',
    ],
  ]);
}

async function createCertificate(ca: Pair, pair: Pair, subject: string, names: string[], usage: string): Promise<void> {
  await openssl(pair, subject, [
    ...['-CA', ca.cert, '-CAkey', ca.key],
    ...['-addext', `subjectAltName=${names.join(',')}`, '-addext', `extendedKeyUsage=${usage}`],
    ...['-addext', 'basicConstraints=critical,CA:FALSE'],
  ]);
}

async function openssl(pair: Pair, subject: string, args: string[]): Promise<void> {
  // Without the system's configuration, which adds extensions of its own.
  const config = `${pair.key}.cnf`;
  writeFileSync(config, '[req]\ndistinguished_name=dn\n[dn]\n');
  await run('openssl', [
    ...[
      'req',
      '-x509',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      DAYS,
      '-sha256',
    ],
    ...['-config', config, '-subj', subject, '-keyout', pair.key, '-out', pair.cert, ...args],
  ]);
  rmSync(config);
  chmodSync(pair.key, 0o600);
}

function pairIn(folder: string, name: string): Pair {
  return { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
}

function writeKubeconfig(path: string, user: Pair): void {
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'bankhouse',
    contexts: [{ name: 'bankhouse', context: { cluster: 'bankhouse', user: 'bankhouse' } }],
    clusters: [
      {
        name: 'bankhouse',
        cluster: { server: `https://${NODE_ADDRESS}:${API_PORT}`, 'certificate-authority': clusterPair('ca').cert },
      },
    ],
    users: [{ name: 'bankhouse', user: { 'client-certificate': user.cert, 'client-key': user.key } }],
  };
  writeFileSync(path, `${JSON.stringify(kubeconfig, null, 1)}\n`, { mode: 0o600 });
}
