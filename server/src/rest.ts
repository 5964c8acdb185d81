/** What `--expose-gc` adds; V8's own options, of which `last-resort` also drops code that nobody ran lately. */
type CollectGarbage = (options: { type: 'major'; execution: 'async'; flavor: 'last-resort' }) => Promise<void>;

const CHECK_MS = 5000;

export interface Rest {
  /** Something was done: rest begins anew. */
  touch(): void;
  stop(): void;
}

/**
 * Gives memory back once a bank has had nothing to do for 5 to 10 seconds. V8 collects when it allocates, so a bank that
 * answered a burst and then rests would keep the burst's garbage, and most banks rest most of the time. A no-op without
 * `--expose-gc`.
 */
export function collectAtRest(): Rest {
  const collect = (globalThis as { gc?: CollectGarbage }).gc;
  if (collect === undefined) return { touch() {}, stop() {} };
  let touched = true;
  let collected = false;
  const timer = setInterval(() => {
    if (!touched && !collected) {
      collected = true;
      void collect({ type: 'major', execution: 'async', flavor: 'last-resort' });
    }
    touched = false;
  }, CHECK_MS);
  timer.unref();
  return {
    touch() {
      touched = true;
      collected = false;
    },
    stop: () => clearInterval(timer),
  };
}
