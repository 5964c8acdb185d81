import { execFileSync, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Assertion,
  databaseRole,
  deriveSealKey,
  scramVerifier,
  sealAssertion,
  TOKEN_DEFAULT_TTL_SECONDS,
} from '@bankhouse/core';
import pg from 'pg';
import { migrate } from '../../control/src/migrations/index.ts';
import { atEnd, removeFolder } from './at-end.ts';
import { freePort } from './ports.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const BIN = process.env.POSTGRES_BIN ?? '/usr/lib/postgresql/15/bin';
const START_LIMIT_MS = 30_000;
const OWNER = 'bankhouse_owner';
const DATABASE = 'bankhouse';

/**
 * A real Postgres of its own, as a managed provider would give it: the owner of the database has CREATEROLE and is no
 * superuser. It lives in memory where that is possible and is gone after `stop`.
 */
export interface TestPostgres {
  readonly port: number;
  /** The owner, who migrates. */
  readonly ownerUrl: string;
  /** The cluster's superuser, in the same database: for looking at what the owner may not see. */
  readonly superuserUrl: string;
  /** Passwords of bankhouse_operator, bankhouse_control and bankhouse_gateway. */
  readonly passwords: Readonly<Record<'operator' | 'control' | 'gateway', string>>;
  urlFor(role: string, password: string): string;
  /** URL of a service role. */
  serviceUrl(service: 'operator' | 'control' | 'gateway'): string;
  /** Ends every connection and starts again on the same port with the same data. @param meanwhile while it is away */
  restart(meanwhile?: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

/** @param options.migrate false leaves the database empty; @param options.settings more `name=value` for the server */
export async function startPostgres(
  options: { migrate?: boolean; settings?: readonly string[] } = {},
): Promise<TestPostgres> {
  if (!existsSync(join(BIN, 'postgres'))) {
    throw new Error(`There is no postgres in ${BIN}: apt-get install postgresql-15, or set POSTGRES_BIN.`);
  }
  const account = serverAccount();
  const dir = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'bankhouse-postgres-'));
  let server: Running | undefined;
  const forget = atEnd(() => {
    server?.kill();
    removeFolder(dir);
  });
  const stop = async () => {
    await server?.stop();
    removeFolder(dir);
    forget();
  };
  try {
    const { data, superuserPassword } = makeCluster(dir, account);
    const port = await freePort();
    const urlFor = (role: string, password: string, database = DATABASE) =>
      `postgres://${encodeURIComponent(role)}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
    const adminUrl = urlFor('postgres', superuserPassword, 'postgres');
    const start = async () => {
      const started = run(dir, data, port, options.settings ?? [], account);
      server = started;
      await ready(adminUrl, started);
    };
    await start();
    const ownerPassword = randomBytes(12).toString('hex');
    await withClient(adminUrl, async (client) => {
      await client.query(`create role ${OWNER} login createrole password '${ownerPassword}'`);
      await client.query(`create database ${DATABASE} owner ${OWNER}`);
    });
    const ownerUrl = urlFor(OWNER, ownerPassword);
    const [operator = '', control = '', gateway = ''] = Array.from({ length: 3 }, () =>
      randomBytes(12).toString('hex'),
    );
    const passwords = { operator, control, gateway };
    if (options.migrate !== false) {
      await migrate({ databaseUrl: ownerUrl, migrationsDir: join(ROOT, 'migrations'), passwords, log: () => {} });
    }
    return {
      port,
      ownerUrl,
      superuserUrl: urlFor('postgres', superuserPassword),
      passwords,
      urlFor,
      serviceUrl: (service) => urlFor(`bankhouse_${service}`, passwords[service]),
      async restart(meanwhile) {
        await server?.stop();
        await meanwhile?.();
        await start();
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Makes the data of a server, in a folder that is there. */
function makeCluster(
  dir: string,
  account: { uid: number; gid: number } | undefined,
): { data: string; superuserPassword: string } {
  if (account !== undefined) chownSync(dir, account.uid, account.gid);
  const superuserPassword = randomBytes(12).toString('hex');
  const passwordFile = join(dir, 'password');
  writeFileSync(passwordFile, superuserPassword);
  if (account !== undefined) chownSync(passwordFile, account.uid, account.gid);
  chmodSync(passwordFile, 0o600);
  const data = join(dir, 'data');
  const login = ['-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`];
  execFileSync(join(BIN, 'initdb'), ['-D', data, ...login, '-E', 'UTF8', '--locale=C.UTF-8', '-N'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    cwd: dir,
    ...account,
  });
  return { data, superuserPassword };
}

/** postgres refuses to run as root, so root hands it to the account of Debian's package. */
function serverAccount(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

interface Running {
  readonly exited: boolean;
  lastWords(): string;
  kill(): void;
  stop(): Promise<void>;
}

function run(
  dir: string,
  data: string,
  port: number,
  settings: readonly string[],
  account: { uid: number; gid: number } | undefined,
): Running {
  const logFile = join(dir, 'server.log');
  const log = openSync(logFile, 'a');
  const all = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'fsync=off',
    'synchronous_commit=off',
    'full_page_writes=off',
    'max_connections=200',
    'shared_buffers=128MB',
    ...settings,
  ];
  const args = ['-D', data, '-p', String(port), ...all.flatMap((setting) => ['-c', setting])];
  const child = spawn(join(BIN, 'postgres'), args, { stdio: ['ignore', log, log], cwd: dir, ...account });
  const exit = once(child, 'exit');
  const hasExited = () => child.exitCode !== null || child.signalCode !== null;
  return {
    get exited() {
      return hasExited();
    },
    lastWords: () => readFileSync(logFile, 'utf8').trim().split('\n').slice(-5).join('\n'),
    // SIGQUIT: immediate shutdown; SIGKILL would leave its children.
    kill: () => child.kill('SIGQUIT'),
    async stop() {
      if (hasExited()) return;
      // SIGINT: fast shutdown, which ends the connections.
      child.kill('SIGINT');
      await exit;
    },
  };
}

