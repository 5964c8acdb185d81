import { ToolError } from './tool-error.ts';

/**
 * What the answers of one JSON-RPC batch may have together, in characters: fifty of the longest would be more than any client takes. The
 * first is never too long.
 */
export class AnswerBudget {
  #used = 0;
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Before a call does anything. @throws ToolError where there is no room left */
  check(): void {
    if (this.#used >= this.#limit) throw this.#exceeded();
  }

  /** Of what has only read, and so can be asked again. @throws ToolError where it is too long beside those before */
  take(characters: number): void {
    if (this.#used > 0 && this.#used + characters > this.#limit) throw this.#exceeded();
    this.#used += characters;
  }

  /** Of what has changed something, which must be said however long it is. */
  spend(characters: number): void {
    this.#used += characters;
  }

  #exceeded(): ToolError {
    return new ToolError(
      'batch_too_long',
      `The answers of this JSON-RPC batch together would have more than ${this.#limit} characters. This call has changed nothing.`,
      'Send it again alone.',
      { retryable: true },
    );
  }
}
