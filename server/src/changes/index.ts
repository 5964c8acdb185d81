import type { Logger } from '@bankhouse/core';
import type { Caller } from '../caller.ts';
import type { Database } from '../database/database.ts';
import type { Statement } from '../database/transaction.ts';
import { ToolError } from '../mcp/tool-error.ts';
import type { Secrets } from '../secrets.ts';
import { storedSubject } from '../subjects.ts';
import type { EndReason } from './connection.ts';
import { type Notice, Notices, type Wish } from './notices.ts';
import { ChangeReader, type Feed, type FeedReader } from './reader.ts';

export type { EndReason } from './connection.ts';
export { isWatchable, type Notice, type Wish } from './notices.ts';

/** Streams of one pod, those of one subject among them, and URIs of one stream. */
const MAX_STREAMS = 128;
const MAX_STREAMS_OF_SUBJECT = 16;
const MAX_URIS = 256;

const OPEN_FEED: Statement = {
  name: 'open_feed',
  text: 'select feed, position, channel from api.open_feed()',
};

/** One client that listens. */
export interface ChangeStream {
  /** The next notice for the client; undefined when it knows everything. */
  take(): Notice | undefined;
  close(): void;
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
