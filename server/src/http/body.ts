import type { IncomingMessage } from 'node:http';
import {
  BankhouseError,
  JSON_MAX_DEPTH,
  JSON_MAX_VALUES,
  jsonWithinBounds,
  REQUEST_BODY_MAX_BYTES,
  RPC,
} from '@bankhouse/core';

/** What the client sent is no request that could be served: its body, or the query of its URL. */
export class RequestError extends BankhouseError {
  readonly status: 400 | 413;
  /** JSON-RPC code. */
  readonly rpcCode: number;

  constructor(status: 400 | 413, rpcCode: number, code: string, message: string) {
    super(code, message);
    this.name = 'RequestError';
    this.status = status;
    this.rpcCode = rpcCode;
  }
}

/**
 * Reads a body and parses it as JSON, within bounds.
 *
 * @throws RequestError 413 over the size, 400 for what is no JSON or goes over what core allows
 */
export async function readJsonBody(request: IncomingMessage): Promise<unknown> {
  if (Number(request.headers['content-length'] ?? 0) > REQUEST_BODY_MAX_BYTES) throw tooLarge();
  const body = await collect(request);
  return parseJsonBody(body);
}

function tooLarge(): RequestError {
  return new RequestError(
    413,
    RPC.refused,
    'body_too_large',
    `A request body must not exceed ${REQUEST_BODY_MAX_BYTES} bytes.`,
  );
}

/** By events: an async iterator over a body costs twice as much as the rest of reading it. */
function collect(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > REQUEST_BODY_MAX_BYTES) {
        request.pause();
        reject(tooLarge());
        return;
      }
      chunks.push(chunk);
    });
    request.on('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    request.on('error', reject);
    request.on('close', () => {
      // Without an end: the client went away in the middle. An error made for every request would cost as much as parsing it.
      if (!request.readableEnded) reject(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }));
    });
  });
}

const OUT_OF_BOUNDS = {
  too_deep: ['body_too_deep', `A request body must not nest deeper than ${JSON_MAX_DEPTH}.`],
  too_many: ['body_too_many', `A request body must not have more than ${JSON_MAX_VALUES} values.`],
} as const;

/**
 * @param bytes UTF-8
 * @throws RequestError 400
 */
export function parseJsonBody(bytes: Buffer): unknown {
  const bounds = jsonWithinBounds(bytes);
  if (bounds !== 'within') {
    const [code, message] = OUT_OF_BOUNDS[bounds];
    throw new RequestError(400, RPC.invalidRequest, code, message);
  }
  const text = bytes.toString('utf8');
  try {
    return withoutNulls(JSON.parse(text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text));
  } catch {
    throw new RequestError(400, RPC.parse, 'body_no_json', 'Parse error: the request body is not valid JSON.');
  }
}

/** The gateway reads what is behind one, as other recipients do (RFC 8259 section 8.1), so it is read here too. */
const BYTE_ORDER_MARK = '\ufeff';

/** Many clients write null for params and arguments that they leave out; the SDK would refuse it. */
function withoutNulls(body: unknown): unknown {
  for (const message of Array.isArray(body) ? body : [body]) {
    if (typeof message !== 'object' || message === null) continue;
    if (message.params === null) delete message.params;
    else if (message.params?.arguments === null) delete message.params.arguments;
  }
  return body;
}
