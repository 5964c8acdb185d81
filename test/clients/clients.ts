/**
 * MCP clients that people use, and what each does at a bank as far as it goes without its maker's account. One table for a gateway on loopback and
 * for the real front door.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { goClient, npmClients, PYTHON_MCP, pythonClient } from './install.ts';
import { type Ran, ROOT, run } from './run.ts';

/** A bank to call, by a token that may write. */
export interface Target {
  readonly id: string;
  readonly url: string;
  readonly token: string;
  /** A word to search for. */
  readonly word: string;
  /** Where the front door's certificate is not of a known authority. */
  readonly caFile?: string;
}

/** What a client saw and did; a client that can't do a thing leaves it out. */
export interface Seen {
  /** Its own word for: the bank answers, and my token is good. */
  connects?: true;
  /** What it says of a token that is none. */
  refusal?: string;
  revision?: string;
  /** In order. */
  tools?: string[];
  /** All recordings, and those in which the word is, counted over all pages. */
  recordings?: number;
  found?: number;
  /** Title of a task that it made, as it is read back, and how many were deleted. */
  task?: unknown[];
  /** What it was told of after it had changed a note. */
  heard?: string;
}

export interface Row {
  readonly client: string;
  /** Era or revision that it is told to speak; 'its own' where it is not asked. */
  readonly era: string;
  run(target: Target): Promise<Seen>;
}

type Call = (tool: string, args?: Record<string, unknown>) => Promise<Record<string, unknown>>;

const GO_SDK = 'v1.8.0';
const REVISIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28'];

export const CLIENTS: readonly Row[] = [
  ...REVISIONS.map((era): Row => ({ client: `Go SDK ${GO_SDK}`, era, run: (target) => runGo(target, era) })),
  ...['legacy', 'auto', '2026-07-28'].map(
    (era): Row => ({ client: `Python SDK ${PYTHON_MCP}`, era, run: (target) => runPython(target, era) }),
  ),
  ...['legacy', 'auto', 'modern'].map(
    (era): Row => ({ client: 'Inspector', era, run: (target) => runInspector(target, era) }),
  ),
  { client: 'mcp-remote', era: 'its own', run: runRemote },
  { client: 'Claude Code', era: 'its own', run: runClaude },
  { client: 'Gemini CLI', era: 'its own', run: runGemini },
];

async function runGo(target: Target, era: string): Promise<Seen> {
  const args = [target.url, target.id, era, target.word];
  return said(await run(await goClient(), args, { env: { ...environment(target), BANK_TOKEN: target.token } }));
}

async function runPython(target: Target, era: string): Promise<Seen> {
  const args = [join(ROOT, 'test/clients/python/client.py'), target.url, target.id, era, target.word];
  const ran = await run(await pythonClient(), args, { env: { ...environment(target), BANK_TOKEN: target.token } });
  if (ran.stderr.includes('Traceback')) throw new Error(ran.stderr);
  return said(ran);
}

/** A process for each request, so it reads the second page by a cursor that another process was given, and counts by what it is told. */
async function runInspector(target: Target, era: string): Promise<Seen> {
  await using home = aHome();
  const program = join(await npmClients(), 'mcp-inspector');
  const ask = async (method: string, ...more: string[]) => {
    const args = ['--cli', target.url, '--transport', 'http', '--protocol-era', era, '--method', method];
    const header = ['--header', `Authorization: Bearer ${target.token}`];
    return said(await run(program, [...args, ...header, ...more], { env: home.environment(target), cwd: home.path }));
  };
  const call: Call = async (name, args = {}) => {
    const pairs = Object.entries(args).flatMap(([key, value]) => ['--tool-arg', `${key}=${value}`]);
    const result = await ask('tools/call', '--tool-name', name, ...pairs);
    return (result as { structuredContent: Record<string, unknown> }).structuredContent;
  };
  // Strict: fails where a schema is one that some client refuses.
  const { tools } = (await ask('tools/list', '--strict')) as unknown as { tools: { name: string }[] };
  const first = await call('list_recordings', { limit: 100, includeTotal: true });
  const second = await call('list_recordings', { limit: 1, cursor: first.nextCursor });
  const ids = new Set((first.recordings as { id: string }[]).map(({ id }) => id));
  if ((second.recordings as { id: string }[]).some(({ id }) => ids.has(id))) throw new Error('The cursor leads back.');
  return {
    tools: tools.map(({ name }) => name).sort(),
    recordings: Number(first.total),
    task: await oneTask(call, 'From Inspector'),
  };
}

