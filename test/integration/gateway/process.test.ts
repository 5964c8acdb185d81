/** The whole gateway on a real API server and a real Postgres: ready when it knows everything, routed by what is applied. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { API_VERSION, bankUrl, createLogger, loadConfig } from '@bankhouse/core';
import { configSchema, type GatewayProcess, startGateway } from '@bankhouse/gateway';
import { createTransport, MERGE_PATCH_TYPE } from '@bankhouse/kube';
import { exportJWK, generateKeyPair } from 'jose';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ApiServer, startApiServer } from '../../harness/apiserver.ts';
import { goodClaims, signToken } from '../../harness/bad-requests.ts';
import { startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { createPod } from '../../harness/routed.ts';

const FRONT_DOOR = 'https://mcp.example.com';
const keys = await generateKeyPair('ES256', { extractable: true });
const servers: Server[] = [];
let apiServer: ApiServer;
let postgres: TestPostgres;
let gateway: GatewayProcess;

async function serve(answer: string): Promise<number> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.setHeader('content-type', 'application/json').end(answer));
  });
  servers.push(server);
  server.listen(0);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  [apiServer, postgres] = await Promise.all([startApiServer(), startPostgres()]);
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'k' }] });
  const config = loadConfig(configSchema, {
    FRONT_DOOR_URL: FRONT_DOOR,
    ROOT_KEY: Buffer.alloc(32, 7).toString('base64'),
    DATABASE_URL: postgres.serviceUrl('gateway'),
    TRUSTED_ISSUERS: JSON.stringify([{ issuer: FRONT_DOOR, jwksUrl: `http://127.0.0.1:${await serve(jwks)}/` }]),
    PORT: '0',
    ADMIN_PORT: '0',
    WAKE_DEADLINE_MS: '0',
  });
  const logger = createLogger({ component: 'gateway', level: 'silent' });
  const podPort = await serve('{"jsonrpc":"2.0","id":1,"result":{}}');
  gateway = await startGateway({ config, transport: await createTransport(apiServer.kubeconfig), logger, podPort });
});

afterAll(async () => {
  await gateway?.stop();
  for (const server of servers) server.close();
  await Promise.all([apiServer?.stop(), postgres?.stop()]);
});

const now = () => Math.floor(Date.now() / 1000);
const mint = (claims: object = {}) =>
  signToken(
    keys.privateKey,
    { alg: 'ES256', typ: 'at+jwt', kid: 'k' },
    { ...goodClaims({ frontDoor: FRONT_DOOR, bank: 'acme', issuer: FRONT_DOOR, now: now() }), ...claims },
  );

async function call(token: string): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${gateway.port}${new URL(bankUrl(FRONT_DOOR, 'acme')).pathname}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
  });
  await answer.arrayBuffer();
  return answer.status;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error('still not so after 10 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const admin = (path: string) => fetch(`http://127.0.0.1:${gateway.adminPort}${path}`);

it('becomes ready, finds a bank when it is accepted and has an address, and loses it again', async () => {
  await until(async () => (await admin('/readyz')).status === 200);
  const token = await mint();
  expect(await call(token)).toBe(403);

  const banks = '/apis/bankhouse.dev/v1alpha1/namespaces/default/banks';
  const metadata = { name: 'acme', namespace: 'default' };
  await apiServer.transport.request('POST', banks, {
    body: { apiVersion: API_VERSION, kind: 'Bank', metadata, spec: {} },
  });
  const condition = {
    type: 'Accepted',
    status: 'True',
    reason: 'Free',
    message: '',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  };
  await apiServer.transport.request('PATCH', `${banks}/acme/status`, {
    contentType: MERGE_PATCH_TYPE,
    body: { status: { id: 'acme', conditions: [condition] } },
  });
  await until(async () => (await call(token)) === 503);

  await createPod(apiServer.transport, 'acme', '127.0.0.1', { namespace: 'default' });
  await until(async () => (await call(token)) === 200);

  await apiServer.transport.request('PATCH', `${banks}/acme`, {
    contentType: MERGE_PATCH_TYPE,
    body: { spec: { suspend: true } },
  });
  await until(async () => (await call(token)) === 403);
  await apiServer.transport.request('PATCH', `${banks}/acme`, {
    contentType: MERGE_PATCH_TYPE,
    body: { spec: { suspend: false } },
  });
  await until(async () => (await call(token)) === 200);
});

it('refuses a revoked token within a second of its commit, over HTTP (R1.4)', async () => {
  const jti = crypto.randomUUID();
  const token = await mint({ jti });
  expect(await call(token)).toBe(200);
  const control = new pg.Client({ connectionString: postgres.serviceUrl('control') });
  await control.connect();
  await control.query(`insert into control.revoked_tokens (jti, expires_at) values ($1, now() + interval '1 hour')`, [
    jti,
  ]);
  const committed = performance.now();
  await control.end();
  await until(async () => (await call(token)) === 401);
  expect(performance.now() - committed).toBeLessThan(1000);
});

it('counts what it does', async () => {
  const text = await (await admin('/metrics')).text();
  expect(text).toMatch(/bankhouse_gateway_requests_total\{outcome="answered",component="gateway"\} [1-9]/);
  expect(text).toMatch(
    /bankhouse_gateway_authentication_failures_total\{reason="token_revoked",component="gateway"\} [1-9]/,
  );
  expect(text).toMatch(/bankhouse_gateway_revocation_staleness_seconds\{component="gateway"\} [0-2]\./);
  expect(text).toMatch(/bankhouse_gateway_added_seconds_count\{component="gateway"\} [1-9]/);
});
