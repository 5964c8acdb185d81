/** The running platform, as the end-to-end tests see it: `make up` wrote where everything is. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import pg from 'pg';
import { Agent, fetch as undiciFetch } from 'undici';
import { z } from 'zod';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
export const STATE = join(ROOT, '.cluster');
export const BIN = join(STATE, 'bin');
export const SYSTEM_NAMESPACE = 'bankhouse-system';

const platformSchema = z.strictObject({
  frontDoor: z.url(),
  caFile: z.string(),
  kubeconfig: z.string(),
  databaseUrl: z.string(),
  banks: z.array(z.strictObject({ id: z.string(), url: z.url(), token: z.string() })).min(2),
});

export const platform = readPlatform();

function readPlatform(): z.infer<typeof platformSchema> {
  const path = join(STATE, 'platform.json');
  if (!existsSync(path)) throw new Error(`${path} is not there: the platform is not up; run "make up" first.`);
  return platformSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
}

const dispatcher = new Agent({ connect: { ca: readFileSync(platform.caFile) } });

/** `fetch` that trusts the platform's own CA. */
export const frontDoorFetch = ((url: string | URL, init?: RequestInit) =>
  undiciFetch(url, { ...(init as object), dispatcher })) as unknown as typeof fetch;

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program without a shell; never throws for a non-zero exit. `input` goes to its standard input. */
export function run(
  program: string,
  args: readonly string[],
  options: { input?: string; env?: Record<string, string> } = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: ROOT,
      env: { ...process.env, KUBECONFIG: platform.kubeconfig, ...options.env },
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk) => out.push(chunk));
    child.stderr.on('data', (chunk) => err.push(chunk));
    child.on('error', reject);
    child.on('close', (code) =>
      resolve({ code: code ?? -1, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    );
    child.stdin.end(options.input ?? '');
  });
}

/** kubectl as administrator; `input` is a manifest for `-f -`. */
export function tryKubectl(args: readonly string[], input?: string): Promise<Ran> {
  return run(join(BIN, 'kubectl'), args, input === undefined ? {} : { input });
}

