import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import type { AuthInfo, McpHttpHandler } from '@modelcontextprotocol/server';

/**
 * One request through the SDK's handler. Does what the SDK's own toNodeHandler does, with two differences that are a third of
 * a request's CPU time: the body is passed on parsed only, not serialized once more, and an answer that is no stream goes out
 * with its length in one write instead of chunked in three.
 *
 * @param body the parsed JSON body; undefined for a request that the SDK answers without one
 */
export async function exchange(
  mcp: McpHttpHandler,
  request: IncomingMessage,
  response: ServerResponse,
  options: { authInfo: AuthInfo; body?: unknown },
): Promise<void> {
  const { authInfo, body } = options;
  const abort = new AbortController();
  response.on('close', () => {
    if (!response.writableFinished) abort.abort();
  });
  const answer = await mcp.fetch(toRequest(request, abort.signal, body !== undefined), {
    authInfo,
    ...(body === undefined ? {} : { parsedBody: body }),
  });
  if (response.destroyed) return;
  const headers: Record<string, string | number> = Object.fromEntries(answer.headers);
  if (answer.body === null) {
    response.writeHead(answer.status, headers).end();
    return;
  }
  if (headers['content-type'] === 'text/event-stream') {
    response.writeHead(answer.status, headers);
    response.flushHeaders();
    // Rejects when the client ends the stream, which is how every stream ends.
    await pipeline(Readable.fromWeb(answer.body as ReadableStream), response).catch(() => {});
    return;
  }
  const bytes = await answer.bytes();
  response.writeHead(answer.status, { ...headers, 'content-length': bytes.length }).end(bytes);
}

/**
 * What the SDK reads of a request when it gets the body parsed. A Request proper would make an AbortSignal that follows ours, a URL
 * and a body for each call, which is a twentieth of the call's processor time; without a parsed body one is made.
 */
type ReadByHandler = Pick<Request, 'method' | 'url' | 'headers' | 'signal'>;

function toRequest(request: IncomingMessage, signal: AbortSignal, hasBody: boolean): Request {
  const headers = new Headers();
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    headers.append(request.rawHeaders[index] ?? '', request.rawHeaders[index + 1] ?? '');
  }
  const read: ReadByHandler = {
    method: request.method ?? 'GET',
    url: `http://bank${request.url ?? '/'}`,
    headers,
    signal,
  };
  return hasBody ? (read as Request) : new Request(read.url, { method: read.method, headers, signal });
}
