import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from '@bankhouse/core';

export interface Admin {
  readonly port: number;
  close(): Promise<void>;
}

/** `/healthz` (the process runs), `/readyz` (with what is missing), `/metrics`; for the kubelet and Prometheus alone. */
export async function startAdmin(options: {
  port: number;
  registry: Registry;
  /** What must still come before calls can be answered; empty: ready. */
  missing: () => string[];
}): Promise<Admin> {
  const { registry, missing } = options;
  const server = createServer((request, response) => {
    const answer = (status: number, body: string, type = 'text/plain; charset=utf-8') => {
      response.writeHead(status, { 'content-type': type });
      response.end(body);
    };
    switch (request.url) {
      case '/healthz':
        return answer(200, 'ok\n');
      case '/readyz': {
        const waitingFor = missing();
        return waitingFor.length === 0 ? answer(200, 'ok\n') : answer(503, `waiting for: ${waitingFor.join(', ')}\n`);
      }
      case '/metrics':
        registry.metrics().then(
          (text) => answer(200, text, registry.contentType),
          () => answer(500, 'metrics failed\n'),
        );
        return;
      default:
        return answer(404, 'not found\n');
    }
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(options.port, resolve);
  await promise;
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}
