/** Whether a call is to end before its answer does: once, for one reason. What an AbortController is for, at a tenth of its price. */
export class Ending {
  /** undefined: the call goes on. */
  reason: Error | undefined;
  /** Ends what is under way; whoever begins something sets it, and unsets it afterwards. */
  stop: (() => void) | undefined;

  /** Only the first reason counts. */
  end(reason: Error): void {
    if (this.reason !== undefined) return;
    this.reason = reason;
    this.stop?.();
  }

  /** @throws the reason */
  throwIfEnded(): void {
    if (this.reason !== undefined) throw this.reason;
  }
}
