import type { ServerResponse } from 'node:http';
import { BankhouseError, CATALOGUE_HEADER, PROOF_HEADER } from '@bankhouse/core';
import type { Dispatcher } from 'undici';
import { answerHeaders } from '../http/headers.ts';
import type { Upstream } from './upstreams.ts';

/** What is sent to a bank server. */
export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  /** Name, value, name, value … */
  readonly headers: string[];
  /** Made anew for every attempt; null: no body. */
  readonly body: () => Buffer | AsyncIterable<Buffer> | null;
}

/** How an attempt ended. */
export type Attempt =
  /** The answer went to the client, whole. */
  | { kind: 'answered'; status: number }
  /** No byte was sent: another address, or the same one later, may do. */
  | { kind: 'unsent'; error: Error }
  /** Something was sent and no answer began: nobody can know whether it was carried out. */
  | { kind: 'failed'; error: Error }
  /** The answer broke off after it had begun; the client's connection was closed, so that it sees that. */
  | { kind: 'broken'; status: number; error: Error }
  /** We ended it: the client went away, or its token did. */
  | { kind: 'aborted' };

/** Failures of connecting; before the request was begun, they mean that nothing was sent. */
const CONNECT_FAILURES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'ETIMEDOUT',
  'UND_ERR_CLOSED',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_DESTROYED',
  'UND_ERR_SOCKET',
]);

/** The bank server does not take our seal: keys or clocks differ. No fault of the client's, whose token has been checked. */
export class SealRefusedError extends BankhouseError {
  constructor() {
    super(
      'seal_refused',
      'The bank server answered 401: it does not take the seal of the gateway; compare keys and clocks.',
    );
    this.name = 'SealRefusedError';
  }
}

/** What answered has not shown that it is the bank's server: what it says is thrown away. */
export class UnprovenError extends BankhouseError {
  constructor(address: string, claimed: string | undefined) {
    const what =
      claimed === undefined ? 'without the proof that its image gives' : 'with a proof that is not of this request';
    super('unproven', `${address} answered ${what}.`);
    this.name = 'UnprovenError';
  }
}

class AbortedError extends BankhouseError {
  constructor() {
    super('aborted', 'The call was ended.');
    this.name = 'AbortedError';
  }
}

/**
 * One attempt at one address: sends the request and streams the answer, each at the pace of its receiver.
 *
 * @param options.headers added to the answer's own, and `judge`'s, which is given the answer's proof, and the digest of a catalogue that it seals,
 *   before anything is passed on, and throws where that is not good enough
 * @param options.onSent called when the request begins to be written, `onAnswer` when the answer's headers are there, `onBlocked` when the client
 *   leaves so many bytes of the answer waiting, and with 0 when it has taken them
 */
export function exchange(options: {
  upstream: Upstream;
  request: UpstreamRequest;
  response: ServerResponse;
  headers: Readonly<Record<string, string>>;
  signal: AbortSignal;
  judge: (proof: string | undefined, said: string | undefined) => Readonly<Record<string, string>>;
  onSent: () => void;
  onAnswer: () => void;
  onBlocked: (bytes: number) => void;
}): Promise<Attempt> {
  const { upstream, request, signal } = options;
  const { promise, resolve } = Promise.withResolvers<Attempt>();
  const handler = new ExchangeHandler(options, resolve);
  upstream.outstanding += 1;
  signal.addEventListener('abort', handler.abort, { once: true });
  try {
    const { method, path, headers } = request;
    const body = request.body() as Dispatcher.DispatchOptions['body'];
    upstream.pool.dispatch({ method: method as Dispatcher.HttpMethod, path, headers, body: body ?? null }, handler);
  } catch (error) {
    handler.onResponseError(undefined, error instanceof Error ? error : new Error(String(error)));
  }
  return promise.finally(() => {
    upstream.outstanding -= 1;
    signal.removeEventListener('abort', handler.abort);
  });
}

class ExchangeHandler implements Dispatcher.DispatchHandler {
  private readonly options: Parameters<typeof exchange>[0];
  private readonly settle: (attempt: Attempt) => void;
  private controller: Dispatcher.DispatchController | undefined;
  private status = 0;

  constructor(options: Parameters<typeof exchange>[0], settle: (attempt: Attempt) => void) {
    this.options = options;
    this.settle = settle;
  }

  readonly abort = (): void => {
    // Before the request begins there is nothing to end; onRequestStart sees the signal.
    this.controller?.abort(new AbortedError());
    this.settle({ kind: 'aborted' });
  };

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    if (this.options.signal.aborted) controller.abort(new AbortedError());
    else this.options.onSent();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: NodeJS.Dict<string | string[]>,
  ): void {
    if (status < 200) return;
    if (status === 401) {
      controller.abort(new SealRefusedError());
      return;
    }
    const { response } = this.options;
    let more: Readonly<Record<string, string>>;
    try {
      more = this.options.judge(onlyText(headers[PROOF_HEADER]), onlyText(headers[CATALOGUE_HEADER]));
    } catch (error) {
      controller.abort(error as Error);
      return;
    }
    this.status = status;
    this.options.onAnswer();
    response.writeHead(status, { ...answerHeaders(headers), ...this.options.headers, ...more });
    // Otherwise the headers would wait for the first event, which may be minutes away.
    if (isEventStream(headers['content-type'])) response.flushHeaders();
    response.on('drain', () => {
      this.options.onBlocked(0);
      controller.resume();
    });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { response, onBlocked } = this.options;
    if (response.write(chunk)) return;
    controller.pause();
    onBlocked(response.writableLength);
  }

  /** Answered is what the client has taken: until then it holds memory, and so its slot. */
  onResponseEnd(): void {
    const { response, onBlocked } = this.options;
    response.end(() => this.settle({ kind: 'answered', status: this.status }));
    if (response.writableLength > 0) onBlocked(response.writableLength);
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error & { code?: string }): void {
    if (this.options.signal.aborted) this.settle({ kind: 'aborted' });
    else if (this.status > 0) {
      this.options.response.destroy();
      this.settle({ kind: 'broken', status: this.status, error });
    } else if (this.controller === undefined && CONNECT_FAILURES.has(error.code ?? '')) {
      this.settle({ kind: 'unsent', error });
    } else this.settle({ kind: 'failed', error });
  }
}

/** One that came more than once is none that is right. */
function onlyText(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join() : value;
}

function isEventStream(contentType: string | string[] | undefined): boolean {
  return typeof contentType === 'string' && contentType.startsWith('text/event-stream');
}
