import { BankhouseError, type Resource, type Scope } from '@bankhouse/core';
import { TokenError, UndecidedError } from '../authentication/token-error.ts';
import { type Answer, errorAnswer, noBankAnswer, scopeAnswer, unauthorizedAnswer } from '../http/answers.ts';
import { BodyTooFineError, BodyTooLargeError, ClientGoneError } from '../http/body.ts';
import type { Outcome } from '../metrics.ts';
import { RequestError } from '../operations.ts';
import { RootKeyUnknownError } from '../seal.ts';
import { BankUnavailableError, NoEndpointError } from '../upstream/reach.ts';
import { BudgetError } from './budget.ts';
import { OverloadedError, SlowReaderError } from './open-calls.ts';

/** The caller lacks a scope; answered by 403. */
export class ScopeError extends BankhouseError {
  /** All that the caller holds and the request needs. */
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
    case 'unproven':
      return {
        status: 502,
        code: 'bank_unproven',
        message:
          "What answered has not shown that it is the bank's server, so its answer was thrown away. Whether the call was carried out is not known.",
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

/** A constructor of errors, and what they mean for the client. */
type Row = readonly [
  new (...args: never[]) => Error,
  Outcome,
  (error: never, resource: Resource) => Answer | undefined,
];

function row<E extends Error>(
  kind: new (...args: never[]) => E,
  outcome: Outcome,
  answer: (error: E, resource: Resource) => Answer | undefined,
): Row {
  return [kind, outcome, answer];
}

const ROWS: readonly Row[] = [
  row(TokenError, 'unauthorized', (error, resource) => unauthorizedAnswer(resource, error)),
  row(UndecidedError, 'undecided', (error) => tryAgain(error, error.retryAfter)),
  row(ScopeError, 'forbidden', (error, resource) => scopeAnswer(resource, error.needed)),
  row(BankUnavailableError, 'forbidden', noBankAnswer),
  row(RequestError, 'bad_request', (error) => errorAnswer(400, error.code, error.message, { rpcCode: error.rpcCode })),
  row(BodyTooLargeError, 'too_large', (error) => errorAnswer(413, error.code, error.message)),
  row(BudgetError, 'overloaded', (error) => tryAgain(error, 1)),
  row(OverloadedError, 'overloaded', (error) => tryAgain(error, 1)),
  row(NoEndpointError, 'no_endpoint', (error) => tryAgain(error, 2)),
  row(RootKeyUnknownError, 'undecided', (error) => tryAgain(error, 2)),
  row(UpstreamError, 'upstream_failed', (error) => errorAnswer(error.status, error.code, error.message)),
  // Nobody is there to answer.
  row(BodyTooFineError, 'bad_request', () => undefined),
  row(ClientGoneError, 'client_gone', () => undefined),
  row(SlowReaderError, 'slow_reader', () => undefined),
];

/** What each error means for the client: the one place that says so. */
export function failureOf(error: unknown, resource: Resource): Failure {
  for (const [kind, outcome, answer] of ROWS) {
    if (error instanceof kind) return { outcome, answer: answer(error as never, resource) };
  }
  const message = 'The gateway failed; the request id in X-Request-Id finds the reason in its log.';
  return { outcome: 'internal_error', answer: errorAnswer(500, 'internal_error', message) };
}

function tryAgain(error: BankhouseError, seconds: number): Answer {
  return errorAnswer(503, error.code, error.message, { headers: { 'retry-after': String(seconds) } });
}
