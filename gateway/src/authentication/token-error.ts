import { BankhouseError } from '@bankhouse/core';

/** Why a token is refused: label of a metric, field of the log, `data.code` of the answer. A closed list. */
export const TOKEN_REASONS = {
  token_absent: 'Send an access token of this bank as "Authorization: Bearer …".',
  token_malformed: 'The Authorization header has no well-formed signed token (JWT, compact form).',
  token_too_long: 'The token is longer than 8 KiB.',
  token_type: 'The token is not of the type that its issuer gives to access tokens.',
  token_algorithm: 'The token is signed with an algorithm that is not accepted.',
  token_header: 'The token has a header parameter that is not accepted (crit, jwk, jku, x5u, x5c).',
  token_issuer: 'The token comes from an issuer that is not trusted here.',
  token_key: 'The token is not signed with a key of its issuer.',
  token_signature: "The token's signature is wrong.",
  token_claims: 'The token lacks a claim that is needed (RFC 9068), or has one of the wrong form.',
  token_audience: 'The token was made for another resource; ask for one with this URL as its resource.',
  token_expired: 'The token has expired.',
  token_not_yet_valid: 'The token is not valid yet.',
  token_lifetime: 'The token lives longer than 48 hours.',
  token_revoked: 'The token has been revoked.',
} as const;

export type TokenReason = keyof typeof TOKEN_REASONS;

/** A token that opens nothing: answered by 401. */
export class TokenError extends BankhouseError {
  declare readonly code: TokenReason;

  constructor(code: TokenReason, options?: { cause?: unknown }) {
    super(code, TOKEN_REASONS[code], options);
    this.name = 'TokenError';
  }
}

const UNDECIDED_REASONS = {
  issuer_unreachable: "The issuer's keys could not be loaded yet, so no token of it can be checked; try again shortly.",
  issuer_keys_stale: 'The token may be signed with a key that its issuer has only just published; try again shortly.',
  revocation_unknown:
    'Revoked tokens can not be told from good ones at the moment (no word from the database), so calls are refused; try again shortly.',
} as const;

/** Nothing can be said about the token now: answered by 503, so that a client keeps it and tries again. */
export class UndecidedError extends BankhouseError {
  /** Seconds after which asking again is of use. */
  readonly retryAfter: number;

  constructor(code: keyof typeof UNDECIDED_REASONS, options: { retryAfter?: number } = {}) {
    super(code, UNDECIDED_REASONS[code]);
    this.name = 'UndecidedError';
    this.retryAfter = options.retryAfter ?? 5;
  }
}
