/** Feeds read by hand, and rows written as what is in schema api writes them. */
import type { Assertion } from '@bankhouse/core';
import pg from 'pg';
import { enter, type TestBank, type TestPostgres } from '../../harness/postgres.ts';

export const VAULTS = [
  { id: 'hr', displayName: 'HR' },
  { id: 'sales', displayName: 'Sales' },
];
export const WRITER: Partial<Assertion> = { scopes: ['mcp:read', 'mcp:write'] };

/** A connection that ends with the block, as the bank's role or another. */
export async function connect(url: string): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

/** Begins a transaction that writes, under an assertion for every vault unless changed. */
export async function begin(sql: pg.Client, bank: TestBank, changes: Partial<Assertion> = {}): Promise<void> {
  await sql.query('begin read write');
  await enter(sql, bank.seal({ ...WRITER, ...changes }));
}

/** One committed transaction of a bank's writer, who uses the tables under their policies. */
export async function write<T>(bank: TestBank, use: (sql: pg.Client) => Promise<T>): Promise<T> {
  await using sql = await connect(await bank.underPolicies());
  await begin(sql, bank);
  const result = await use(sql);
  await sql.query('commit');
  return result;
}

/** @returns the new id */
export async function addNote(sql: pg.Client, vault: string | null, title = 'note'): Promise<string> {
  const { rows } = await sql.query<{ id: string }>(
    'insert into bank.notes (bank_id, vault_id, title) values (bank.me(), $1, $2) returning id',
    [vault, title],
  );
  return rows[0]?.id ?? '';
}

export function deleteRows(sql: pg.Client, table: string, ids: string[]): Promise<unknown> {
  return sql.query(`delete from bank.${pg.escapeIdentifier(table)} where id = any ($1)`, [ids]);
}

export interface Told {
  kind: string;
  id: string | null;
  operation: string;
  feeds: number[];
}

export interface FeedAnswer {
  position: string;
  channel: string;
  behind: boolean;
  ended: { feed: number; reason: string }[];
  changes: Told[];
}

/** A feed that is read by hand; `position` moves on with every read. */
export interface HandFeed {
  readonly feed: string;
  position: string;
  readonly channel: string;
}

export async function openFeed(bank: TestBank, changes: Partial<Assertion> = {}): Promise<HandFeed> {
  return openSealed(bank, bank.seal(changes));
}

/** @param sealed undefined: without any assertion */
export function openSealed(bank: TestBank, sealed: string | undefined): Promise<HandFeed> {
  return openAt(bank.url, sealed);
}

/** @param url of the bank's role */
export async function openAt(url: string, sealed: string | undefined): Promise<HandFeed> {
  await using sql = await connect(url);
  await sql.query('begin read write');
  if (sealed !== undefined) await sql.query("select set_config('bankhouse.assertion', $1, true)", [sealed]);
  const { rows } = await sql.query<HandFeed>('select * from api.open_feed()');
  await sql.query('commit');
  const [feed] = rows;
  if (feed === undefined) throw new Error('no feed');
  return feed;
}

export async function readFeeds(url: string, feeds: string[], position: string): Promise<FeedAnswer> {
  await using sql = await connect(url);
  const { rows } = await sql.query<{ answer: FeedAnswer }>('select api.read_feeds($1, $2) as answer', [
    feeds,
    position,
  ]);
  if (rows[0] === undefined) throw new Error('no answer');
  return rows[0].answer;
}

/** What a feed tells since its last read, as `operation kind/id`, in order of text. */
export async function read(bank: TestBank, feed: HandFeed): Promise<string[]> {
  const answer = await readFeeds(bank.url, [feed.feed], feed.position);
  feed.position = answer.position;
  return answer.changes.map((told) => `${told.operation} ${told.kind}${told.id === null ? '' : `/${told.id}`}`).sort();
}

export async function asData<T>(postgres: TestPostgres, use: (sql: pg.Client) => Promise<T>): Promise<T> {
  await using sql = await connect(postgres.ownerUrl);
  await sql.query('begin');
  await sql.query('set local role bankhouse_data');
  const result = await use(sql);
  await sql.query('commit');
  return result;
}
