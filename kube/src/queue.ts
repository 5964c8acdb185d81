import { type Clock, exponential } from './clock.ts';
import { FairLine } from './fair-line.ts';

/**
 * `high`: somebody changed something. `low`: start-up, lists, retries and checks without cause. While both wait, three of four
 * turns are `high`'s, so that neither starves.
 */
export type Priority = 'high' | 'low';

export interface QueueOptions {
  /** Keys of one group share its turns; by default all are of one. Pure, and the same for a key for ever. */
  groupOf?: (key: string) => string;
  /** How many keys of a group may be worked on at a time; by default any number. */
  groupLimit?: number;
}

const RETRY_FIRST_MS = 5;
const RETRY_MAX_MS = 300_000;
/** Every so many turns are `low`'s. */
const LOW_EVERY = 4;

/**
 * Keys to work on, each at most once at a time.
 *
 * | where a key is | `add`                         | `take`          | `done`                        |
 * |----------------|-------------------------------|-----------------|-------------------------------|
 * | nowhere        | waits                         |                 |                               |
 * | waits          | stays, at the higher priority | is worked on    |                               |
 * | is worked on   | waits again once `done`       |                 | nowhere, or waiting if added  |
 * | delayed        | waits; the delay is forgotten when it is taken                                    |
 *
 * Fair by group: within a priority groups take turns (`FairLine`), and a group at its limit is passed over.
 * Backoff is per key: 5 ms, doubled with every `retry` in a row, at most 300 s; `forget` ends the row.
 */
export class WorkQueue {
  private readonly clock: Clock;
  private readonly groupOf: (key: string) => string;
  private readonly groupLimit: number;
  private readonly waiting: Record<Priority, FairLine>;
  private readonly working = new Set<string>();
  /** How many keys of a group are worked on; none is no entry. */
  private readonly workingOf = new Map<string, number>();
  /** Added while worked on. */
  private readonly again = new Map<string, Priority>();
  private readonly delayed = new Map<string, { at: number; cancel: () => void }>();
  private readonly failures = new Map<string, number>();
  private readonly takers: ((key: string | undefined) => void)[] = [];
  private turns = 0;
  private closed = false;

  constructor(clock: Clock, options: QueueOptions = {}) {
    this.clock = clock;
    this.groupOf = options.groupOf ?? (() => '');
    this.groupLimit = options.groupLimit ?? Number.POSITIVE_INFINITY;
    this.waiting = { high: new FairLine(this.groupOf), low: new FairLine(this.groupOf) };
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

  /**
   * Adds the key after its backoff, and lengthens that. Returns the delay.
   *
   * @param bounds of the delay, in milliseconds; where they contradict each other `atLeast` holds, which a server asked for
   */
  retry(key: string, { atLeast = 0, atMost = RETRY_MAX_MS }: { atLeast?: number; atMost?: number } = {}): number {
    const failures = this.failures.get(key) ?? 0;
    this.failures.set(key, failures + 1);
    const ms = Math.max(atLeast, Math.min(atMost, exponential(failures, RETRY_FIRST_MS, RETRY_MAX_MS)));
    this.addAfter(key, ms, failures === 0 ? 'high' : 'low');
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
    if (this.working.delete(key)) this.countWorking(key, -1);
    const priority = this.again.get(key);
    if (priority !== undefined) {
      this.again.delete(key);
      this.add(key, priority);
    }
    // Its group may have been at its limit.
    this.serve();
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
    const order: readonly Priority[] = (this.turns + 1) % LOW_EVERY === 0 ? ['low', 'high'] : ['high', 'low'];
    for (const priority of order) {
      const key = this.waiting[priority].shift((group) => (this.workingOf.get(group) ?? 0) < this.groupLimit);
      if (key === undefined) continue;
      this.turns += 1;
      this.working.add(key);
      this.countWorking(key, 1);
      this.delayed.get(key)?.cancel();
      this.delayed.delete(key);
      return key;
    }
    return undefined;
  }

  private countWorking(key: string, change: 1 | -1): void {
    const group = this.groupOf(key);
    const count = (this.workingOf.get(group) ?? 0) + change;
    if (count === 0) this.workingOf.delete(group);
    else this.workingOf.set(group, count);
  }
}
