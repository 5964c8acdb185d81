import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  ADMIN_API_NODE_PORT,
  type Cluster,
  kubectl,
  POSTGRES_NODE_PORT,
  stateFile,
  toolPath,
} from '../cluster/index.ts';
import {
  ADMIN_KEY_FILE,
  ADMIN_URL_FILE,
  CA_FILE,
  digest,
  Fault,
  LOGS,
  ROOT,
  run,
  say,
  step,
  tryRun,
} from '../shared/index.ts';

export const NAMESPACE = 'bankhouse-system';
const RELEASE = 'bankhouse';
const CHART = join(ROOT, 'charts/bankhouse');
const LOG = join(LOGS, 'platform.log');
const DEPLOYMENTS = ['operator', 'gateway', 'control', 'databases'].map((name) => `deployment/${RELEASE}-${name}`);
const LIMIT_SECONDS = 180;

/** What is lost only if the whole machine goes down, and then the cluster is gone with it. */
const QUICK_POSTGRES = { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off', max_wal_size: '4GB' };

/** The chart's values for this cluster. */
function valuesFor(cluster: Cluster): object {
  const { frontDoor, images, hostCidrs, storageClass } = cluster;
  const thisHost = hostCidrs.map((cidr) => ({ ipBlock: { cidr } }));
  return {
    frontDoor: {
      url: frontDoor.url,
      ...(frontDoor.connect === undefined ? {} : { connect: frontDoor.connect }),
      ...(frontDoor.url.startsWith('https://localhost') ? { ca: readFileSync(CA_FILE, 'utf8') } : {}),
    },
    ingress: { className: frontDoor.ingressClass ?? '' },
    image: {
      platform: images.platform,
      server: { repository: images.server.repository, tag: images.server.tag },
    },
    database: { dedicated: { enabled: true } },
    control: { adminApi: { nodePort: ADMIN_API_NODE_PORT, allowFrom: thisHost } },
    postgres: {
      nodePort: POSTGRES_NODE_PORT,
      settings: cluster.isOurs ? QUICK_POSTGRES : {},
      ...(images.postgres === undefined ? {} : { image: images.postgres }),
      allowFrom: thisHost,
      ...(storageClass === undefined ? {} : { storage: { className: storageClass } }),
    },
  };
}

/**
 * Installs the chart, or upgrades it; in a cluster of ours only when chart or values have changed, as nobody else changes it.
 * Doesn't wait for the pods.
 */
export async function installChart(cluster: Cluster): Promise<void> {
  const values = JSON.stringify(valuesFor(cluster), null, 1);
  const inputs = digest({ texts: [values], paths: [CHART] });
  const stamp = stateFile('installed');
  if (cluster.isOurs && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs) return;
  const file = stateFile('values.json');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, values, { mode: 0o600 });
  const helm = await toolPath('helm');
  if (helm === undefined)
    throw new Fault('helm is missing: install it, or let tools/kubernetes build it (CLUSTER=own).');
  await step('platform by its Helm chart', () =>
    run(
      helm,
      [
        ...['upgrade', '--install', RELEASE, CHART, '--namespace', NAMESPACE, '--create-namespace', '--values', file],
        ...['--kubeconfig', cluster.kubeconfig, '--wait=false'],
      ],
      { log: LOG },
    ),
  );
  writeFileSync(stamp, inputs);
}

/** Waits until every process of the platform serves; a Fault says which does not, and why as far as the cluster knows. */
export async function waitForPlatform(cluster: Cluster): Promise<void> {
  await step('Postgres and the platform', async () => {
    const waits = DEPLOYMENTS.map(async (deployment) => {
      const args = ['rollout', 'status', '-n', NAMESPACE, deployment, `--timeout=${LIMIT_SECONDS}s`];
      try {
        await kubectl(args, undefined, cluster.kubeconfig);
      } catch (cause) {
        await writeDiagnosis(cluster, NAMESPACE);
        throw new Fault(
          `${deployment} is not ready after ${LIMIT_SECONDS} s: ${await firstTrouble(cluster, NAMESPACE)}`,
          { log: LOG, cause },
        );
      }
    });
    await Promise.all(waits);
  });
}

