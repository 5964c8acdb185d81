import { BankhouseError, databaseUrlAt, messageOf } from '@bankhouse/core';
import pg from 'pg';

/** A Bank that asks for its id. */
export interface IdClaim {
  id: string;
  /** Of the Bank: one life of the id. */
  uid: string;
  /** `namespace/name` of the Bank: an id that was given back is kept for it, as long as the namespace is the same. */
  owner: string;
  namespaceUid: string;
  displayName: string;
  type: string;
  vaults: readonly { id: string; displayName: string }[];
  /** Name of the placement in which its rows shall be made, if the id was free. */
  placement: string;
}

/** What became of it, and the name of the placement that the bank's rows are in, or are to be made in. */
export interface Claimed {
  outcome: 'claimed' | 'held' | 'returned';
  placement: string;
}

/** What the tenants' part of the database shall have of a bank. */
export interface BankRecord {
  id: string;
  uid: string;
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

/** As `admin.bank_state` answers. */
export interface BankState {
  uid: string;
  displayName: string;
  type: string;
  vaults: { id: string; displayName: string }[];
  roles: { role: string; credentialDigest: string; quarantinedAt?: string | null; quarantinedFor?: string | null }[];
  keyGenerations: number[];
  retired: boolean;
}

/** As `admin.erase_bank` answers. */
export interface Erased {
  rowsDeleted: number;
  tables: Record<string, { rows: number; keys: number }>;
}

/** A database that is a bank's own, as control.want_database says it. */
export interface OwnDatabase {
  name: string;
  /** Of the tenants' part in it; null: it is not made yet. */
  generation: number | null;
  /** What keeps it from being made or brought to the newest generation, in a sentence. */
  problem: string | null;
}

/** One that goes or may have to, as control.drop_database says it. */
export interface GoingDatabase extends Omit<OwnDatabase, 'name'> {
  /** What was erased in it; null: it is not to go. */
  receipt: Erased | null;
  dropped: boolean;
}

/** What the operator does in a database that holds banks' rows; every method raises DatabaseError, and can be repeated. */
export interface TenantDatabase {
  state(id: string): Promise<BankState | undefined>;
  /** @param force sets the password again, though what is stored of it is as wanted */
  ensure(
    record: BankRecord,
    credentials: BankCredentials,
    options: { force: boolean },
  ): Promise<'created' | 'configured' | 'unchanged'>;
  /** Lets a bank's role connect, where the group of all banks may not. */
  letIn(role: string): Promise<void>;
  /** Ends access: roles, connections, keys; rows stay. */
  retire(id: string, uid: string): Promise<void>;
  /** Ends the bank's quarantine: its roles may log in again. */
  lift(id: string): Promise<void>;
  /** Erases all rows; takes as long as it takes, on a connection of its own. @param signal ends it, and undoes what it did so far */
  erase(id: string, uid: string, signal: AbortSignal): Promise<Erased>;
  /** Resolves where everything above can be asked. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** A Postgres that holds banks' rows: its common database, and those that banks have of their own there. */
export interface TenantServer extends TenantDatabase {
  /** A bank's own database on the same server; connections are opened when needed, and end with `close` of what this answers. */
  at(name: string): TenantDatabase;
  /** The operator's own URL. @param name of a bank's own database; undefined: the common one */
  urlOf(name: string | undefined): string;
}

/** The common database: that of the banks which have none of their own, and of who has which id. */
export interface Database extends TenantServer, Moves {
  /** Gives the id to the Bank; `id_taken` where it is another's. */
  claim(claim: IdClaim): Promise<Claimed>;
  /** Takes the id back from the Bank, if it has it, and keeps it for its owner. @param eraseAfter undefined: for ever */
  release(id: string, uid: string, eraseAfter: Date | undefined): Promise<void>;
  /** Ids whose rows are to be erased by now, and the names of the placements that these are in. */
  due(now: Date, limit: number): Promise<{ id: string; uid: string; placement: string }[]>;
  /** Name of the placement that the rows of this Bank are in; undefined where it has not got the id. */
  placement(id: string, uid: string): Promise<string | undefined>;
  /** Orders the database of a Bank whose placement is one of its own, unless it is there. */
  wantDatabase(id: string, uid: string): Promise<OwnDatabase>;
  /** Orders it gone, the Bank being gone and the rows erased; without a receipt only asks. Undefined: it was never ordered. */
  dropDatabase(id: string, uid: string, receipt?: Erased): Promise<GoingDatabase | undefined>;
  /** A further server by its name; undefined: none is known. */
  on(server: string): TenantServer | undefined;
  /** The id is anybody's again; the receipt is kept. */
  forget(id: string, uid: string, receipt: Erased): Promise<void>;
}

/** A bank on its way from one placement into another, as control.move_of says it. */
export interface Move {
  id: string;
  uid: string;
  /** The try in force. */
  move: string;
  /** Names of placements. */
  source: string;
  target: string;
  /** The bank is at the target. */
  switched: boolean;
}

/** What is asked of the common database for moves; `control.bank_ids` says there where a bank is. */
export interface Moves {
  /** All that are not over. */
  movesUnderWay(): Promise<Move[]>;
  /** The Bank's; undefined where none is under way. */
  moveOf(id: string, uid: string): Promise<Move | undefined>;
  /** A try takes the place of an earlier one, unless that was switched or goes elsewhere. Undefined: the Bank is there already. */
  beginMove(bank: { id: string; uid: string }, target: string, move: string): Promise<Move | undefined>;
  /** Orders the database of the bank's own that its move goes into; undefined where that is none. */
  wantTarget(id: string, uid: string): Promise<(OwnDatabase & { told: boolean }) | undefined>;
  /** From now on the Bank is at the target; false where this try is not in force any more. */
  switchPlacement(id: string, uid: string, move: string): Promise<boolean>;
  /** The Bank stays; false where no move is under way, or it was switched. */
  callOffMove(id: string, uid: string): Promise<boolean>;
  /** Nothing is left at the source, but a database of the bank's own, which goes. */
  finishMove(id: string, uid: string): Promise<void>;
}

/** `code` is one of DatabaseErrorCode. */
export class DatabaseError extends BankhouseError {
  constructor(code: DatabaseErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options);
    this.name = 'DatabaseError';
  }
}

/** The first three concern every bank alike: the database is away. */
export type DatabaseErrorCode =
  | 'unreachable'
  | 'access_refused'
  | 'not_migrated'
  | 'busy'
  | 'id_taken'
  | 'database_failed';

const CONNECT_TIMEOUT_MS = 3_000;
const QUERY_TIMEOUT_MS = 15_000;
/** Erasing 100,000 recordings takes tens of seconds. */
const ERASE_TIMEOUT_MS = 3_600_000;
const IDLE_MS = 30_000;
/** To a database of a bank's own: nobody else waits for it, and there may be thousands. */
const TO_OWN = { connections: 1, idleMs: 2_000 };

/**
 * @param url with the operator's own password
 * @param options.servers URLs of further servers' common databases, by name, with the operator's password there
 */
export function createDatabase(
  url: string,
  options: { connections: number; servers?: ReadonlyMap<string, string> },
): Database {
  const { call, query, ...tenants } = connectTo(url, { ...options, idleMs: IDLE_MS });
  const servers = new Map(
    [...(options.servers ?? [])].map(([name, at]) => [name, createServer(at, { ...options, server: name })]),
  );
  return {
    ...tenants,
    on: (server) => servers.get(server),
    async claim({ id, uid, owner, namespaceUid, displayName, type, vaults, placement }) {
      const values = [id, uid, owner, namespaceUid, displayName, type, JSON.stringify(vaults), placement];
      return (await call<Claimed>('control.claim_id', values)) ?? { outcome: 'held', placement };
    },
    async release(id, uid, eraseAfter) {
      await call('control.release_id', [id, uid, eraseAfter?.toISOString() ?? null]);
    },
    async due(now, limit) {
      return await query<{ id: string; uid: string; placement: string }>(
        `select jsonb_build_object('id', id, 'uid', uid, 'placement', placement) as value from control.due_placements($1, $2)`,
        [now.toISOString(), limit],
      );
    },
    async forget(id, uid, receipt) {
      await call('control.forget_id', [id, uid, JSON.stringify(receipt)]);
    },
    placement: (id, uid) => call<string>('control.placement_of', [id, uid]),
    async wantDatabase(id, uid) {
      return (await call<OwnDatabase>('control.want_database', [id, uid])) as OwnDatabase;
    },
    dropDatabase: (id, uid, receipt) =>
      call<GoingDatabase>('control.drop_database', [id, uid, receipt === undefined ? null : JSON.stringify(receipt)]),
    movesUnderWay: () => query<Move>('select control.moves_under_way() as value', []),
    moveOf: (id, uid) => call<Move>('control.move_of', [id, uid]),
    beginMove: ({ id, uid }, target, move) => call<Move>('control.begin_move', [id, uid, target, move]),
    wantTarget: (id, uid) => call<OwnDatabase & { told: boolean }>('control.want_target', [id, uid]),
    switchPlacement: async (id, uid, move) =>
      (await call<boolean>('control.switch_placement', [id, uid, move])) === true,
    callOffMove: async (id, uid) => (await call<boolean>('control.call_off_move', [id, uid])) === true,
    async finishMove(id, uid) {
      await call('control.finish_move', [id, uid]);
    },
    urlOf: (name) => (name === undefined ? url : databaseUrlAt(url, name)),
    at(name) {
      const { call: _, query: __, ...own } = connectTo(databaseUrlAt(url, name), TO_OWN);
      return own;
    },
    async close() {
      await Promise.all([tenants, ...servers.values()].map((server) => server.close()));
    },
    async check() {
      await tenants.check();
      await query('select count(*) as value from control.due_placements($1, 0)', [new Date(0).toISOString()]);
    },
  };
}

function createServer(url: string, options: { connections: number; server: string }): TenantServer {
  const connectedTo = (at: string, limits: { connections: number; idleMs: number }): TenantDatabase => {
    const { call: _, query: __, ...tenants } = connectTo(at, { ...limits, server: options.server });
    return tenants;
  };
  return {
    ...connectedTo(url, { connections: options.connections, idleMs: IDLE_MS }),
    at: (name) => connectedTo(databaseUrlAt(url, name), TO_OWN),
    urlOf: (name) => (name === undefined ? url : databaseUrlAt(url, name)),
  };
}

/** Whether the database is not there at all. */
export function isMissing(error: unknown): boolean {
  return error instanceof DatabaseError && codeOf(error.cause) === '3D000';
}

interface Connected extends TenantDatabase {
  query<T>(text: string, values: unknown[]): Promise<T[]>;
  call<T>(name: string, values: unknown[]): Promise<T | undefined>;
}

function connectTo(
  url: string,
  { connections, idleMs, server }: { connections: number; idleMs: number; server?: string },
): Connected {
  const connection = {
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'bankhouse-operator',
    keepAlive: true,
  };
  const pool = new pg.Pool({ ...connection, max: connections, idleTimeoutMillis: idleMs });
  // A connection that breaks while idle; the pool replaces it.
  pool.on('error', () => {});
  const { host, pathname } = new URL(url);
  const place = { at: `${host}${pathname}`, server };

  async function query<T>(text: string, values: unknown[]): Promise<T[]> {
    try {
      const statement: pg.QueryConfig & { query_timeout: number } = { text, values, query_timeout: QUERY_TIMEOUT_MS };
      const result = await pool.query<{ value: T }>(statement);
      return result.rows.map(({ value }) => value);
    } catch (error) {
      throw explain(error, place);
    }
  }

  /** What one function of ours answers. Each limits how long it waits for what a transaction of the bank's own holds. */
  async function call<T>(name: string, values: unknown[]): Promise<T | undefined> {
    const places = values.map((_, index) => `$${index + 1}`).join(', ');
    const [value] = await query<T | null>(`select ${name}(${places}) as value`, values);
    return value ?? undefined;
  }

  return {
    query,
    call,
    async lift(id) {
      await call('admin.lift_quarantine', [id]);
    },
    state: (id) => call<BankState>('admin.bank_state', [id]),
    async ensure({ id, uid, displayName, type, vaults, role, credentialDigest }, { verifier, keys }, { force }) {
      const named = [id, uid, displayName, type, JSON.stringify(vaults), role];
      const values = [...named, await verifier(), credentialDigest, JSON.stringify(keys), force];
      return (await call<'created' | 'configured' | 'unchanged'>('admin.ensure_bank', values)) ?? 'unchanged';
    },
    async letIn(role) {
      await call('admin.let_in', [role]);
    },
    async retire(id, uid) {
      if ((await call<number>('admin.retire_bank', [id, uid])) !== undefined) return;
      const message = 'A connection of the bank still holds its database role; the operator tries again by itself.';
      throw new DatabaseError('busy', message);
    },
    async erase(id, uid, signal) {
      const client = new pg.Client(connection);
      client.on('error', () => {});
      try {
        await client.connect();
        return await eraseOn(client, pool, { id, uid, signal });
      } catch (error) {
        throw explain(error, place);
      } finally {
        await client.end().catch(() => {});
      }
    },
    async check() {
      await call('admin.bank_state', ['']);
    },
    close: () => pool.end(),
  };
}

/** One statement, so that it is whole or not at all; who gives up cancels it in the server too, or it would go on there. */
async function eraseOn(
  client: pg.Client,
  pool: pg.Pool,
  { id, uid, signal }: { id: string; uid: string; signal: AbortSignal },
): Promise<Erased> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const cancel = () => void pool.query('select pg_cancel_backend($1)', [rows[0]?.pid]).catch(() => {});
  const limited = AbortSignal.any([signal, AbortSignal.timeout(ERASE_TIMEOUT_MS)]);
  if (limited.aborted) throw new Error('stopped');
  limited.addEventListener('abort', cancel, { once: true });
  try {
    const result = await client.query<{ value: Erased }>('select admin.erase_bank($1, $2) as value', [id, uid]);
    return result.rows[0]?.value ?? { rowsDeleted: 0, tables: {} };
  } finally {
    limited.removeEventListener('abort', cancel);
  }
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
export function explain(error: unknown, { at, server }: { at: string; server?: string | undefined }): DatabaseError {
  const place = server === undefined ? at : `${at} (server "${server}")`;
  const code = codeOf(error);
  const said = messageOf(error);
  const cause = { cause: error };
  if (code === 'BH001')
    return new DatabaseError('id_taken', "The id is another Bank's; choose another spec.id.", cause);
  if (code === 'BH002') {
    const message = `${said.charAt(0).toUpperCase()}${said.slice(1)}; drop that role.`;
    return new DatabaseError('id_taken', message, cause);
  }
  if (code.startsWith('28')) {
    const message = `Postgres at ${place} refuses the operator's sign-in (${said}); ${server === undefined ? 'compare the Secret bankhouse-database-roles with the roles that the migration made' : 'the Deployment bankhouse-databases sets its password there when it starts: look at its log'}.`;
    return new DatabaseError('access_refused', message, cause);
  }
  if (['42883', '42P01', '3F000', '42501', '3D000'].includes(code)) {
    const message = `The database at ${place} lacks our schema or grants (${said}); ${server === undefined ? 'let the migration job run' : 'the Deployment bankhouse-databases brings it there: look at its log'}.`;
    return new DatabaseError('not_migrated', message, cause);
  }
  // object_in_use, and a bank that is being moved: our own functions say what they wait for.
  if (code === '55006' || code === 'BH003') {
    const message = `${said.charAt(0).toUpperCase()}${said.slice(1)}; the operator tries again by itself.`;
    return new DatabaseError('busy', message, cause);
  }
  // Of one bank alone: a transaction of its own holds what it needs, or a deadlock with it.
  if (['55P03', '57014', '40P01'].includes(code) || said === 'Query read timeout') {
    const message = `An open transaction of the bank holds what has to be changed (${said}); the operator tries again by itself.`;
    return new DatabaseError('busy', message, cause);
  }
  // 57P: shutting down or starting; 53300: too many connections; 08: connection broken; no code: the driver's own time-out.
  // 55000 of a sign-in: the database is closed, as one that is being dropped.
  const isClosed = code === '55000' && said.includes('not currently accepting connections');
  if (code === '' || UNREACHABLE.has(code) || /^(08|57P0|53300)/.test(code) || isClosed) {
    const message = `Postgres at ${place} can't be reached (${said}); the operator tries again by itself.`;
    return new DatabaseError('unreachable', message, cause);
  }
  return new DatabaseError('database_failed', `Postgres at ${place} says: ${said}.`, cause);
}

function codeOf(error: unknown): string {
  if (error instanceof AggregateError && !('code' in error && typeof error.code === 'string')) {
    return codeOf(error.errors[0]);
  }
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
