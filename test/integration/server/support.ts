import { randomBytes } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Assertion,
  createLogger,
  deriveSealKey,
  SECRET_BANK_NAME,
  SECRET_DATABASE_URL,
  type SECRET_EMBEDDINGS_KEY,
  SECRET_SEAL_KEYS,
  sealAssertion,
} from '@bankhouse/core';
import { loadServerConfig, startBankServer, type Toolset } from '@bankhouse/server';
import { type CallToolResult, Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type pg from 'pg';
import { assertionFor, createBank, type TestBank, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { uidOf } from '../../harness/routed.ts';

export type Era = 'modern' | 'legacy';
export const ERAS: Era[] = ['modern', 'legacy'];
export const MODERN = '2026-07-28';
export const VAULTS = [
  { id: 'sales', displayName: 'Sales' },
  { id: 'support', displayName: 'Support' },
];

/** A bank with the real server in front of it, as the operator and the gateway would set them up. */
export interface RunningBank extends AsyncDisposable {
  readonly id: string;
  readonly bank: TestBank;
  readonly url: string;
  /** Everything that was logged so far. */
  readonly logs: string[];
  /** Headers of a request as the gateway sends it. */
  headers(changes?: Partial<Assertion>): Record<string, string>;
  connect(era?: Era, changes?: Partial<Assertion>): Promise<Client & AsyncDisposable>;
  /** A request by hand, for what no client library would send. */
  post(body: unknown, headers?: Record<string, string | undefined>): Promise<Response>;
  /** Changes a file of the bank's Secret at once, as Kubernetes does. */
  writeSecret(
    name: typeof SECRET_DATABASE_URL | typeof SECRET_SEAL_KEYS | typeof SECRET_EMBEDDINGS_KEY | typeof SECRET_BANK_NAME,
    text: string,
  ): void;
}

export async function runBank(
  postgres: TestPostgres,
  id: string,
  options: {
    toolsets?: readonly Toolset[];
    databaseUrl?: (own: string) => string;
    /** Key that the gateway and the operator hold. */
    root?: Uint8Array;
    env?: Readonly<Record<string, string>>;
  } = {},
): Promise<RunningBank> {
  const root = options.root ?? randomBytes(32);
  // The same Bank however often it is run: another one could not have its id.
  const bank = await createBank(postgres, id, { root, vaults: VAULTS, uid: uidOf(id) });
  const dir = mkdtempSync(join(tmpdir(), 'bankhouse-server-'));
  const writeSecret = (name: string, text: string) => {
    writeFileSync(join(dir, `.${name}`), text);
    renameSync(join(dir, `.${name}`), join(dir, name));
  };
  const podKey = deriveSealKey(root, 'pod', id, bank.uid, 1);
  writeSecret(SECRET_SEAL_KEYS, JSON.stringify({ 1: podKey.toString('base64') }));
  writeSecret(SECRET_BANK_NAME, 'Acme Ltd');
  writeSecret(SECRET_DATABASE_URL, options.databaseUrl?.(bank.url) ?? bank.url);

  const logs: string[] = [];
  const logger = createLogger({
    component: 'server',
    level: 'debug',
    destination: { write: (line) => logs.push(line) },
  });
  const config = loadServerConfig({ BANK_ID: id, SECRET_DIR: dir, PORT: '0', ...options.env });
  const server = await startBankServer(
    config,
    logger,
    options.toolsets === undefined ? {} : { toolsets: options.toolsets },
  );
  const url = `http://127.0.0.1:${server.port}/mcp/bank-${id}`;
  const headers = (changes: Partial<Assertion> = {}) => {
    const assertion = assertionFor(id, changes);
    return {
      'bankhouse-assertion': sealAssertion(assertion, podKey, 1),
      'bankhouse-database-assertion': sealAssertion(assertion, bank.sealKey, 1),
    };
  };
  return {
    id,
    bank,
    url,
    logs,
    headers,
    writeSecret,
    async connect(era = 'modern', changes = {}) {
      const client = new Client(
        { name: `test-${era}`, version: '1' },
        era === 'modern' ? { versionNegotiation: { mode: { pin: MODERN } } } : {},
      );
      // Sealed anew for each request, as the gateway does: an assertion lives for a minute, and a file of tests on a busy machine for longer.
      const sealing: typeof fetch = (target, init) =>
        fetch(target, { ...init, headers: { ...Object.fromEntries(new Headers(init?.headers)), ...headers(changes) } });
      await client.connect(new StreamableHTTPClientTransport(new URL(url), { fetch: sealing }));
      return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() });
    },
    post(body, own = headers()) {
      const given = Object.entries({
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...own,
      }).filter((entry): entry is [string, string] => entry[1] !== undefined);
      return fetch(url, {
        method: 'POST',
        headers: Object.fromEntries(given),
        body: typeof body === 'string' ? body : JSON.stringify(body),
      });
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A 2026-07-28 request's body and the headers that it needs. */
export function modernRequest(method: string, params: Record<string, unknown> = {}, id = 1) {
  return {
    body: {
      jsonrpc: '2.0',
      id,
      method,
      params: {
        ...params,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': MODERN,
          'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      },
    },
    headers: {
      'mcp-protocol-version': MODERN,
      'mcp-method': method,
      ...(typeof params.name === 'string' ? { 'mcp-name': params.name } : {}),
    },
  };
}

export async function call<T = Record<string, unknown>>(
  client: Client,
  name: string,
  args: Record<string, unknown> = {},
): Promise<T & { text: string }> {
  const result: CallToolResult = await client.callTool({ name, arguments: args });
  if (result.isError === true) throw new Error(textOf(result));
  return { ...(result.structuredContent as T), text: textOf(result) };
}

/** `code` and text of a call that must fail. */
export async function callError(client: Client, name: string, args: Record<string, unknown> = {}) {
  const result: CallToolResult = await client.callTool({ name, arguments: args });
  if (result.isError !== true) throw new Error(`${name} succeeded: ${JSON.stringify(result.structuredContent)}`);
  const meta = result._meta?.['bankhouse.dev/error'] as { code: string; retryable: boolean; field?: string };
  return { ...meta, text: textOf(result) };
}

export function textOf(result: CallToolResult): string {
  return result.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
}

/** Runs as the role that may write every bank's rows, as the loader does. */
export async function asLoader<T>(postgres: TestPostgres, use: (client: pg.Client) => Promise<T>): Promise<T> {
  return withClient(postgres.ownerUrl, async (client) => {
    await client.query('set role bankhouse_data');
    return use(client);
  });
}
