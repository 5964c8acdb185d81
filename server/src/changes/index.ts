import type { Logger } from '@bankhouse/core';
import type { Caller } from '../caller.ts';
import type { Database } from '../database/database.ts';
import { statement } from '../database/statement.ts';
import { ToolError } from '../mcp/tool-error.ts';
import type { Secrets } from '../secrets.ts';
import type { Place } from '../sessions/index.ts';
import { storedSubject } from '../subjects.ts';
import type { EndReason, FeedAnswer } from './connection.ts';
import { type Notice, Notices, type Wish } from './notices.ts';
import { ChangeReader, type Feed, type FeedReader } from './reader.ts';

export { Bell } from './bell.ts';
export type { EndReason } from './connection.ts';
export { isWatchable, type Notice, type Wish } from './notices.ts';

/** Streams of one pod, those of one subject among them, and URIs of one stream. */
const MAX_STREAMS = 128;
const MAX_STREAMS_OF_SUBJECT = 16;
const MAX_URIS = 256;

const OPEN_FEED = statement({
  name: 'open_feed',
  text: 'select feed, position, channel from api.open_feed()',
});

const OPEN_SESSION_FEED = statement({
  name: 'open_session_feed',
  text: 'select feed, position, channel, uris, server from api.open_session_feed($1)',
});
const READ_FEED = statement({
  name: 'read_feed',
  text: 'select api.read_feeds(array[$1::uuid], $2) as answer',
});

interface SessionFeed extends Feed {
  readonly uris: readonly string[];
  readonly server: string;
}

/** One client that listens. */
export interface ChangeStream {
  /** The next notice for the client; undefined when it knows everything. */
  take(): Notice | undefined;
  close(): void;
}

/** A client of a session, which hears of what that watches at the time. */
export interface SessionStream extends ChangeStream {
  /** Up to where it was told everything; undefined while there is something to take. */
  readonly place: Place | undefined;
}

export interface StreamEvents {
  /** There is something to take. */
  onNotice(): void;
  /** Nothing comes any more: the feed's time is over, or its token was revoked. */
  onEnd(reason: EndReason): void;
}

export interface Changes {
  /**
   * Tells what changes from now on and the caller may see, as long as its token holds, an hour at most.
   *
   * @throws ToolError `overloaded` when there are too many streams, `invalid_argument` for too many URIs, or what the database said
   */
  open(caller: Caller, wish: Wish, signal: AbortSignal, events: StreamEvents): Promise<ChangeStream>;
  /**
   * The same for a session, in place of the stream that it had, and at first what changed since `from`: everything, where that isn't kept.
   *
   * @returns undefined where the session is over
   * @throws ToolError as `open` does
   */
  openSession(
    caller: Caller,
    session: string,
    from: Place | undefined,
    signal: AbortSignal,
    events: StreamEvents,
  ): Promise<SessionStream | undefined>;
  /** Closes every feed and the connection. */
  close(): Promise<void>;
}

/** @param options.onActivity called when clients were told something */
export function openChanges(options: {
  bank: string;
  secrets: Secrets;
  database: Database;
  logger: Logger;
  onActivity?: () => void;
}): Changes {
  const { bank, secrets, database, logger } = options;
  const reader = new ChangeReader({ secrets, logger, onActivity: options.onActivity ?? (() => {}) });
  const places = new Places();
  return {
    async open(caller, wish, signal, events) {
      if (wish.uris.length > MAX_URIS) {
        throw new ToolError(
          'invalid_argument',
          `A stream watches at most ${MAX_URIS} URIs, and these are ${wish.uris.length}.`,
          'Watch lists (bankhouse://<bank>/<kind>) instead of rows, or open another stream.',
        );
      }
      const leave = places.take(storedSubject(caller.assertion));
      try {
        const feed = await database.withCaller(caller, { signal, readOnly: false }, async (tx) => {
          const [row] = await tx.rows<Feed>(OPEN_FEED);
          if (row === undefined) throw new Error('api.open_feed gave no row');
          return row;
        });
        signal.throwIfAborted();
        const notices = new Notices(bank, wish);
        reader.add(feed, readerOf(notices, events));
        return {
          take: () => notices.take(),
          close() {
            reader.remove(feed.feed);
            leave();
          },
        };
      } catch (error) {
        leave();
        throw error;
      }
    },
    async openSession(caller, session, from, signal, events) {
      const leave = places.take(storedSubject(caller.assertion));
      try {
        const opened = await database.withCaller(caller, { signal, readOnly: false }, async (tx) => {
          const [feed] = await tx.rows<SessionFeed | { feed: null }>(OPEN_SESSION_FEED, [session]);
          if (feed === undefined) throw new Error('api.open_session_feed gave no row');
          if (feed.feed === null) return undefined;
          if (from === undefined || from.server !== feed.server) return { feed, missed: undefined };
          const [missed] = await tx.rows<{ answer: FeedAnswer }>(READ_FEED, [feed.feed, from.position]);
          return { feed, missed: missed?.answer };
        });
        signal.throwIfAborted();
        if (opened === undefined) {
          leave();
          return undefined;
        }
        const { feed, missed } = opened;
        const notices = new Notices(bank, { uris: feed.uris, lists: true });
        if (from !== undefined && (missed === undefined || missed.behind)) notices.addAll();
        for (const change of missed?.changes ?? []) notices.add(change);
        let position = feed.position;
        reader.add(feed, {
          ...readerOf(notices, events),
          watch: (uris) => notices.want(uris),
          done(read) {
            position = read;
            events.onNotice();
          },
        });
        return {
          take: () => notices.take(),
          get place() {
            return notices.isEmpty ? { position, server: feed.server } : undefined;
          },
          close() {
            reader.remove(feed.feed);
            leave();
          },
        };
      } catch (error) {
        leave();
        throw error;
      }
    },
    close: () => reader.stop(),
  };
}

function readerOf(notices: Notices, events: StreamEvents): FeedReader {
  return {
    hear: (change) => notices.add(change),
    hearAll: () => notices.addAll(),
    done: () => events.onNotice(),
    end: (reason) => events.onEnd(reason),
  };
}

/** Who holds how many streams. */
class Places {
  #total = 0;
  readonly #bySubject = new Map<string, number>();

  /** @returns gives the place back, once. @throws ToolError */
  take(subject: string): () => void {
    const own = this.#bySubject.get(subject) ?? 0;
    if (own >= MAX_STREAMS_OF_SUBJECT) throw tooMany(`You have ${own} open streams`);
    if (this.#total >= MAX_STREAMS) throw tooMany(`This bank server has ${this.#total} open streams`);
    this.#total += 1;
    this.#bySubject.set(subject, own + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#total -= 1;
      const left = (this.#bySubject.get(subject) ?? 1) - 1;
      if (left === 0) this.#bySubject.delete(subject);
      else this.#bySubject.set(subject, left);
    };
  }
}

function tooMany(what: string): ToolError {
  return new ToolError('overloaded', `${what}, as many as it takes.`, 'Close one, or try again in a minute.', {
    retryable: true,
  });
}
