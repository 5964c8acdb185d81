import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { type Cluster, kubectl, stateFile } from '../cluster/index.ts';
import { ADMIN_KEY_FILE, CA_FILE, digest, Fault, LOGS, PLATFORM_FILE, ROOT, run, say, step } from '../shared/index.ts';
import { firstTrouble, writeDiagnosis } from './install.ts';

const BANKS_FILE = join(ROOT, 'examples/banks.yaml');
const SAMPLES_FILE = join(ROOT, 'examples/samples.json');
const LOG = join(LOGS, 'platform.log');
const CLI = join(ROOT, 'client/src/cli/main.ts');
const LIMIT_SECONDS = 120;

interface Bank {
  id: string;
  name: string;
  namespace: string;
}

/** What scripts read: exactly this goes to platform.json. */
interface Platform {
  frontDoor: string;
  caFile: string;
  kubeconfig: string;
  databaseUrl: string;
  banks: { id: string; url: string; token: string }[];
}

/** The sample banks of examples/banks.yaml. */
function sampleBanks(): Bank[] {
  interface Manifest {
    kind?: string;
    metadata: { name: string; namespace?: string };
    spec?: { id?: string };
  }
  const documents = parseAllDocuments(readFileSync(BANKS_FILE, 'utf8')).map(
    (document) => document.toJSON() as Manifest | null,
  );
  return documents
    .filter((document): document is Manifest => document?.kind === 'Bank')
    .map(({ metadata, spec }) => ({
      id: spec?.id ?? metadata.name,
      name: metadata.name,
      namespace: metadata.namespace ?? 'default',
    }));
}

export async function applyBanks(cluster: Cluster): Promise<void> {
  await kubectl(['apply', '-f', BANKS_FILE], undefined, cluster.kubeconfig);
}

export async function waitForBanks(cluster: Cluster, condition: 'DatabaseReady' | 'Ready'): Promise<void> {
  const waits = sampleBanks().map(async ({ name, namespace }) => {
    try {
      await kubectl(
        ['wait', `bank/${name}`, '-n', namespace, `--for=condition=${condition}`, `--timeout=${LIMIT_SECONDS}s`],
        undefined,
        cluster.kubeconfig,
      );
    } catch (cause) {
      await writeDiagnosis(cluster, namespace);
      const why = (await messageOf(cluster, name, namespace)) ?? (await firstTrouble(cluster, namespace));
      throw new Fault(`Bank ${name} is not ${condition} after ${LIMIT_SECONDS} s: ${why}`, { log: LOG, cause });
    }
  });
  await Promise.all(waits);
}

/** The message of the first condition that is not True. */
async function messageOf(cluster: Cluster, name: string, namespace: string): Promise<string | undefined> {
  const text = await kubectl(['get', 'bank', name, '-n', namespace, '-o', 'json'], undefined, cluster.kubeconfig);
  const { status } = JSON.parse(text) as {
    status?: { conditions?: { type: string; status: string; message: string }[] };
  };
  const first = status?.conditions?.find((condition) => condition.status !== 'True' && condition.type !== 'Ready');
  return first === undefined ? undefined : `${first.type}: ${first.message}`;
}

/** The sample recordings, unless these very ones are loaded into this database, whose password is its own. */
export async function loadSamples(cluster: Cluster, databaseUrl: string): Promise<void> {
  const stamp = stateFile('samples');
  const inputs = digest({ texts: [databaseUrl], paths: [SAMPLES_FILE, BANKS_FILE, join(ROOT, 'client/src/samples')] });
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs) return;
  await step('sample recordings', async (current) => {
    const loading = bankhouse(['load', '--samples', SAMPLES_FILE], { DATABASE_URL: databaseUrl }, (text) => {
      current.detail = text.trim().split('\n').at(-1) ?? '';
    });
    await loading.catch((cause: Error) => {
      if (cluster.isOurs) throw cause;
      throw new Fault(
        `${cause.message.trim()}\nThis host needs a way to ${cluster.databaseAddress}, and Postgres' network policy lets in ` +
          `${cluster.hostCidrs.join(', ')}: set HOST_CIDR to what Postgres sees this host as, and run this again.`,
        { cause },
      );
    });
  });
  writeFileSync(stamp, inputs);
}

/** A token for every sample bank, and all of it to platform.json. */
export async function writePlatform(cluster: Cluster, databaseUrl: string): Promise<Platform> {
  const isLocal = cluster.frontDoor.url.startsWith('https://localhost');
  const settings: Record<string, string> = {
    BANKHOUSE_URL: cluster.frontDoor.url,
    BANKHOUSE_ADMIN_URL: `http://${cluster.adminApiAddress}`,
    BANKHOUSE_ADMIN_KEY_FILE: ADMIN_KEY_FILE,
    ...(isLocal ? { BANKHOUSE_CA_FILE: CA_FILE } : {}),
  };
  const banks = await Promise.all(
    sampleBanks().map(async ({ id }) => {
      const minted = JSON.parse(await bankhouse(['token', id, '--json'], settings)) as { token: string; url: string };
      return { id, url: minted.url, token: minted.token };
    }),
  );
  const platform = {
    frontDoor: cluster.frontDoor.url,
    caFile: isLocal ? CA_FILE : '/etc/ssl/certs/ca-certificates.crt',
    kubeconfig: cluster.kubeconfig,
    databaseUrl,
    banks,
  };
  writeFileSync(PLATFORM_FILE, `${JSON.stringify(platform, null, 2)}\n`, { mode: 0o600 });
  return platform;
}

/** What a newcomer wants to see: where to connect, with what, and that it answers. */
export async function report(platform: Platform): Promise<void> {
  const calls = await Promise.all(
    platform.banks.map(({ id, token }) =>
      bankhouse(['call', id, 'list_recordings', '{"limit":1}'], { BANKHOUSE_TOKEN: token }).catch(
        (error: unknown) => error as Error,
      ),
    ),
  );
  for (const [index, { id, url, token }] of platform.banks.entries()) {
    const call = calls[index];
    say(`
Bank ${id}
  URL     ${url}
  token   ${token}
  client  claude mcp add --transport http bank-${id} ${url} --header "Authorization: Bearer ${token}"
  call    list_recordings {"limit":1}`);
    say(
      typeof call === 'string'
        ? call
            .trimEnd()
            .split('\n')
            .slice(0, 24)
            .map((line) => `          ${line.slice(0, 140)}`)
            .join('\n')
        : `          failed: ${call?.message}`,
    );
  }
  const failed = calls.find((call): call is Error => typeof call !== 'string');
  say(`
The certificate is signed by ${platform.caFile}
(clients in Node.js: NODE_EXTRA_CA_CERTS; in Python: SSL_CERT_FILE). Everything above for scripts: ${PLATFORM_FILE}
kubectl: KUBECONFIG=${platform.kubeconfig}`);
  if (failed !== undefined)
    throw new Fault('The platform is up, but the first tool call failed.', { log: LOG, cause: failed });
}

/** Our own CLI, as a user runs it. */
function bankhouse(args: string[], env: Record<string, string>, onOutput?: (text: string) => void): Promise<string> {
  return run(process.execPath, [CLI, ...args], { env, ...(onOutput === undefined ? {} : { onOutput }) });
}
