import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { binary, NODE_STATE, ROOT, run } from '../shared/index.ts';
import { toolPath } from './cluster.ts';
import { PAUSE_IMAGE } from './configs.ts';
import { DNS_SERVICE, FRONT_DOOR_PORT, NODE_DIR, NODE_NAME } from './names.ts';
import { frontDoorPair } from './pki.ts';

export const INGRESS_CLASS = 'traefik';
export const STORAGE_CLASS = 'bankhouse-local';
/** Of the ready-made Gateway, in the namespace of the same name. */
const FRONT_DOOR = 'front-door';
/** What the bundled Postgres may fill. */
const VOLUME_SIZE = '20Gi';

export async function kubectl(args: readonly string[], input?: string, kubeconfig?: string): Promise<string> {
  const options = kubeconfig === undefined ? [] : [`--kubeconfig=${kubeconfig}`];
  const program = (await toolPath('kubectl')) ?? binary('kubectl');
  return run(program, [...options, ...args], input === undefined ? {} : { input });
}

/** Brings in what a cluster of ours lacks: DNS, a volume, and the front door's classes. */
export async function applyAddons(kubeconfig: string): Promise<void> {
  const objects = [...dns(), ...storage(), ...frontDoorClass()];
  await applyAll(objects, kubeconfig);
}

/** The Gateway API and a Gateway at the front door; for clusters that have none of it. */
export async function applyGatewayApi(kubeconfig: string): Promise<void> {
  const module = await run('go', ['mod', 'download', '-json', 'sigs.k8s.io/gateway-api'], {
    cwd: join(ROOT, 'tools/traefik'),
  });
  const { Dir: folder } = JSON.parse(module) as { Dir: string };
  const crds = join(folder, 'config/crd/standard');
  const files = readdirSync(crds).filter((name) => name.startsWith('gateway.networking') && name.endsWith('.yaml'));
  // Server-side: some are larger than the annotation that a client-side apply keeps.
  await kubectl(
    ['apply', '--server-side', '--force-conflicts', ...files.flatMap((name) => ['-f', join(crds, name)])],
    undefined,
    kubeconfig,
  );
  const names = ['gatewayclasses', 'gateways', 'httproutes'].map((name) => `crd/${name}.gateway.networking.k8s.io`);
  await kubectl(['wait', '--for=condition=Established', '--timeout=30s', ...names], undefined, kubeconfig);
  await applyAll(gateway(), kubeconfig);
}

async function applyAll(items: object[], kubeconfig: string): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items };
  await kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], JSON.stringify(list), kubeconfig);
}

/** CoreDNS as a pod like any other, so that network policies name it by its labels as they do elsewhere. */
function dns(): object[] {
  const namespace = 'kube-system';
  const labels = { 'k8s-app': 'kube-dns' };
  const metadata = { name: 'coredns', namespace, labels };
  const corefile = `.:53 {
  errors
  ready
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    ttl 5
  }
  forward . /etc/resolv.conf {
    max_concurrent 1000
  }
  cache 30 cluster.local {
    disable denial
  }
  loop
  reload
}
`;
  const ports = [
    { name: 'dns', port: 53, protocol: 'UDP', targetPort: 53 },
    { name: 'dns-tcp', port: 53, protocol: 'TCP', targetPort: 53 },
  ];
  const read = (apiGroups: string[], resources: string[]) => ({ apiGroups, resources, verbs: ['list', 'watch'] });
  const role = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:coredns' };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: role.name },
      rules: [
        read([''], ['endpoints', 'services', 'pods', 'namespaces']),
        read(['discovery.k8s.io'], ['endpointslices']),
      ],
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: role.name },
      roleRef: role,
      subjects: [{ kind: 'ServiceAccount', name: 'coredns', namespace }],
    },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { Corefile: corefile } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'kube-dns', namespace, labels },
      spec: { clusterIP: DNS_SERVICE, selector: labels, ports },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
          metadata: {
            labels,
            annotations: { config: createHash('sha256').update(corefile).digest('hex').slice(0, 16) },
          },
          spec: corednsPod(),
        },
      },
    },
  ];
}

function corednsPod(): object {
  return {
    serviceAccountName: 'coredns',
    priorityClassName: 'system-cluster-critical',
    // Names of the outside world are the host's to answer.
    dnsPolicy: 'Default',
    containers: [
      {
        name: 'coredns',
        // The program comes from the host, so the image need not be more than nothing.
        image: PAUSE_IMAGE,
        imagePullPolicy: 'IfNotPresent',
        command: ['/bin/coredns', '-conf', '/etc/coredns/Corefile'],
        ports: [{ containerPort: 53, protocol: 'UDP' }],
        readinessProbe: { httpGet: { path: '/ready', port: 8181 }, periodSeconds: 1 },
        resources: { requests: { cpu: '50m', memory: '32Mi' }, limits: { memory: '170Mi' } },
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] },
        },
        volumeMounts: [
          { name: 'config', mountPath: '/etc/coredns' },
          { name: 'program', mountPath: '/bin/coredns', readOnly: true },
        ],
      },
    ],
    volumes: [
      { name: 'config', configMap: { name: 'coredns' } },
      { name: 'program', hostPath: { path: binary('coredns'), type: 'File' } },
    ],
  };
}

/** One volume for the one Postgres: it outlives pods, and ends with the cluster. */
function storage(): object[] {
  return [
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: STORAGE_CLASS },
      provisioner: 'kubernetes.io/no-provisioner',
      volumeBindingMode: 'Immediate',
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: 'bankhouse-postgres' },
      spec: {
        capacity: { storage: VOLUME_SIZE },
        accessModes: ['ReadWriteOnce'],
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: STORAGE_CLASS,
        local: { path: `${NODE_DIR}/volumes/postgres` },
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [
              { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [NODE_NAME] }] },
            ],
          },
        },
      },
    },
  ];
}

/** Host folders behind the volumes. */
export const VOLUME_FOLDERS = [join(NODE_STATE, 'volumes/postgres')];

export function frontDoorClass(): object[] {
  return [
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'IngressClass',
      metadata: { name: INGRESS_CLASS, annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } },
      spec: { controller: 'traefik.io/ingress-controller' },
    },
  ];
}

/** For those who route by the Gateway API: `httpRoute.parentRefs: [{name: front-door, namespace: front-door}]`. */
function gateway(): object[] {
  const text = (path: string) => readFileSync(path).toString('base64');
  const tls = { certificateRefs: [{ name: 'tls' }] };
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: FRONT_DOOR } },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'tls', namespace: FRONT_DOOR },
      type: 'kubernetes.io/tls',
      data: { 'tls.crt': text(frontDoorPair.cert), 'tls.key': text(frontDoorPair.key) },
    },
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'GatewayClass',
      metadata: { name: INGRESS_CLASS },
      spec: { controllerName: 'traefik.io/gateway-controller' },
    },
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'Gateway',
      metadata: { name: FRONT_DOOR, namespace: FRONT_DOOR },
      spec: {
        gatewayClassName: INGRESS_CLASS,
        listeners: [
          {
            name: 'https',
            protocol: 'HTTPS',
            port: FRONT_DOOR_PORT,
            tls,
            allowedRoutes: { namespaces: { from: 'All' } },
          },
        ],
      },
    },
  ];
}
