import { BankhouseError } from '@bankhouse/core';

/**
 * | code              | what it says                                                                         |
 * |-------------------|--------------------------------------------------------------------------------------|
 * | `move_refused`    | the bank is not where the move takes it from, is in use where it goes, or moves by another try |
 * | `move_unverified` | what arrived is not what left; nothing was switched                                     |
 * | `move_too_busy`   | the bank could not be brought to rest within the time that calls may be refused         |
 */
export type MoveErrorCode = 'move_refused' | 'move_unverified' | 'move_too_busy';

export class MoveError extends BankhouseError {
  constructor(code: MoveErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options);
    this.name = 'MoveError';
  }
}

/** SQLSTATE of our own functions for a move that is not in force here. */
export function isRefused(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'BH004';
}
