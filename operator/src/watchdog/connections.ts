import { databaseUrlAt } from '@bankhouse/core';
import pg from 'pg';

/** A role whose sessions were ended, as admin.watch_sessions says it. */
export interface Ended {
  readonly role: string;
  /** null: its bank has a database of its own, which alone knows it */
  readonly bank: string | null;
  readonly reason: string;
  readonly sessions: number;
}

/** What admin.strike answers. */
export interface Strike {
  readonly bank: string | null;
  readonly strikes: number | null;
  readonly quarantined: boolean | null;
}

const CONNECT_LIMIT_MS = 3000;
/** A look takes some milliseconds; a connection that is dead without a word is given up after this. */
const LOOK_LIMIT_MS = 3000;
const BOOK_LIMIT_MS = 5000;

const UNLIMITED = `set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0;
  set plan_cache_mode = force_generic_plan; set jit = off; set default_transaction_isolation = 'read committed'`;

/**
 * The connection that looks. It stays in one read-only transaction that holds ACCESS SHARE on every catalog, so that nobody's lock,
 * nor a full table of locks, can keep it from looking (migrations/tenants/functions/watchdog.sql).
 */
export class Lookout {
  readonly #client: pg.Client;

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  /** @param judgesStatements whether what no bank server says is ended too */
  static async open(url: string, judgesStatements: boolean): Promise<Lookout> {
    const lookout = new Lookout(await connect(url, LOOK_LIMIT_MS));
    try {
      if (!judgesStatements) await lookout.#client.query('set bankhouse.watch_statements = off');
      await lookout.#begin();
    } catch (error) {
      await lookout.close();
      throw error;
    }
    return lookout;
  }

  /** Ends what has to be ended. */
  async look(): Promise<Ended[]> {
    const { rows } = await this.#client.query<Ended | { role: null }>({
      name: 'watch',
      text: 'select role, bank, reason, sessions from admin.watch_sessions()',
    });
    const ended = rows.filter((row): row is Ended => row.role !== null);
    // Somebody who keeps the database waits for what we hold.
    if (ended.length < rows.length) {
      await this.#client.query('commit');
      await this.#begin();
    }
    return ended;
  }

  close(): Promise<void> {
    return this.#client.end();
  }

  async #begin(): Promise<void> {
    await this.#client.query('begin read only');
    await this.#client.query('select admin.hold_catalogs()');
  }
}

/** The connection that writes: strikes, and large objects that must not be there. It may have to wait; the lookout ends what for. */
export class Book {
  readonly #client: pg.Client;

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  static async open(url: string): Promise<Book> {
    const book = new Book(await connect(url, BOOK_LIMIT_MS));
    try {
      // So that its plans and catalog entries are there when they are needed.
      await book.strike('', '');
      await book.databaseOf('');
      await book.sweep();
    } catch (error) {
      await book.close();
      throw error;
    }
    return book;
  }

  strike(role: string, reason: string): Promise<Strike> {
    return strike(this.#client, role, reason);
  }

  /** @returns name of the database that the role's bank has of its own, if it has one */
  async databaseOf(role: string): Promise<string | undefined> {
    const { rows } = await this.#client.query<{ database: string | null }>({
      name: 'let_into',
      text: 'select admin.let_into($1) as database',
      values: [role],
    });
    return rows[0]?.database ?? undefined;
  }

  /** @returns login roles of banks that had large objects */
  async sweep(): Promise<{ role: string; removed: number }[]> {
    const { rows } = await this.#client.query<{ role: string; removed: number }>({
      name: 'sweep',
      text: 'select role, removed from admin.sweep_large_objects()',
    });
    return rows;
  }

  close(): Promise<void> {
    return this.#client.end();
  }
}

/** A strike in a database that is a bank's own, by a connection that ends with it. */
export async function strikeIn(database: string, url: string, role: string, reason: string): Promise<Strike> {
  const client = await connect(databaseUrlAt(url, database), BOOK_LIMIT_MS);
  try {
    return await strike(client, role, reason);
  } finally {
    await client.end().catch(() => {});
  }
}

async function strike(client: pg.Client, role: string, reason: string): Promise<Strike> {
  const { rows } = await client.query<Strike>({
    name: 'strike',
    text: 'select bank, strikes, quarantined from admin.strike($1, $2)',
    values: [role, reason],
  });
  return rows[0] ?? { bank: null, strikes: null, quarantined: null };
}

async function connect(url: string, query_timeout: number): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'bankhouse-watchdog',
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    query_timeout,
    keepAlive: true,
  });
  // What is under way says so.
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query(UNLIMITED);
  } catch (error) {
    await client.end();
    throw error;
  }
  return client;
}
