import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Nothing that asks here has more to say. */
const MAX_HEADER_BYTES = 8 * 1024;
/** For a request to arrive. */
const REQUEST_LIMIT_MS = 5_000;
/** For so long whoever asks may take nothing of an answer. */
const SLOW_READER_MS = 10_000;
/** More than kubelets and scrapers ever have; it bounds what others can hold. */
const MAX_CONNECTIONS = 256;
const TEXT = 'text/plain; charset=utf-8';

/** What a process says of itself to the kubelet and Prometheus. */
export interface AdminAnswers {
  /** Why no work should come now, as a line of text; undefined: ready. */
  notReady(): string | undefined;
  /** A prom-client registry, or what writes the same format. */
  readonly metrics: { readonly contentType: string; metrics(): Promise<string> };
}

export interface Admin {
  /** The port in use, also where 0 was asked for. */
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Answers `/healthz` (the process runs), `/readyz` and `/metrics`.
 *
 * @returns the function; it says false, and nothing to whoever asked, for any other path
 */
export function answerAdmin(answers: AdminAnswers): (request: IncomingMessage, response: ServerResponse) => boolean {
  // Whoever asks meanwhile gets the same: any number of scrapes at a time costs one.
  let scrape: Promise<string> | undefined;
  const metrics = () => {
    scrape ??= answers.metrics.metrics().finally(() => {
      scrape = undefined;
    });
    return scrape;
  };
  return (request, response) => {
    switch (request.url) {
      case '/healthz':
        say(response, 200, 'ok\n');
        return true;
      case '/readyz': {
        const reason = answers.notReady();
        if (reason === undefined) say(response, 200, 'ok\n');
        else say(response, 503, `${reason}\n`);
        return true;
      }
      case '/metrics':
        metrics().then(
          (text) => say(response, 200, text, answers.metrics.contentType),
          () => say(response, 500, 'metrics failed\n'),
        );
        return true;
      default:
        return false;
    }
  };
}

/** For GET and HEAD alone, whose bodies mean nothing: whoever still sends one is answered and cut off. */
function say(response: ServerResponse, status: number, text: string, type = TEXT): void {
  const { method, complete } = response.req;
  const isAsking = method === 'GET' || method === 'HEAD';
  const body = isAsking ? text : 'Only GET and HEAD are answered here.\n';
  response
    .writeHead(isAsking ? status : 405, {
      'content-type': isAsking ? type : TEXT,
      'content-length': Buffer.byteLength(body),
      ...(isAsking ? {} : { allow: 'GET, HEAD' }),
      ...(complete ? {} : { connection: 'close' }),
    })
    .end(body);
}

/**
 * A port for the kubelet and Prometheus alone, which no route leads to: all that is there is `answerAdmin`'s.
 *
 * @param options.port 0: any
 * @param options.requestLimitMs for tests
 */
export async function startAdmin(
  options: AdminAnswers & { readonly port: number; readonly requestLimitMs?: number },
): Promise<Admin> {
  const { port, requestLimitMs = REQUEST_LIMIT_MS } = options;
  const answer = answerAdmin(options);
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: requestLimitMs,
      requestTimeout: requestLimitMs,
      connectionsCheckingInterval: requestLimitMs / 5,
    },
    (request, response) => {
      if (!answer(request, response)) say(response, 404, 'There are /healthz, /readyz and /metrics.\n');
    },
  );
  server.timeout = SLOW_READER_MS;
  server.maxConnections = MAX_CONNECTIONS;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(port, resolve);
  await promise;
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
