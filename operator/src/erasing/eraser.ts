import { BankhouseError, type Logger, messageOf } from '@bankhouse/core';
import { type Clock, delay } from '@bankhouse/kube';
import { whereOf } from '../placement/index.ts';
import type { ErasingMetrics } from './metrics.ts';
import { type Due, type ErasingDatabase, eraseRows } from './rows.ts';

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
/** A database of a bank's own is dropped within a second, or by nobody: the first of a round is waited for so long, and then none. */
const DROP_MS = 10_000;

export function createEraser(options: {
  database: ErasingDatabase;
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
  let patienceMs = DROP_MS;

  async function round(): Promise<void> {
    for (const [uid, until] of failed) if (until <= clock.now()) failed.delete(uid);
    const limit = BATCH + failed.size;
    const due = await database.due(new Date(clock.now()), limit);
    // Of each server one after the other; one that takes its time keeps the others' waiting no longer than this.
    const byServer = Map.groupBy(due, ({ placement }) => whereOf(placement)?.server);
    await Promise.all([...byServer.values()].map(eraseAll));
    if (stopping.signal.aborted) return;
    if (due.length === limit) await round();
  }

  async function eraseAll(due: readonly Due[]): Promise<void> {
    for (const one of due) {
      if (stopping.signal.aborted) return;
      if (!failed.has(one.uid)) await eraseOne(one);
    }
  }

  async function eraseOne(one: Due): Promise<void> {
    const { id, uid } = one;
    const startedAt = clock.now();
    try {
      const erased = await eraseRows(database, one, { clock, signal: stopping.signal, patienceMs });
      await database.forget(id, uid, erased);
      metrics?.erased(erased.rowsDeleted, (clock.now() - startedAt) / 1000);
      logger.info({ id, uid, rows: erased.rowsDeleted, ms: clock.now() - startedAt }, 'rows erased');
      options.onForgotten(id);
    } catch (error) {
      if (stopping.signal.aborted) return;
      if (error instanceof BankhouseError && error.code === 'database_still_there') patienceMs = 0;
      failed.set(uid, clock.now() + RETRY_MS);
      metrics?.failed();
      logger.warn({ id, uid, reason: messageOf(error) }, 'rows not erased');
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      woken = new AbortController();
      patienceMs = DROP_MS;
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
