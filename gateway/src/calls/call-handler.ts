import type { IncomingMessage, ServerResponse } from 'node:http';
import { bankPath, flatLines, type Logger, messageOf } from '@bankhouse/core';
import type { Authenticator, Caller } from '../authentication/authenticator.ts';
import { TokenError } from '../authentication/token-error.ts';
import {
  MODERN_VERSION,
  missingScopes,
  type Operation,
  operationOfHeaders,
  operationsOfBody,
  RequestError,
  RPC,
  SESSION_OPERATION,
} from '../authorization.ts';
import type { Answer } from '../http/answers.ts';
import { ClientGoneError, RequestBody } from '../http/body.ts';
import { gatewayHeaders, sortRequestHeaders } from '../http/headers.ts';
import type { GatewayMetrics, Outcome } from '../metrics.ts';
import type { RoutingTable } from '../routing/routing-table.ts';
import type { Sealer, TokenAssertion } from '../seal.ts';
import { exchange, type UpstreamRequest } from '../upstream/exchange.ts';
import { Reach, routeOf } from '../upstream/reach.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { failureOf, ScopeError, UpstreamError } from './failures.ts';
import type { OpenCall, OpenCalls } from './open-calls.ts';

export interface CallHandlerOptions {
  frontDoor: string;
  authenticator: Authenticator;
  routes: RoutingTable;
  upstreams: Upstreams;
  openCalls: OpenCalls;
  sealer: Sealer;
  metrics: GatewayMetrics;
  logger: Logger;
  maxBodyBytes: number;
  /** How long a call waits for an address that takes its connection. */
  wakeDeadlineMs: number;
}

/** One call on its way. */
interface Call {
  readonly bank: string;
  readonly requestId: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Headers on whatever is answered: request id, CORS. */
  readonly headers: Readonly<Record<string, string>>;
  readonly startedAt: number;
  /** Aborts with the reason: ClientGoneError, or TokenError when the token no longer holds. */
  readonly ending: AbortController;
  caller: Caller | undefined;
  operations: readonly Operation[];
  retries: number;
  sentAt: number;
}

/** A request to a bank's endpoint, method and origin being all right: authenticate → authorize → reach → seal → stream. */
export class CallHandler {
  private readonly options: CallHandlerOptions;
  private readonly host: string;
  private readonly audit: Logger;

  constructor(options: CallHandlerOptions) {
    this.options = options;
    this.audit = flatLines(options.logger);
    this.host = new URL(options.frontDoor).host;
  }

