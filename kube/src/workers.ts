import { type Clock, delay } from './clock.ts';
import type { WorkQueue } from './queue.ts';

/** How the work on a key went. */
export type Outcome =
  /** Nothing to do until something changes. */
  | { kind: 'done' }
  /** Look again after `ms` milliseconds. */
  | { kind: 'requeueAfter'; ms: number }
  /** Try again after the key's backoff, within these bounds in milliseconds; `atLeast` is what a server asked for. */
  | { kind: 'retry'; atLeast?: number; atMost?: number };

export interface Workers {
  /** Closes the queue and resolves when every key under work is done, at most after `limitMs`. */
  stop(limitMs: number): Promise<void>;
}

/**
 * Works on the queue's keys, `count` at a time, never two on one key.
 *
 * @param work must not throw for what can be expected to fail; what it throws all the same goes to `onError` and is retried
 */
export function startWorkers(options: {
  queue: WorkQueue;
  count: number;
  clock: Clock;
  work: (key: string) => Promise<Outcome>;
  onError: (key: string, error: unknown) => void;
}): Workers {
  const { queue, count, clock, work, onError } = options;
  const loops = Array.from({ length: count }, async () => {
    for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
      let outcome: Outcome;
      try {
        outcome = await work(key);
      } catch (error) {
        onError(key, error);
        outcome = { kind: 'retry' };
      }
      settle(queue, key, outcome);
    }
  });
  return {
    async stop(limitMs) {
      queue.close();
      const limit = new AbortController();
      await Promise.race([Promise.all(loops), delay(clock, limitMs, limit.signal)]);
      limit.abort();
    },
  };
}

function settle(queue: WorkQueue, key: string, outcome: Outcome): void {
  if (outcome.kind === 'retry') queue.retry(key, outcome);
  else queue.forget(key);
  if (outcome.kind === 'requeueAfter') queue.addAfter(key, outcome.ms, 'low');
  queue.done(key);
}
