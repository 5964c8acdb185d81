import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, messageOf } from '@bankhouse/core';
import pg from 'pg';
import type { Caller } from '../caller.ts';
import { ToolError } from '../mcp/tool-error.ts';
import type { Secrets } from '../secrets.ts';
import { cancelQuery } from './cancel.ts';
import {
  codeOf,
  isBeingMoved,
  isCrowdedOut,
  isLoginRefused,
  isNoneFree,
  isPreparedStatementLost,
  isTurnedAway,
  isUnavailable,
  placeMovedTo,
  toToolError,
} from './errors.ts';
import { ANSWER_WITHIN_MS, type Lent, read, STATEMENT_TIMEOUT_MS, type Transaction, write } from './transaction.ts';

/**
 * Connections of one pod, and how long one stays open unused. A role per bank can't share another's connections, so every bank
 * that is at work takes some of the 300 that the platform's Postgres has: with three, and one for changes where somebody listens,
 * a hundred banks can be busy at once, and one that rests holds none.
 */
const MAX_CONNECTIONS = 3;
const IDLE_MS = 3000;
/** Beyond the statement's own limit: the server is gone without a word. */
const SILENCE_MS = STATEMENT_TIMEOUT_MS + 1000;
/** How long a call tries to get in when Postgres has no room for it, or when nobody lets a pod through to it yet; and how often. */
const GET_IN_MS = 2000;
const GET_IN_PAUSE_MS = 100;
/** How long a call waits while its bank is being moved: a freeze ends by itself after five seconds; and how often it looks. */
const MOVE_MS = 6000;
const MOVE_PAUSE_MS = 150;
/** Until when a pod is a newcomer: network policies know it by its address, and whoever enforces them hears of that after it has started. */
const NEWCOMER_MS = 10_000;
/** Calls that may wait for a connection; more would wait longer than a client does. */
const MAX_WAITING = 512;

export interface TransactionOptions {
  /** The caller went away: the query is cancelled, the transaction rolled back. */
  signal: AbortSignal;
  readOnly: boolean;
}

export interface Database {
  /**
   * Runs `work` as the bank's own role, with the caller's database assertion in force: a writer's in one transaction, a reader's in
   * one for all that it asks for at once. `work` must have no effect outside of them: it runs again when the first
   * connection turned out to be dead before it answered anything, and while Postgres has no room for it, isn't open to a new pod yet, or
   * the bank is being moved into another database.
   *
   * @throws ToolError when the database failed, in words for the caller; the signal's reason when that fired; what `work` throws
   */
  withCaller<T>(caller: Caller, options: TransactionOptions, work: (tx: Transaction) => Promise<T>): Promise<T>;
  /**
   * Whether Postgres refuses the bank's login, so that the operator has to set its password again. Asks only where the last login that a
   * caller needed was refused: a bank at rest costs no connection.
   */
  loginIsRefused(): Promise<boolean>;
  /** Waits for running transactions, then closes every connection. */
  close(): Promise<void>;
}

export function openDatabase(options: { secrets: Secrets; logger: Logger }): Database {
  return new PooledDatabase(options.secrets, options.logger);
}

class PooledDatabase implements Database {
  readonly #secrets: Secrets;
  readonly #logger: Logger;
  #url: string;
  #pool: pg.Pool;
  /** pgbouncer before 1.21, or with max_prepared_statements = 0, keeps no names: then statements go without. */
  #named = true;
  /** Connections whose transaction has an answer and goes on; when the last one began. Both are signs of life of the database. */
  readonly #working = new Set<pg.PoolClient>();
  #answeredAt = Number.NEGATIVE_INFINITY;
  readonly #openedAt = performance.now();
  #wasReached = false;
  #loginWasRefused = false;
  #waitingForMove = 0;

  constructor(secrets: Secrets, logger: Logger) {
    this.#secrets = secrets;
    this.#logger = logger;
    this.#url = secrets.databaseUrl();
    this.#pool = this.#openPool(this.#url);
  }

