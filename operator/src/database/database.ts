import { BankhouseError, messageOf } from '@bankhouse/core';
import type { Clock } from '@bankhouse/kube';
import pg from 'pg';

/** What the database shall have of a bank. */
export interface BankRecord {
  id: string;
  /** `namespace/name` of the Bank: rows of an id belong to it, also after its deletion with Retain. */
  owner: string;
  displayName: string;
  type: string;
  vaults: readonly { id: string; displayName: string }[];
  role: string;
  /** Digest of everything secret below; what is stored is compared by it alone. */
  credentialDigest: string;
}

/** The secret part of a record; the verifier is computed only when it is needed. */
export interface BankCredentials {
  verifier: () => Promise<string>;
  /** Keys of the database seal by generation, base64. */
  keys: Readonly<Record<string, string>>;
}

/** As `bank.bank_state` answers. */
export interface BankState {
  owner: string;
  displayName: string;
  type: string;
  vaults: { id: string; displayName: string }[];
  roles: { role: string; credentialDigest: string }[];
  keyGenerations: number[];
  retainedAt: string | null;
}

/** What the operator does in Postgres; every method raises DatabaseError. */
export interface Database {
  state(id: string): Promise<BankState | undefined>;
  ensure(record: BankRecord, credentials: BankCredentials): Promise<'created' | 'configured' | 'unchanged'>;
  delete(id: string, owner: string, deleteRows: boolean): Promise<void>;
  close(): Promise<void>;
}

/** `code` is `unreachable`, `access_refused`, `not_migrated`, `id_taken` or `database_failed`. */
export class DatabaseError extends BankhouseError {
  constructor(code: DatabaseErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options);
    this.name = 'DatabaseError';
  }
}

export type DatabaseErrorCode = 'unreachable' | 'access_refused' | 'not_migrated' | 'id_taken' | 'database_failed';

const CONNECT_TIMEOUT_MS = 3_000;
const QUERY_TIMEOUT_MS = 15_000;
/** Erasing 100,000 recordings takes tens of seconds. */
const DELETE_TIMEOUT_MS = 600_000;
const IDLE_MS = 30_000;
/** After a failed connect, others fail at once for so long instead of each waiting its own time-out. */
const DOWN_MS = 1_000;

/** @param url with the operator's own password */
export function createDatabase(url: string, options: { connections: number; clock: Clock }): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.connections,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_MS,
    application_name: 'bankhouse-operator',
    keepAlive: true,
  });
  // A connection that breaks while idle; the pool replaces it.
  pool.on('error', () => {});
  const { host, pathname } = new URL(url);
  const place = `${host}${pathname}`;
  let down: { error: DatabaseError; until: number } | undefined;

  async function query<T>(text: string, values: unknown[], query_timeout = QUERY_TIMEOUT_MS): Promise<T | undefined> {
    if (down !== undefined && down.until > options.clock.now()) throw down.error;
    try {
      // Kept by the client, not as a start-up parameter, which a pooler in between would refuse.
      const statement: pg.QueryConfig & { query_timeout: number } = { text, values, query_timeout };
      const result = await pool.query<{ value: T }>(statement);
      down = undefined;
      return result.rows[0]?.value;
    } catch (error) {
      const known = explain(error, place);
      if (known.code === 'unreachable') down = { error: known, until: options.clock.now() + DOWN_MS };
      throw known;
    }
  }

  return {
    async state(id) {
      return (await query<BankState | null>('select bank.bank_state($1) as value', [id])) ?? undefined;
    },
    async ensure(record, credentials) {
      const value = await query<'created' | 'configured' | 'unchanged'>(
        'select bank.ensure_bank($1, $2, $3, $4, $5, $6, $7, $8, $9) as value',
        [
          record.id,
          record.owner,
          record.displayName,
          record.type,
          JSON.stringify(record.vaults),
          record.role,
          await credentials.verifier(),
          record.credentialDigest,
          JSON.stringify(credentials.keys),
        ],
      );
      return value ?? 'unchanged';
    },
    async delete(id, owner, deleteRows) {
      await query('select bank.delete_bank($1, $2, $3) as value', [id, owner, deleteRows], DELETE_TIMEOUT_MS);
    },
    close: () => pool.end(),
  };
}

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EPIPE',
]);

/** A sentence of ours for what Postgres or the network says. */
export function explain(error: unknown, place: string): DatabaseError {
  const code = codeOf(error);
  const said = messageOf(error);
  const sentence = said.charAt(0).toUpperCase() + said.slice(1);
  if (code === 'BH001') {
    return new DatabaseError('id_taken', `${sentence}; choose another spec.id, or delete the rows that hold it.`, {
      cause: error,
    });
  }
  if (code === 'BH002') {
    return new DatabaseError('id_taken', `${sentence}; drop that role, or choose another spec.id.`, { cause: error });
  }
  if (code.startsWith('28')) {
    const message = `Postgres at ${place} refuses the operator's sign-in (${said}); compare the Secret bankhouse-database-roles with the roles that the migration made.`;
    return new DatabaseError('access_refused', message, { cause: error });
  }
  if (['42883', '42P01', '3F000', '42501', '3D000'].includes(code)) {
    const message = `The database at ${place} lacks our schema or grants (${said}); let the migration job run.`;
    return new DatabaseError('not_migrated', message, { cause: error });
  }
  // 57P: shutting down or starting; 53300: too many connections; 08: connection broken; no code: the driver's own time-out.
  if (code === '' || UNREACHABLE.has(code) || /^(08|57P0|53300)/.test(code)) {
    const message = `Postgres at ${place} can't be reached (${said}); the operator tries again by itself.`;
    return new DatabaseError('unreachable', message, { cause: error });
  }
  return new DatabaseError('database_failed', `Postgres at ${place} says: ${said}.`, { cause: error });
}

function codeOf(error: unknown): string {
  if (error instanceof AggregateError && !('code' in error && typeof error.code === 'string')) {
    return codeOf(error.errors[0]);
  }
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
