import { BankhouseError } from '@bankhouse/core';
import type { Authenticator, Caller } from '../authentication/authenticator.ts';
import { TokenError } from '../authentication/token-error.ts';

/** As many calls, or streams, of the bank or of this caller are under way as there may be; answered by 503. */
export class OverloadedError extends BankhouseError {
  constructor(whose: 'bank' | 'subject', kind: CallKind) {
    const what = kind === 'call' ? 'calls' : 'streams';
    if (whose === 'bank')
      super('bank_overloaded', `Too many ${what} of this bank are under way; try again in a second.`);
    else
      super('caller_overloaded', `Too many ${what} of yours are under way at this bank; try again when one has ended.`);
    this.name = 'OverloadedError';
  }
}

/** The client does not take its answer; the call is ended, which only that client feels. */
export class SlowReaderError extends BankhouseError {
  constructor() {
    super('slow_reader', 'The client took nothing of its answer for too long.');
    this.name = 'SlowReaderError';
  }
}

/** A stream listens until somebody ends it; a call is there for its answer. */
export type CallKind = 'call' | 'stream';

export interface OpenCall {
  readonly kind: CallKind;
  readonly bank: string;
  readonly caller: Caller;
  /** Since when the client takes nothing of what is there for it, in milliseconds of performance.now(); undefined: it does. */
  blockedSince: number | undefined;
  /** Ends the call. */
  readonly cut: (reason: TokenError | SlowReaderError) => void;
}

export type SlotLimits = Readonly<Record<CallKind, { readonly bank: number; readonly subject: number }>>;

/**
 * Calls under way: counted by bank and by caller, streams apart from calls, and ended when their token expires or is revoked, or when their
 * client takes nothing of the answer, however long they stream.
 */
export class OpenCalls {
  private readonly limits: SlotLimits;
  private readonly slowReaderMs: number;
  private readonly calls = new Set<OpenCall>();
  private readonly counts = new Map<string, number>();

  constructor(limits: SlotLimits, slowReaderMs: number) {
    this.limits = limits;
    this.slowReaderMs = slowReaderMs;
  }

  get size(): number {
    return this.calls.size;
  }

  /** @throws OverloadedError */
  add(call: OpenCall): void {
    const { bank, subject } = this.limits[call.kind];
    const [ofBank, ofSubject] = keysOf(call);
    // The caller's own first: who is told that it is the bank's would blame others.
    if (this.countOf(ofSubject) >= subject) throw new OverloadedError('subject', call.kind);
    if (this.countOf(ofBank) >= bank) throw new OverloadedError('bank', call.kind);
    for (const key of [ofBank, ofSubject]) this.counts.set(key, this.countOf(key) + 1);
    this.calls.add(call);
  }

  remove(call: OpenCall): void {
    if (!this.calls.delete(call)) return;
    for (const key of keysOf(call)) {
      const count = this.countOf(key) - 1;
      if (count === 0) this.counts.delete(key);
      else this.counts.set(key, count);
    }
  }

  /** Ends what no longer holds, or is no longer read. A feed that is merely stale ends nothing that was let in. */
  sweep(authenticator: Authenticator): void {
    const blockedBefore = performance.now() - this.slowReaderMs;
    for (const call of this.calls) {
      if (call.blockedSince !== undefined && call.blockedSince <= blockedBefore) {
        call.cut(new SlowReaderError());
        continue;
      }
      try {
        authenticator.confirm(call.caller, call.bank);
      } catch (error) {
        if (error instanceof TokenError) call.cut(error);
      }
    }
  }

  private countOf(key: string): number {
    return this.counts.get(key) ?? 0;
  }
}

function keysOf({ kind, bank, caller }: OpenCall): [bank: string, subject: string] {
  const { iss, sub } = caller.claims;
  return [`${kind} ${bank}`, `${kind} ${bank} ${iss} ${sub}`];
}
