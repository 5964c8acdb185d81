import { join } from 'node:path';
import { binary, KUBECONFIG, NODE_STATE } from '../shared/index.ts';
import {
  API_PORT,
  CONTAINERD_SOCKET,
  FRONT_DOOR_PORT,
  NODE_ADDRESS,
  NODE_DIR,
  NODE_NAME,
  POD_RANGE,
  SERVICE_RANGE,
} from './names.ts';
import { clusterPair, KUBELET_KUBECONFIG, SERVICE_ACCOUNT_KEY } from './pki.ts';

/** A process of the cluster and how the supervisor treats it. */
export interface Component {
  name: string;
  /** In the node's namespaces, or on the host as it is. */
  place: 'node' | 'host';
  /** The room of tools/ that builds it: it starts when that is built, so a cluster boots while the rest still compiles. */
  room: string;
  /** Components that must be ready first. */
  after: readonly string[];
  command: readonly string[];
  env?: Record<string, string>;
  ready: Readiness;
}

export type Readiness =
  /** Something listens on this TCP port, seen from the component's place. */
  | { kind: 'port'; port: number }
  /** A Unix socket accepts connections. */
  | { kind: 'socket'; path: string }
  /** The API server says 200 at this path, asked as admin. */
  | { kind: 'api'; path: string }
  /** The Node's condition Ready is True. */
  | { kind: 'node' };

export const CONTAINERD_CONFIG = join(NODE_STATE, 'containerd.toml');
export const KUBELET_CONFIG = join(NODE_STATE, 'kubelet.json');
export const TRAEFIK_CONFIG = join(NODE_STATE, 'traefik.json');
const ETCD = 'http://127.0.0.1:2379';

/** The front door: on the host, so that it is at localhost. */
export function frontDoorComponent(kubeconfig: string, after: readonly string[]): Component {
  return {
    name: 'traefik',
    place: 'host',
    room: 'traefik',
    after,
    command: [binary('traefik'), `--configFile=${TRAEFIK_CONFIG}`],
    env: { KUBECONFIG: kubeconfig },
    ready: { kind: 'port', port: FRONT_DOOR_PORT },
  };
}

/** A node with its control plane, in the order in which it starts. */
export function nodeComponents(): Component[] {
  const kubernetes = { place: 'node', room: 'kubernetes' } as const;
  return [
    { ...kubernetes, name: 'etcd', after: [], command: etcd(), ready: { kind: 'port', port: 2379 } },
    {
      ...kubernetes,
      name: 'containerd',
      after: [],
      command: [binary('containerd'), '--config', CONTAINERD_CONFIG],
      // It looks for its shim in PATH.
      env: { PATH: `${binary('')}:/usr/sbin:/usr/bin:/sbin:/bin` },
      ready: { kind: 'socket', path: CONTAINERD_SOCKET },
    },
    {
      ...kubernetes,
      name: 'kube-apiserver',
      after: ['etcd'],
      command: apiServer(),
      ready: { kind: 'api', path: '/readyz' },
    },
    {
      ...kubernetes,
      name: 'kube-controller-manager',
      after: ['kube-apiserver'],
      command: controllerManager(),
      ready: { kind: 'port', port: 10257 },
    },
    {
      ...kubernetes,
      name: 'kube-scheduler',
      after: ['kube-apiserver'],
      command: [
        binary('kube-scheduler'),
        `--kubeconfig=${KUBECONFIG}`,
        '--leader-elect=false',
        '--bind-address=127.0.0.1',
      ],
      ready: { kind: 'port', port: 10259 },
    },
    {
      ...kubernetes,
      name: 'kubelet',
      after: ['kube-apiserver', 'containerd'],
      command: kubelet(),
      ready: { kind: 'node' },
    },
    {
      ...kubernetes,
      name: 'kube-proxy',
      after: ['kube-apiserver'],
      command: kubeProxy(),
      ready: { kind: 'port', port: 10256 },
    },
    {
      name: 'kube-router',
      place: 'node',
      room: 'kube-router',
      // It reads its own Node at start.
      after: ['kubelet'],
      command: kubeRouter(),
      env: { NODE_NAME },
      ready: { kind: 'port', port: 20244 },
    },
    frontDoorComponent(KUBECONFIG, ['kube-apiserver']),
  ];
}

function etcd(): string[] {
  return [
    ...[binary('server'), '--data-dir', join(NODE_DIR, 'etcd'), '--log-level', 'warn', '--unsafe-no-fsync'],
    ...['--listen-client-urls', ETCD, '--advertise-client-urls', ETCD, '--listen-peer-urls', 'http://127.0.0.1:2380'],
  ];
}

function apiServer(): string[] {
  const { cert, key } = clusterPair('apiserver');
  const admin = clusterPair('admin');
  return [
    binary('kube-apiserver'),
    `--etcd-servers=${ETCD}`,
    `--secure-port=${API_PORT}`,
    `--advertise-address=${NODE_ADDRESS}`,
    `--tls-cert-file=${cert}`,
    `--tls-private-key-file=${key}`,
    `--client-ca-file=${clusterPair('ca').cert}`,
    `--kubelet-client-certificate=${admin.cert}`,
    `--kubelet-client-key=${admin.key}`,
    // Else exec and logs look the node's name up in DNS.
    '--kubelet-preferred-address-types=InternalIP',
    `--service-account-key-file=${SERVICE_ACCOUNT_KEY}`,
    `--service-account-signing-key-file=${SERVICE_ACCOUNT_KEY}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-cluster-ip-range=${SERVICE_RANGE}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--profiling=false',
  ];
}

function controllerManager(): string[] {
  return [
    binary('kube-controller-manager'),
    `--kubeconfig=${KUBECONFIG}`,
    `--service-account-private-key-file=${SERVICE_ACCOUNT_KEY}`,
    `--root-ca-file=${clusterPair('ca').cert}`,
    '--use-service-account-credentials',
    '--allocate-node-cidrs',
    `--cluster-cidr=${POD_RANGE}`,
    '--node-cidr-mask-size=18',
    '--leader-elect=false',
    '--bind-address=127.0.0.1',
    // A developer's cluster may be asked for hundreds of banks at once; the defaults (20) are for shared API servers.
    '--kube-api-qps=200',
    '--kube-api-burst=400',
  ];
}

function kubelet(): string[] {
  return [
    binary('kubelet'),
    `--config=${KUBELET_CONFIG}`,
    `--kubeconfig=${KUBELET_KUBECONFIG}`,
    `--root-dir=${join(NODE_DIR, 'kubelet')}`,
    `--hostname-override=${NODE_NAME}`,
    `--node-ip=${NODE_ADDRESS}`,
  ];
}

function kubeProxy(): string[] {
  return [
    binary('kube-proxy'),
    `--kubeconfig=${KUBECONFIG}`,
    `--hostname-override=${NODE_NAME}`,
    '--proxy-mode=iptables',
    `--cluster-cidr=${POD_RANGE}`,
    // Sizes of the connection table belong to the whole host: not ours to change.
    '--conntrack-max-per-core=0',
    '--conntrack-min=0',
    '--iptables-min-sync-period=100ms',
  ];
}

function kubeRouter(): string[] {
  return [
    binary('kube-router'),
    `--kubeconfig=${KUBECONFIG}`,
    `--hostname-override=${NODE_NAME}`,
    '--run-firewall=true',
    ...['router', 'service-proxy', 'loadbalancer'].map((part) => `--run-${part}=false`),
    `--service-cluster-ip-range=${SERVICE_RANGE}`,
    '--service-node-port-range=30000-32767',
  ];
}
