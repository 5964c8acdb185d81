import { BankhouseError } from '@bankhouse/core';
import type { Authenticator, Caller } from '../authentication/authenticator.ts';
import { TokenError } from '../authentication/token-error.ts';

/** As many calls as one bank may have are under way; answered by 503. */
export class OverloadedError extends BankhouseError {
  constructor() {
    super('bank_overloaded', 'Too many calls of this bank are under way; try again in a second.');
    this.name = 'OverloadedError';
  }
}

export interface OpenCall {
  readonly bank: string;
  readonly caller: Caller;
  /** Ends the call because its token no longer holds. */
  readonly cut: (reason: TokenError) => void;
}

/** Calls under way: counted per bank, and ended when their token expires or is revoked, however long they stream. */
export class OpenCalls {
  private readonly limit: number;
  private readonly calls = new Set<OpenCall>();
  private readonly counts = new Map<string, number>();

  constructor(limit: number) {
    this.limit = limit;
  }

  get size(): number {
    return this.calls.size;
  }

  /** @throws OverloadedError */
  add(call: OpenCall): void {
    const count = this.counts.get(call.bank) ?? 0;
    if (count >= this.limit) throw new OverloadedError();
    this.counts.set(call.bank, count + 1);
    this.calls.add(call);
  }

  remove(call: OpenCall): void {
    if (!this.calls.delete(call)) return;
    const count = (this.counts.get(call.bank) ?? 1) - 1;
    if (count === 0) this.counts.delete(call.bank);
    else this.counts.set(call.bank, count);
  }

  /** Ends what no longer holds. A feed that is merely stale ends nothing that was let in. */
  sweep(authenticator: Authenticator): void {
    for (const call of this.calls) {
      try {
        authenticator.confirm(call.caller, call.bank);
      } catch (error) {
        if (error instanceof TokenError) call.cut(error);
      }
    }
  }
}
