import { setTimeout as delay } from 'node:timers/promises';
import { Fault } from './fault.ts';

/** Asks every `everyMs` until the answer is neither undefined nor false. `what` completes "… is not there after N s". */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  options: { limitMs: number; everyMs?: number; log?: string },
): Promise<T> {
  const end = performance.now() + options.limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > end) {
      throw new Fault(`${what} is not there after ${options.limitMs / 1000} s.`, {
        ...(options.log === undefined ? {} : { log: options.log }),
      });
    }
    await delay(options.everyMs ?? 50);
  }
}
