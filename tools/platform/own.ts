import { buildAll } from '../build/index.ts';
import { bundle } from '../bundle.ts';
import {
  ADMIN_API_NODE_PORT,
  applyAddons,
  applyGatewayApi,
  bootOwnCluster,
  type Cluster,
  CONTAINERD_SOCKET,
  FRONT_DOOR_PORT,
  HOST_ADDRESS,
  type ImageReference,
  INGRESS_CLASS,
  isHealthy,
  NODE_ADDRESS,
  PAUSE,
  POSTGRES_NODE_PORT,
  runningStatus,
  STORAGE_CLASS,
  stateFile,
  waitFor,
} from '../cluster/index.ts';
import {
  type BuiltImage,
  bakeOurs,
  bakePause,
  bakePostgres,
  type ImageName,
  loadImages,
  repository,
} from '../images/index.ts';
import { Fault, KUBECONFIG, step } from '../shared/index.ts';

const CONTROL_PLANE = ['etcd', 'containerd', 'kube-apiserver'];
const NODE = ['kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'];
/** Further than this the platform's installation need not wait for it. */
const REST = ['kube-router', 'traefik'];

/**
 * Our own cluster with images and add-ons, ready for the platform; an own one that runs is kept. What doesn't depend on each other is
 * done side by side: the node boots while the front door compiles, images are made while the control plane starts.
 */
export async function ownCluster(): Promise<{ cluster: Cluster; complete: Promise<void> }> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new Fault(
      'A cluster of our own needs Linux and root. With Docker and kind installed, kind is used; CLUSTER=existing takes yours.',
    );
  }
  const builds = buildAll();
  const ours = bundle().then(bakeOurs);
  const postgres = bakePostgres();
  // A failure is met where it is awaited; until then it is nobody's.
  for (const promise of [ours, postgres]) promise.catch(() => {});

  await builds.get('kubernetes');
  const status = await step('cluster', async (current) => {
    if (!isHealthy()) await bootOwnCluster();
    await waitFor(CONTROL_PLANE, current);
    const running = runningStatus();
    if (running === undefined) throw new Fault('The cluster has ended while it was starting.');
    return running;
  });
  const socket = `/proc/${status.node}/root${CONTAINERD_SOCKET}`;
  const memory = stateFile('loaded.json');
  const load = (images: Partial<Record<ImageName, BuiltImage>>) => loadImages(socket, memory, images);

  const pause = bakePause(PAUSE).then((image) => load({ pause: image }));
  const [images] = await Promise.all([
    // The platform's pods are made when their images are there: an image that is missing is asked for again only after ten seconds.
    step('images', async () => {
      const loadings = [ours.then(load), postgres.then((image) => load({ postgres: image })), pause];
      await Promise.all(loadings);
      return { ...(await ours), postgres: await postgres };
    }),
    step('node', (current) => waitFor(NODE, current)),
    Promise.all([builds.get('coredns'), pause]).then(() => applyAddons(KUBECONFIG)),
  ]);
  const complete = finish(builds);
  complete.catch(() => {});
  return { cluster: describe(images), complete };
}

async function finish(builds: Map<string, Promise<void>>): Promise<void> {
  await builds.get('traefik');
  await step('front door and network policies', (current) => waitFor(REST, current));
  await applyGatewayApi(KUBECONFIG);
}

function describe(images: Record<'server' | 'platform' | 'postgres', BuiltImage>): Cluster {
  const reference = (name: 'server' | 'platform' | 'postgres'): ImageReference => ({
    repository: repository(name),
    // A tag of its content: a pod is replaced when, and only when, what it runs has changed.
    tag: images[name].digest,
    revision: images[name].digest,
  });
  return {
    kubeconfig: KUBECONFIG,
    frontDoor: {
      url: `https://localhost:${FRONT_DOOR_PORT}`,
      connect: `${HOST_ADDRESS}:${FRONT_DOOR_PORT}`,
      ingressClass: INGRESS_CLASS,
    },
    images: { server: reference('server'), platform: reference('platform'), postgres: reference('postgres') },
    databaseAddress: `${NODE_ADDRESS}:${POSTGRES_NODE_PORT}`,
    adminApiAddress: `${NODE_ADDRESS}:${ADMIN_API_NODE_PORT}`,
    hostCidrs: [`${HOST_ADDRESS}/32`],
    storageClass: STORAGE_CLASS,
    isOurs: true,
  };
}
