import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import {
  type AdminAnswers,
  answerAdmin,
  BankhouseError,
  bankPath,
  CATALOGUE_HEADER,
  CATALOGUE_PATH,
  type Logger,
  messageOf,
  POD_ASSERTION_HEADER,
  PROOF_HEADER,
  proofOf,
  RPC,
  SEALED_HEADERS_MAX_BYTES,
  type SentCatalogue,
  TOOL_PROFILE_UNKNOWN,
  type ToolLookup,
  type ToolProfile,
  toolProfileOf,
} from '@bankhouse/core';
import { isJsonContentType } from '@modelcontextprotocol/server';
import { AnswerBudget } from '../mcp/answer-budget.ts';
import type { McpService } from '../mcp/serve.ts';
import { toAuthInfo } from '../mcp/serving.ts';
import type { Secrets } from '../secrets.ts';
import { ANSWER_CHARACTERS } from '../toolsets/shared/budget.ts';
import { RequestError, readJsonBody } from './body.ts';
import { checkAccess, DoorError, openDoor, openSeal } from './door.ts';
import { exchange, isListen } from './exchange.ts';

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

export interface HttpOptions {
  bank: string;
  port: number;
  secrets: Secrets;
  mcp: McpService;
  /** That the bank offers. */
  tools: ToolLookup;
  /** All that it offers, for the gateway. */
  catalogue: () => SentCatalogue;
  logger: Logger;
  metrics: AdminAnswers['metrics'];
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
  // Whether this process can serve, not whether Postgres can: all banks share one Postgres, and if its restart made their pods unready,
  // clients would meet a platform without endpoints instead of a tool error that says "try again", and lists and handshakes, which need no
  // database, would fail too.
  const notReady = () => (state.draining ? 'stopping' : undefined);
  const answerOwn = answerAdmin({ metrics: options.metrics, notReady });

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (answerOwn(request, response)) return;
    const url = request.url ?? '';
    if (url === CATALOGUE_PATH) return sendCatalogue(request, response, options, now());
    options.onRequest();
    if (url !== path && !url.startsWith(`${path}?`)) {
      response
        .writeHead(404, { 'content-type': 'text/plain; charset=utf-8' })
        .end(`Not found. This pod serves ${path}.\n`);
      return;
    }
    const caller = openDoor(request.headers, options.bank, options.secrets, Math.floor(now() / 1000));
    prove(request, response, options);
    const shown = profileOf(url, options.secrets);
    // The SDK answers other methods (405) and other types (415) without a body.
    if (request.method !== 'POST' || !isJsonContentType(request.headers['content-type'] ?? null)) {
      const answered = exchange(options.mcp, request, response, { authInfo: toAuthInfo({ caller, ...shown }) });
      return (request.method === 'GET' ? listening : running).track(answered);
    }
    const body = await readJsonBody(request);
    checkAccess(body, caller.assertion, options.tools, options.mcp.answering);
    const budget = Array.isArray(body) ? new AnswerBudget(ANSWER_CHARACTERS) : undefined;
    const authInfo = toAuthInfo({ caller, ...shown, budget });
    const answered = exchange(options.mcp, request, response, { authInfo, body });
    return (isListen(body) ? listening : running).track(answered);
  };

  const server = createServer(
    {
      maxHeaderSize: SEALED_HEADERS_MAX_BYTES,
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
 * On whatever is answered from here on: that it comes from who has the bank's key (G9), and, where the gateway asks, which catalogue the bank has
 * now. The door has opened the assertion.
 */
function prove(
  { headers }: IncomingMessage,
  response: ServerResponse,
  { secrets, catalogue }: Pick<HttpOptions, 'secrets' | 'catalogue'>,
): void {
  const sealed = headers[POD_ASSERTION_HEADER];
  const said = headers[CATALOGUE_HEADER] === undefined ? undefined : catalogue().digest;
  const proof = typeof sealed === 'string' ? proofOf(sealed, secrets.sealKeys(), said) : undefined;
  if (proof === undefined) return;
  response.setHeader(PROOF_HEADER, proof);
  if (said !== undefined) response.setHeader(CATALOGUE_HEADER, said);
}

/** To whoever has the gateway's seal; it opens nothing of the bank's, and so needs none for the database. @throws DoorError 401 */
function sendCatalogue(
  request: IncomingMessage,
  response: ServerResponse,
  { bank, secrets, catalogue }: HttpOptions,
  now: number,
): void {
  openSeal(request.headers, bank, secrets, Math.floor(now / 1000));
  if (request.method !== 'GET') {
    response.writeHead(405, { allow: 'GET' }).end();
    return;
  }
  const { text, digest } = catalogue();
  const proof = proofOf(String(request.headers[POD_ASSERTION_HEADER]), secrets.sealKeys(), digest);
  response
    .writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      ...(proof === undefined ? {} : { [PROOF_HEADER]: proof }),
    })
    .end(text);
}

/** What the URL says goes before what the Bank says. @throws RequestError 400 */
function profileOf(url: string, secrets: Secrets): { profile: ToolProfile; followsBank: boolean } {
  const asked = toolProfileOf(url);
  if (asked === 'unknown') throw new RequestError(400, RPC.invalidRequest, 'tool_profile', TOOL_PROFILE_UNKNOWN);
  return { profile: asked ?? secrets.toolProfile() ?? 'full', followsBank: asked === undefined };
}

/** A refusal as the JSON-RPC error that an MCP client understands. It echoes the request's id where that was read. */
function refuse(request: IncomingMessage, response: ServerResponse, error: unknown, logger: Logger): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const refusal = error instanceof DoorError || error instanceof RequestError ? error : undefined;
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
    error: { code: refusal?.rpcCode ?? RPC.internal, message: refusal?.message ?? 'Internal error', data },
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
