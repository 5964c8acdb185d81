/** What can only be looked at, and who wants to hear when it is another. */
export interface WatchedValue {
  /** @returns ends the listening */
  onChange(listener: () => void): () => void;
  stop(): void;
}

const LOOK_MS = 1000;

/** Looks once a second, as long as somebody listens. */
export function watchValue(look: () => unknown): WatchedValue {
  const listeners = new Set<() => void>();
  let seen: unknown;
  let timer: NodeJS.Timeout | undefined;
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
  };
  const check = () => {
    const now = look();
    if (now === seen) return;
    seen = now;
    for (const listener of listeners) listener();
  };
  return {
    onChange(listener) {
      if (timer === undefined) {
        seen = look();
        timer = setInterval(check, LOOK_MS);
        timer.unref();
      }
      // Each by itself, should two be the same function.
      const own = () => listener();
      listeners.add(own);
      return () => {
        listeners.delete(own);
        if (listeners.size === 0) stop();
      };
    },
    stop,
  };
}
