import { type Logger, messageOf } from '@bankhouse/core';
import { type Clock, delay } from '@bankhouse/kube';
import type { Database } from '../database/index.ts';
import type { ErasingMetrics } from './metrics.ts';

/** Erases the rows of ids whose time has come, one after the other, beside the passes: a big bank holds up nobody. */
export interface Eraser {
  start(): void;
  /** Looks now instead of at the next turn. */
  wake(): void;
  /** Breaks off what is under way, which then is undone, and resolves when it is. */
  stop(): Promise<void>;
}

const EVERY_MS = 60_000;
/** So many are asked for at a time. */
const BATCH = 20;
/** An id whose rows could not be erased has its next try after so long. */
const RETRY_MS = 600_000;

export function createEraser(options: {
  database: Pick<Database, 'due' | 'erase' | 'forget'>;
  clock: Clock;
  logger: Logger;
  metrics?: ErasingMetrics | undefined;
  /** The id is anybody's again. */
  onForgotten: (id: string) => void;
}): Eraser {
  const { database, clock, logger, metrics } = options;
  const stopping = new AbortController();
  let woken = new AbortController();
  let loop: Promise<void> | undefined;
  /** When each that failed may be tried again, by uid: they would otherwise be first every time, and the others never. */
  const failed = new Map<string, number>();

  async function round(): Promise<void> {
    for (const [uid, until] of failed) if (until <= clock.now()) failed.delete(uid);
    const limit = BATCH + failed.size;
    const due = await database.due(new Date(clock.now()), limit);
    for (const { id, uid } of due) {
      if (stopping.signal.aborted) return;
      if (!failed.has(uid)) await eraseOne(id, uid);
    }
    if (due.length === limit) await round();
  }

  async function eraseOne(id: string, uid: string): Promise<void> {
    const startedAt = clock.now();
    try {
      const erased = await database.erase(id, uid, stopping.signal);
      await database.forget(id, uid, erased);
      metrics?.erased(erased.rowsDeleted, (clock.now() - startedAt) / 1000);
      logger.info({ id, uid, rows: erased.rowsDeleted, ms: clock.now() - startedAt }, 'rows erased');
      options.onForgotten(id);
    } catch (error) {
      if (stopping.signal.aborted) return;
      failed.set(uid, clock.now() + RETRY_MS);
      metrics?.failed();
      logger.warn({ id, uid, reason: messageOf(error) }, 'rows not erased');
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      woken = new AbortController();
      await round().catch((error) => logger.debug({ reason: messageOf(error) }, 'nothing erased'));
      await delay(clock, EVERY_MS, AbortSignal.any([stopping.signal, woken.signal]));
    }
  }

  return {
    start() {
      loop ??= run();
    },
    wake: () => woken.abort(),
    async stop() {
      stopping.abort();
      await loop;
    },
  };
}
