import { Bell, type Notice, type SessionStream } from '../changes/index.ts';

/** Something is sent as often, so that whoever is between doesn't take the connection for dead. */
const KEEP_ALIVE_MS = 15_000;
/** When a client is to come back, in milliseconds. */
const RETRY_MS = 1000;

export interface EventStreamOptions {
  readonly stream: SessionStream;
  /** Id of an event after which the client knows everything that it was told; undefined where it can't be said now. */
  eventId(): string | undefined;
  /** Whether the client takes events that have an id and say nothing (MCP 2025-11-25). */
  readonly takesBareIds: boolean;
  /** Called once, when nobody reads or nothing comes any more. */
  onGone(): void;
}

/**
 * The answer to a session's GET: notifications as they are taken, as server-sent events. One is made when the client took the one before, so
 * what waits for a slow client is a set of URIs, and never a queue. An event has an id only where the client then knows everything up
 * to a place; one that comes back with an earlier id is told the rest again.
 */
export class EventStream {
  readonly #options: EventStreamOptions;
  readonly #bell = new Bell();
  readonly body: ReadableStream<Uint8Array>;
  #begun = false;
  #toolsChanged = false;
  #ended = false;
  #gone = false;
  /** The client has the id of the place where it is. */
  #marked = false;

  constructor(options: EventStreamOptions) {
    this.#options = options;
    const encoder = new TextEncoder();
    this.body = new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const event = await this.#next();
          if (this.#gone) return;
          if (event !== undefined) return controller.enqueue(encoder.encode(event));
          this.leave();
          controller.close();
        },
        cancel: () => this.leave(),
      },
      { highWaterMark: 0 },
    );
  }

  /** There may be something to take, or the client knows of a later place. */
  ring(): void {
    this.#marked = false;
    this.#bell.ring();
  }

  hearOfTools(): void {
    this.#toolsChanged = true;
    this.#bell.ring();
  }

  /** Tells what is left to tell, then ends. */
  end(): void {
    this.#ended = true;
    this.#bell.ring();
  }

  /** Nobody reads any more. */
  leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#bell.ring();
    this.#options.onGone();
  }

  /** @returns undefined at the end */
  async #next(): Promise<string | undefined> {
    if (!this.#begun) {
      this.#begun = true;
      return `${this.#mark() ?? ''}retry: ${RETRY_MS}\n\n`;
    }
    let quietSince = performance.now();
    for (;;) {
      this.#bell.clear();
      const told = this.#tell();
      if (told !== undefined) return told;
      if (this.#gone) return undefined;
      if (this.#ended) return this.#marked ? undefined : this.#lastMark();
      const left = quietSince + KEEP_ALIVE_MS - performance.now();
      if (left <= 0) {
        quietSince = performance.now();
        return this.#marked ? ': \n\n' : `${this.#mark() ?? ': \n'}\n`;
      }
      await this.#bell.wait(left);
    }
  }

  #tell(): string | undefined {
    if (this.#toolsChanged) {
      this.#toolsChanged = false;
      return messageOf({ method: 'notifications/tools/list_changed' }, undefined);
    }
    const notice = this.#options.stream.take();
    if (notice === undefined) return undefined;
    const id = this.#options.eventId();
    this.#marked = id !== undefined;
    return messageOf(notificationOf(notice), id);
  }

  /** Fields of an event that says nothing but where the client is. */
  #mark(): string | undefined {
    const id = this.#options.takesBareIds ? this.#options.eventId() : undefined;
    this.#marked = true;
    return id === undefined ? undefined : `id: ${id}\ndata: \n`;
  }

  #lastMark(): string | undefined {
    const mark = this.#mark();
    return mark === undefined ? undefined : `${mark}\n`;
  }
}

function notificationOf(notice: Notice): object {
  return notice.kind === 'updated'
    ? { method: 'notifications/resources/updated', params: { uri: notice.uri } }
    : { method: 'notifications/resources/list_changed' };
}

function messageOf(notification: object, id: string | undefined): string {
  const data = JSON.stringify({ jsonrpc: '2.0', ...notification });
  return `event: message\n${id === undefined ? '' : `id: ${id}\n`}data: ${data}\n\n`;
}
