import { createHash } from 'node:crypto';
import type pg from 'pg';
import type { Caller } from '../caller.ts';
import { isUnavailable, outcomeUnknown } from './errors.ts';
import { type Statement, statement } from './statement.ts';

/** A first answer that doesn't come within this time: the database is unavailable. */
export const ANSWER_WITHIN_MS = 2000;
export const STATEMENT_TIMEOUT_MS = 5000;

export interface Transaction {
  rows<R extends object>(statement: Statement, values?: readonly unknown[]): Promise<R[]>;
}

/** A connection of the pool, lent for one call. */
export interface Lent {
  client: pg.PoolClient;
  caller: Caller;
  /** Of a caller who may go away while it waits. */
  signal: AbortSignal;
  /** Whether the server in front keeps statements by their names. */
  named: boolean;
  /** The database answered the first BEGIN: what fails from here on may have had an effect. */
  onAnswer(): void;
}

const BEGIN_READ = statement({ text: 'begin read only' });
const BEGIN_WRITE = statement({ text: 'begin read write' });
const COMMIT = statement({ text: 'commit' });
const ROLLBACK = statement({ text: 'rollback' });
const SET_CALLER = statement({
  name: 'set_caller',
  text: `select set_config('bankhouse.assertion', $1, true), set_config('statement_timeout', '${STATEMENT_TIMEOUT_MS}', true)`,
});

/**
 * Runs `work` as a reader and gives the connection back. What `work` asks for at once, in one turn of the event loop, is one
 * read-only transaction, which leaves in one packet: BEGIN, the settings, the queries and COMMIT. What it asks for later is
 * another one. Under READ COMMITTED nothing else would be seen in a single one, and none stays open while `work` does
 * something else.
 */
export async function read<T>(lent: Lent, work: (tx: Transaction) => Promise<T>): Promise<T> {
  const { client, signal } = lent;
  let begun: Promise<void> | undefined;
  let ended: Promise<unknown> = Promise.resolve();
  const begin = () => {
    client.connection.stream.cork();
    begun = sendBegin(lent, BEGIN_READ);
    ended = new Promise((resolve, reject) => {
      setImmediate(() => {
        begun = undefined;
        client.query(COMMIT.text).then(resolve, reject);
        client.connection.stream.uncork();
      });
    });
    ended.catch(() => {});
    return begun;
  };
  const rows: Transaction['rows'] = async (statement, values) => {
    const ready = begun ?? begin();
    const asked = send(lent, statement, values);
    // What fails after BEGIN or a setting failed says only that it did.
    asked.catch(() => {});
    await ready;
    return (await asked).rows;
  };
  return work({ rows }).finally(() => {
    // Nobody waits for the answer to COMMIT. A cancellation may arrive late, and must not hit the next caller.
    ended.then(
      () => client.release(signal.aborted),
      () => client.release(true),
    );
  });
}

/**
 * Runs `work` as a writer, in one transaction, and gives the connection back. BEGIN, the settings and the first query leave in
 * one packet. `set_config(…, true)` ends with the transaction, so pgbouncer may hand the connection to anybody after it.
 *
 * @throws what `work` throws, when nothing was saved; ToolError when nobody knows whether it was
 */
export async function write<T>(lent: Lent, work: (tx: Transaction) => Promise<T>): Promise<T> {
  const { client, signal } = lent;
  const { stream } = client.connection;
  stream.cork();
  setImmediate(() => stream.uncork());
  const begun = sendBegin(lent, BEGIN_WRITE);
  begun.catch(() => {});
  const rows: Transaction['rows'] = async (statement, values) => (await send(lent, statement, values)).rows;
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
    await giveBack(client, cause, signal);
    throw cause;
  }
  await commit(client, signal);
  return result;
}

/** BEGIN and the settings: whose assertion is in force, how long it may take. */
async function sendBegin(lent: Lent, { text }: Statement): Promise<void> {
  const { caller, client, onAnswer } = lent;
  const begin: pg.QueryConfig & { query_timeout: number } = { text, query_timeout: ANSWER_WITHIN_MS };
  await Promise.all([client.query(begin).then(onAnswer), send(lent, SET_CALLER, [caller.databaseAssertion])]);
}

function send(lent: Lent, statement: Statement, values: readonly unknown[] = []): Promise<pg.QueryResult> {
  const { name, text } = statement;
  const prepared = lent.named && name !== undefined ? { name: wireName(statement, name), text } : { text };
  return lent.client.query({ ...prepared, values: [...values] });
}

/** Gives the connection back in any case. */
async function commit(client: pg.PoolClient, signal: AbortSignal): Promise<void> {
  let command: string;
  try {
    ({ command } = await client.query(COMMIT.text));
  } catch (error) {
    client.release(true);
    throw isUnavailable(error) ? outcomeUnknown(error) : error;
  }
  client.release(signal.aborted);
  // What Postgres answers to COMMIT after a statement failed: somebody went on as if it had not.
  if (command === 'ROLLBACK') throw new Error('The transaction had failed before it was to be saved.');
}

/** After a failure. A cancelled connection is closed: the cancellation may arrive late, and must not hit the next caller. */
async function giveBack(client: pg.PoolClient, cause: unknown, signal: AbortSignal): Promise<void> {
  if (signal.aborted || isUnavailable(cause)) return client.release(true);
  await client.query(ROLLBACK.text).then(
    () => client.release(),
    () => client.release(true),
  );
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