/** The same, where anything but success is a failed test. */
export async function kubectl(args: readonly string[], input?: string): Promise<string> {
  const ran = await tryKubectl(args, input);
  if (ran.code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${ran.stderr}`);
  return ran.stdout;
}

export async function kubectlJson<T>(args: readonly string[]): Promise<T> {
  return JSON.parse(await kubectl([...args, '-o', 'json'])) as T;
}

/** Waits for a condition, asking again every 100 ms, and says at the end what it was still waiting for. */
export async function until<T>(what: string, ask: () => Promise<T | undefined | false>, limitMs = 60_000): Promise<T> {
  const end = performance.now() + limitMs;
  let last: unknown;
  while (performance.now() < end) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`After ${limitMs} ms still waiting: ${what}.`, { cause: last });
}

/** The bank of `make up` with this index, in the order of platform.json. */
export function sampleBank(index: number): (typeof platform.banks)[number] {
  const bank = platform.banks[index];
  if (bank === undefined) throw new Error(`platform.json has no bank number ${index}.`);
  return bank;
}

/** A token made by the CLI, as a user makes one. */
export async function mintToken(
  bank: string,
  options: { vaults?: string[]; scopes?: string[]; ttl?: string } = {},
): Promise<string> {
  const args = ['bankhouse', 'token', bank];
  for (const vault of options.vaults ?? []) args.push('--vault', vault);
  for (const scope of options.scopes ?? []) args.push('--scope', scope);
  if (options.ttl !== undefined) args.push('--ttl', options.ttl);
  const ran = await run('npx', args);
  if (ran.code !== 0) throw new Error(`npx ${args.join(' ')}: ${ran.stderr}`);
  return ran.stdout.trim();
}

export type Era = 'modern' | 'legacy';

/** A connected SDK client of one bank. Close it with `await using`. */
export async function connect(url: string, token: string, era: Era = 'modern'): Promise<Client & AsyncDisposable> {
  const client = new Client(
    { name: `e2e-${era}`, version: '1' },
    era === 'modern' ? { versionNegotiation: { mode: { pin: '2026-07-28' } } } : {},
  );
  await client.connect(
    new StreamableHTTPClientTransport(new URL(url), {
      fetch: frontDoorFetch,
      requestInit: { headers: { authorization: `Bearer ${token}` } },
    }),
  );
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() });
}

/** Result of a tool call that succeeded: its structured content. */
export async function callTool<T = Record<string, unknown>>(
  client: Client,
  name: string,
  args: Record<string, unknown> = {},
): Promise<T> {
  const result = await client.callTool({ name, arguments: args });
  if (result.isError === true) throw new Error(`${name}: ${JSON.stringify(result.content)}`);
  return result.structuredContent as T;
}

/** Every item of a paged tool, over all its cursors. */
export async function callToolPages<T>(
  client: Client,
  name: string,
  key: string,
  args: Record<string, unknown> = {},
): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const page = await callTool<Record<string, unknown> & { nextCursor?: string | null }>(client, name, {
      ...args,
      limit: 100,
      ...(cursor === undefined ? {} : { cursor }),
    });
    items.push(...(page[key] as T[]));
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return items;
}

/** A short-lived SQL connection to the platform's database; as its owner unless a URL is given. */
export async function withSql<T>(use: (sql: pg.Client) => Promise<T>, url = platform.databaseUrl): Promise<T> {
  const sql = new pg.Client({ connectionString: url });
  // Whoever is ended meanwhile is told by the statement under way.
  sql.on('error', () => {});
  await sql.connect();
  try {
    return await use(sql);
  } finally {
    await sql.end();
  }
}

/** The database URL of a bank's own role, as its pod has it, but on the address that this host can reach. */
export async function bankDatabaseUrl(id: string, namespace = 'banks'): Promise<string> {
  const secret = await kubectlJson<{ data: Record<string, string> }>(['get', 'secret', `bank-${id}`, '-n', namespace]);
  const url = new URL(Buffer.from(secret.data['database-url'] ?? '', 'base64').toString());
  const outside = new URL(platform.databaseUrl);
  url.hostname = outside.hostname;
  url.port = outside.port;
  return url.toString();
}

interface Conditioned {
  status?: {
    phase?: string;
    url?: string;
    conditions?: { type: string; status: string; reason: string; message: string }[];
  };
}

export function bankManifest(name: string, spec: Record<string, unknown> = {}, namespace = 'banks'): string {
  return JSON.stringify({ apiVersion: 'bankhouse.dev/v1alpha1', kind: 'Bank', metadata: { name, namespace }, spec });
}

export function getBank(name: string, namespace = 'banks'): Promise<Conditioned> {
  return kubectlJson<Conditioned>(['get', 'bank', name, '-n', namespace]);
}

/** Waits until a condition of a Bank has this status, and returns it. */
export function conditionOf(name: string, type: string, status: string, namespace = 'banks', limitMs = 60_000) {
  return until(
    `condition ${type}=${status} of Bank ${name}`,
    async () =>
      (await getBank(name, namespace)).status?.conditions?.find((c) => c.type === type && c.status === status),
    limitMs,
  );
}

/** A key of the platform, as an administrator of the cluster reads it. */
export async function keyOf(name: 'root-key' | 'signing-key'): Promise<string> {
  const secret = await kubectlJson<{ data: Record<string, string> }>([
    'get',
    'secret',
    'bankhouse-keys',
    '-n',
    SYSTEM_NAMESPACE,
  ]);
  return Buffer.from(secret.data[name] ?? '', 'base64').toString();
}

interface Workload {
  kind: string;
  metadata: { name: string; generation: number; deletionTimestamp?: string };
  spec: { replicas?: number; template?: { spec: { containers: { env?: { name: string }[] }[] } } };
  status: {
    observedGeneration?: number;
    replicas?: number;
    updatedReplicas?: number;
    conditions?: { type: string; status: string }[];
  };
}

/**
 * Waits until the banks' Deployments are as `like` wants them and their pods are the newest ones alone, all ready: a test that
 * changes the platform leaves it so, and one that counts by pod begins so.
 */
export async function settledBanks(like: (variables: string[]) => boolean = () => true): Promise<void> {
  await until('the pods of all banks to be the newest ones, and ready', async () => {
    const args = ['get', 'deployments,pods', '-n', 'banks', '-l', 'bankhouse.dev/bank'];
    const { items } = await kubectlJson<{ items: Workload[] }>(args);
    return items.every(({ kind, metadata, spec, status }) => {
      if (metadata.deletionTimestamp !== undefined) return false;
      if (kind === 'Pod')
        return status.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;
      const variables = spec.template?.spec.containers.flatMap(({ env }) => env ?? []).map(({ name }) => name) ?? [];
      const { replicas = 0, updatedReplicas = 0 } = status;
      const isRolledOut = replicas === spec.replicas && updatedReplicas === spec.replicas;
      return like(variables) && status.observedGeneration === metadata.generation && isRolledOut;
    });
  });
}

/** Requests that a bank's pods have seen so far, whatever became of them, by pod. */
export async function requestsOf(bank: string): Promise<Record<string, number>> {
  const labels = `bankhouse.dev/bank=${bank}`;
  const pods = await kubectl(['get', 'pods', '-n', 'banks', '-l', labels, '-o', 'jsonpath={.items[*].metadata.name}']);
  const seen: Record<string, number> = {};
  for (const pod of pods.split(' ')) {
    const metrics = await kubectl(['get', '--raw', `/api/v1/namespaces/banks/pods/${pod}:8080/proxy/metrics`]);
    const count = /^bankhouse_server_requests_total (\d+)$/m.exec(metrics)?.[1];
    if (count === undefined) throw new Error(`pod ${pod} does not count its requests`);
    seen[pod] = Number(count);
  }
  return seen;
}

/** The same of all sample banks. */
export async function bankRequests(): Promise<Record<string, number>> {
  const all = await Promise.all(platform.banks.map(({ id }) => requestsOf(id)));
  return Object.assign({}, ...all);
}
