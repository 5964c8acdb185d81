/** One row of the table of bad requests, and what most of them have in common. */
import { bankPath } from '@bankhouse/core';
import type { BadRequestContext } from './tokens.ts';

/** What must come back. */
export type Challenge =
  /** No `WWW-Authenticate`. */
  | 'none'
  /** Without an error: nothing was presented (RFC 6750 section 3.1). */
  | 'absent'
  | 'invalid_token'
  | 'insufficient_scope';

export interface BadRequest {
  /** Sentence. */
  readonly name: string;
  readonly method: string;
  /** Request target, byte for byte. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: string | Uint8Array;
  readonly status: number;
  /** `error.data.code` of the answer. */
  readonly code: string;
  readonly challenge: Challenge;
  /** To be sent to the gateway itself: an ingress controller may make something good of it before the gateway sees it, or refuse it. */
  readonly isPastIngress: boolean;
}

export const LIST = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} });
export const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
export const FORBIDDEN = { status: 403, code: 'insufficient_scope', challenge: 'insufficient_scope' } as const;
export const WRONG = { status: 400, challenge: 'none' } as const;

export const calling = (name: unknown) =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } });

/** A list of tools asked for without a token, where nothing is. */
export function basic(name: string, target: string): BadRequest {
  return {
    name,
    method: 'POST',
    target,
    headers: JSON_HEADERS,
    body: LIST,
    status: 404,
    code: 'path_unknown',
    challenge: 'none',
    isPastIngress: false,
  };
}

/** Rows of a good token, each with something else wrong. @param authorization of that token */
export function rowsOf({ bank }: Pick<BadRequestContext, 'bank'>, authorization: string) {
  return (name: string, change: Partial<BadRequest>): BadRequest => ({
    ...basic(name, bankPath(bank)),
    headers: { ...JSON_HEADERS, authorization },
    ...change,
  });
}
