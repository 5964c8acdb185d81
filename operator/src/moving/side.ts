import pg from 'pg';

/** One connection to one of the two databases of a move, as the operator. */
export interface Side extends AsyncDisposable {
  /** What a function of ours answers. */
  call<T>(name: string, values: readonly unknown[]): Promise<T>;
  rows<T extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<T[]>;
  /** Commits where `use` resolves; @param begin such as `begin isolation level repeatable read` */
  transaction<T>(begin: string, use: () => Promise<T>): Promise<T>;
}

const CONNECT_TIMEOUT_MS = 3_000;

/** Text of values must be the same on both sides, and nothing that takes its time may be ended for it. */
const SETTINGS = "set timezone = 'UTC'; set datestyle = 'ISO'; set extra_float_digits = 1; set statement_timeout = 0";

/** @param signal breaks off what is under way, by ending the connection */
export async function openSide(url: string, signal: AbortSignal): Promise<Side> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'bankhouse-operator-move',
    keepAlive: true,
  });
  // What is under way says that the connection broke.
  client.on('error', () => {});
  const end = () => void client.end().catch(() => {});
  signal.throwIfAborted();
  await client.connect();
  signal.addEventListener('abort', end, { once: true });
  const side: Side = {
    async call<T>(name: string, values: readonly unknown[]) {
      const places = values.map((_, index) => `$${index + 1}`).join(', ');
      const [row] = await side.rows<{ value: T }>(`select ${name}(${places}) as value`, values);
      return (row as { value: T }).value;
    },
    async rows<T extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) {
      signal.throwIfAborted();
      return (await client.query<T>(text, [...values])).rows;
    },
    async transaction(begin, use) {
      await client.query(begin);
      try {
        const result = await use();
        await client.query('commit');
        return result;
      } catch (error) {
        await client.query('rollback').catch(() => {});
        throw error;
      }
    },
    async [Symbol.asyncDispose]() {
      signal.removeEventListener('abort', end);
      await client.end().catch(() => {});
    },
  };
  try {
    await client.query(SETTINGS);
    return side;
  } catch (error) {
    await side[Symbol.asyncDispose]();
    throw error;
  }
}
