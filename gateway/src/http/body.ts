import type { IncomingMessage, ServerResponse } from 'node:http';
import { BankhouseError } from '@bankhouse/core';

/** Bodies up to this size are read whole before they go on: one write to the bank server, and an attempt can be repeated. */
const WHOLE_BYTES = 64 * 1024;

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

/** What the bytes that are kept of a body are taken from. */
export interface Holder {
  /** @throws BankhouseError where there is no room for them */
  take(bytes: number): void;
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

  /** @throws BodyTooLargeError, ClientGoneError, or what `take` throws */
  whole(): Promise<Buffer> {
    this.invite();
    const { request, limit, holding } = this;
    return new Promise((resolve, reject) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      request.on('data', (part: Buffer) => {
        bytes += part.length;
        try {
          if (bytes > limit) throw new BodyTooLargeError(limit);
          holding.take(part.length);
          parts.push(part);
        } catch (error) {
          request.removeAllListeners('data');
          parts.length = 0;
          reject(error);
        }
      });
      let isWhole = false;
      request.on('end', () => {
        isWhole = true;
        resolve(parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts));
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
