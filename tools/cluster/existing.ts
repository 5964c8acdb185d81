import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Fault, step } from '../shared/index.ts';
import { kubectl } from './addons.ts';
import { type Cluster, startFrontDoor } from './cluster.ts';
import { ADMIN_API_NODE_PORT, FRONT_DOOR_PORT, POSTGRES_NODE_PORT } from './names.ts';

/**
 * The cluster of the current kubeconfig. IMAGE_REPOSITORY (and IMAGE_TAG, `dev` unless given) name images that it can pull;
 * FRONT_DOOR_URL is what its own ingress controller serves. Without that one, Traefik runs on this host, which must reach pods'
 * addresses, and FRONT_DOOR_CONNECT says by what HOST:PORT pods reach this host. The samples are loaded through a port of the
 * nodes: HOST_CIDR says from where Postgres sees that come, unless it is a node's own address.
 */
export async function useExistingCluster(): Promise<Cluster> {
  const {
    IMAGE_REPOSITORY,
    IMAGE_TAG = 'dev',
    FRONT_DOOR_URL,
    FRONT_DOOR_CONNECT,
    HOST_CIDR,
    KUBECONFIG,
  } = process.env;
  const kubeconfig = KUBECONFIG ?? join(homedir(), '.kube/config');
  if (!existsSync(kubeconfig))
    throw new Fault(`CLUSTER=existing needs a kubeconfig, and ${kubeconfig} is not there: set KUBECONFIG.`);
  if (IMAGE_REPOSITORY === undefined) {
    throw new Fault(
      'CLUSTER=existing needs IMAGE_REPOSITORY, such as registry.example.com/bankhouse, with images server and platform in it.',
    );
  }
  const image = (name: string) => ({ repository: `${IMAGE_REPOSITORY}/${name}`, tag: IMAGE_TAG, revision: IMAGE_TAG });
  if (FRONT_DOOR_URL === undefined) await step('front door', (current) => startFrontDoor(kubeconfig, current));
  const path = '{.items[*].status.addresses[?(@.type=="InternalIP")].address}';
  const nodes = (await kubectl(['get', 'nodes', '-o', `jsonpath=${path}`], undefined, kubeconfig)).trim().split(' ');
  const ofNodes = nodes.map((address) => `${address}/${address.includes(':') ? 128 : 32}`);
  return {
    kubeconfig,
    frontDoor: {
      url: FRONT_DOOR_URL ?? `https://localhost:${FRONT_DOOR_PORT}`,
      ...(FRONT_DOOR_CONNECT === undefined ? {} : { connect: FRONT_DOOR_CONNECT }),
    },
    images: { server: image('server'), platform: image('platform') },
    isOurs: false,
    hostCidrs: HOST_CIDR === undefined ? ofNodes : [...ofNodes, HOST_CIDR],
    databaseAddress: `${nodes[0]}:${POSTGRES_NODE_PORT}`,
    adminApiAddress: `${nodes[0]}:${ADMIN_API_NODE_PORT}`,
  };
}
