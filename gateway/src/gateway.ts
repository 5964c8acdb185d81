import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import {
  type BankResource,
  bankResourcesAt,
  type Catalogue,
  type Logger,
  parseBankTarget,
  REQUEST_HEADERS_MAX_BYTES,
} from '@bankhouse/core';
import type { CallHandler } from './calls/call-handler.ts';
import type { IssuerConfig } from './config.ts';
import {
  type Answer,
  errorAnswer,
  MCP_METHODS,
  metadataAnswer,
  methodRefused,
  nothingHereAnswer,
  send,
} from './http/answers.ts';
import { corsHeaders, Origins, PUBLIC_CORS, preflightHeaders } from './http/cors.ts';
import { requestIdOf } from './http/headers.ts';
import type { GatewayMetrics, Outcome } from './metrics.ts';

const MAX_TARGET_BYTES = 1024;
const HEADERS_LIMIT_MS = 10_000;
const REQUEST_LIMIT_MS = 60_000;
/** Longer than ingress controllers keep idle connections (Traefik: 90 s), so that it is never us who close one under a request. */
const KEEP_ALIVE_MS = 120_000;

const METADATA_METHODS = 'GET, HEAD, OPTIONS';

/** The public door: everything that comes in from the ingress. */
export class Gateway {
  private readonly frontDoor: string;
  private readonly resourceOf: (bank: string) => BankResource;
  private readonly issuers: readonly IssuerConfig[];
  private readonly origins: Origins;
  private readonly calls: CallHandler;
  private readonly metrics: GatewayMetrics;
  private readonly server: Server;
  /** Answers under way by socket, more than one with pipelining: nothing else may be written there meanwhile. */
  private readonly answering = new WeakMap<Socket, number>();
  private isStopping = false;

  constructor(options: {
    frontDoor: string;
    /** For the metadata. */
    issuers: readonly IssuerConfig[];
    allowedOrigins: readonly string[];
    catalogueOf: (bank: string) => Catalogue;
    calls: CallHandler;
    metrics: GatewayMetrics;
    logger: Logger;
  }) {
    this.frontDoor = options.frontDoor;
    this.resourceOf = bankResourcesAt(options.frontDoor, options.catalogueOf);
    this.issuers = options.issuers;
    this.origins = new Origins(options.frontDoor, options.allowedOrigins);
    this.calls = options.calls;
    this.metrics = options.metrics;
    const { logger } = options;
    const listener = (request: IncomingMessage, response: ServerResponse) => {
      const { socket } = request;
      this.answering.set(socket, (this.answering.get(socket) ?? 0) + 1);
      response.on('close', () => this.answering.set(socket, (this.answering.get(socket) ?? 1) - 1));
      this.handle(request, response).then(
        (outcome) => this.metrics.finished(outcome),
        (error: unknown) => {
          logger.error({ err: error }, 'request handling failed');
          response.destroy();
        },
      );
    };
    this.server = createServer(
      {
        maxHeaderSize: REQUEST_HEADERS_MAX_BYTES,
        headersTimeout: HEADERS_LIMIT_MS,
        requestTimeout: REQUEST_LIMIT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: 2_000,
      },
      listener,
    );
    // Without a listener Node invites every body at once; ours is invited when it is wanted.
    this.server.on('checkContinue', listener);
    this.server.on('clientError', (error: Error & { code?: string }, socket) => {
      if ((this.answering.get(socket as Socket) ?? 0) > 0) socket.destroy();
      else answerBrokenRequest(error, socket as Socket);
    });
  }

  /** @returns the port */
  async listen(port: number, host?: string): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.server.once('error', reject);
    this.server.listen({ port, ...(host === undefined ? {} : { host }) }, resolve);
    await promise;
    return (this.server.address() as AddressInfo).port;
  }

  /** Takes no new connection, lets calls under way end, and cuts what is left after `limitMs`. */
  async stop(limitMs: number): Promise<void> {
    this.isStopping = true;
    const closed = new Promise((resolve) => this.server.close(resolve));
    // A connection that becomes idle later is kept alive by Node all the same.
    const idle = setInterval(() => this.server.closeIdleConnections(), 100);
    const limit = setTimeout(() => this.server.closeAllConnections(), limitMs);
    await closed;
    clearInterval(idle);
    clearTimeout(limit);
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<Outcome> {
    const requestId = requestIdOf(request.headers['x-request-id']);
    const headers = {
      'x-request-id': requestId,
      'x-content-type-options': 'nosniff',
      ...(this.isStopping ? { connection: 'close' } : {}),
    };
    const rawTarget = request.url ?? '';
    const target = rawTarget.length <= MAX_TARGET_BYTES ? parseBankTarget(rawTarget) : undefined;
    if (target === undefined) {
      send(response, nothingHereAnswer(rawTarget), headers);
      return 'path_refused';
    }
    const resource = this.resourceOf(target.id);
    if (target.kind === 'metadata') return this.answerMetadata(request, response, resource, headers);
    const { origin } = request.headers;
    if (!this.origins.isAllowed(origin)) {
      const message =
        'Pages of this origin may not call banks; add it to ALLOWED_ORIGINS (chart: gateway.allowedOrigins).';
      send(response, errorAnswer(403, 'origin_refused', message), headers);
      return 'origin_refused';
    }
    const withCors = { ...headers, ...corsHeaders(origin) };
    switch (request.method) {
      case 'POST':
      case 'GET':
      case 'DELETE':
      // Clients probe with it for the challenge before anything else.
      case 'HEAD':
        return this.calls.handle(request, response, { resource, requestId, headers: withCors });
      case 'OPTIONS':
        send(response, preflight(MCP_METHODS, request), withCors);
        return 'preflight';
      default:
        send(response, methodRefused(), withCors);
        return 'method_refused';
    }
  }

  private answerMetadata(
    request: IncomingMessage,
    response: ServerResponse,
    resource: BankResource,
    headers: Record<string, string>,
  ): Outcome {
    const withCors = { ...headers, ...PUBLIC_CORS };
    switch (request.method) {
      case 'GET':
      case 'HEAD':
        send(response, metadataAnswer(resource, this.issuers, this.frontDoor), withCors);
        return 'metadata';
      case 'OPTIONS':
        send(response, preflight(METADATA_METHODS, request), withCors);
        return 'preflight';
      default:
        send(response, methodRefused(METADATA_METHODS), withCors);
        return 'method_refused';
    }
  }
}

function preflight(methods: string, request: IncomingMessage): Answer {
  const requested = request.headers['access-control-request-headers'];
  return { status: 204, headers: { allow: methods, ...preflightHeaders(methods, requested) }, body: '' };
}

/** What is not even a request: too long, too slow, or not HTTP. The connection ends with it. */
function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const { status, headers, body } = brokenRequestAnswer(error.code);
  const head = Object.entries({ ...headers, connection: 'close', 'content-length': String(Buffer.byteLength(body)) })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  socket.end(`HTTP/1.1 ${status} ${REASON_PHRASES[status] ?? ''}\r\n${head}\r\n${body}`, () => socket.destroy());
}

const REASON_PHRASES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
};

function brokenRequestAnswer(code: string | undefined): Answer {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return errorAnswer(
        431,
        'headers_too_large',
        `Request line and headers are longer than ${REQUEST_HEADERS_MAX_BYTES} bytes.`,
      );
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return errorAnswer(408, 'request_timeout', 'The request did not arrive in time.');
    default:
      return errorAnswer(400, 'not_http', 'This is not a well-formed HTTP/1.1 request.');
  }
}