async function ready(url: string, server: Running): Promise<void> {
  const limit = Date.now() + START_LIMIT_MS;
  for (;;) {
    try {
      return await withClient(url, async () => {});
    } catch (error) {
      if (server.exited) throw new Error(`Postgres exited at start. ${server.lastWords()}`);
      if (Date.now() > limit) throw error;
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }
}

/** A connection for as long as `use` runs. */
export async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  // A server that goes away ends the connection; the statement under way says so.
  client.on('error', () => {});
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/** A bank with a login role of its own, made as the operator makes it. */
export interface TestBank {
  readonly id: string;
  readonly owner: string;
  /** Of the Bank: the incarnation. */
  readonly uid: string;
  readonly role: string;
  /** The bank's own role. */
  readonly url: string;
  /** Key of the database seal, generation 1. */
  readonly sealKey: Buffer;
  /** A sealed database assertion for all vaults, made now, unless changed. */
  seal(changes?: Partial<Assertion>, options?: { key?: Uint8Array; generation?: number }): string;
  /**
   * URL of another login that stands for the bank. It may use the tables under their policies, as what is in schema api does: for tests
   * of this second lock, and for rows that no tool makes.
   */
  underPolicies(): Promise<string>;
  /** A transaction of that login with this assertion set (undefined: none), rolled back at the end. */
  asBank<T>(sealed: string | undefined, use: (client: pg.Client) => Promise<T>): Promise<T>;
}

export interface TestBankOptions {
  owner?: string;
  uid?: string;
  namespaceUid?: string;
  displayName?: string;
  type?: 'personal' | 'business';
  vaults?: readonly { id: string; displayName: string }[];
  form?: 'a' | 'b';
  password?: string;
  root?: Uint8Array;
}

export async function createBank(postgres: TestPostgres, id: string, options: TestBankOptions = {}): Promise<TestBank> {
  const owner = options.owner ?? `banks/${id}`;
  const uid = options.uid ?? randomUUID();
  const role = databaseRole(uid, options.form ?? 'a');
  const password = options.password ?? randomBytes(12).toString('hex');
  const sealKey = deriveSealKey(options.root ?? randomBytes(32), 'database', id, uid, 1);
  const vaults = JSON.stringify(options.vaults ?? [{ id: 'sales', displayName: 'Sales' }]);
  const told = [options.displayName ?? id, options.type ?? 'business', vaults];
  await withClient(postgres.serviceUrl('operator'), async (client) => {
    const namespaceUid = options.namespaceUid ?? `namespace of ${owner}`;
    await client.query('select control.claim_id($1, $2, $3, $4, $5, $6, $7)', [id, uid, owner, namespaceUid, ...told]);
    await client.query('select admin.ensure_bank($1, $2, $3, $4, $5, $6, $7, $8, $9)', [
      id,
      uid,
      ...told,
      role,
      await scramVerifier(password),
      randomBytes(8).toString('hex'),
      JSON.stringify({ 1: sealKey.toString('base64') }),
    ]);
  });
  const url = postgres.urlFor(role, password);
  let policies: Promise<string> | undefined;
  const underPolicies = () => {
    policies ??= createUnderPolicies(postgres, id);
    return policies;
  };
  return {
    id,
    owner,
    uid,
    role,
    url,
    sealKey,
    seal: (changes = {}, { key = sealKey, generation = 1 } = {}) =>
      sealAssertion(assertionFor(id, changes), key, generation),
    underPolicies,
    asBank: async (sealed, use) =>
      withClient(await underPolicies(), async (client) => {
        await client.query('begin');
        await enter(client, sealed);
        const result = await use(client);
        await client.query('rollback');
        return result;
      }),
  };
}

/** For the rest of the transaction, policies let through what this assertion (undefined: none) opens, as in a function of schema api. */
export async function enter(client: pg.Client, sealed: string | undefined): Promise<void> {
  if (sealed !== undefined) await client.query("select set_config('bankhouse.assertion', $1, true)", [sealed]);
  await client.query('select bank.enter()');
}

async function createUnderPolicies(postgres: TestPostgres, id: string): Promise<string> {
  const [role, password] = [`policies_of_${id}_${randomBytes(4).toString('hex')}`, randomBytes(12).toString('hex')];
  await withClient(postgres.superuserUrl, async (client) => {
    await client.query(`create role "${role}" login password '${password}'`);
    await client.query(`grant bankhouse_api, bankhouse_bank to "${role}"`);
    await client.query("insert into bank.login_roles (role, bank_id, credential_digest) values ($1, $2, 'test')", [
      role,
      id,
    ]);
  });
  return postgres.urlFor(role, password);
}

/** Who issued the tokens of tests, unless they say otherwise. */
export const ISSUER = 'https://issuer.test';

/** An assertion for every vault of a bank, made now of a token that holds for a day, with changes; for all that its scopes would allow. */
export function assertionFor(bank: string, changes: Partial<Assertion> = {}): Assertion {
  const now = Math.floor(Date.now() / 1000);
  const { scopes = ['mcp:read'] } = changes;
  return {
    bank,
    access: scopes.includes('mcp:write') ? 'write' : scopes.includes('mcp:read') ? 'read' : 'none',
    sub: 'test',
    iss: ISSUER,
    scopes: ['mcp:read'],
    vaults: null,
    jti: 'test',
    exp: now + TOKEN_DEFAULT_TTL_SECONDS,
    iat: now,
    rid: 'test',
    ...changes,
  };
}
