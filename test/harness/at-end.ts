import { rmSync } from 'node:fs';

/**
 * What a process of tests has to take with it, also when a signal ends it. A signal's default is to end at once, without
 * `exit`; so while there is something to take, SIGTERM and SIGINT are heard here. Then the signal is sent again, to do what it
 * would have done; where others listen too, the ending is theirs.
 */
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
const cleanups = new Set<() => void>();

/**
 * @param cleanup synchronous, and harmless after the orderly way of cleaning up has begun
 * @returns call it when there is nothing left to clean up
 */
export function atEnd(cleanup: () => void): () => void {
  if (cleanups.size === 0) {
    process.on('exit', cleanUp);
    for (const signal of SIGNALS) process.on(signal, onSignal);
  }
  cleanups.add(cleanup);
  return () => {
    if (cleanups.delete(cleanup) && cleanups.size === 0) stopListening();
  };
}

function stopListening(): void {
  process.off('exit', cleanUp);
  for (const signal of SIGNALS) process.off(signal, onSignal);
}

function cleanUp(): void {
  for (const cleanup of [...cleanups]) {
    cleanups.delete(cleanup);
    try {
      cleanup();
    } catch (error) {
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
}

function onSignal(signal: NodeJS.Signals): void {
  cleanUp();
  stopListening();
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}

/** Also while a server that was just killed still lets go of what is in it. */
export function removeFolder(dir: string): void {
  rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}
