import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type Access,
  bankPath,
  type Catalogue,
  decideAll,
  flatLines,
  isKnown,
  LISTEN_OPERATION,
  type Logger,
  MCP_HEADERS,
  MODERN_REVISION,
  meantTool,
  messageOf,
  type Operation,
  PROVEN_IMAGE_HEADER,
  type Resource,
  RPC,
  SESSION_OPERATION,
  TOOL_PROFILE_PARAMETER,
  TOOL_PROFILE_UNKNOWN,
  type ToolProfile,
  toolProfileOf,
} from '@bankhouse/core';
import type { Authenticator, Caller } from '../authentication/authenticator.ts';
import { TokenError } from '../authentication/token-error.ts';
import type { Catalogues } from '../catalogues/catalogues.ts';
import { methodRefused, send } from '../http/answers.ts';
import { ClientGoneError, RequestBody } from '../http/body.ts';
import { gatewayHeaders, type RequestHeaders, sortRequestHeaders } from '../http/headers.ts';
import type { GatewayMetrics, Outcome } from '../metrics.ts';
import { operationOfHeaders, operationsOfBody, RequestError, withNamed } from '../operations.ts';
import type { BankRoute, Endpoint, RoutingTable } from '../routing/routing-table.ts';
import type { Sealed, Sealer, TokenAssertion } from '../seal.ts';
import { exchange, SealRefusedError, UnprovenError, type UpstreamRequest } from '../upstream/exchange.ts';
import { Reach, routeOf } from '../upstream/reach.ts';
import type { Upstream, Upstreams } from '../upstream/upstreams.ts';
import type { Holding, MemoryBudget } from './budget.ts';
import { failureOf, ScopeError, UpstreamError } from './failures.ts';
import { type CallKind, type OpenCall, type OpenCalls, SlowReaderError } from './open-calls.ts';
import { recordOf, type Trace } from './record.ts';

const NO_HEADERS = {};

export interface CallHandlerOptions {
  authenticator: Authenticator;
  routes: RoutingTable;
  upstreams: Upstreams;
  openCalls: OpenCalls;
  budget: MemoryBudget;
  sealer: Sealer;
  catalogues: Catalogues;
  metrics: GatewayMetrics;
  logger: Logger;
  maxBodyBytes: number;
  /** How long a call waits for an address that takes its connection. */
  wakeDeadlineMs: number;
}

/** The stages of a call: each has what the one before found out, and nothing of a stage is changed later. */
interface Routed {
  /** What the client asks, and its token is for. */
  readonly resource: Resource;
  /** Whose server it goes to. */
  readonly bank: string;
  readonly requestId: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Headers on whatever is answered: request id, CORS. */
  readonly headers: Readonly<Record<string, string>>;
  readonly startedAt: number;
  /** Aborts with the reason: ClientGoneError, SlowReaderError, or TokenError when the token no longer holds. */
  readonly ending: AbortController;
  /** What the audit record says of it in the end. */
  readonly trace: Trace;
}

interface Authenticated extends Routed {
  readonly caller: Caller;
  readonly received: RequestHeaders;
}

/** It has a slot, and a place in the budget: both are given back at its end. */
interface Admitted extends Authenticated {
  /** What the URL asks for; undefined where it leaves that to the bank. */
  readonly profile: ToolProfile | undefined;
  readonly open: OpenCall;
  readonly holding: Holding;
}

interface Authorized extends Admitted {
  readonly operations: readonly Operation[];
  /** As much as the call does, and its assertion has to open, by the catalogue that the resource came with. */
  readonly access: Access;
  readonly body: UpstreamRequest['body'];
}

/** A request to a bank's endpoint, method and origin being all right: authenticate → admit → authorize → reach → seal → stream. */
export class CallHandler {
  private readonly options: CallHandlerOptions;
  private readonly audit: Logger;

  constructor(options: CallHandlerOptions) {
    this.options = options;
    this.audit = flatLines(options.logger);
  }

