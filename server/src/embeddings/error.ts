import { BankhouseError } from '@bankhouse/core';

/**
 * - `busy`: 429 or 5xx to the last attempt; the same call can succeed later
 * - `unreachable`: no connection, or none that lasted until the answer was there
 * - `untrusted`: its certificate is not of a CA that is known here
 * - `timeout`: no answer before the deadline
 * - `refused`: 401 or 403, the key is wrong
 * - `rejected`: another 4xx, the endpoint can't work with this request
 * - `malformed`: the answer is no list of vectors for these texts
 */
export type EmbeddingsErrorReason =
  | 'busy'
  | 'unreachable'
  | 'untrusted'
  | 'timeout'
  | 'refused'
  | 'rejected'
  | 'malformed';

/** A failure of the endpoint. The message names neither the key nor any text that was sent. */
export class EmbeddingsError extends BankhouseError {
  declare readonly code: 'embeddings_failed';
  readonly reason: EmbeddingsErrorReason;
  /** Milliseconds that the endpoint asks to wait. */
  readonly retryAfter: number | undefined;

  constructor(
    reason: EmbeddingsErrorReason,
    message: string,
    options: { cause?: unknown; retryAfter?: number | undefined } = {},
  ) {
    super('embeddings_failed', message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'EmbeddingsError';
    this.reason = reason;
    this.retryAfter = options.retryAfter;
  }

  /** The same call can succeed later. */
  get retryable(): boolean {
    return this.reason === 'busy' || this.reason === 'unreachable' || this.reason === 'timeout';
  }
}
