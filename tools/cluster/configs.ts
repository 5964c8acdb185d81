import { join } from 'node:path';
import { NODE_STATE } from '../shared/index.ts';
import { CONTAINERD_CONFIG, KUBELET_CONFIG, TRAEFIK_CONFIG } from './components.ts';
import { CGROUP, CONTAINERD_SOCKET, DNS_SERVICE, FRONT_DOOR_PORT, NODE_DIR, NODE_POD_RANGE } from './names.ts';
import { clusterPair, frontDoorPair } from './pki.ts';

/** The image of every pod's sandbox. */
export const PAUSE_IMAGE = 'localhost/bankhouse/pause:dev';

/** What the processes read from files beside their flags. */
export function componentFiles(resolvConf: string): Record<string, string> {
  return {
    [CONTAINERD_CONFIG]: containerdConfig(),
    [join(NODE_STATE, 'cni/10-bankhouse.conflist')]: JSON.stringify(cniConfig()),
    [KUBELET_CONFIG]: JSON.stringify(kubeletConfig(resolvConf)),
    ...frontDoorFiles(),
  };
}

export function frontDoorFiles(): Record<string, string> {
  const dynamic = join(NODE_STATE, 'traefik-tls.json');
  const pair = { certFile: frontDoorPair.cert, keyFile: frontDoorPair.key };
  return {
    [TRAEFIK_CONFIG]: JSON.stringify(traefikConfig(dynamic)),
    [dynamic]: JSON.stringify({ tls: { certificates: [pair], stores: { default: { defaultCertificate: pair } } } }),
  };
}

function containerdConfig(): string {
  return `version = 3
root = "${join(NODE_DIR, 'containerd/root')}"
state = "${join(NODE_DIR, 'containerd/run')}"
[grpc]
  address = "${CONTAINERD_SOCKET}"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "${PAUSE_IMAGE}"
[plugins."io.containerd.cri.v1.runtime"]
  # Without CAP_SYS_RESOURCE runc can't lower a score.
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "${join(NODE_DIR, 'cni')}"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
`;
}

function cniConfig(): object {
  const ipam = {
    type: 'host-local',
    ranges: [[{ subnet: NODE_POD_RANGE }]],
    routes: [{ dst: '0.0.0.0/0' }],
    dataDir: join(NODE_DIR, 'cni-addresses'),
  };
  return {
    cniVersion: '1.0.0',
    name: 'bankhouse',
    plugins: [
      // Not masqueraded here: the host does that for what leaves the machine, and so the host sees pods' own addresses.
      { type: 'bridge', bridge: 'pods', isGateway: true, hairpinMode: true, ipam },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}

function kubeletConfig(resolvConf: string): object {
  const { cert, key } = clusterPair('kubelet');
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: clusterPair('ca').cert },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: cert,
    tlsPrivateKeyFile: key,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${CGROUP}`,
    failCgroupV1: false,
    failSwapOn: false,
    clusterDNS: [DNS_SERVICE],
    clusterDomain: 'cluster.local',
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    podLogsDir: join(NODE_DIR, 'pod-logs'),
    volumePluginDir: join(NODE_DIR, 'volume-plugins'),
    resolvConf,
    maxPods: 500,
    // Banks start in bursts.
    registryPullQPS: 0,
    kubeAPIQPS: 200,
    kubeAPIBurst: 400,
    serializeImagePulls: false,
    // A developer's disk may be fuller than a node's should be, and nothing can be pulled again here.
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: { 'nodefs.available': '1%', 'imagefs.available': '1%', 'memory.available': '100Mi' },
  };
}

function traefikConfig(dynamicFile: string): object {
  return {
    global: { checkNewVersion: false, sendAnonymousUsage: false },
    log: { level: 'INFO' },
    entryPoints: {
      websecure: {
        address: `:${FRONT_DOOR_PORT}`,
        // Paths reach the gateway as they were sent: it is the one that judges them.
        http: { tls: {}, sanitizePath: false },
        transport: { respondingTimeouts: { readTimeout: 0, idleTimeout: '180s' } },
      },
    },
    providers: {
      file: { filename: dynamicFile, watch: false },
      kubernetesIngress: { throttleDuration: '100ms' },
      kubernetesGateway: { throttleDuration: '100ms' },
    },
  };
}
