import { type Clock, exponential } from './clock.ts';

/** `high`: somebody changed something. `low`: start-up, lists and checks without cause; taken when nothing else waits. */
export type Priority = 'high' | 'low';

const RETRY_FIRST_MS = 5;
const RETRY_MAX_MS = 1_000_000;

/**
 * Keys to work on, each at most once at a time.
 *
 * | where a key is | `add`                         | `take`          | `done`                        |
 * |----------------|-------------------------------|-----------------|-------------------------------|
 * | nowhere        | waits                         |                 |                               |
 * | waiting        | stays; `high` lifts a `low`   | is worked on    |                               |
 * | worked on      | waits again once `done`       |                 | nowhere, or waiting if added  |
 * | delayed        | waits; the delay is forgotten when it is taken                                    |
 *
 * Backoff is per key: 5 ms, doubled with every `retry` in a row, at most 1000 s; `forget` ends the row.
 */
export class WorkQueue {
  private readonly clock: Clock;
  private readonly waiting: Record<Priority, Set<string>> = { high: new Set(), low: new Set() };
  private readonly working = new Set<string>();
  /** Added while worked on. */
  private readonly again = new Map<string, Priority>();
  private readonly delayed = new Map<string, { at: number; cancel: () => void }>();
  private readonly failures = new Map<string, number>();
  private readonly takers: ((key: string | undefined) => void)[] = [];
  private closed = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Keys waiting, not counting those worked on or delayed. */
  get length(): number {
    return this.waiting.high.size + this.waiting.low.size;
  }

  /** Nothing waits and nothing is worked on; delayed keys don't count. */
  get isIdle(): boolean {
    return this.length === 0 && this.working.size === 0;
  }

  add(key: string, priority: Priority = 'high'): void {
    if (this.closed) return;
    if (this.working.has(key)) {
      if (this.again.get(key) !== 'high') this.again.set(key, priority);
      return;
    }
    if (this.waiting.high.has(key)) return;
    if (priority === 'high') this.waiting.low.delete(key);
    this.waiting[priority].add(key);
    this.serve();
  }

  /** Adds the key after `ms` milliseconds; of several delays the earliest counts. */
  addAfter(key: string, ms: number, priority: Priority = 'high'): void {
    if (this.closed) return;
    const at = this.clock.now() + ms;
    const standing = this.delayed.get(key);
    if (standing !== undefined) {
      if (standing.at <= at) return;
      standing.cancel();
    }
    const cancel = this.clock.after(ms, () => {
      this.delayed.delete(key);
      this.add(key, priority);
    });
    this.delayed.set(key, { at, cancel });
  }

  /** Adds the key after its backoff, at most `atMost` milliseconds, and lengthens that. Returns the delay. */
  retry(key: string, atMost: number = RETRY_MAX_MS): number {
    const failures = this.failures.get(key) ?? 0;
    this.failures.set(key, failures + 1);
    const ms = Math.min(atMost, exponential(failures, RETRY_FIRST_MS, RETRY_MAX_MS));
    this.addAfter(key, ms);
    return ms;
  }

  /** The key succeeded: its next `retry` starts from the beginning. */
  forget(key: string): void {
    this.failures.delete(key);
  }

  /** The next key, which is then the caller's until `done`; waits for one. `undefined` once the queue is closed. */
  take(): Promise<string | undefined> {
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    this.takers.push(resolve);
    this.serve();
    return promise;
  }

  done(key: string): void {
    this.working.delete(key);
    const priority = this.again.get(key);
    if (priority === undefined) return;
    this.again.delete(key);
    this.add(key, priority);
  }

  /** Takes nothing more in and hands nothing more out; keys under work stay their takers'. */
  close(): void {
    this.closed = true;
    for (const { cancel } of this.delayed.values()) cancel();
    this.delayed.clear();
    this.waiting.high.clear();
    this.waiting.low.clear();
    this.again.clear();
    this.serve();
  }

  private serve(): void {
    while (this.takers.length > 0) {
      const key = this.closed ? undefined : this.next();
      if (key === undefined && !this.closed) return;
      this.takers.shift()?.(key);
    }
  }

  private next(): string | undefined {
    for (const keys of [this.waiting.high, this.waiting.low]) {
      for (const key of keys) {
        keys.delete(key);
        this.working.add(key);
        this.delayed.get(key)?.cancel();
        this.delayed.delete(key);
        return key;
      }
    }
    return undefined;
  }
}
