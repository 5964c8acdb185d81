import pg from 'pg';
import { listenText, statement } from '../database/statement.ts';
import type { Change } from './notices.ts';

const CONNECT_LIMIT_MS = 3000;
/** A read that takes longer met a connection that is dead without a word. */
const ANSWER_LIMIT_MS = 5000;

const PROCESS = statement({ text: 'select pg_backend_pid() as pid' });
const READ_FEEDS = statement({ text: 'select api.read_feeds($1, $2) as answer' });
const WATCHED = statement({ text: 'select api.watched($1) as watched' });
const BEGIN = statement({ text: 'begin read write' });
const CLOSE_FEEDS = statement({ text: 'select api.close_feeds($1)' });
const COMMIT = statement({ text: 'commit' });

/** api.read_feeds: everything that was committed between the position asked for and the one given. */
export interface FeedAnswer {
  readonly position: string;
  /** Where changes are announced; another one after the bank's keys were rotated. */
  readonly channel: string;
  /** What lies between the positions is no longer kept. */
  readonly behind: boolean;
  /** Feeds, by their place in the question, that tell nothing any more. */
  readonly ended: readonly { feed: number; reason: EndReason }[];
  readonly changes: readonly (Change & { feeds: readonly number[] })[];
}

export interface Watched {
  readonly feed: number;
  readonly uris: readonly string[];
}

export type EndReason = 'closed' | 'expired' | 'revoked';

/**
 * The one connection on which a pod hears of changes and reads its feeds. It needs no assertion: a feed keeps the limits of the
 * one that it was opened under.
 */
export class FeedConnection {
  readonly #client: pg.Client;
  readonly #onNotice: () => void;
  #broken: Error | undefined;

  private constructor(client: pg.Client, onNotice: () => void) {
    this.#client = client;
    this.#onNotice = onNotice;
  }

  /** @param onNotice called when there may be something to read, and when the connection broke */
  static async open(url: string, onNotice: () => void): Promise<FeedConnection> {
    const client = new pg.Client({
      connectionString: url,
      application_name: 'bankhouse changes',
      connectionTimeoutMillis: CONNECT_LIMIT_MS,
      query_timeout: ANSWER_LIMIT_MS,
      keepAlive: true,
    });
    const connection = new FeedConnection(client, onNotice);
    client.on('error', (error) => connection.#breakBy(error));
    client.on('end', () => connection.#breakBy(new Error('the connection ended')));
    client.on('notification', onNotice);
    try {
      await client.connect();
    } catch (error) {
      await connection.end();
      throw error;
    }
    return connection;
  }

  /**
   * Whether a notification can reach us. Behind a pooler that lends a connection for a transaction, LISTEN is lost, or stays with
   * a connection that others get next. A pooler gives its clients keys of its own to cancel by, so the process that the key names
   * is not the one that answers.
   */
  async isDirect(): Promise<boolean> {
    const { rows } = await this.#client.query<{ pid: number }>(PROCESS.text);
    return (this.#client as unknown as { processID: number | null }).processID === rows[0]?.pid;
  }

  /** In place of what was listened to before. */
  async listen(channel: string): Promise<void> {
    await this.#client.query(listenText(channel));
  }

  async read(feeds: readonly string[], position: string): Promise<FeedAnswer> {
    if (this.#broken !== undefined) throw this.#broken;
    const { rows } = await this.#client.query<{ answer: FeedAnswer }>(READ_FEEDS.text, [feeds, position]);
    if (rows[0] === undefined) throw new Error('the database gave no answer');
    return rows[0].answer;
  }

  /** What the sessions of these feeds watch now, by their place in the question. */
  async watched(feeds: readonly string[]): Promise<readonly Watched[]> {
    const { rows } = await this.#client.query<{ watched: readonly Watched[] }>(WATCHED.text, [feeds]);
    return rows[0]?.watched ?? [];
  }

  async closeFeeds(feeds: readonly string[]): Promise<void> {
    await this.#client.query(BEGIN.text);
    await this.#client.query(CLOSE_FEEDS.text, [feeds]);
    await this.#client.query(COMMIT.text);
  }

  async end(): Promise<void> {
    await this.#client.end().catch(() => {});
  }

  #breakBy(error: Error): void {
    this.#broken ??= error;
    this.#onNotice();
  }
}
