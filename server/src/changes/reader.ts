import { type Logger, messageOf } from '@bankhouse/core';
import { isLoginRefused, placeMovedTo } from '../database/errors.ts';
import type { Secrets } from '../secrets.ts';
import { Bell } from './bell.ts';
import { type EndReason, type FeedAnswer, FeedConnection } from './connection.ts';
import type { Change } from './notices.ts';

/** Reads follow each other no faster, however many notifications come: any role of the database can send them. */
const MIN_READ_MS = 200;
/** A notification can be missing (nobody listened when the writer looked), so there is a read without one. */
const SAFETY_MS = 15_000;
/** Behind a pooler no notification comes at all. */
const POLL_MS = 5000;
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 5000;

/** An open feed of the database, api.open_feed. */
export interface Feed {
  readonly feed: string;
  readonly position: string;
  readonly channel: string;
}

/** Whoever is told what a feed tells. */
export interface FeedReader {
  /** Where it is a session's: what that watches, before each turn that has something to tell. */
  watch?(uris: readonly string[]): void;
  hear(change: Change): void;
  /** Changes were missed. */
  hearAll(): void;
  /** Everything of this turn was told: what was committed up to this position. */
  done(position: string): void;
  end(reason: EndReason): void;
}

/**
 * Reads all feeds of a pod, together and from one position on, over a connection that is open only while there is a feed. A break
 * is mended by connecting anew and reading on from the position, so nothing that was committed meanwhile is lost.
 */
export class ChangeReader {
  readonly #secrets: Secrets;
  readonly #logger: Logger;
  readonly #onActivity: () => void;
  readonly #bell = new Bell();
  readonly #feeds = new Map<string, FeedReader>();
  /** Feeds whose readers are gone, to be closed in the database. */
  readonly #leaving = new Set<string>();
  #position = '';
  #channel = '';
  #running: Promise<void> | undefined;
  #stopped = false;
  #toldOfPooler = false;

  /** @param options.onActivity called when something was told */
  constructor(options: { secrets: Secrets; logger: Logger; onActivity: () => void }) {
    this.#secrets = options.secrets;
    this.#logger = options.logger;
    this.#onActivity = options.onActivity;
  }

  /** Tells `reader` what is committed from now on, until it is removed or ended. */
  add({ feed, position, channel }: Feed, reader: FeedReader): void {
    if (this.#feeds.size === 0) {
      this.#position = position;
      this.#channel = channel;
    }
    this.#feeds.set(feed, reader);
    this.#bell.ring();
    this.#running ??= this.#run();
  }

  remove(feed: string): void {
    if (!this.#feeds.delete(feed)) return;
    this.#leaving.add(feed);
    this.#bell.ring();
  }

  /** Closes what is still open, and the connection. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const feed of [...this.#feeds.keys()]) this.remove(feed);
    this.#bell.ring();
    await this.#running;
  }

  get #busy(): boolean {
    return this.#feeds.size > 0 || this.#leaving.size > 0;
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (this.#busy) {
      let connection: FeedConnection | undefined;
      try {
        const url = this.#secrets.databaseUrl();
        connection = await FeedConnection.open(url, () => this.#bell.ring());
        await this.#follow(connection, url, () => {
          if (failures > 0) this.#logger.info({ failures }, 'changes are heard again');
          failures = 0;
        });
      } catch (error) {
        if (isLoginRefused(error)) this.#secrets.refresh();
        const place = placeMovedTo(error);
        if (place !== undefined) this.#secrets.movedTo(place);
        if (failures === 0) this.#logger.warn({ reason: messageOf(error) }, 'changes are not heard, connecting anew');
        failures += 1;
        // They end by themselves; a connection for that alone is not worth its wait.
        this.#leaving.clear();
      } finally {
        await connection?.end();
      }
      if (failures > 0 && this.#busy) await this.#backOff(failures);
    }
    // In the same turn as the last look, so that who comes next begins anew.
    this.#running = undefined;
  }

  /** Reads until nobody is there any more, or the login changed. */
  async #follow(connection: FeedConnection, url: string, onRead: () => void): Promise<void> {
    const direct = await connection.isDirect();
    if (!direct && !this.#toldOfPooler) {
      this.#toldOfPooler = true;
      this.#logger.warn({ everyMs: POLL_MS }, 'no notification passes the pooler, so changes are looked for');
    }
    let heard = '';
    while (this.#busy && this.#secrets.databaseUrl() === url) {
      if (direct && heard !== this.#channel) {
        await connection.listen(this.#channel);
        heard = this.#channel;
      }
      this.#bell.clear();
      const readAt = performance.now();
      if (this.#leaving.size > 0) await this.#close(connection);
      if (this.#feeds.size > 0) await this.#read(connection);
      onRead();
      if (direct && heard !== this.#channel) continue;
      if (!this.#busy) return;
      await this.#bell.wait(direct ? SAFETY_MS : POLL_MS);
      const early = MIN_READ_MS - (performance.now() - readAt);
      if (early > 0 && this.#feeds.size > 0) await sleep(early);
    }
  }

  async #read(connection: FeedConnection): Promise<void> {
    const asked = [...this.#feeds];
    const answer = await connection.read(
      asked.map(([feed]) => feed),
      this.#position,
    );
    // Before the position moves: where this fails, the same is read again.
    if (answer.behind || answer.changes.length > 0) await this.#askWatched(connection, asked);
    // Whoever came while the question was under way has heard none of the answer: the next one begins where this one did.
    const isWhole = [...this.#feeds.keys()].every((feed) => asked.some(([other]) => other === feed));
    if (isWhole) this.#position = answer.position;
    this.#channel = answer.channel;
    this.#tell(asked, answer);
  }

  /** Asked after the changes were read, so what was watched before one of them was made is heard of. */
  async #askWatched(connection: FeedConnection, asked: readonly [string, FeedReader][]): Promise<void> {
    const following = asked.filter(([, reader]) => reader.watch !== undefined);
    if (following.length === 0) return;
    const watched = await connection.watched(following.map(([feed]) => feed));
    for (const { feed, uris } of watched) following[feed]?.[1].watch?.(uris);
  }

  /** Those who left while the question was under way hear nothing any more. */
  #tell(asked: readonly [string, FeedReader][], { behind, changes, ended, position }: FeedAnswer): void {
    const readerAt = (place: number): FeedReader | undefined => {
      const [feed, reader] = asked[place] ?? [];
      return feed !== undefined && this.#feeds.has(feed) ? reader : undefined;
    };
    for (const { feed: place, reason } of ended) {
      const reader = readerAt(place);
      this.#feeds.delete(asked[place]?.[0] ?? '');
      if (reason === 'revoked') this.#leaving.add(asked[place]?.[0] ?? '');
      reader?.end(reason);
    }
    for (const { feeds, ...change } of changes) for (const place of feeds) readerAt(place)?.hear(change);
    for (const place of asked.keys()) {
      const reader = readerAt(place);
      if (behind) reader?.hearAll();
      reader?.done(position);
    }
    if (behind || changes.length > 0) this.#onActivity();
  }

  async #close(connection: FeedConnection): Promise<void> {
    const feeds = [...this.#leaving];
    await connection.closeFeeds(feeds);
    for (const feed of feeds) this.#leaving.delete(feed);
  }

  async #backOff(failures: number): Promise<void> {
    const longest = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (failures - 1));
    const until = performance.now() + longest * (0.5 + Math.random() / 2);
    while (!this.#stopped && this.#busy && performance.now() < until) {
      this.#bell.clear();
      await this.#bell.wait(until - performance.now());
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
