/**
 * Everything of the development cluster that the host can see has one of these names, whichever clone started it. Clean-up goes by
 * them alone, so a run that was killed, from here or from another clone, is cleared by the next one.
 */

/** Cgroup at the root of every hierarchy: `<CGROUP>/processes` holds our processes, `<CGROUP>/kubepods` the pods. */
export const CGROUP = 'bankhouse';
/** Host's end of the veth pair into the node's network namespace. */
export const LINK = 'bankhouse0';
/** nftables table of the host (masquerading for pods), the only one of ours outside the node's namespace. */
export const TABLE = 'bankhouse';
/** Names the clone whose cluster runs, and what global settings of the kernel were before. */
export const RUN_DIR = '/run/bankhouse';

/** Where the node's own mount namespace has its state: short, since paths of sockets are limited to 107 bytes. */
export const NODE_DIR = '/run/bankhouse-node';
export const CONTAINERD_SOCKET = `${NODE_DIR}/containerd.sock`;

export const NODE_NAME = 'bankhouse';
export const KIND_CLUSTER = 'bankhouse';

/** The benchmark range 198.18.0.0/15, so that nothing private is shadowed. */
export const CLUSTER_RANGE = '198.18.0.0/15';
export const POD_RANGE = '198.18.0.0/17';
/** Of this one node. */
export const NODE_POD_RANGE = '198.18.0.0/18';
export const SERVICE_RANGE = '198.19.0.0/16';
export const API_SERVICE = '198.19.0.1';
export const DNS_SERVICE = '198.19.0.10';
/** The link between host and node, a /30 outside the pods' range. */
export const HOST_ADDRESS = '198.18.255.1';
export const NODE_ADDRESS = '198.18.255.2';

export const API_PORT = 6443;
export const FRONT_DOOR_PORT = 8443;
export const POSTGRES_NODE_PORT = 30432;
export const ADMIN_API_NODE_PORT = 30433;
