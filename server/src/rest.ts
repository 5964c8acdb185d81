import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** V8's own function; `last-resort` also drops code that nobody ran lately. */
type CollectGarbage = (options: { type: 'major'; execution: 'async'; flavor: 'last-resort' }) => Promise<void>;

const CHECK_MS = 5000;

export interface Rest {
  /** Something was done: rest begins anew. */
  touch(): void;
  stop(): void;
}

/**
 * Collects all garbage, beside what runs. The function is asked for here and not by `--expose-gc`: with that option V8 refuses
 * the compiled code that Node brings along, and a start takes 20 ms longer.
 */
export async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as CollectGarbage;
  await collect({ type: 'major', execution: 'async', flavor: 'last-resort' });
}

/**
 * Calls `onRest` once a bank has had nothing to do for 5 to 10 seconds. V8 collects when it allocates, so a bank that answered a
 * burst and then rests would keep the burst's garbage, and most banks rest most of the time.
 */
export function watchRest(onRest: () => void): Rest {
  let touched = true;
  let told = false;
  const timer = setInterval(() => {
    if (!touched && !told) {
      told = true;
      onRest();
    }
    touched = false;
  }, CHECK_MS);
  timer.unref();
  return {
    touch() {
      touched = true;
      told = false;
    },
    stop: () => clearInterval(timer),
  };
}
