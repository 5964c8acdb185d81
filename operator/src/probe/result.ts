import { BankhouseError, messageOf } from '@bankhouse/core';
import { fails, holds, type Verdict, waits } from '../decide/verdict.ts';

/** How a bank did not answer. */
export type ProbeFailure =
  /** The front door, or the bank through it, answered with this HTTP status. */
  | { readonly kind: 'refused'; readonly status: number }
  /** Nothing came in time. */
  | { readonly kind: 'timedOut' }
  /** The bank answers, and says that the database takes its login no more. */
  | { readonly kind: 'databaseRefused' }
  /** Anything else: no connection, no token from control, not MCP. */
  | { readonly kind: 'failed' };

export type ProbeOutcome = { readonly kind: 'answered' } | ProbeFailure;

/** What a bank's front door was last seen to do. */
export interface ProbeResult {
  readonly route: Verdict;
  readonly verified: Verdict;
  readonly outcome: ProbeOutcome;
  /** The role's password is not the one in the bank's Secret (D7): it has to be set again. */
  readonly databaseRefused: boolean;
  /** The image that proved to be the bank's in this handshake (G9). */
  readonly provenImage?: string | undefined;
}

/** A step of a probe failed; `message` is for people. */
export class ProbeError extends BankhouseError {
  readonly failure: ProbeFailure;

  constructor(
    code: 'route_failed' | 'handshake_failed',
    failure: ProbeFailure,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(code, message, options);
    this.name = 'ProbeError';
    this.failure = failure;
  }
}

const ROUTE_ANSWERS = holds('Answers', "The front door serves the bank's metadata and its challenge.");

/** @param provenImage see `FrontDoor.checkHandshake` */
export function answered(provenImage: string | undefined): ProbeResult {
  return {
    route: ROUTE_ANSWERS,
    verified: holds('Handshake', 'An MCP handshake through the front door succeeded.'),
    outcome: { kind: 'answered' },
    databaseRefused: false,
    provenImage,
  };
}

/** @param limitMs what the attempt was given, where that is why it ended; undefined: it ended by itself */
export function routeFailed(error: unknown, limitMs: number | undefined): ProbeResult {
  const failure = failureOf(error, limitMs);
  return {
    route: fails(
      'FrontDoorFails',
      `The front door does not answer for the bank: ${wordsOf(error, failure, limitMs)}. Look at the gateway and the ingress.`,
    ),
    verified: waits('No MCP handshake is possible before the front door answers for the bank.'),
    outcome: failure,
    databaseRefused: false,
  };
}

/** @param limitMs see `routeFailed` */
export function handshakeFailed(error: unknown, limitMs: number | undefined): ProbeResult {
  const failure = failureOf(error, limitMs);
  const verified =
    failure.kind === 'databaseRefused'
      ? fails(
          'DatabaseLoginRefused',
          "The bank answers, but the database does not take its password any more. It is set again to the one in the bank's Secret.",
        )
      : fails(
          'HandshakeFailed',
          `No MCP handshake through the front door succeeds: ${wordsOf(error, failure, limitMs)}.`,
        );
  return { route: ROUTE_ANSWERS, verified, outcome: failure, databaseRefused: failure.kind === 'databaseRefused' };
}

export function isSameResult(a: ProbeResult, b: ProbeResult): boolean {
  return (
    isSameVerdict(a.route, b.route) &&
    isSameVerdict(a.verified, b.verified) &&
    a.outcome.kind === b.outcome.kind &&
    a.databaseRefused === b.databaseRefused &&
    a.provenImage === b.provenImage
  );
}

function failureOf(error: unknown, limitMs: number | undefined): ProbeFailure {
  if (limitMs !== undefined) return { kind: 'timedOut' };
  return error instanceof ProbeError ? error.failure : { kind: 'failed' };
}

function wordsOf(error: unknown, failure: ProbeFailure, limitMs: number | undefined): string {
  if (failure.kind !== 'timedOut') return messageOf(error);
  return limitMs === undefined ? 'no answer in time' : `no answer within ${Math.round(limitMs / 1000)} seconds`;
}

function isSameVerdict(a: Verdict, b: Verdict): boolean {
  return a.status === b.status && a.reason === b.reason && a.message === b.message;
}
