import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { BankhouseError, bankPath, type Logger, messageOf } from '@bankhouse/core';
import { isJsonContentType } from '@modelcontextprotocol/server';
import { type McpService, toAuthInfo } from '../mcp/serve.ts';
import type { Secrets } from '../secrets.ts';
import { BodyError, readJsonBody } from './body.ts';
import { checkScopes, DoorError, openDoor } from './door.ts';
import { exchange, isListen } from './exchange.ts';

/** Two sealed assertions of at most 8 KiB each, and what else a client sends. */
const MAX_HEADER_BYTES = 32 * 1024;
const HEADERS_TIMEOUT_MS = 10_000;
/** For the whole request to arrive; an answer may take as long as it takes. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Longer than the gateway keeps an unused connection, so that it never sends on one that is just being closed. */
const KEEP_ALIVE_MS = 75_000;
const MAX_CONNECTIONS = 1024;
const FAREWELL_MS = 3000;
const DRAIN_MS = 10_000;
/** For listen streams to be told their end. */
const LAST_WORDS_MS = 1000;

const OWN_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);

export interface HttpOptions {
  bank: string;
  port: number;
  secrets: Secrets;
  mcp: McpService;
  logger: Logger;
  /** Text for /metrics. */
  metrics(): string;
  /** Called for every request but those of kubelet and Prometheus, before anything is checked. */
  onRequest(): void;
  /** Milliseconds since 1970. */
  now?: () => number;
}

export interface HttpServer {
  readonly port: number;
  /**
   * Not ready from now on, and takes what still comes, until nobody is connected but by listen streams, 3 seconds at most. So the gateway
   * hears that this pod goes, and leaves by itself: a request that it had sent before would else meet a closed connection, of which nobody
   * can say whether it was carried out.
   */
  takeLeave(): Promise<void>;
  /** Refuses new work, ends listen streams, and waits for what runs, 10 seconds at most. */
  stop(): Promise<void>;
}

/** `POST /mcp/bank-<id>` behind the door; `/healthz`, `/readyz` and `/metrics` for the kubelet and Prometheus. */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const state = { draining: false };
  const running = trackRunning();
  const listening = trackRunning();
  const now = options.now ?? Date.now;
  const path = bankPath(options.bank);

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = request.url ?? '';
    if (!OWN_PATHS.has(url)) options.onRequest();
    if (url !== path && !url.startsWith(`${path}?`)) return answerPlain(url, response, state.draining, options);
    const caller = openDoor(request.headers, options.bank, options.secrets, Math.floor(now() / 1000));
    const authInfo = toAuthInfo(caller);
    // The SDK answers other methods (405) and other types (415) without a body.
    if (request.method !== 'POST' || !isJsonContentType(request.headers['content-type'] ?? null)) {
      return exchange(options.mcp, request, response, { authInfo });
    }
    const body = await readJsonBody(request);
    checkScopes(body, caller.assertion.scopes);
    const answered = exchange(options.mcp, request, response, { authInfo, body });
    return (isListen(body) ? listening : running).track(answered);
  };

  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    (request, response) => {
      if (state.draining) response.setHeader('connection', 'close');
      handle(request, response).catch((error: unknown) => refuse(request, response, error, options.logger));
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  const connected = trackConnected(server);
  server.listen(options.port);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async takeLeave() {
      state.draining = true;
      await within(
        FAREWELL_MS,
        connected.fewerThan(() => listening.count + 1),
      );
    },
    async stop() {
      state.draining = true;
      await drain(server, options.mcp, running, listening);
    },
  };
}

/**
 * /readyz says whether this process can serve, not whether Postgres can: all banks share one Postgres, and if its restart made
 * their pods unready, clients would meet a platform without endpoints instead of a tool error that says "try again", and lists
 * and handshakes, which need no database, would fail too.
 */
function answerPlain(url: string, response: ServerResponse, draining: boolean, options: HttpOptions): void {
  const send = (status: number, text: string) =>
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text);
  switch (url) {
    case '/healthz':
      send(200, 'ok\n');
      return;
    case '/readyz':
      if (draining) send(503, 'stopping\n');
      else send(200, 'ok\n');
      return;
    case '/metrics':
      send(200, options.metrics());
      return;
    default:
      send(404, `Not found. This pod serves ${bankPath(options.bank)}.\n`);
  }
}

/** A refusal as the JSON-RPC error that an MCP client understands. It echoes the request's id where that was read. */
function refuse(request: IncomingMessage, response: ServerResponse, error: unknown, logger: Logger): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const refusal = error instanceof DoorError || error instanceof BodyError ? error : undefined;
  const status = refusal?.status ?? (isClientGone(error) ? 400 : 500);
  if (status === 500) logger.error({ reason: messageOf(error) }, 'request failed');
  else logger.info({ status, code: error instanceof BankhouseError ? error.code : 'client_gone' }, 'request refused');
  const data = {
    code: refusal?.code ?? 'internal',
    ...(refusal instanceof DoorError && refusal.scopes.length > 0 ? { scopes: refusal.scopes } : {}),
  };
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: refusal instanceof DoorError ? refusal.requestId : null,
    error: { code: refusal?.rpcCode ?? -32603, message: refusal?.message ?? 'Internal error', data },
  });
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    // What is left of an unread body can't be told from the next request.
    ...(request.complete ? {} : { connection: 'close' }),
  });
  response.end(body);
}

function isClientGone(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'ECONNRESET';
}

interface Running {
  readonly count: number;
  track(work: Promise<void>): Promise<void>;
  /** Resolves when nothing runs. */
  idle(): Promise<void>;
}

function trackRunning(): Running {
  const all = new Set<Promise<void>>();
  return {
    get count() {
      return all.size;
    },
    async track(work) {
      all.add(work);
      try {
        await work;
      } finally {
        all.delete(work);
      }
    },
    async idle() {
      while (all.size > 0) await Promise.allSettled(all);
    },
  };
}

/** Connections that are open. */
function trackConnected(server: Server): { fewerThan(limit: () => number): Promise<void> } {
  const open = new Set<Socket>();
  let onClosed = () => {};
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('close', () => {
      open.delete(socket);
      onClosed();
    });
  });
  return {
    fewerThan: (limit) =>
      new Promise((resolve) => {
        onClosed = () => {
          if (open.size < limit()) resolve();
        };
        onClosed();
      }),
  };
}

async function drain(server: Server, mcp: McpService, running: Running, listening: Running): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  await within(DRAIN_MS, running.idle());
  await mcp.close();
  await within(LAST_WORDS_MS, listening.idle());
  server.closeAllConnections();
  await closed;
}

async function within(ms: number, work: Promise<void>): Promise<void> {
  const limit = Promise.withResolvers<void>();
  const timer = setTimeout(limit.resolve, ms);
  await Promise.race([work, limit.promise]);
  clearTimeout(timer);
}
