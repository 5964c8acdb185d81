import { BankhouseError, type Scope } from '@bankhouse/core';
import { TokenError, UndecidedError } from '../authentication/token-error.ts';
import { RequestError } from '../authorization.ts';
import { type Answer, errorAnswer, forbiddenAnswer, unauthorizedAnswer } from '../http/answers.ts';
import { BodyTooLargeError, ClientGoneError } from '../http/body.ts';
import type { Outcome } from '../metrics.ts';
import { BankUnavailableError, NoEndpointError } from '../upstream/reach.ts';
import { OverloadedError } from './open-calls.ts';

/** The caller lacks a scope; answered by 403. */
export class ScopeError extends BankhouseError {
  /** All that the request needs. */
  readonly needed: readonly Scope[];

  constructor(needed: readonly Scope[]) {
    super('insufficient_scope', 'The token lacks a scope.');
    this.name = 'ScopeError';
    this.needed = needed;
  }
}

/** Something was sent to the bank server and no answer came that can be passed on; answered by 502, or 504 when too late. */
export class UpstreamError extends BankhouseError {
  readonly status: 502 | 504;

  constructor(cause: Error & { code?: string }) {
    const { status, code, message } = describe(cause);
    super(code, message, { cause });
    this.name = 'UpstreamError';
    this.status = status;
  }
}

function describe(cause: Error & { code?: string }): { status: 502 | 504; code: string; message: string } {
  switch (cause.code) {
    case 'UND_ERR_HEADERS_TIMEOUT':
      return {
        status: 504,
        code: 'bank_timeout',
        message: 'The bank took too long to answer. The call may have been carried out.',
      };
    case 'seal_refused':
      return {
        status: 502,
        code: 'bank_refused_gateway',
        message:
          'The bank does not accept the gateway at the moment; nothing was carried out. Ask whoever runs the platform.',
      };
    default:
      return {
        status: 502,
        code: 'bank_failed',
        message: 'The bank closed the connection without an answer. The call may have been carried out.',
      };
  }
}

export interface Failure {
  readonly outcome: Outcome;
  /** undefined: nobody is there to answer. */
  readonly answer: Answer | undefined;
}

/** What each error means for the client: the one place that says so. */
export function failureOf(error: unknown, context: { frontDoor: string; bank: string }): Failure {
  const { frontDoor, bank } = context;
  if (error instanceof TokenError) {
    return { outcome: 'unauthorized', answer: unauthorizedAnswer(frontDoor, bank, error.code) };
  }
  if (error instanceof UndecidedError) return { outcome: 'undecided', answer: tryAgain(error, error.retryAfter) };
  if (error instanceof ScopeError) {
    const answer = forbiddenAnswer(frontDoor, bank, { code: 'insufficient_scope', scopes: error.needed });
    return { outcome: 'forbidden', answer };
  }
  if (error instanceof BankUnavailableError) {
    return { outcome: 'forbidden', answer: forbiddenAnswer(frontDoor, bank, { code: 'bank_unavailable', scopes: [] }) };
  }
  if (error instanceof RequestError) {
    return { outcome: 'bad_request', answer: errorAnswer(400, error.code, error.message, { rpcCode: error.rpcCode }) };
  }
  if (error instanceof BodyTooLargeError) {
    // The rest of the body is not read, so the connection can't be used again.
    const answer = errorAnswer(413, error.code, error.message, { headers: { connection: 'close' } });
    return { outcome: 'too_large', answer };
  }
  if (error instanceof OverloadedError) return { outcome: 'overloaded', answer: tryAgain(error, 1) };
  if (error instanceof NoEndpointError) return { outcome: 'no_endpoint', answer: tryAgain(error, 2) };
  if (error instanceof UpstreamError) {
    return { outcome: 'upstream_failed', answer: errorAnswer(error.status, error.code, error.message) };
  }
  if (error instanceof ClientGoneError) return { outcome: 'client_gone', answer: undefined };
  const message = 'The gateway failed; the request id in X-Request-Id finds the reason in its log.';
  return { outcome: 'internal_error', answer: errorAnswer(500, 'internal_error', message) };
}

function tryAgain(error: BankhouseError, seconds: number): Answer {
  return errorAnswer(503, error.code, error.message, { headers: { 'retry-after': String(seconds) } });
}
