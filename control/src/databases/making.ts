import { BankhouseError, databaseUrlAt, messageOf } from '@bankhouse/core';
import pg from 'pg';
import { migrate } from '../migrations/index.ts';

/** Groups that the tenants' part lets into every database. Into one that is a bank's own come its own roles and the operator alone. */
const NOT_LET_IN = 'bankhouse_bank, bankhouse_control, bankhouse_gateway';

interface Found {
  /** As the database has them that is looked from: one locale for all. */
  common: { provider: string; collate: string; ctype: string; locale: string | null };
  own: { isOurs: boolean; isOpen: boolean } | undefined;
}

/** @throws BankhouseError `database_missing`: one that was made, and another in its place would be without its rows; `database_foreign` */
export async function expectOurs(client: pg.Client, name: string): Promise<void> {
  const { own } = await look(client, name);
  if (own === undefined) {
    const message = `The database ${name} is not on its server any more: restore it from a backup.`;
    throw new BankhouseError('database_missing', message);
  }
  if (!own.isOurs) throw foreign(name);
}

function foreign(name: string): BankhouseError {
  return new BankhouseError(
    'database_foreign',
    `There is a database ${name} that another role owns: drop it, or give it to this one.`,
  );
}

/**
 * Makes a database unless it is there, and lets nobody else in: it is closed until `public` has lost its rights. Safe to repeat at any step.
 *
 * @param client as the owner, in a database whose locale the new one gets
 */
export async function make(client: pg.Client, name: string): Promise<void> {
  const { common, own } = await look(client, name);
  const database = pg.escapeIdentifier(name);
  if (own === undefined) {
    const locale = (value: string | null) => pg.escapeLiteral(value ?? 'C');
    const provided =
      common.provider === 'i'
        ? `locale_provider icu icu_locale ${locale(common.locale)}`
        : common.provider === 'b'
          ? `locale_provider builtin builtin_locale ${locale(common.locale)}`
          : 'locale_provider libc';
    try {
      // From template0: nobody can connect to it, and so keep it from being copied.
      await client.query(
        `create database ${database} template template0 encoding 'UTF8' ${provided}
           lc_collate ${locale(common.collate)} lc_ctype ${locale(common.ctype)} allow_connections false`,
      );
    } catch (error) {
      throw notMade(error);
    }
  } else if (!own.isOurs) {
    throw foreign(name);
  }
  if (own?.isOpen === true) return;
  await client.query(`revoke all on database ${database} from public`);
  await client.query(`alter database ${database} allow_connections true`);
}

function notMade(error: unknown): unknown {
  if (!(error instanceof pg.DatabaseError) || error.code !== '42501') return error;
  const message =
    'The role that owns the schema may not make databases: ALTER ROLE … CREATEDB, as docs/placement.md says.';
  return new BankhouseError('owner_unfit', message, { cause: error });
}

async function look(client: pg.Client, name: string): Promise<Found> {
  const { rows } = await client.query<{
    provider: string;
    collate: string;
    ctype: string;
    locale: string | null;
    isOurs: boolean | null;
    isOpen: boolean | null;
  }>(
    // What names the locale is called by version: daticulocale until 16, datlocale from 17 on.
    `select c.datlocprovider as provider, c.datcollate as collate, c.datctype as ctype,
            coalesce(to_jsonb(c) ->> 'datlocale', to_jsonb(c) ->> 'daticulocale') as locale,
            o.datdba = current_user::regrole as "isOurs", o.datallowconn as "isOpen"
       from pg_catalog.pg_database c left join pg_catalog.pg_database o on o.datname = $1
      where c.datname = current_database()`,
    [name],
  );
  const [row] = rows;
  if (row === undefined) throw new BankhouseError('database_failed', 'A database is not in its own catalog.');
  const { isOurs, isOpen, ...common } = row;
  return { common, own: isOurs === null || isOpen === null ? undefined : { isOurs, isOpen } };
}

/**
 * Brings the tenants' part of it to ours, while it is used.
 *
 * @param common it is for all banks of its server, and not one's own
 * @param operatorPassword what `bankhouse_operator` signs in with there; undefined: as it is
 */
export async function bringUp(
  databaseUrl: string,
  name: string,
  {
    common,
    operatorPassword,
    ...options
  }: {
    migrationsDir: string;
    log: (message: string) => void;
    common: boolean;
    operatorPassword: string | undefined;
  },
): Promise<void> {
  await migrate({
    ...options,
    databaseUrl: databaseUrlAt(databaseUrl, name),
    ...(operatorPassword === undefined ? {} : { passwords: { operator: operatorPassword } }),
    parts: ['tenants'],
    // Who keeps it tries again by itself, and does other things meanwhile.
    patience: { attempts: 3 },
    runTimeoutMs: 5_000,
    ...(common ? {} : { closing: `revoke connect on database ${pg.escapeIdentifier(name)} from ${NOT_LET_IN}` }),
  });
}

/** Drops it, if nobody is in it any more; from then on nobody comes in. */
export async function drop(client: pg.Client, name: string): Promise<void> {
  const { own } = await look(client, name);
  if (own === undefined) return;
  const database = pg.escapeIdentifier(name);
  if (own.isOpen) await client.query(`alter database ${database} allow_connections false`);
  await client.query(`drop database if exists ${database}`);
}

/** For people: what keeps a database from being as it should be. */
export function problemOf(error: unknown): string {
  const text = messageOf(error).trim();
  return (text.endsWith('.') ? text : `${text}.`).slice(0, 1_000);
}
