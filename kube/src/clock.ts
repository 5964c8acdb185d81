/** Time and chance, passed in so that tests decide both. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** In [0, 1). */
  random(): number;
  /** Runs `callback` once after `ms` milliseconds; the returned function takes that back. */
  after(ms: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  random: () => Math.random(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** Waits `ms` milliseconds, or until `signal` aborts; never rejects. */
export function delay(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      cancel();
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const cancel = clock.after(ms, finish);
    signal?.addEventListener('abort', finish, { once: true });
  });
}

/**
 * Exponential backoff with full jitter: a random share of `first * 2^attempt`, at most `max`, in milliseconds.
 *
 * @param attempt failures in a row before this one, from 0
 */
export function jitteredBackoff(clock: Clock, attempt: number, first: number, max: number): number {
  return Math.ceil(clock.random() * exponential(attempt, first, max));
}

/** `first * 2^attempt`, at most `max`. */
export function exponential(attempt: number, first: number, max: number): number {
  return Math.min(max, first * 2 ** Math.min(attempt, 40));
}
