import { messageOf } from '@bankhouse/core';
import pg from 'pg';
import { MigrationError } from './errors.ts';

/**
 * A connection as the owner.
 *
 * @throws MigrationError `database_unreachable`, `database_refused`
 */
export async function connect(databaseUrl: string, timeoutMs: number): Promise<pg.Client> {
  const { host, pathname } = new URL(databaseUrl);
  const client = new pg.Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: timeoutMs,
    application_name: 'bankhouse-migrate',
    keepAlive: true,
  });
  // The statement under way says so; where there is none, the next one does.
  client.on('error', () => {});
  try {
    await client.connect();
  } catch (error) {
    // Class 28: the server answered and refuses this user or password; 3D000: it has no such database.
    const refused = error instanceof pg.DatabaseError && /^(28|3D000)/.test(error.code ?? '');
    const [code, what] = refused
      ? (['database_refused', 'refuses the sign-in'] as const)
      : (['database_unreachable', "can't be reached"] as const);
    throw new MigrationError(
      code,
      `The database at ${host}${pathname} ${what} (${messageOf(error)}); compare DATABASE_URL and DATABASE_PASSWORD.`,
      error,
    );
  }
  return client;
}

/** @throws MigrationError `owner_unfit` */
export async function checkOwner(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ name: string; version: number; roles: boolean; creates: boolean }>(
    `select current_user::text as name, current_setting('server_version_num')::int as version,
            rolcreaterole or rolsuper as roles,
            has_database_privilege(current_user, current_database(), 'CREATE') as creates
       from pg_catalog.pg_roles where rolname = current_user`,
  );
  const found = rows[0];
  if (found === undefined) return;
  const problem =
    found.version < 150_000
      ? `Bankhouse needs PostgreSQL 15 or newer, and this is ${Math.floor(found.version / 10_000)}`
      : !found.roles
        ? `The role ${found.name} needs CREATEROLE, because every bank gets a role of its own: ALTER ROLE ${found.name} CREATEROLE`
        : !found.creates
          ? `The role ${found.name} may not create schemas in this database: make it the database's owner`
          : undefined;
  if (problem !== undefined) throw new MigrationError('owner_unfit', `${problem}.`);
}

/**
 * Takes back what an earlier file may have set, and the limits that a role or database may have been given: a migration takes as
 * long as it takes. But a run whose process is gone must not live on in the server, with its locks.
 */
export async function settle(client: pg.Client, lockTimeoutMs: number): Promise<void> {
  await client.query(
    `reset all; reset role; set lock_timeout = ${lockTimeoutMs};
     set tcp_keepalives_idle = 15; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3;
     -- Those that this version has.
     select pg_catalog.set_config(name, '0', false) from pg_catalog.pg_settings
      where name in ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout');
     do $$ begin
       perform pg_catalog.set_config('client_connection_check_interval', '5s', false);
     exception when invalid_parameter_value then null; -- not on every system
     end $$`,
  );
}

/** Whether somebody else held what we needed, so that trying again helps. */
export function isContention(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return false;
  // A lock_timeout, a deadlock, or two that changed one row of a catalog: a grant, or a role of another database's migration.
  if (error.code === '55P03' || error.code === '40P01' || error.code === '40001') return true;
  if (error.code === 'XX000') return /tuple concurrently (updated|deleted)/.test(error.message);
  return error.code === '23505' && error.schema === 'pg_catalog';
}

/** Whether the connection is gone: shutdown (57P), connection (08), or a socket's error. */
export function isBroken(error: unknown): boolean {
  return !(error instanceof pg.DatabaseError) || /^(08|57P)/.test(error.code ?? '');
}
