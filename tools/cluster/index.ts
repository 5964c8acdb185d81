export { applyAddons, applyGatewayApi, INGRESS_CLASS, kubectl, STORAGE_CLASS } from './addons.ts';
export { bootOwnCluster, isHealthy } from './boot.ts';
export {
  type Cluster,
  type ClusterKind,
  chooseCluster,
  type ImageReference,
  stateFile,
  toolPath,
} from './cluster.ts';
export { useExistingCluster } from './existing.ts';
export { removeKindCluster, startKindCluster } from './kind.ts';
export {
  ADMIN_API_NODE_PORT,
  CONTAINERD_SOCKET,
  FRONT_DOOR_PORT,
  HOST_ADDRESS,
  NODE_ADDRESS,
  POSTGRES_NODE_PORT,
} from './names.ts';
export { PAUSE } from './node.ts';
export { runningStatus, waitFor } from './own.ts';
export type { Status } from './supervisor.ts';
export { leftovers, sweep } from './sweep.ts';