  /** Answers, in every case; never rejects. */
  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    target: { bank: string; requestId: string; headers: Readonly<Record<string, string>> },
  ): Promise<Outcome> {
    const call: Call = {
      ...target,
      request,
      response,
      startedAt: performance.now(),
      ending: new AbortController(),
      caller: undefined,
      operations: [],
      retries: 0,
      sentAt: 0,
    };
    response.on('close', () => {
      if (!response.writableFinished) call.ending.abort(new ClientGoneError());
    });
    let outcome: Outcome;
    let problem: unknown;
    try {
      outcome = await this.carryOut(call);
    } catch (error) {
      problem = error;
      outcome = this.fail(call, error);
    }
    this.record(call, outcome, problem);
    return outcome;
  }

  private async carryOut(call: Call): Promise<Outcome> {
    const { authenticator, openCalls } = this.options;
    const { request, bank } = call;
    const headers = sortRequestHeaders(request.rawHeaders, request.headers.connection);
    if (headers.repeated.includes('authorization')) throw new TokenError('token_malformed');
    const caller = await authenticator.authenticate(request.headers.authorization, bank);
    call.caller = caller;
    const open: OpenCall = { bank, caller, cut: (reason) => call.ending.abort(reason) };
    openCalls.add(open);
    try {
      const [repeated] = headers.repeated;
      if (repeated !== undefined) {
        throw new RequestError('header_repeated', RPC.headers, `The header ${repeated} came more than once.`);
      }
      const body = await this.authorize(call, caller);
      return await this.forward(call, caller, headers.passedOn, body);
    } finally {
      openCalls.remove(open);
    }
  }

  /**
   * The body, once the caller may do what the request asks for. For 2026-07-28 the headers say that, and a long body is not
   * read here; the bank server compares them with it. For any other revision the body says it, whatever the headers are.
   *
   * @throws ScopeError, BankUnavailableError, RequestError, BodyTooLargeError, ClientGoneError
   */
  private async authorize(call: Call, caller: Caller): Promise<UpstreamRequest['body']> {
    const { request, response } = call;
    const body = new RequestBody(request, response, this.options.maxBodyBytes);
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') {
      throw new RequestError('content_encoding', RPC.invalidRequest, 'Send the body without a content encoding.');
    }
    if (request.method !== 'POST') {
      this.permit(call, caller, [SESSION_OPERATION]);
      if (body.isEmpty) return () => null;
      throw new RequestError('body_unexpected', RPC.invalidRequest, `${request.method} takes no body.`);
    }
    const { 'mcp-protocol-version': version, 'mcp-method': method, 'mcp-name': name } = request.headers;
    if (version === MODERN_VERSION) {
      this.permit(call, caller, [operationOfHeaders({ method: textOf(method), name: textOf(name) })]);
      if (!body.isSmall) return () => body.parts();
      const whole = await body.whole();
      return () => whole;
    }
    // Scope and existence of the bank depend on the body, but not its reading: a bank that is gone needn't cost memory.
    routeOf(this.options.routes, call.bank);
    const whole = await body.whole();
    this.permit(call, caller, operationsOfBody(whole));
    return () => whole;
  }

  private permit(call: Call, caller: Caller, operations: readonly Operation[]): void {
    call.operations = operations;
    const needed = missingScopes(operations, caller.scopes);
    if (needed.length > 0) throw new ScopeError(needed);
    routeOf(this.options.routes, call.bank);
  }

  private async forward(
    call: Call,
    caller: Caller,
    passedOn: readonly string[],
    body: UpstreamRequest['body'],
  ): Promise<Outcome> {
    const { routes, upstreams, wakeDeadlineMs, metrics } = this.options;
    const { signal } = call.ending;
    const deadline = call.startedAt + wakeDeadlineMs;
    const reach = new Reach({ table: routes, upstreams, id: call.bank, deadline, signal });
    for (;;) {
      signal.throwIfAborted();
      const upstream = await reach.next();
      const attempt = await exchange({
        upstream,
        // Sealed anew: waiting must not use up the assertion's window.
        request: this.upstreamRequest(call, caller, passedOn, body),
        response: call.response,
        headers: call.headers,
        signal,
        onSent: () => {
          call.sentAt = performance.now();
          metrics.added((call.sentAt - call.startedAt) / 1000);
        },
        onAnswer: () => metrics.upstream((performance.now() - call.sentAt) / 1000),
      });
      switch (attempt.kind) {
        case 'answered':
          return 'answered';
        case 'broken':
          this.options.logger.warn(
            { requestId: call.requestId, bank: call.bank, reason: messageOf(attempt.error) },
            'answer broke off',
          );
          return 'upstream_broken';
        case 'aborted':
          throw signal.reason;
        case 'failed':
          // Also what stopped the sending from our side: a body over the limit, a client that went away in its middle.
          if (signal.aborted) throw signal.reason;
          throw attempt.error.name === 'BodyTooLargeError' ? attempt.error : new UpstreamError(attempt.error);
        case 'unsent':
          reach.refused(upstream, attempt.error);
          call.retries += 1;
          metrics.retried();
      }
    }
  }

  private upstreamRequest(
    call: Call,
    caller: Caller,
    passedOn: readonly string[],
    body: UpstreamRequest['body'],
  ): UpstreamRequest {
    const { claims, scopes, vaults } = caller;
    const assertion: TokenAssertion = {
      bank: call.bank,
      sub: claims.sub,
      iss: claims.iss,
      scopes: [...scopes],
      vaults: vaults === null ? null : [...vaults],
      jti: claims.jti,
      exp: claims.exp,
      iat: Math.floor(Date.now() / 1000),
      rid: call.requestId,
    };
    const sealed = this.options.sealer.seal(assertion, routeOf(this.options.routes, call.bank));
    const headers = ['host', this.host, ...passedOn, ...gatewayHeaders({ sealed, requestId: call.requestId })];
    const declared = call.request.headers['content-length'];
    if (declared !== undefined && call.request.method === 'POST') headers.push('content-length', declared);
    // The path without its query: MCP has none, and clients put tokens there.
    return { method: call.request.method ?? 'POST', path: bankPath(call.bank), headers, body };
  }

  private fail(call: Call, error: unknown): Outcome {
    const { frontDoor, metrics } = this.options;
    const cause = call.ending.signal.aborted ? call.ending.signal.reason : error;
    const { outcome, answer } = failureOf(cause, { frontDoor, bank: call.bank });
    if (cause instanceof TokenError) metrics.unauthorized(cause.code);
    if (call.response.headersSent) {
      call.response.destroy();
      return cause instanceof TokenError ? 'cut' : outcome;
    }
    if (answer !== undefined && !call.response.destroyed) send(call.response, answer, call.headers);
    return outcome;
  }

  /** The audit record: queued to the log after the answer, never in its way. */
  private record(call: Call, outcome: Outcome, problem: unknown): void {
    const { caller, operations, response, startedAt, sentAt } = call;
    const fields = {
      outcome,
      bank: call.bank,
      requestId: call.requestId,
      status: response.statusCode,
      httpMethod: call.request.method,
      durationMs: round(performance.now() - startedAt),
      ...(sentAt === 0 ? {} : { addedMs: round(sentAt - startedAt) }),
      ...(call.retries === 0 ? {} : { retries: call.retries }),
      ...(caller === undefined
        ? {}
        : { sub: caller.claims.sub, iss: caller.claims.iss, jti: caller.claims.jti, client: caller.claims.client_id }),
      ...(operations.length === 0 ? {} : { methods: operations.map((operation) => operation.method) }),
      ...namesOf(operations),
      ...(problem === undefined ? {} : { reason: codeOf(problem) }),
    };
    if (problem instanceof UpstreamError) this.audit.warn({ ...fields, problem: messageOf(problem.cause) }, 'call');
    else if (outcome === 'internal_error') this.audit.error({ ...fields, problem: messageOf(problem) }, 'call');
    else this.audit.info(fields, 'call');
  }
}

/** Writes an answer of the gateway's own. */
export function send(response: ServerResponse, answer: Answer, headers: Readonly<Record<string, string>>): void {
  response.writeHead(answer.status, {
    ...answer.headers,
    ...headers,
    ...(answer.status === 204 ? {} : { 'content-length': Buffer.byteLength(answer.body) }),
  });
  response.end(answer.body);
}

function namesOf(operations: readonly Operation[]): { tools?: string[] } {
  const tools = operations.flatMap(({ tool }) => tool ?? []);
  return tools.length === 0 ? {} : { tools };
}

function textOf(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function codeOf(problem: unknown): string {
  return problem instanceof Error && 'code' in problem && typeof problem.code === 'string' ? problem.code : 'unknown';
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}
