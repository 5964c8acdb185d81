import { BankhouseError, type Logger, messageOf } from '@bankhouse/core';
import pg from 'pg';

/** What the rest of control needs of Postgres. */
export interface Database {
  /** One statement. Safe to repeat: a connection that broke under it is replaced and the statement sent once more. */
  query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

/** `code` is `database_unavailable`: try again later. */
export class DatabaseUnavailableError extends BankhouseError {
  constructor(cause: unknown) {
    super('database_unavailable', 'The database does not answer at the moment; try again in a few seconds.', { cause });
    this.name = 'DatabaseUnavailableError';
  }
}

/** SQLSTATE classes 08 (connection), 57P (shutdown), 53 (resources), and everything that has no SQLSTATE: sockets. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return /^(08|57P|53)/.test(error.code ?? '');
  return error instanceof Error && !(error instanceof TypeError);
}

/** SQLSTATE of a database that the migration job has not been at: no role or password yet, no database, schema or table. */
function isNotMigrated(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /^(28|3D000|3F000|42P01)/.test(error.code ?? '');
}

/** @param url with password. Connects when first used. */
export function openDatabase(url: string, log: Logger): Database {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'bankhouse-control',
    max: 10,
    connectionTimeoutMillis: 3_000,
    idleTimeoutMillis: 60_000,
    statement_timeout: 5_000,
    query_timeout: 6_000,
    keepAlive: true,
  });
  pool.on('error', (error) => log.warn({ err: messageOf(error) }, 'an idle database connection broke'));
  return {
    async query<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
      try {
        return (await pool.query<Row>(text, values)).rows;
      } catch (first) {
        if (isNotMigrated(first)) throw new DatabaseUnavailableError(first);
        if (!isUnavailable(first)) throw first;
        try {
          return (await pool.query<Row>(text, values)).rows;
        } catch (second) {
          throw isUnavailable(second) ? new DatabaseUnavailableError(second) : second;
        }
      }
    },
    close: () => pool.end(),
  };
}
