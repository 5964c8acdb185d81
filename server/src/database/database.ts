import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { type Logger, messageOf } from '@bankhouse/core';
import pg from 'pg';
import type { Caller } from '../caller.ts';
import { ToolError } from '../mcp/tool-error.ts';
import type { Secrets } from '../secrets.ts';
import { cancelQuery } from './cancel.ts';
import {
  codeOf,
  isLoginRefused,
  isNoneFree,
  isPreparedStatementLost,
  isUnavailable,
  outcomeUnknown,
  toToolError,
} from './errors.ts';

/** Connections of one pod, and how long one stays open unused: a resting bank holds none. */
const MAX_CONNECTIONS = 4;
const IDLE_MS = 10_000;
/** A connection that isn't there, and a first answer that doesn't come, within this time: the database is unavailable. */
const ANSWER_WITHIN_MS = 2000;
const STATEMENT_TIMEOUT_MS = 5000;
/** Beyond the statement's own limit: the server is gone without a word. */
const SILENCE_MS = STATEMENT_TIMEOUT_MS + 1000;
/** Calls that may wait for a connection; more would wait longer than a client does. */
const MAX_WAITING = 512;

/** A statement with a name is parsed once a connection. Make each once, as a constant; one without is parsed every time. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
}

export interface Transaction {
  rows<R extends object>(statement: Statement, values?: readonly unknown[]): Promise<R[]>;
}

export interface TransactionOptions {
  /** The caller went away: the query is cancelled, the transaction rolled back. */
  signal: AbortSignal;
  readOnly: boolean;
}

export interface Database {
  /**
   * Runs `work` in one transaction, as the bank's own role, with the caller's database assertion in force. `work` must have no
   * effect outside of it: it runs a second time when the first connection turned out to be dead before it answered anything.
   *
   * @throws ToolError when the database failed, in words for the caller; the signal's reason when that fired; what `work` throws
   */
  withCaller<T>(caller: Caller, options: TransactionOptions, work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** Waits for running transactions, then closes every connection. */
  close(): Promise<void>;
}

const SET_CALLER: Statement = {
  name: 'set_caller',
  text: `select set_config('bankhouse.assertion', $1, true), set_config('application_name', $2, true),
    set_config('statement_timeout', '${STATEMENT_TIMEOUT_MS}', true)`,
};

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

  constructor(secrets: Secrets, logger: Logger) {
    this.#secrets = secrets;
    this.#logger = logger;
    this.#url = secrets.databaseUrl();
    this.#pool = this.#openPool(this.#url);
  }

  async withCaller<T>(caller: Caller, options: TransactionOptions, work: (tx: Transaction) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const progress = { answered: false };
      try {
        return await this.#attempt(caller, options, work, progress);
      } catch (error) {
        if (options.signal.aborted) throw options.signal.reason;
        if (attempt === 1 && this.#mayTryAgain(error, progress.answered)) continue;
        throw error instanceof pg.DatabaseError || isUnavailable(error) ? toToolError(error) : error;
      }
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
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
    const running = this.#run(client, caller, readOnly, work, progress, signal).finally(() =>
      signal.removeEventListener('abort', onAbort),
    );
    return Promise.race([running, aborted.promise]);
  }

  /** A connection. That none comes free within the time is no absence of the database while others work with theirs. */
  async #connect(pool: pg.Pool): Promise<pg.PoolClient> {
    const since = performance.now();
    try {
      return await pool.connect();
    } catch (error) {
      throw isNoneFree(error) && (this.#working.size > 0 || this.#answeredAt > since) ? overloaded(error) : error;
    }
  }

  /**
   * BEGIN, the settings and the first query of `work` are written at once and answered in one round trip (pg's pipeline
   * mode); COMMIT takes a second one, for which a reader doesn't wait. `set_config(…, true)` ends with the transaction, so
   * pgbouncer may hand the connection to anybody after it.
   */
  async #run<T>(
    client: pg.PoolClient,
    caller: Caller,
    readOnly: boolean,
    work: (tx: Transaction) => Promise<T>,
    progress: { answered: boolean },
    signal: AbortSignal,
  ): Promise<T> {
    const rows: Transaction['rows'] = async (statement, values = []) => {
      const result = await client.query({ ...this.#prepared(statement), values: [...values] });
      return result.rows;
    };
    const begin: pg.QueryConfig & { query_timeout: number } = {
      text: readOnly ? 'begin read only' : 'begin read write',
      query_timeout: ANSWER_WITHIN_MS,
    };
    writeAtOnce(client);
    const first = client.query(begin);
    const set = rows(SET_CALLER, [caller.databaseAssertion, `bankhouse ${caller.assertion.rid}`.slice(0, 63)]);
    const begun = Promise.all([
      first.then(() => {
        progress.answered = true;
        this.#answeredAt = performance.now();
        this.#working.add(client);
      }),
      set,
    ]);
    begun.catch(() => {});
    let result: T;
    try {
      result = await work({ rows });
      await begun;
      signal.throwIfAborted();
    } catch (error) {
      const cause = await begun.then(
        () => error,
        (earlier: unknown) => earlier,
      );
      await this.#giveBack(client, cause, signal);
      throw cause;
    }
    if (readOnly) this.#commit(client).catch(() => {});
    else await this.#commit(client, signal);
    return result;
  }

  /**
   * Gives the connection back in any case.
   *
   * @param signal of a caller who waits for it, and may cancel it
   * @throws when nothing was saved; ToolError when nobody knows
   */
  async #commit(client: pg.PoolClient, signal?: AbortSignal): Promise<void> {
    let command: string;
    try {
      ({ command } = await client.query('commit'));
    } catch (error) {
      client.release(true);
      throw isUnavailable(error) ? outcomeUnknown(error) : error;
    }
    client.release(signal?.aborted ?? false);
    // What Postgres answers to COMMIT after a statement failed: somebody went on as if it had not.
    if (command === 'ROLLBACK') throw new Error('The transaction had failed before it was to be saved.');
  }

  /** After a failure. A cancelled connection is closed: the cancellation may arrive late, and must not hit the next caller. */
  async #giveBack(client: pg.PoolClient, cause: unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted || isUnavailable(cause)) return client.release(true);
    await client.query('rollback').then(
      () => client.release(),
      () => client.release(true),
    );
  }

  #prepared(statement: Statement): { name?: string; text: string } {
    const { name, text } = statement;
    return this.#named && name !== undefined ? { name: wireName(statement, name), text } : { text };
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

/**
 * What is sent on the connection in this turn of the event loop leaves in one packet: a write of its own for each statement is
 * the largest part of a call's cost where packets pass a bridge and a firewall.
 */
function writeAtOnce(client: pg.PoolClient): void {
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  stream.cork();
  setImmediate(() => stream.uncork());
}

const wireNames = new WeakMap<Statement, string>();

/** The name with a digest of the text: behind a pooler, another release's statement of the same name must not be met. */
function wireName(statement: Statement, given: string): string {
  let name = wireNames.get(statement);
  if (name === undefined) {
    name = `${given}_${createHash('sha256').update(statement.text).digest('hex').slice(0, 8)}`;
    wireNames.set(statement, name);
  }
  return name;
}

function overloaded(cause?: unknown): ToolError {
  return new ToolError(
    'overloaded',
    'Too many calls of this bank are waiting for its database.',
    'Send the same call again in a few seconds.',
    { retryable: true, cause },
  );
}