  async withCaller<T>(caller: Caller, options: TransactionOptions, work: (tx: Transaction) => Promise<T>): Promise<T> {
    const since = performance.now();
    for (let attempt = 1; ; attempt++) {
      const progress = { answered: false };
      try {
        return await this.#attempt(caller, options, work, progress);
      } catch (error) {
        if (options.signal.aborted) throw options.signal.reason;
        if (
          isBeingMoved(error) &&
          (await this.#isMoved(error, MOVE_MS - (performance.now() - since), options.signal))
        ) {
          attempt--;
          continue;
        }
        if (this.#mayGetIn(error) && performance.now() - since < GET_IN_MS) {
          this.#logger.debug({ reason: messageOf(error) }, 'not let in, trying again');
          await sleep(GET_IN_PAUSE_MS, undefined, { signal: options.signal }).catch(() =>
            options.signal.throwIfAborted(),
          );
          continue;
        }
        if (attempt === 1 && this.#mayTryAgain(error, progress.answered)) continue;
        throw error instanceof pg.DatabaseError || isUnavailable(error) ? toToolError(error, options) : error;
      }
    }
  }

  async loginIsRefused(): Promise<boolean> {
    if (!this.#loginWasRefused) return false;
    this.#secrets.refresh();
    try {
      (await this.#connect(this.#currentPool())).release();
      return false;
    } catch (error) {
      return isLoginRefused(error);
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  /** Whether Postgres, or the way to it, is only not open to this pod just now. */
  #mayGetIn(error: unknown): boolean {
    if (isCrowdedOut(error)) return true;
    return isTurnedAway(error) && !this.#wasReached && performance.now() - this.#openedAt < NEWCOMER_MS;
  }

  /**
   * Follows the bank where it went, or waits a moment for its move to go on.
   *
   * @param left how long may be waited still, in milliseconds
   * @returns whether to try again
   */
  async #isMoved(error: unknown, left: number, signal: AbortSignal): Promise<boolean> {
    if (left <= 0 || this.#waitingForMove >= MAX_WAITING) return false;
    const place = placeMovedTo(error);
    if (place !== undefined) {
      this.#secrets.movedTo(place);
      if (this.#secrets.databaseUrl() !== this.#url) return true;
    }
    this.#waitingForMove++;
    await sleep(MOVE_PAUSE_MS, undefined, { signal }).catch(() => {});
    this.#waitingForMove--;
    signal.throwIfAborted();
    return true;
  }

  /** Whether a second attempt can do better. Only such failures count after which nothing can have been changed. */
  #mayTryAgain(error: unknown, answered: boolean): boolean {
    if (isPreparedStatementLost(error)) {
      // Others that are under way meet the same; each gets its second attempt.
      if (this.#named) this.#logger.warn('prepared statements are lost between transactions, so they go without names');
      this.#named = false;
      return true;
    }
    if (isLoginRefused(error)) {
      this.#secrets.refresh();
      return this.#secrets.databaseUrl() !== this.#url;
    }
    // A pooled connection that died while it was idle. A server that is not there at all is not asked twice.
    return (
      !answered && isUnavailable(error) && !/ECONNREFUSED|timeout|57P03/i.test(`${codeOf(error)} ${messageOf(error)}`)
    );
  }

  async #attempt<T>(
    caller: Caller,
    { signal, readOnly }: TransactionOptions,
    work: (tx: Transaction) => Promise<T>,
    progress: { answered: boolean },
  ): Promise<T> {
    signal.throwIfAborted();
    const pool = this.#currentPool();
    if (pool.waitingCount >= MAX_WAITING) throw overloaded();
    const client = await this.#connect(pool);
    if (signal.aborted) {
      client.release();
      throw signal.reason;
    }
    const aborted = Promise.withResolvers<never>();
    aborted.promise.catch(() => {});
    const onAbort = () => {
      cancelQuery(client);
      aborted.reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const onAnswer = () => {
      progress.answered = true;
      this.#answeredAt = performance.now();
      this.#working.add(client);
    };
    const lent: Lent = { client, caller, signal, named: this.#named, onAnswer };
    const running = (readOnly ? read(lent, work) : write(lent, work)).finally(() =>
      signal.removeEventListener('abort', onAbort),
    );
    return Promise.race([running, aborted.promise]);
  }

  /** A connection. That none comes free within the time is no absence of the database while others work with theirs. */
  async #connect(pool: pg.Pool): Promise<pg.PoolClient> {
    const since = performance.now();
    try {
      const client = await pool.connect();
      this.#loginWasRefused = false;
      this.#wasReached = true;
      return client;
    } catch (error) {
      if (isLoginRefused(error)) this.#loginWasRefused = true;
      throw isNoneFree(error) && (this.#working.size > 0 || this.#answeredAt > since) ? overloaded(error) : error;
    }
  }

  #currentPool(): pg.Pool {
    const url = this.#secrets.databaseUrl();
    if (url !== this.#url) {
      const former = this.#pool;
      this.#url = url;
      this.#pool = this.#openPool(url);
      this.#logger.info('database login changed, new connections use it');
      former.end().catch((error: unknown) => this.#logger.warn({ reason: messageOf(error) }, 'closing a pool failed'));
    }
    return this.#pool;
  }

  #openPool(connectionString: string): pg.Pool {
    const pool = new pg.Pool({
      connectionString,
      pipeline: true,
      max: MAX_CONNECTIONS,
      idleTimeoutMillis: IDLE_MS,
      connectionTimeoutMillis: ANSWER_WITHIN_MS,
      query_timeout: SILENCE_MS,
      keepAlive: true,
      // The same for every call: pg_stat_activity shows it to every role of the cluster.
      application_name: 'bankhouse',
    });
    // Without listeners a connection that breaks would end the process; the call that used it fails by itself.
    const report = (error: Error) => this.#logger.debug({ reason: messageOf(error) }, 'database connection lost');
    pool.on('error', report);
    pool.on('release', (_error, client) => this.#working.delete(client as pg.PoolClient));
    pool.on('connect', (client) => client.on('error', report));
    return pool;
  }
}

function overloaded(cause?: unknown): ToolError {
  return new ToolError(
    'overloaded',
    'Too many calls of this bank are waiting for its database.',
    'Send the same call again in a few seconds.',
    { retryable: true, cause },
  );
}
