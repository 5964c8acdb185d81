import { createServer } from 'node:http';
import type { Registry } from '@bankhouse/core';

export interface Admin {
  /** The port in use, also where 0 was asked for. */
  readonly port: number;
  close(): Promise<void>;
}

/** `/healthz` (the process turns), `/readyz` (it works, or stands by), `/metrics`. */
export async function startAdmin(options: {
  port: number;
  registry: Registry;
  isReady: () => boolean;
}): Promise<Admin> {
  const { registry, isReady } = options;
  const server = createServer((request, response) => {
    switch (request.url) {
      case '/healthz':
        response.end('ok\n');
        return;
      case '/readyz':
        response.statusCode = isReady() ? 200 : 503;
        response.end(isReady() ? 'ok\n' : 'not synced yet\n');
        return;
      case '/metrics':
        registry.metrics().then(
          (text) => response.setHeader('content-type', registry.contentType).end(text),
          () => response.writeHead(500).end(),
        );
        return;
      default:
        response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
