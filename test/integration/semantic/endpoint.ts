import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** What the endpoint does instead of answering; it stays so until it is changed. */
export type Fault =
  /** `after` so many good answers, and so many `times` or for good. */
  | { kind: 'status'; status: number; retryAfter?: string; after?: number; times?: number; message?: string }
  /** Answers when `release` is called, or never. */
  | { kind: 'hold' }
  | { kind: 'dimensions'; dimensions: number }
  | { kind: 'body'; body: string }
  | { kind: 'huge' }
  | { kind: 'close' }
  /** 400 for a request with a text that holds this word. */
  | { kind: 'poison'; word: string };

export interface Sent {
  model: string;
  input: string[];
  dimensions?: number;
  authorization: string | undefined;
}

/** A server as OpenAI's, on a real port. Its vectors are hashed bags of words: texts with the same words are close. */
export interface Endpoint extends AsyncDisposable {
  readonly url: string;
  fault: Fault | undefined;
  readonly sent: Sent[];
  /** Texts of all requests since the last `sent.length = 0`. */
  texts(): string[];
  /** Answers what is being held. */
  release(): void;
  /** Resolves when so many requests are held. */
  held(count: number): Promise<void>;
}

export const DIMENSIONS = 64;

/** @param tls PEM of a key and of its certificate: then it speaks HTTPS */
export async function startEndpoint(tls?: { key: string; cert: string }): Promise<Endpoint> {
  const sent: Sent[] = [];
  const holding: (() => void)[] = [];
  const waiters: { count: number; resolve: () => void }[] = [];
  const listener = (request: IncomingMessage, response: ServerResponse) => void answer(request, response);
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  const endpoint = { fault: undefined as Fault | undefined };

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Sent & { encoding_format: string };
    const { authorization } = request.headers;
    sent.push({
      model: body.model,
      input: body.input,
      authorization,
      ...(body.dimensions === undefined ? {} : { dimensions: body.dimensions }),
    });
    const good = JSON.stringify(embeddingsOf(body.input, body.dimensions ?? DIMENSIONS, body.model));
    const { fault } = endpoint;
    if (request.url !== '/v1/embeddings' || request.method !== 'POST' || body.encoding_format !== 'float') {
      return void response.writeHead(404).end();
    }
    switch (fault?.kind) {
      case 'status': {
        const { status, retryAfter, message = 'no' } = fault;
        if (fault.after !== undefined && fault.after-- > 0) break;
        if (fault.times !== undefined && --fault.times <= 0) endpoint.fault = undefined;
        const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
        return void response.writeHead(status, headers).end(JSON.stringify({ error: { message } }));
      }
      case 'hold': {
        await new Promise<void>((resolve) => {
          holding.push(resolve);
          for (const waiter of waiters) if (holding.length >= waiter.count) waiter.resolve();
        });
        break;
      }
      case 'dimensions':
        return void response.end(JSON.stringify(embeddingsOf(body.input, fault.dimensions, body.model)));
      case 'body':
        return void response.end(fault.body);
      case 'huge':
        response.on('error', () => {});
        return void response.end(`[${'0.1,'.repeat(5_000_000)}`);
      case 'close':
        return void response.socket?.destroy();
      case 'poison':
        if (body.input.some((text) => text.includes(fault.word))) {
          return void response.writeHead(400).end(JSON.stringify({ error: { message: 'too many tokens' } }));
        }
    }
    response.setHeader('content-type', 'application/json');
    response.end(good);
  };

  server.listen(0, tls === undefined ? '127.0.0.1' : 'localhost');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: tls === undefined ? `http://127.0.0.1:${port}/v1` : `https://localhost:${port}/v1`,
    get fault() {
      return endpoint.fault;
    },
    set fault(fault) {
      endpoint.fault = fault;
    },
    sent,
    texts: () => sent.flatMap(({ input }) => input),
    release() {
      endpoint.fault = undefined;
      for (const resolve of holding.splice(0)) resolve();
    },
    held: (count) =>
      new Promise((resolve) => {
        if (holding.length >= count) resolve();
        else waiters.push({ count, resolve });
      }),
    async [Symbol.asyncDispose]() {
      for (const resolve of holding.splice(0)) resolve();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function embeddingsOf(input: readonly string[], dimensions: number, model: string) {
  return { data: input.map((text, index) => ({ index, embedding: bagOfWords(text, dimensions, model) })) };
}

/** Not of length 1: models differ in that. Another model puts words elsewhere. */
function bagOfWords(text: string, dimensions: number, model: string): number[] {
  const vector = Array.from({ length: dimensions }, () => 0);
  for (const word of text.toLowerCase().match(/\p{L}+/gu) ?? ['nothing']) {
    const hash = fnv(`${model}/${word}`);
    const index = hash % dimensions;
    vector[index] = (vector[index] ?? 0) + (hash & 0x10000 ? 3 : -3);
  }
  // Two words may cancel each other out, and a vector of zeros has no direction.
  vector[0] = (vector[0] ?? 0) + 0.001;
  return vector;
}

function fnv(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