interface Pod {
  metadata: { name: string };
  status: {
    phase: string;
    containerStatuses?: { ready: boolean; state?: { waiting?: { reason: string; message?: string } } }[];
  };
}

/** One line about the pod of a namespace that is furthest from being well, and the last warning about it. */
export async function firstTrouble(cluster: Cluster, namespace: string): Promise<string> {
  const get = async <T>(...args: string[]) =>
    (
      JSON.parse(await kubectl(['get', '-n', namespace, '-o', 'json', ...args], undefined, cluster.kubeconfig)) as {
        items: T[];
      }
    ).items;
  const pods = await get<Pod>('pods');
  const ill = pods
    .filter(
      ({ status }) => status.phase !== 'Succeeded' && status.containerStatuses?.every(({ ready }) => ready) !== true,
    )
    .sort((a, b) => Number(waitingOf(b) !== undefined) - Number(waitingOf(a) !== undefined))[0];
  if (ill === undefined) return pods.length === 0 ? 'there are no pods' : 'its pods are ready';
  const { name } = ill.metadata;
  const warnings = await get<{ message: string }>(
    'events',
    `--field-selector=type=Warning,involvedObject.name=${name}`,
  );
  const said = [waitingOf(ill)?.message, warnings.at(-1)?.message].filter((text) => text !== undefined).join('; ');
  return `pod ${name} is ${waitingOf(ill)?.reason ?? ill.status.phase}${said === '' ? '' : ` (${said})`}`;
}

function waitingOf(pod: Pod): { reason: string; message?: string } | undefined {
  return pod.status.containerStatuses?.find(({ state }) => state?.waiting !== undefined)?.state?.waiting;
}

/** What one would look at by hand, into the log. */
export async function writeDiagnosis(cluster: Cluster, namespace: string): Promise<void> {
  const program = (await toolPath('kubectl')) ?? 'kubectl';
  const about = ['-n', namespace, `--kubeconfig=${cluster.kubeconfig}`];
  await tryRun(program, ['get', 'all,events', '-o', 'wide', ...about], { log: LOG });
  const names = await tryRun(program, ['get', 'pods', '-o', 'name', ...about]);
  for (const pod of names.stdout.split('\n').filter((name) => name !== '')) {
    await tryRun(program, ['logs', pod, '--all-containers', '--tail=50', ...about], { log: LOG });
  }
}

/** URL of the database as its owner, from this host; and the admin key, and where it is taken, to their files. */
export async function readSecrets(cluster: Cluster): Promise<{ databaseUrl: string }> {
  const [database, keys] = await Promise.all([
    secret(cluster, `${RELEASE}-database`),
    secret(cluster, `${RELEASE}-keys`),
  ]);
  writeFileSync(ADMIN_KEY_FILE, `${keys['admin-key']}\n`, { mode: 0o600 });
  writeFileSync(ADMIN_URL_FILE, `http://${cluster.adminApiAddress}\n`);
  const [user, password] = [database.username, database.password].map((text) => encodeURIComponent(text ?? ''));
  return { databaseUrl: `postgres://${user}:${password}@${cluster.databaseAddress}/${database.dbname}` };
}

async function secret(cluster: Cluster, name: string): Promise<Record<string, string>> {
  const text = await kubectl(['get', 'secret', name, '-n', NAMESPACE, '-o', 'json'], undefined, cluster.kubeconfig);
  const { data } = JSON.parse(text) as { data: Record<string, string> };
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
}

/** `helm uninstall`, where the platform is in a cluster that stays. */
export async function uninstallChart(kubeconfig: string): Promise<void> {
  const helm = await toolPath('helm');
  if (helm === undefined) return;
  const ran = await tryRun(helm, ['uninstall', RELEASE, '-n', NAMESPACE, '--kubeconfig', kubeconfig, '--wait']);
  if (ran.code === 0) say('the platform is uninstalled; its secrets and volumes are kept');
}