  /** Answers, in every case; never rejects. */
  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    target: { resource: Resource; requestId: string; headers: Readonly<Record<string, string>> },
  ): Promise<Outcome> {
    const call: Routed = {
      ...target,
      bank: target.resource.bank,
      request,
      response,
      startedAt: performance.now(),
      ending: new AbortController(),
      trace: { caller: undefined, operations: [], tools: [], retries: 0, sentAt: 0 },
    };
    response.on('close', () => {
      if (!response.writableFinished) call.ending.abort(new ClientGoneError());
    });
    let outcome: Outcome;
    let problem: unknown;
    try {
      outcome = await this.carryOut(call);
    } catch (error) {
      problem = call.ending.signal.aborted ? call.ending.signal.reason : error;
      outcome = this.fail(call, problem);
    }
    this.record(call, outcome, problem);
    return outcome;
  }

  private async carryOut(routed: Routed): Promise<Outcome> {
    const call = await this.authenticate(routed);
    if (call.request.method === 'HEAD') {
      send(call.response, methodRefused(), call.headers);
      return 'method_refused';
    }
    const admitted = this.admit(call);
    try {
      return await this.forward(await this.authorize(admitted));
    } finally {
      this.options.openCalls.remove(admitted.open);
      admitted.holding.release();
    }
  }

  /** @throws TokenError, UndecidedError */
  private async authenticate(call: Routed): Promise<Authenticated> {
    const received = sortRequestHeaders(call.request.rawHeaders);
    if (received.repeated.includes('authorization')) throw new TokenError('token_malformed');
    const caller = await this.options.authenticator.authenticate(call.request.headers.authorization, call.resource);
    call.trace.caller = caller;
    return { ...call, caller, received };
  }

  /** @throws OverloadedError, RequestError */
  private admit(call: Authenticated): Admitted {
    const { bank, caller, received } = call;
    const [repeated] = received.repeated;
    if (repeated !== undefined) {
      throw new RequestError('header_repeated', RPC.headers, `The header ${repeated} came more than once.`);
    }
    const profile = toolProfileOf(call.request.url ?? '');
    if (profile === 'unknown') throw new RequestError('tool_profile', RPC.invalidRequest, TOOL_PROFILE_UNKNOWN);
    const open: OpenCall = {
      kind: kindOf(call),
      bank,
      caller,
      blockedSince: undefined,
      cut: (reason) => call.ending.abort(reason),
    };
    this.options.openCalls.add(open);
    const { iss, sub } = caller.claims;
    return { ...call, profile, open, holding: this.options.budget.open({ bank, subject: `${iss} ${sub}` }) };
  }

  /**
   * The body, once the caller may do what the request asks for. For 2026-07-28 the headers say that, and a long body is not
   * read here; the bank server compares them with it. For any other revision the body says it, whatever the headers are. Headers that
   * don't go on (`Connection` names them) count for nothing.
   *
   * @throws ScopeError, BankUnavailableError, RequestError, BodyTooLargeError, BudgetError, ClientGoneError
   */
  private async authorize(call: Admitted): Promise<Authorized> {
    const { request, response, received, holding } = call;
    const body = new RequestBody(request, response, this.options.maxBodyBytes, holding);
    const encoding = received.deciding.get('content-encoding');
    if (encoding !== undefined && encoding !== 'identity') {
      throw new RequestError('content_encoding', RPC.invalidRequest, 'Send the body without a content encoding.');
    }
    if (request.method !== 'POST') {
      const operations = [request.method === 'GET' ? LISTEN_OPERATION : SESSION_OPERATION];
      const access = this.permit(call, operations);
      if (body.isEmpty) return { ...call, operations, access, body: () => null };
      throw new RequestError(
        'body_unexpected',
        RPC.invalidRequest,
        `${request.method} takes no body; messages are sent by POST.`,
      );
    }
    if (received.deciding.get(MCP_HEADERS.revision) === MODERN_REVISION) {
      const method = received.deciding.get(MCP_HEADERS.method);
      const operation = operationOfHeaders({ method, name: received.deciding.get(MCP_HEADERS.name) });
      const operations = [operation];
      const access = this.permit(call, operations);
      if (operation.tool !== undefined && call.resource.catalogue.tools.get(operation.tool)?.access === 'either') {
        return this.authorizeForwarded(call, operation, await body.whole());
      }
      if (!body.isSmall) return { ...call, operations, access, body: () => body.parts() };
      const whole = await body.whole();
      return { ...call, operations, access, body: () => whole };
    }
    // Scope and existence of the bank depend on the body, but not its reading: a bank that is gone needn't cost memory.
    routeOf(this.options.routes, call.bank);
    const whole = await body.whole();
    const operations = operationsOfBody(whole);
    const access = this.permit(call, operations);
    return { ...call, operations, access, body: () => whole };
  }

  /** Which tool is meant the body says, as long as it may be. @throws ScopeError, RequestError, BankUnavailableError */
  private authorizeForwarded(call: Admitted, operation: Operation, whole: Buffer): Authorized {
    const operations = [withNamed(operation, whole)];
    return { ...call, operations, access: this.permit(call, operations), body: () => whole };
  }

  /** @throws ScopeError, BankUnavailableError */
  private permit(
    call: Admitted,
    operations: readonly Operation[],
    catalogue: Catalogue = call.resource.catalogue,
  ): Access {
    const { caller, trace } = call;
    trace.operations = operations;
    trace.tools = operations.flatMap((operation) => meantTool(catalogue.tools, operation) ?? []);
    const { allowed, needed, access } = decideAll({ catalogue }, operations, caller);
    if (!allowed) throw new ScopeError(needed);
    routeOf(this.options.routes, call.bank);
    return access;
  }

  private async forward(call: Authorized): Promise<Outcome> {
    const { routes, upstreams, wakeDeadlineMs, metrics } = this.options;
    const { trace, open, holding } = call;
    const { signal } = call.ending;
    const deadline = call.startedAt + wakeDeadlineMs;
    const reach = new Reach({ table: routes, upstreams, id: call.bank, deadline, signal });
    for (;;) {
      signal.throwIfAborted();
      const upstream = await reach.next();
      const access = await this.accessAt(call, upstream);
      signal.throwIfAborted();
      const route = routeOf(routes, call.bank);
      // Anew: waiting must not use up the assertion's window.
      const sealed = this.seal(call, { upstream, access, route });
      const { endpoint } = upstream;
      const attempt = await exchange({
        upstream,
        request: this.upstreamRequest(call, sealed),
        response: call.response,
        headers: call.headers,
        signal,
        judge: (proof, said) => this.judge(call, { upstream, endpoint, route }, sealed, { proof, said }),
        onSent: () => {
          trace.sentAt = performance.now();
          metrics.added((trace.sentAt - call.startedAt) / 1000);
        },
        onBlocked: (bytes) => {
          open.blockedSince = bytes === 0 ? undefined : (open.blockedSince ?? performance.now());
          if (!holding.waiting(bytes)) open.cut(new SlowReaderError());
        },
        onAnswer: () => metrics.upstream((performance.now() - trace.sentAt) / 1000),
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
          // It may have keys of the other generation alone, in the last moments of a rotation: the next call tries these.
          if (attempt.error instanceof SealRefusedError) {
            upstream.keyGeneration = upstream.keyGeneration === undefined ? Number.POSITIVE_INFINITY : undefined;
          }
          // Also what stopped the sending from our side: a body over the limit, a client that went away in its middle.
          if (signal.aborted) throw signal.reason;
          throw attempt.error.name === 'BodyTooLargeError' ? attempt.error : new UpstreamError(attempt.error);
        case 'unsent':
          reach.refused(upstream, attempt.error);
          trace.retries += 1;
          metrics.retried();
      }
    }
  }

  /**
   * What the call needs by the catalogue of the pod that it goes to, which is mostly the one that it was let in by. A tool that it lacks may be new:
   * the pod is asked once more.
   *
   * @throws ScopeError
   */
  private async accessAt(call: Authorized, upstream: Upstream): Promise<Access> {
    const { catalogues, routes } = this.options;
    const { bank, resource, operations } = call;
    let catalogue = catalogues.at(upstream) ?? resource.catalogue;
    if (!isKnown(catalogue.tools, operations)) {
      await catalogues.ask(routeOf(routes, bank), upstream);
      catalogue = catalogues.at(upstream) ?? catalogues.of(bank);
    }
    return catalogue === resource.catalogue ? call.access : this.permit(call, operations, catalogue);
  }

  private seal(
    call: Authorized,
    { upstream, access, route }: { upstream: Upstream; access: Access; route: BankRoute },
  ): Sealed {
    const { claims, scopes, vaults } = call.caller;
    const assertion: TokenAssertion = {
      bank: call.bank,
      sub: claims.sub,
      iss: claims.iss,
      access,
      scopes: [...scopes],
      vaults: vaults === null ? null : [...vaults],
      jti: claims.jti,
      exp: claims.exp,
      iat: Math.floor(Date.now() / 1000),
      rid: call.requestId,
    };
    const { sealer, metrics } = this.options;
    const sealed = sealer.seal(assertion, route, upstream.keyGeneration);
    metrics.sealed(sealed.generation);
    return sealed;
  }

  /**
   * Whether an answer is the bank's (G9). A proof that is there must be of this request; there must be one where the pod's image is known to
   * give it, which is never the answer's own word. Others are of the version before, or new: then the operator is told, by whose word they are
   * known. What a proof seals of a catalogue is the pod's.
   *
   * @returns headers to be added
   * @throws UnprovenError
   */
  private judge(
    call: Authorized,
    { upstream, endpoint, route }: { upstream: Upstream; endpoint: Endpoint; route: BankRoute },
    sealed: Sealed,
    { proof: claimed, said }: { proof: string | undefined; said: string | undefined },
  ): Readonly<Record<string, string>> {
    const { address, image, mustProve } = endpoint;
    const generation = claimed === undefined ? undefined : sealed.check(claimed, said);
    if (claimed === undefined ? mustProve : generation === undefined) {
      this.options.metrics.unproven();
      throw new UnprovenError(address, claimed);
    }
    if (generation !== undefined) {
      upstream.keyGeneration = generation;
      if (said !== undefined) this.options.catalogues.heard(route, upstream, said);
    }
    const isTold = claimed !== undefined && image !== undefined && call.caller.scopes.includes('mcp:verify');
    return isTold ? { [PROVEN_IMAGE_HEADER]: image } : NO_HEADERS;
  }

  private upstreamRequest(call: Authorized, sealed: Sealed): UpstreamRequest {
    const { body, received } = call;
    const headers = [
      'host',
      call.resource.host,
      ...received.passedOn,
      ...gatewayHeaders({ sealed, requestId: call.requestId }),
    ];
    const declared = call.request.headers['content-length'];
    if (declared !== undefined && call.request.method === 'POST') headers.push('content-length', declared);
    // Of the query nothing but the profile: MCP has none, and clients put tokens there.
    const query = call.profile === undefined ? '' : `?${TOOL_PROFILE_PARAMETER}=${call.profile}`;
    return { method: call.request.method ?? 'POST', path: `${bankPath(call.bank)}${query}`, headers, body };
  }

  private fail(call: Routed, problem: unknown): Outcome {
    const { metrics } = this.options;
    const { outcome, answer } = failureOf(problem, call.resource);
    if (problem instanceof TokenError) metrics.unauthorized(problem.code);
    if (call.response.headersSent) {
      call.response.destroy();
      return problem instanceof TokenError ? 'cut' : outcome;
    }
    if (answer !== undefined && !call.response.destroyed) send(call.response, answer, call.headers);
    return outcome;
  }

  /** The audit record: queued to the log after the answer, never in its way. */
  private record(call: Routed, outcome: Outcome, problem: unknown): void {
    const fields = recordOf(call, outcome, problem);
    if (problem instanceof UpstreamError) this.audit.warn(fields, 'call');
    else if (outcome === 'internal_error') this.audit.error(fields, 'call');
    else this.audit.info(fields, 'call');
  }
}

/** What listens is a stream; what is asked and answered, however long it takes, a call. */
function kindOf({ request, received }: Authenticated): CallKind {
  if (request.method === 'GET') return 'stream';
  const { deciding } = received;
  const isModern = deciding.get(MCP_HEADERS.revision) === MODERN_REVISION;
  return isModern && deciding.get(MCP_HEADERS.method) === 'subscriptions/listen' ? 'stream' : 'call';
}
