import type { IncomingMessage, ServerResponse } from 'node:http';
import { BankhouseError } from '@bankhouse/core';

/** Bodies up to this size are read whole before they go on: one write to the bank server, and an attempt can be repeated. */
const WHOLE_BYTES = 64 * 1024;
const MANY_PARTS = 4_096;
const SMALL_PART_BYTES = 64;
const LEAST_ROOM = 1024;
const NOTHING = Buffer.alloc(0);

export class BodyTooLargeError extends BankhouseError {
  constructor(limit: number) {
    super('body_too_large', `The body is larger than ${limit} bytes, which is the most that is taken here.`);
    this.name = 'BodyTooLargeError';
  }
}

/** The client went away before its body was complete. */
export class ClientGoneError extends BankhouseError {
  constructor() {
    super('client_gone', 'The client closed the connection.');
    this.name = 'ClientGoneError';
  }
}

/** It comes in so many, so small parts that reading it would keep everybody waiting; its connection is closed. */
export class BodyTooFineError extends BankhouseError {
  constructor() {
    super('body_too_fine', `The body came in more than ${MANY_PARTS} parts of less than ${SMALL_PART_BYTES} bytes.`);
    this.name = 'BodyTooFineError';
  }
}

/**
 * Whether a body that came so far in so many parts is not worth reading: Node hands over each chunk by itself, which takes microseconds, and
 * as many as a connection has in store, which is a million, before anything else has its turn.
 */
export function isTooFine(parts: number, bytes: number): boolean {
  return parts > MANY_PARTS && bytes < parts * SMALL_PART_BYTES;
}

/** What the bytes that are kept of a body are taken from. */
export interface Holder {
  /** @throws BankhouseError where there is no room for them */
  take(bytes: number): void;
}

/**
 * A body as it comes. What is counted is what it takes, but for twice the room: the parts themselves would take hundreds of bytes each, and
 * a body in chunks of one byte is a million of them.
 */
class Gathered {
  private room: Buffer = NOTHING;
  length = 0;

  /** @param isAll this part is the whole body: it is kept as it is */
  add(part: Buffer, isAll: boolean): void {
    const length = this.length + part.length;
    if (isAll) this.room = part;
    else {
      if (length > this.room.length) {
        const more = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.room.length, LEAST_ROOM));
        this.room.copy(more, 0, 0, this.length);
        this.room = more;
      }
      part.copy(this.room, this.length);
    }
    this.length = length;
  }

  get bytes(): Buffer {
    return this.room.subarray(0, this.length);
  }
}

/** A request's body, bounded, read when first asked for and at most once. What is kept of it is taken from the budget. */
export class RequestBody {
  private readonly request: IncomingMessage;
  private readonly response: ServerResponse;
  private readonly limit: number;
  private readonly holding: Holder;
  /** undefined: chunked. */
  readonly declaredBytes: number | undefined;

  /** @throws BodyTooLargeError when the declared length is over the limit already */
  constructor(request: IncomingMessage, response: ServerResponse, limit: number, holding: Holder) {
    this.request = request;
    this.response = response;
    this.limit = limit;
    this.holding = holding;
    const declared = request.headers['content-length'];
    const isChunked = request.headers['transfer-encoding'] !== undefined;
    this.declaredBytes = isChunked ? undefined : Number(declared ?? 0);
    if ((this.declaredBytes ?? 0) > limit) throw new BodyTooLargeError(limit);
  }

  get isEmpty(): boolean {
    return this.declaredBytes === 0;
  }

  get isSmall(): boolean {
    return this.declaredBytes !== undefined && this.declaredBytes <= WHOLE_BYTES;
  }

  /** @throws BodyTooLargeError, BodyTooFineError, ClientGoneError, or what `take` throws */
  whole(): Promise<Buffer> {
    this.invite();
    const { request, limit, holding, declaredBytes } = this;
    return new Promise((resolve, reject) => {
      let gathered = new Gathered();
      let parts = 0;
      request.on('data', (part: Buffer) => {
        try {
          if (gathered.length + part.length > limit) throw new BodyTooLargeError(limit);
          holding.take(part.length);
          gathered.add(part, part.length === declaredBytes);
          parts += 1;
          if (isTooFine(parts, gathered.length)) {
            // At once: a refusal would be sent only when all that is there has been read.
            request.destroy();
            throw new BodyTooFineError();
          }
        } catch (error) {
          request.removeAllListeners('data');
          gathered = new Gathered();
          reject(error);
        }
      });
      let isWhole = false;
      request.on('end', () => {
        isWhole = true;
        resolve(gathered.bytes);
      });
      request.on('error', () => reject(new ClientGoneError()));
      request.on('close', () => {
        if (!isWhole) reject(new ClientGoneError());
      });
    });
  }

  /** The parts as they come; reading slowly slows the client down. Nothing is read before the first is asked for. */
  async *parts(): AsyncGenerator<Buffer> {
    this.invite();
    let bytes = 0;
    for await (const part of this.request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > this.limit) throw new BodyTooLargeError(this.limit);
      yield part;
    }
  }

  /** A client that asked first (RFC 9110 section 10.1.1) is told to go on only when the body is wanted. */
  private invite(): void {
    if (this.request.headers.expect?.toLowerCase() === '100-continue') this.response.writeContinue();
  }
}
