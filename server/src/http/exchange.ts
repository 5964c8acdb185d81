import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ReadableStream, type ReadableStreamDefaultReader } from 'node:stream/web';
import { field } from '@bankhouse/core';
import type { AuthInfo } from '@modelcontextprotocol/server';
import type { DirectCall } from '../mcp/direct.ts';
import type { McpService } from '../mcp/serve.ts';
import { SESSION_HEADER } from '../mcp/sessions.ts';
import { ERROR_META_KEY } from '../mcp/tool-error.ts';
import { answersOf, formOf, TAKES_BOTH, takenBy } from './answer-form.ts';

/** In the machine-readable part of a tool's error. */
const RETRY_AFTER = 'retryAfterSeconds';

/**
 * One request: the short way (ADR 15) where that takes it, else through the SDK's handler. There it does what the SDK's own
 * toNodeHandler does, with two differences that are a third of a request's CPU time: the body is passed on parsed only, not
 * serialized once more, and an answer that is no stream goes out with its length in one write instead of chunked in three.
 *
 * @param body the parsed JSON body; undefined for a request that the SDK answers without one
 */
export async function exchange(
  mcp: McpService,
  request: IncomingMessage,
  response: ServerResponse,
  options: { authInfo: AuthInfo; body?: unknown },
): Promise<void> {
  const { authInfo, body } = options;
  const call = body === undefined ? undefined : mcp.direct.open(request.headers, body, authInfo);
  if (call !== undefined) return answerDirectly(call, response);
  const abort = new AbortController();
  response.on('close', () => {
    if (!response.writableFinished) abort.abort();
  });
  const taken = takenBy(request.headers.accept);
  // A plain call is answered in the one form that a client takes; only a stream needs a client that takes streams.
  const isPlain = body !== undefined && !Array.isArray(body) && !isListen(body) && taken.json;
  const isBatch = Array.isArray(body) && taken.json;
  const accept = isPlain || isBatch || (taken.json && taken.stream) ? TAKES_BOTH : undefined;
  const answer = await mcp.fetch(toRequest(request, abort.signal, { hasBody: body !== undefined, accept }), {
    authInfo,
    ...(body === undefined ? {} : { parsedBody: body }),
  });
  if (response.destroyed) return;
  // Set here, since a plain answer goes out without the others.
  const session = answer.headers.get(SESSION_HEADER);
  if (session !== null) response.setHeader(SESSION_HEADER, session);
  const headers: Record<string, string | number> = Object.fromEntries(answer.headers);
  if (answer.body === null) {
    response.writeHead(answer.status, headers).end();
    return;
  }
  if (headers['content-type'] === 'text/event-stream') {
    if (isBatch) {
      // Aborted with the client.
      const stream = await answer.text().catch(() => undefined);
      return stream === undefined
        ? void response.destroy()
        : sendJson(response, answer.status, Buffer.from(answersOf(stream)));
    }
    if (!isPlain) return sendStream(response, { status: answer.status, headers, body: answer.body });
    const reader = answer.body.getReader();
    // Aborted with the client.
    const form = await formOf(reader, taken).catch(() => undefined);
    if (form === undefined || response.destroyed) return void response.destroy();
    if (form.kind === 'stream') {
      return sendStream(response, { status: answer.status, headers, body: joined(form.read, reader) });
    }
    await reader.cancel().catch(() => {});
    const seconds = form.text.includes(RETRY_AFTER) ? retryAfterOf(JSON.parse(form.text)) : undefined;
    return sendJson(response, answer.status, Buffer.from(form.text), seconds);
  }
  const bytes = await answer.bytes();
  response.writeHead(answer.status, { ...headers, 'content-length': bytes.length }).end(bytes);
}

/**
 * An error here is a handler's, which HTTP has with 200: what the protocol refuses before goes the long way. The one exception
 * (-32021) is for tools that ask the client something, and here is none.
 */
async function answerDirectly(call: DirectCall, response: ServerResponse): Promise<void> {
  response.on('close', () => {
    if (!response.writableFinished) call.cancel();
  });
  const answer = await call.answer;
  if (answer === undefined) {
    response.destroy();
    return;
  }
  sendJson(response, 200, Buffer.from(JSON.stringify(answer)), retryAfterOf(answer));
}

/** When a tool that failed wants to be called again, in seconds; for clients and proxies that look at headers only. */
function retryAfterOf(answer: unknown): number | undefined {
  const seconds = field(answer, 'result', '_meta', ERROR_META_KEY, RETRY_AFTER);
  return typeof seconds === 'number' ? seconds : undefined;
}

function sendJson(response: ServerResponse, status: number, bytes: Buffer, retryAfter?: number | undefined): void {
  if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length }).end(bytes);
}

async function sendStream(
  response: ServerResponse,
  { status, headers, body }: { status: number; headers: Record<string, string | number>; body: ReadableStream },
): Promise<void> {
  response.writeHead(status, headers);
  response.flushHeaders();
  // Rejects when the client ends the stream, which is how every stream ends.
  await pipeline(Readable.fromWeb(body), response).catch(() => {});
}

/** What was read of a stream, and the rest of it. */
function joined(read: readonly Uint8Array[], rest: ReadableStreamDefaultReader<Uint8Array>): ReadableStream {
  const first = [...read];
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const value = first.shift() ?? (await rest.read()).value;
      if (value === undefined) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => rest.cancel(reason),
  }) as ReadableStream;
}

/** A stream that lasts until one side ends it: there is nothing to wait for. */
export function isListen(body: unknown): boolean {
  return (body as { method?: unknown } | null)?.method === 'subscriptions/listen';
}

/**
 * What the SDK reads of a request when it gets the body parsed. A Request proper would make an AbortSignal that follows ours, a URL
 * and a body for each call, which is a twentieth of the call's processor time; without a parsed body one is made.
 */
type ReadByHandler = Pick<Request, 'method' | 'url' | 'headers' | 'signal'>;

function toRequest(
  request: IncomingMessage,
  signal: AbortSignal,
  { hasBody, accept }: { hasBody: boolean; accept: string | undefined },
): Request {
  const headers = new Headers();
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    headers.append(request.rawHeaders[index] ?? '', request.rawHeaders[index + 1] ?? '');
  }
  if (accept !== undefined) headers.set('accept', accept);
  const read: ReadByHandler = {
    method: request.method ?? 'GET',
    url: `http://bank${request.url ?? '/'}`,
    headers,
    signal,
  };
  return hasBody ? (read as Request) : new Request(read.url, { method: read.method, headers, signal });
}
