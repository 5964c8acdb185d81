/** X4: every command, as a process, against what can go wrong around it: one clear line, an exit code, never a stack trace. */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBank, startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { ADMIN_KEY, type Harness, startHarness } from '../control/harness.ts';

const CLI = fileURLToPath(new URL('../../../client/bin/bankhouse.js', import.meta.url));
/** Ports that nobody may listen on without being asked: 9 is discard. */
const NOWHERE = 'http://127.0.0.1:9';
const folder = mkdtempSync(join(tmpdir(), 'bankhouse-failures-'));
const path = (name: string) => join(folder, name);

let postgres: TestPostgres;
let control: Harness;
let mcp: Server;
let environment: Record<string, string>;

beforeAll(async () => {
  writeFileSync(path('key'), ADMIN_KEY);
  writeFileSync(path('token'), 'a-token');
  writeFileSync(path('unreadable'), 'x');
  chmodSync(path('unreadable'), 0o000);
  mkdirSync(path('folder'));
  postgres = await startPostgres();
  await createBank(postgres, 'acme', { vaults: [{ id: 'sales', displayName: 'Sales' }] });
  control = await startHarness(postgres);
  await control.ready;
  mcp = await startMcp();
  environment = {
    BANKHOUSE_URL: `http://127.0.0.1:${(mcp.address() as AddressInfo).port}`,
    BANKHOUSE_ADMIN_URL: control.apiUrl,
    BANKHOUSE_ADMIN_KEY_FILE: path('key'),
    DATABASE_URL: postgres.ownerUrl,
  };
  expect(await run(['export', 'acme', path('export')])).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await control?.stop();
  mcp?.close();
  await postgres?.stop();
  rmSync(folder, { recursive: true });
});

/** As much of a bank as `bankhouse call` asks. */
async function startMcp(): Promise<Server> {
  const results: Record<string, object> = {
    initialize: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'x', version: '1' } },
    'tools/list': { tools: [{ name: 'list_vaults', inputSchema: { type: 'object' } }] },
  };
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const { id, method = '' } = text === '' ? {} : (JSON.parse(text) as { id?: number; method?: string });
    if (request.method !== 'POST') return response.writeHead(405).end();
    if (id === undefined) return response.writeHead(202).end();
    response.writeHead(200, { 'content-type': 'application/json' });
    const result = results[method];
    const answer = result === undefined ? { error: { code: -32601, message: 'no such method' } } : { result };
    response.end(JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** `out`: where standard output goes; `closed` is a pipe that nobody reads any more. Root gives up its right to read everything. */
function run(
  args: readonly string[],
  options: { env?: Record<string, string>; out?: 'full' | 'closed'; input?: string } = {},
): Promise<Ran> {
  const isRoot = process.getuid?.() === 0;
  const withoutRights = isRoot ? ['setpriv', '--bounding-set', '-dac_override,-dac_read_search'] : [];
  const [program = '', ...rest] = [...withoutRights, process.execPath, CLI, ...args];
  const child = spawn(program, rest, {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', ...environment, ...options.env },
    stdio: ['pipe', options.out === 'full' ? openSync('/dev/full', 'w') : 'pipe', 'pipe'],
  });
  if (options.out === 'closed') child.stdout?.destroy();
  const ran: Ran = { code: null, stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk) => {
    ran.stdout += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    ran.stderr += chunk;
  });
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ ...ran, code }));
  });
}

/** One line that says what it is about, and nothing of how the program is made. */
function expectOneLine({ code, stderr }: Ran, message: RegExp, expectedCode = 1): void {
  expect(stderr).toMatch(message);
  const lines = stderr.trim().split('\n');
  // What went well before is told too; the failure is one line, and the last.
  expect(lines.filter((line) => line.startsWith('bankhouse: '))).toHaveLength(1);
  expect(lines.at(-1)).toMatch(/^bankhouse: .*[^\s]$/);
  expect(stderr).not.toMatch(/\n\s+at |node:internal|Error:/);
  expect(code).toBe(expectedCode);
}

/** Every command that prints a result, as it works. */
const PRINTS: [string, string[]][] = [
  ['token', ['token', 'acme']],
  ['banks', ['banks']],
  ['banks --json', ['banks', '--json']],
  ['revoke', ['revoke', 'some-number']],
  ['revoke --all', ['revoke', '--all', 'acme']],
  ['connect', ['connect', 'acme']],
  ['call', ['call', 'acme', '--era', 'legacy', '--token-file', 'token']],
  ['export', ['export', 'acme', '-']],
  ['import --check', ['import', '--check', 'export']],
  ['receipts', ['receipts']],
  ['--help', ['--help']],
  ['load --help', ['load', '--help']],
  ['embed --help', ['embed', '--help']],
];

