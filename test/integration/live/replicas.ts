/** Bank servers side by side on one bank, and clients that listen. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Assertion,
  createLogger,
  deriveSealKey,
  SECRET_DATABASE_URL,
  SECRET_SEAL_KEYS,
  SECRET_TOOL_PROFILE,
  sealAssertion,
  type ToolProfile,
} from '@bankhouse/core';
import { loadServerConfig, startBankServer } from '@bankhouse/server';
import { Client, StreamableHTTPClientTransport, type SubscriptionFilter } from '@modelcontextprotocol/client';
import { expect } from 'vitest';
import {
  assertionFor,
  createBank,
  startPostgres,
  type TestBank,
  type TestPostgres,
  withClient,
} from '../../harness/postgres.ts';
import { SOON } from '../../harness/soon.ts';
import { VAULTS, write } from './support.ts';

export const MODERN = '2026-07-28';

export interface Replicas extends AsyncDisposable {
  readonly id: string;
  readonly bank: TestBank;
  readonly urls: readonly string[];
  /** Stops every server; disposing does so too. */
  stop(): Promise<void>;
  readonly logs: string[];
  headers(changes?: Partial<Assertion>): Record<string, string>;
  connect(replica?: number, changes?: Partial<Assertion>): Promise<Client & AsyncDisposable>;
  /** A client of a replica, listening. */
  listen(filter: SubscriptionFilter, changes?: Partial<Assertion>, replica?: number): Promise<Listener>;
  /** Gives the servers another login, as a rotation does. */
  useDatabaseUrl(url: string): void;
  /** What the Bank says that is listed, as its Secret brings it. */
  useToolProfile(profile: ToolProfile): void;
  /** Connections of the servers that wait for changes. */
  listeners(): Promise<number>;
  /** Feeds that are open. @param jti those of one token alone */
  feeds(jti?: string): Promise<number>;
}

/** Disposed of, it has no feed any more: what its server had still to read is told to nobody who listens after it. */
export interface Listener extends AsyncDisposable {
  readonly client: Client;
  readonly honored: SubscriptionFilter;
  readonly closed: Promise<'local' | 'graceful' | 'remote'>;
  /** URIs that were updated, `list_changed`, and `tools` for a list of tools that is another, in order of arrival. */
  readonly heard: string[];
  /** Waits until all of these were heard, for 10 seconds at most, and forgets what was. @returns what was */
  hears(...notices: string[]): Promise<string[]>;
}

export async function runReplicas(
  postgres: TestPostgres,
  id: string,
  options: { count?: number; databaseUrl?: (own: string) => string } = {},
): Promise<Replicas> {
  const root = randomBytes(32);
  const bank = await createBank(postgres, id, { root, vaults: VAULTS });
  const podKey = deriveSealKey(root, 'pod', id, bank.uid, 1);
  const dir = mkdtempSync(join(tmpdir(), 'bankhouse-live-'));
  writeFileSync(join(dir, SECRET_SEAL_KEYS), JSON.stringify({ 1: podKey.toString('base64') }));
  writeFileSync(join(dir, SECRET_DATABASE_URL), options.databaseUrl?.(bank.url) ?? bank.url);
  const logs: string[] = [];
  const logger = createLogger({
    component: 'server',
    level: 'debug',
    destination: { write: (line) => logs.push(line) },
  });
  const config = loadServerConfig({ BANK_ID: id, SECRET_DIR: dir, PORT: '0' });
  const servers = await Promise.all(Array.from({ length: options.count ?? 1 }, () => startBankServer(config, logger)));
  const urls = servers.map((server) => `http://127.0.0.1:${server.port}/mcp/bank-${id}`);
  const headers = (changes: Partial<Assertion> = {}) => {
    const assertion = assertionFor(id, changes);
    return {
      'bankhouse-assertion': sealAssertion(assertion, podKey, 1),
      'bankhouse-database-assertion': sealAssertion(assertion, bank.sealKey, 1),
    };
  };
  const connect = async (replica = 0, changes: Partial<Assertion> = {}) => {
    const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: { pin: MODERN } } });
    await client.connect(
      new StreamableHTTPClientTransport(new URL(urls[replica] ?? ''), { requestInit: { headers: headers(changes) } }),
    );
    return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() });
  };
  const count = (text: string, values: unknown[]) =>
    withClient(postgres.superuserUrl, async (sql) => {
      const { rows } = await sql.query<{ n: number }>(`select count(*)::int as n from ${text}`, values);
      return rows[0]?.n ?? 0;
    });
  const feeds = (jti?: string) =>
    count('bank.feeds where bank_id = $1 and jti = coalesce($2, jti) and expires_at > now()', [id, jti]);
  let stopped: Promise<unknown> | undefined;
  const stop = async () => {
    stopped ??= Promise.all(servers.map((server) => server.stop()));
    await stopped;
  };
  return {
    id,
    bank,
    urls,
    stop,
    logs,
    headers,
    connect,
    async listen(filter, changes = {}, replica = 0) {
      const jti = changes.jti ?? randomUUID();
      const client = await connect(replica, { ...changes, jti });
      const heard: string[] = [];
      client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
        heard.push(params.uri);
      });
      client.setNotificationHandler('notifications/resources/list_changed', () => {
        heard.push('list_changed');
      });
      client.setNotificationHandler('notifications/tools/list_changed', () => {
        heard.push('tools');
      });
      const subscription = await client.listen(filter);
      return {
        client,
        honored: subscription.honoredFilter,
        closed: subscription.closed,
        heard,
        async hears(...notices) {
          await expect.poll(() => heard, SOON).toEqual(expect.arrayContaining(notices));
          return heard.splice(0);
        },
        async [Symbol.asyncDispose]() {
          await subscription.close();
          await client.close();
          await expect.poll(() => feeds(jti), SOON).toBe(0);
        },
      };
    },
    useDatabaseUrl: (url) => writeFileSync(join(dir, SECRET_DATABASE_URL), url),
    useToolProfile: (profile) => writeFileSync(join(dir, SECRET_TOOL_PROFILE), profile),
    listeners: () =>
      count("pg_stat_activity where application_name = 'bankhouse changes' and usename = $1", [bank.role]),
    feeds,
    async [Symbol.asyncDispose]() {
      await stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export interface Acme extends AsyncDisposable {
  readonly postgres: TestPostgres;
  /** Two servers of the bank acme. */
  readonly acme: Replicas;
}

export async function startAcme(): Promise<Acme> {
  await using starting = new AsyncDisposableStack();
  const postgres = starting.adopt(await startPostgres(), (started) => started.stop());
  const acme = starting.use(await runReplicas(postgres, 'acme', { count: 2 }));
  const stack = starting.move();
  return { postgres, acme, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

export const NOTES = 'bankhouse://acme/notes';
export const EVERYTHING = { resourceSubscriptions: [NOTES], resourcesListChanged: true };

export function noteUri(id: string): string {
  return `${NOTES}/${id}`;
}

export function rename(bank: TestBank, id: string, title: string): Promise<unknown> {
  return write(bank, (sql) => sql.query('update bank.notes set title = $2 where id = $1', [id, title]));
}
