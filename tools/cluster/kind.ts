import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { Fault, KUBECONFIG, LOGS, ROOT, run, step, tryRun } from '../shared/index.ts';
import { frontDoorClass, INGRESS_CLASS, kubectl } from './addons.ts';
import { type Cluster, type ImageReference, startFrontDoor, stateFile } from './cluster.ts';
import {
  ADMIN_API_NODE_PORT,
  CLUSTER_RANGE,
  FRONT_DOOR_PORT,
  KIND_CLUSTER,
  POD_RANGE,
  POSTGRES_NODE_PORT,
  SERVICE_RANGE,
} from './names.ts';

const LOG = `${LOGS}/kind.log`;

/** A cluster by kind in Docker, with our images and Traefik on this host in front. */
export async function startKindCluster(): Promise<Cluster> {
  const known = (await run('kind', ['get', 'clusters'])).split('\n').includes(KIND_CLUSTER);
  if (!known) await step('cluster by kind', createCluster);
  await run('kind', ['export', 'kubeconfig', '--name', KIND_CLUSTER, '--kubeconfig', KUBECONFIG]);
  const node = await inspect(`${KIND_CLUSTER}-control-plane`, '{{.NetworkSettings.Networks.kind.IPAddress}}');
  const gateway = await inspect(`${KIND_CLUSTER}-control-plane`, '{{.NetworkSettings.Networks.kind.Gateway}}');
  // So that Traefik reaches pods and Services from here.
  await run('ip', ['route', 'replace', CLUSTER_RANGE, 'via', node]);
  const images = await step('images by docker', async () => ({
    server: await buildImage('server'),
    platform: await buildImage('platform'),
  }));
  await kubectl(['apply', '-f', '-'], JSON.stringify(frontDoorClass()[0]), KUBECONFIG);
  await step('front door', (current) => startFrontDoor(KUBECONFIG, current));
  return {
    kubeconfig: KUBECONFIG,
    frontDoor: {
      url: `https://localhost:${FRONT_DOOR_PORT}`,
      connect: `${gateway}:${FRONT_DOOR_PORT}`,
      ingressClass: INGRESS_CLASS,
    },
    images,
    databaseAddress: `${node}:${POSTGRES_NODE_PORT}`,
    adminApiAddress: `${node}:${ADMIN_API_NODE_PORT}`,
    isOurs: true,
    hostCidrs: [`${gateway}/32`],
  };
}

/** Removes it, if it is there. */
export async function removeKindCluster(): Promise<void> {
  await tryRun('kind', ['delete', 'cluster', '--name', KIND_CLUSTER]);
  await tryRun('ip', ['route', 'delete', CLUSTER_RANGE]);
}

async function createCluster(): Promise<void> {
  const config = stateFile('kind.json');
  writeFileSync(
    config,
    JSON.stringify({
      kind: 'Cluster',
      apiVersion: 'kind.x-k8s.io/v1alpha4',
      networking: { podSubnet: POD_RANGE, serviceSubnet: SERVICE_RANGE },
      nodes: [{ role: 'control-plane' }],
    }),
  );
  const args = [
    'create',
    'cluster',
    '--name',
    KIND_CLUSTER,
    '--config',
    config,
    '--kubeconfig',
    KUBECONFIG,
    '--wait',
    '120s',
  ];
  await run('kind', args, { log: LOG });
}

async function buildImage(name: 'server' | 'platform'): Promise<ImageReference> {
  const repository = `localhost/bankhouse/${name}`;
  const id = (
    await run('docker', ['build', '-q', '--target', name, '-t', `${repository}:dev`, ROOT], { log: LOG })
  ).trim();
  const tag = id.replace('sha256:', '').slice(0, 16);
  if (!/^[0-9a-f]{16}$/.test(tag)) throw new Fault(`docker build of ${name} named no image.`, { log: LOG });
  await run('docker', ['tag', id, `${repository}:${tag}`]);
  await run('kind', ['load', 'docker-image', `${repository}:${tag}`, '--name', KIND_CLUSTER], { log: LOG });
  return { repository, tag, revision: tag };
}

async function inspect(container: string, format: string): Promise<string> {
  const address = (await run('docker', ['inspect', '-f', format, container])).trim();
  if (address === '') throw new Fault(`Docker on ${hostname()} tells no address of ${container}: is it still running?`);
  return address;
}