describe('standard output on a full disk', () => {
  it.each(PRINTS)('%s', async (_name, args) => {
    expectOneLine(await run(args, { out: 'full' }), /Standard output can't be written: there is no space left\./i);
  });
});

describe('standard output that nobody reads any more', () => {
  it.each(PRINTS)('%s', async (_name, args) => {
    expectOneLine(await run(args, { out: 'closed' }), /Standard output can't be written: whoever read it has gone/i);
  });
});

/** Every place where a command takes a file to read; what it is called there. */
const READS: [string, (file: string) => { args: string[]; env?: Record<string, string> }][] = [
  ['load', (file) => ({ args: ['load', '--bank', 'acme', file] })],
  ['load --samples', (file) => ({ args: ['load', '--samples', file] })],
  ['import', (file) => ({ args: ['import', file] })],
  ['import --check', (file) => ({ args: ['import', '--check', file] })],
  ['receipts --compare', (file) => ({ args: ['receipts', '--compare', file] })],
  ['call --token-file', (file) => ({ args: ['call', 'acme', '--token-file', file] })],
  ...['token acme', 'banks', 'revoke x', 'connect acme', 'call acme', 'receipts'].flatMap((command) => [
    [
      `${command}: the admin key`,
      (file: string) => ({ args: ['--admin-key-file', file, ...command.split(' ')] }),
    ] as (typeof READS)[number],
    [
      `${command}: the CA`,
      (file: string) => ({ args: ['--ca-file', file, ...command.split(' ')] }),
    ] as (typeof READS)[number],
  ]),
  ...['load --bank acme -', 'export acme', 'import export', 'embed acme'].map(
    (command) =>
      [
        `${command}: the database's password`,
        (file: string) => ({
          args: command.split(' '),
          env: { DATABASE_PASSWORD_FILE: file, EMBEDDINGS_URL: NOWHERE, EMBEDDINGS_MODEL: 'm' },
        }),
      ] as (typeof READS)[number],
  ),
];

describe.each([
  ['that is not there', 'missing', /missing.*(there is no such file|ENOENT)/],
  ['that is a folder', 'folder', /folder.*(it is a folder|EISDIR)/],
  ['that there is no right to read', 'unreadable', /unreadable.*(there is no right to it|EACCES)/],
])('a file %s', (_sentence, file, message) => {
  it.each(READS)('%s', async (_name, command) => {
    const { args, env } = command(path(file));
    expectOneLine(await run(args, env === undefined ? {} : { env }), message);
  });
});

describe('a file that can not be written', () => {
  it.each<[string, string[], RegExp]>([
    [
      'export into a folder that is not there',
      ['export', 'acme', 'nowhere/x'],
      /nowhere\/x can't be written: there is no/,
    ],
    ['export over a folder', ['export', 'acme', 'folder'], /folder (exists already|can't be written)/],
    ['export onto a full disk', ['export', 'acme', '/dev/full', '--resume'], /no space left/],
    ['export over a file', ['export', 'acme', 'export'], /exists already/],
  ])('%s', async (_name, args, message) => {
    expectOneLine(await run(args), message);
  });
});

describe('no network', () => {
  const away = {
    BANKHOUSE_URL: NOWHERE,
    BANKHOUSE_ADMIN_URL: NOWHERE,
    DATABASE_URL: 'postgres://nobody:secret-word@127.0.0.1:9/nothing',
    EMBEDDINGS_URL: NOWHERE,
    EMBEDDINGS_MODEL: 'm',
  };
  it.each<[string, string[]]>([
    ['token', ['token', 'acme']],
    ['banks', ['banks']],
    ['revoke', ['revoke', 'x']],
    ['connect', ['connect', 'acme']],
    ['call', ['call', 'acme', '--token-file', 'token']],
    ['call of an older revision', ['call', 'acme', '--token-file', 'token', '--era', 'legacy']],
    ['receipts', ['receipts']],
    ['load', ['load', '--bank', 'acme', '--generate', '1']],
    ['load from standard input', ['load', '--bank', 'acme', '-']],
    ['export', ['export', 'acme', 'new']],
    ['import', ['import', 'export']],
    ['embed', ['embed', 'acme']],
  ])('%s', async (_name, args) => {
    const ran = await run(args, { env: away });
    expectOneLine(ran, /127\.0\.0\.1:9|ECONNREFUSED/);
    expect(ran.stderr).not.toContain('secret-word');
  });

  it('embed whose endpoint is away', async () => {
    const ran = await run(['embed', 'acme'], { env: { EMBEDDINGS_URL: NOWHERE, EMBEDDINGS_MODEL: 'm' } });
    // An empty bank asks nobody; what matters is that the command ends in words either way.
    expect(ran.stderr).not.toMatch(/\n\s+at |node:internal/);
  });
});

it('standard error on a full disk changes nothing but that nobody reads it', async () => {
  const child = spawn(process.execPath, [CLI, 'banks', '--url', 'nonsense'], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '' },
    stdio: ['ignore', 'ignore', openSync('/dev/full', 'w')],
  });
  expect(await new Promise((resolve) => child.on('close', resolve))).toBe(2);
});
