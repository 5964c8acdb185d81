/**
 * Runs in a stage of the server's image: starts the bank server of the bundle, asks it what clients ask first, and so fills
 * NODE_COMPILE_CACHE with the code that a start and a first call need. The cache is for one build of Node.js, one user id, one
 * place of the file and one set of V8's options, so the stage runs as the pod will. Where it doesn't fit, Node compiles.
 *
 * node [options as in the pod] warm.cjs BUNDLE
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  bankPath,
  DATABASE_ASSERTION_HEADER,
  MCP_HEADERS,
  MODERN_REVISION,
  POD_ASSERTION_HEADER,
  SECRET_DATABASE_URL,
  SECRET_SEAL_KEYS,
  sealAssertion,
} from '@bankhouse/core';

const BANK = 'warm';
const START_LIMIT_MS = 30_000;

async function warm(bundle: string): Promise<void> {
  const key = randomBytes(32);
  const dir = mkdtempSync(join(tmpdir(), 'warm-'));
  writeFileSync(join(dir, SECRET_SEAL_KEYS), JSON.stringify({ 1: key.toString('base64') }));
  // Nothing listens there: calls end with a tool error.
  writeFileSync(join(dir, SECRET_DATABASE_URL), 'postgres://nobody@127.0.0.1:1/none');
  const port = await freePort();
  Object.assign(process.env, { BANK_ID: BANK, SECRET_DIR: dir, PORT: String(port), LOG_LEVEL: 'silent' });
  require(resolve(bundle));
  const origin = `http://127.0.0.1:${port}`;
  await answering(`${origin}/readyz`);
  const iat = Math.floor(Date.now() / 1000);
  const sealed = sealAssertion(
    { bank: BANK, sub: BANK, iss: BANK, scopes: ['mcp:read'], vaults: null, jti: BANK, iat, rid: BANK },
    key,
    1,
  );
  for (const { headers, body } of firstRequests()) {
    const response = await fetch(`${origin}${bankPath(BANK)}`, {
      method: 'POST',
      headers: {
        ...headers,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        [POD_ASSERTION_HEADER]: sealed,
        [DATABASE_ASSERTION_HEADER]: sealed,
      },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${body.method}: ${response.status} ${await response.text()}`);
    await response.text();
  }
  rmSync(dir, { recursive: true });
  flushCompileCache();
}

function firstRequests(): { headers: Record<string, string>; body: { method: string } }[] {
  const call = { name: 'list_vaults', arguments: {} };
  const legacy = (method: string, params: object) => ({
    headers: {},
    body: { jsonrpc: '2.0', id: 1, method, params },
  });
  const modern = (method: string, params: object, headers: Record<string, string> = {}) => ({
    headers: { [MCP_HEADERS.revision]: MODERN_REVISION, [MCP_HEADERS.method]: method, ...headers },
    body: {
      jsonrpc: '2.0',
      id: 1,
      method,
      params: {
        ...params,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': MODERN_REVISION,
          'io.modelcontextprotocol/clientInfo': { name: BANK, version: '1' },
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      },
    },
  });
  const hello = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: BANK, version: '1' } };
  return [
    modern('server/discover', {}),
    modern('tools/list', {}),
    modern('tools/call', call, { [MCP_HEADERS.name]: call.name }),
    legacy('initialize', hello),
    legacy('tools/list', {}),
    legacy('tools/call', call),
  ];
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function answering(url: string): Promise<void> {
  const limit = performance.now() + START_LIMIT_MS;
  for (;;) {
    try {
      if ((await fetch(url)).ok) return;
    } catch (error) {
      if (performance.now() > limit) throw error;
      await new Promise((wait) => setTimeout(wait, 20));
    }
  }
}

warm(process.argv[2] ?? '').then(
  () => process.kill(process.pid, 'SIGTERM'),
  (error: unknown) => {
    process.stderr.write(`warm: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
