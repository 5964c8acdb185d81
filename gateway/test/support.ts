import { once } from 'node:events';
import {
  type ClientRequest,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  request,
  type Server,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { bankPath, CATALOGUE_PATH, createLogger, createRegistry, loadConfig } from '@bankhouse/core';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { type BadRequestContext, goodClaims, signToken } from '../../test/harness/bad-requests.ts';
import { type BankChange, bankObject, type PodChange, podObject } from '../../test/harness/routed.ts';
import { assembleGateway, configSchema, Revocations, readBank, readPod } from '../src/index.ts';

export const FRONT_DOOR = 'https://mcp.example.com';
export const ROOT_KEY = Buffer.alloc(32, 7);
export const seconds = () => Math.floor(Date.now() / 1000);

/** A server on a free port, gone with `close`. */
export async function listen(
  listener: RequestListener,
  at: { port?: number; ip?: string } = {},
): Promise<{ server: Server; port: number; close(): Promise<void> }> {
  const server = createServer(listener);
  server.listen(at.port ?? 0, at.ip ?? '127.0.0.1');
  await once(server, 'listening');
  return {
    server,
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** An issuer with one ES256 key, whose JWKS is served for real. */
export async function startIssuer(issuer = FRONT_DOOR) {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  const published = { keys: [{ ...jwk, kid, alg: 'ES256', use: 'sig' }] as object[] };
  const state = { loads: 0, isDown: false };
  const jwks = await listen((_request, response) => {
    state.loads += 1;
    if (state.isDown) response.writeHead(500).end();
    else response.setHeader('content-type', 'application/jwk-set+json').end(JSON.stringify(published));
  });
  const context = (bank = 'acme', otherBank = 'globex'): BadRequestContext => ({
    frontDoor: FRONT_DOOR,
    bank,
    otherBank,
    issuer,
    kid,
    privateKey,
    publicKey,
    now: seconds(),
  });
  return {
    issuer,
    url: `http://127.0.0.1:${jwks.port}/jwks`,
    state,
    published,
    context,
    /** A good token, but for what is changed. */
    token: (claims: object = {}, bank = 'acme', header: object = {}) =>
      signToken(
        privateKey,
        { alg: 'ES256', typ: 'at+jwt', kid, ...header },
        { ...goodClaims(context(bank)), ...claims },
      ),
    close: jwks.close,
  };
}

/** What a bank's pod was sent. */
export interface Seen {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A neighbour in the place of a bank's pod: records what it gets, answers as `answer` says. */
export async function startPod() {
  const seen: Seen[] = [];
  const pod = {
    seen,
    /** Called with the whole body read, unless `onRequest` is set. */
    onRequest: undefined as RequestListener | undefined,
    /** Called for the bank's catalogue; without it there is none, as in a server of the version before. */
    onCatalogue: undefined as RequestListener | undefined,
  };
  const { port, close, server } = await listen((incoming, response) => {
    if (incoming.url === CATALOGUE_PATH) {
      if (pod.onCatalogue === undefined) response.writeHead(404).end();
      else pod.onCatalogue(incoming, response);
      return;
    }
    if (pod.onRequest !== undefined) {
      seen.push({ method: incoming.method ?? '', url: incoming.url ?? '', headers: incoming.headers, body: '' });
      pod.onRequest(incoming, response);
      return;
    }
    void readText(incoming).then((body) => {
      seen.push({ method: incoming.method ?? '', url: incoming.url ?? '', headers: incoming.headers, body });
      response.setHeader('content-type', 'application/json').end('{"jsonrpc":"2.0","id":1,"result":{}}');
    });
  });
  return Object.assign(pod, { server, port, close });
}

export async function readText(stream: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

export const bank = (id: string, change?: BankChange) => readBank(bankObject(id, change));
export const podAt = (id: string, ip: string, change?: PodChange) => readPod(podObject(id, ip, change));

/** A gateway whose routes and revocations the test decides. Banks acme and globex are there, at 127.0.0.1 and `podPort`. */
export async function startTestGateway(options: {
  issuers: readonly { issuer: string; url: string; more?: object }[];
  podPort: number;
  env?: Record<string, string>;
}) {
  const config = loadConfig(configSchema, {
    FRONT_DOOR_URL: FRONT_DOOR,
    ROOT_KEY: ROOT_KEY.toString('base64'),
    DATABASE_URL: 'postgres://nobody@localhost/nothing',
    TRUSTED_ISSUERS: JSON.stringify(
      options.issuers.map(({ issuer, url, more }) => ({ issuer, jwksUrl: url, ...more })),
    ),
    ...options.env,
  });
  const clock = { ms: 0 };
  const revocations = new Revocations(config.REVOCATION_MAX_STALENESS_SECONDS * 1000, () => clock.ms);
  revocations.confirm(0);
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  const logger = createLogger({ component: 'gateway', level: 'debug', destination });
  const registry = createRegistry('gateway');
  const assembly = assembleGateway({ config, revocations, registry, logger, podPort: options.podPort });
  for (const id of ['acme', 'globex']) {
    assembly.table.setBank(`banks/${id}`, bank(id));
    assembly.table.setPod(`banks/${id}`, podAt(id, '127.0.0.1'));
  }
  const port = await assembly.gateway.listen(0, '127.0.0.1');
  await assembly.start();
  return { ...assembly, port, revocations, registry, clock, lines };
}

export interface Answered {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  /** `error` of a JSON-RPC error body. */
  error: { code: number; message: string; data: { code: string } } | undefined;
}

/** Sends one request as it is: target, header case and repetition. */
export async function send(
  port: number,
  options: {
    method?: string;
    target?: string;
    headers?: Record<string, string | string[]>;
    body?: string | Uint8Array;
  },
): Promise<Answered> {
  const { response } = await open(port, options);
  const body = await readText(response);
  const isError = body.startsWith('{') && body.includes('"error"');
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body,
    error: isError ? JSON.parse(body).error : undefined,
  };
}

/** The same, up to the answer's headers. Without `body`, the request is left open for `outgoing.write`. */
export async function open(
  port: number,
  options: {
    method?: string;
    target?: string;
    headers?: Record<string, string | string[]>;
    body?: string | Uint8Array | null;
  },
): Promise<{ outgoing: ClientRequest; response: IncomingMessage }> {
  const outgoing = start(port, options);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  return { outgoing, response };
}

export function start(
  port: number,
  options: {
    method?: string;
    target?: string;
    headers?: Record<string, string | string[]>;
    body?: string | Uint8Array | null;
  },
): ClientRequest {
  const { method = 'POST', target = bankPath('acme'), headers = {}, body = '' } = options;
  const length = body === null ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  const outgoing = request({
    host: '127.0.0.1',
    port,
    method,
    path: target,
    headers: { ...length, ...headers },
    agent: false,
  });
  if (body !== null) outgoing.end(body);
  return outgoing;
}

export const LIST = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} });
export const JSON_TYPE = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
export const MODERN_LIST = { ...JSON_TYPE, 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' };

/** Sum of a counter's samples with these labels. */
export async function counted(
  gateway: { registry: { getMetricsAsJSON(): Promise<object[]> } },
  name: string,
  labels: Record<string, string> = {},
): Promise<number> {
  const metrics = (await gateway.registry.getMetricsAsJSON()) as {
    name: string;
    values: { value: number; labels: Record<string, string> }[];
  }[];
  const values = metrics.find((metric) => metric.name === name)?.values ?? [];
  const matching = values.filter((sample) =>
    Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  );
  return matching.reduce((sum, sample) => sum + sample.value, 0);
}

/** Asks every few milliseconds, for what happens in another part of the process without an event for us. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 5_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error('still not so after 5 s');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
