import { type Logger, messageOf } from '@bankhouse/core';
import { type Clock, jitteredBackoff } from '@bankhouse/kube';
import { type Database, DatabaseError } from './database.ts';

/** The database, with one who asks for all whether it is back. */
export interface DatabaseGate extends Database {
  /** It was found away; until it is back every call fails at once, as the one did that found it. */
  readonly isAway: boolean;
  /** The key is given to `onBack` once, when the database is back. */
  wakeWhenBack(key: string): void;
  /** Asks no more. */
  stop(): void;
}

const FIRST_MS = 500;
const MAX_MS = 5_000;
const AWAY = new Set(['unreachable', 'access_refused', 'not_migrated']);

/**
 * A database that is away costs one question every few seconds, however many banks wait for it: the first failure closes the gate, one
 * probe opens it again, and then everybody who waits is woken.
 *
 * | gate   | a call                     | the probe                     |
 * |--------|----------------------------|-------------------------------|
 * | open   | is made; away → closed     |                               |
 * | closed | fails as the one that closed it | succeeds → open, wakes all; fails → again, with backoff |
 */
export function createDatabaseGate(
  database: Database,
  options: { clock: Clock; logger: Logger; onBack: (keys: readonly string[]) => void },
): DatabaseGate {
  const { clock, logger } = options;
  const waiting = new Set<string>();
  let closed: { error: DatabaseError; attempt: number } | undefined;
  let cancel = () => {};
  let stopped = false;

  function close(error: DatabaseError): void {
    if (closed !== undefined || stopped) return;
    closed = { error, attempt: 0 };
    logger.warn({ code: error.code, reason: error.message }, 'database away');
    later();
  }

  function later(): void {
    if (closed === undefined || stopped) return;
    const ms = Math.max(FIRST_MS, jitteredBackoff(clock, closed.attempt, 2 * FIRST_MS, MAX_MS));
    closed.attempt += 1;
    cancel = clock.after(ms, () => void probe());
  }

  async function probe(): Promise<void> {
    try {
      await database.check();
    } catch (error) {
      if (closed !== undefined && error instanceof DatabaseError) closed.error = error;
      else logger.warn({ reason: messageOf(error) }, 'database probe broke');
      later();
      return;
    }
    open();
  }

  function open(): void {
    if (closed === undefined || stopped) return;
    closed = undefined;
    const keys = [...waiting];
    waiting.clear();
    logger.info({ waiting: keys.length }, 'database back');
    options.onBack(keys);
  }

  async function pass<T>(call: () => Promise<T>): Promise<T> {
    if (closed !== undefined) throw closed.error;
    try {
      return await call();
    } catch (error) {
      if (error instanceof DatabaseError && AWAY.has(error.code)) close(error);
      throw error;
    }
  }

  return {
    get isAway() {
      return closed !== undefined;
    },
    wakeWhenBack(key) {
      if (closed === undefined) options.onBack([key]);
      else waiting.add(key);
    },
    stop() {
      stopped = true;
      cancel();
    },
    claim: (claim) => pass(() => database.claim(claim)),
    release: (id, uid, eraseAfter) => pass(() => database.release(id, uid, eraseAfter)),
    due: (now, limit) => pass(() => database.due(now, limit)),
    forget: (id, uid, receipt) => pass(() => database.forget(id, uid, receipt)),
    state: (id) => pass(() => database.state(id)),
    ensure: (record, credentials, force) => pass(() => database.ensure(record, credentials, force)),
    retire: (id, uid) => pass(() => database.retire(id, uid)),
    lift: (id) => pass(() => database.lift(id)),
    erase: (id, uid, signal) => pass(() => database.erase(id, uid, signal)),
    check: () => database.check(),
    close: () => database.close(),
  };
}
