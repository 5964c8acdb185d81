import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { binary, Fault, NODE_STATE, run, type Step, tryRun } from '../shared/index.ts';
import { frontDoorFiles } from './configs.ts';
import { FRONT_DOOR_PORT } from './names.ts';
import { runningStatus, startSupervisor, waitFor } from './own.ts';
import { createFrontDoorCertificates } from './pki.ts';

export type ClusterKind = 'own' | 'kind' | 'existing';

/** Images by reference: repository, tag, and a text that changes with the content. */
export interface ImageReference {
  repository: string;
  tag: string;
  revision: string;
}

/** A cluster to install the platform in. The three ways of getting one differ in this, and everything after it is one path. */
export interface Cluster {
  kubeconfig: string;
  frontDoor: { url: string; connect?: string; ingressClass?: string };
  images: Record<'server' | 'platform', ImageReference> & { postgres?: ImageReference };
  /** Address and port of this host's way to Postgres. */
  databaseAddress: string;
  /** The same to what takes control's admin key. */
  adminApiAddress: string;
  /** As what Postgres and control may see this host, for their network policies: CIDRs. */
  hostCidrs: string[];
  storageClass?: string;
  /** Whether it lives on this machine alone, and no longer than it. */
  isOurs: boolean;
}

/** The kind of cluster for this machine: CLUSTER decides, else kind where it and a Docker that answers are there, else our own. */
export async function chooseCluster(wanted = process.env.CLUSTER ?? ''): Promise<ClusterKind> {
  if (wanted === 'own' || wanted === 'kind' || wanted === 'existing') return wanted;
  if (wanted !== '') throw new Fault(`CLUSTER=${wanted} is not known: choose own, kind or existing, or leave it out.`);
  const answers = async (program: string, args: string[]) =>
    (await tryRun(program, args).catch(() => ({ code: 1 }))).code === 0;
  return (await answers('kind', ['version'])) && (await answers('docker', ['info'])) ? 'kind' : 'own';
}

/** A program of ours once it is built, else the one that the user has. */
export async function toolPath(name: string): Promise<string | undefined> {
  if (existsSync(binary(name))) return binary(name);
  const found = await tryRun('sh', ['-c', `command -v ${name}`]);
  return found.code === 0 ? found.stdout.trim() : undefined;
}

/** Traefik on this host in front of a cluster that isn't ours; its pods must be reachable from here. */
export async function startFrontDoor(kubeconfig: string, step: Step): Promise<void> {
  if (runningStatus() === undefined) {
    await requirePort(FRONT_DOOR_PORT);
    mkdirSync(NODE_STATE, { recursive: true });
    await createFrontDoorCertificates();
    for (const [path, text] of Object.entries(frontDoorFiles())) writeFileSync(path, text, { mode: 0o600 });
    await startSupervisor('front-door', { KUBECONFIG: kubeconfig });
  }
  await waitFor(['traefik'], step);
}

/** A Fault that names who has the port, if someone has. */
export async function requirePort(port: number): Promise<void> {
  const free = await new Promise<boolean>((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, () => server.close(() => resolve(true)));
  });
  if (free) return;
  const who = await run('ss', ['-Hltnp', `sport = :${port}`]).catch(() => '');
  const name = /users:\(\("([^"]+)",pid=(\d+)/.exec(who);
  const whom = name === null ? 'another program' : `${name[1]} (process ${name[2]})`;
  throw new Fault(`Port ${port} is taken by ${whom}; the front door needs it. End that and run this again.`);
}

export function stateFile(name: string): string {
  return join(NODE_STATE, name);
}
