/**
 * A Postgres with pgvector, which Debian 12 has no package of: PGlite, Postgres compiled to WebAssembly, in this process. It has
 * one session, so roles are taken by SET SESSION AUTHORIZATION instead of by signing in.
 */
import { PGlite } from '@electric-sql/pglite';
import { btree_gin } from '@electric-sql/pglite/contrib/btree_gin';
import { pgcrypto } from '@electric-sql/pglite/contrib/pgcrypto';
import { vector } from '@electric-sql/pglite-pgvector';
import { readParts, statementsOf } from '../../../control/src/migrations/index.ts';

const MIGRATIONS = new URL('../../../migrations', import.meta.url).pathname;
const OWNER = 'bankhouse_owner';

export interface Session {
  query<R extends object>(text: string, values?: readonly unknown[]): Promise<R[]>;
}

export interface VectorPostgres extends AsyncDisposable, Session {
  /** One transaction as a role that signed in, with an assertion set; undefined: none. */
  as<T>(role: string, assertion: string | undefined, work: (session: Session) => Promise<T>): Promise<T>;
}

/** @param options.installed whether the extension is there before the first migration, as an administrator would install it */
export async function startVectorPostgres(options: { installed: boolean }): Promise<VectorPostgres> {
  const db = await PGlite.create({ extensions: { vector, pgcrypto, btree_gin } });
  await db.exec(`create role ${OWNER} login createrole; alter database postgres owner to ${OWNER}`);
  if (options.installed) await db.exec('create extension vector');
  await db.exec(`set session authorization ${OWNER}`);
  for (const part of readParts(MIGRATIONS, ['tenants', 'control'])) {
    for (const { text, transaction } of part.tables) {
      for (const step of transaction ? [text] : statementsOf(text).map((statement) => statement.text))
        await db.exec(step);
    }
    await db.exec('set check_function_bodies = off');
    for (const { text } of [...part.functions, part.rights]) await db.exec(text);
  }
  // As the job does each time.
  await db.exec('select bank.choose_similarity()');
  await db.exec('set session authorization postgres');
  const session: Session = {
    async query<R extends object>(text: string, values: readonly unknown[] = []) {
      const { rows } = await db.query<R>(text, [...values]);
      return rows;
    },
  };
  return {
    ...session,
    async as(role, assertion, work) {
      await db.exec(`set session authorization "${role}"; begin`);
      try {
        if (assertion !== undefined) await db.query("select set_config('bankhouse.assertion', $1, true)", [assertion]);
        return await work(session);
      } finally {
        await db.exec('commit; set session authorization postgres');
      }
    },
    [Symbol.asyncDispose]: () => db.close(),
  };
}