/** mcp-remote is a server on stdio to whoever starts it: here the SDK's client. */
async function runRemote(target: Target): Promise<Seen> {
  await using home = aHome();
  const client = new Client({ name: 'behind mcp-remote', version: '1' });
  const header = ['--header', `Authorization:Bearer ${target.token}`, '--silent'];
  await client.connect(
    new StdioClientTransport({
      command: join(await npmClients(), 'mcp-remote'),
      args: [target.url, '--transport', 'http-only', '--allow-http', ...header],
      env: home.environment(target),
      cwd: home.path,
      stderr: 'ignore',
    }),
  );
  try {
    const call: Call = async (name, args = {}) => {
      const result = await client.callTool({ name, arguments: args });
      if (result.isError === true) throw new Error(`${name}: ${JSON.stringify(result.content)}`);
      return result.structuredContent as Record<string, unknown>;
    };
    return {
      tools: (await client.listTools()).tools.map(({ name }) => name).sort(),
      recordings: await countAll(call, 'list_recordings', 'recordings'),
      found: await countAll(call, 'search_recordings', 'results', { query: target.word }),
      task: await oneTask(call, 'From mcp-remote'),
    };
  } finally {
    await client.close();
  }
}

async function runClaude(target: Target): Promise<Seen> {
  await using home = aHome();
  const program = join(await npmClients(), 'claude');
  const options = { cwd: home.path, env: home.environment(target) };
  const mcp = async (...args: string[]) => text(await run(program, ['mcp', ...args], options));
  const add = (name: string, token: string) =>
    mcp('add', '--transport', 'http', name, target.url, '--header', `Authorization: Bearer ${token}`);
  await add('good', target.token);
  await add('bad', 'none');
  const list = await mcp('list');
  return {
    ...(/^good: .*Connected$/m.test(list) && /Status: .*Connected/.test(await mcp('get', 'good'))
      ? { connects: true }
      : {}),
    refusal: /^bad: .*(HTTP 401)/m.exec(list)?.[1] ?? list,
  };
}

async function runGemini(target: Target): Promise<Seen> {
  await using home = aHome();
  const program = join(await npmClients(), 'gemini');
  const options = { cwd: home.path, env: { ...home.environment(target), GEMINI_CLI_TRUST_WORKSPACE: 'true' } };
  const mcp = async (...args: string[]) => text(await run(program, ['mcp', ...args], options));
  const add = (name: string, token: string) => {
    const header = ['--header', `Authorization: Bearer ${token}`];
    return mcp('add', '--scope', 'user', '--transport', 'http', ...header, name, target.url);
  };
  await add('good', target.token);
  await add('bad', 'none');
  const list = await mcp('list');
  return {
    ...(/ good: .* - Connected$/m.test(list) ? { connects: true } : {}),
    refusal: / bad: .* - (.*)$/m.exec(list)?.[1] ?? list,
  };
}

/** Ids over all pages. */
async function countAll(call: Call, tool: string, key: string, args: Record<string, unknown> = {}): Promise<number> {
  const ids = new Set<unknown>();
  let page: Record<string, unknown> = {};
  do {
    page = await call(tool, { ...args, limit: 100, ...(page.nextCursor == null ? {} : { cursor: page.nextCursor }) });
    for (const { id } of page[key] as { id: string }[]) ids.add(id);
  } while (page.nextCursor != null);
  return ids.size;
}

async function oneTask(call: Call, title: string): Promise<unknown[]> {
  const { id } = await call('create_task', { title });
  const read = await call('get_task', { id });
  const gone = (await call('delete_task', { id, version: read.version })) as { deleted: { tasks: number } };
  return [read.title, gone.deleted.tasks];
}

/** Nothing of this machine's user: a client finds neither his settings nor his accounts, and leaves nothing behind. */
function aHome() {
  const path = mkdtempSync(join(tmpdir(), 'bankhouse-client-'));
  return {
    path,
    environment: (target: Target) => ({ ...environment(target), HOME: path }),
    async [Symbol.asyncDispose]() {
      rmSync(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    },
  };
}

function environment({ caFile }: Target): Record<string, string> {
  return {
    PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
    ...(caFile === undefined ? {} : { NODE_EXTRA_CA_CERTS: caFile, SSL_CERT_FILE: caFile }),
    // What calls home, which nobody answers here.
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    DISABLE_AUTOUPDATER: '1',
    DISABLE_TELEMETRY: '1',
    GEMINI_TELEMETRY_ENABLED: 'false',
    NO_UPDATE_NOTIFIER: '1',
  };
}

function text({ code, stdout, stderr }: Ran): string {
  if (code !== 0) throw new Error(`${code}: ${stdout}${stderr}`);
  return `${stdout}${stderr}`;
}

function said(ran: Ran): Seen {
  if (ran.code !== 0) throw new Error(`${ran.code}: ${ran.stdout}${ran.stderr}`);
  return JSON.parse(ran.stdout) as Seen;
}
