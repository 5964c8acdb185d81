import { createServer, type Server } from 'node:http';
import type { Registry } from '@bankhouse/core';

/** Probes and metrics, on a port of their own that no route leads to. */
export function createAdminServer(options: { registry: Registry; notReady: () => string | undefined }): Server {
  return createServer(async (request, response) => {
    const send = (status: number, body: string, type = 'text/plain; charset=utf-8') =>
      response.writeHead(status, { 'content-type': type }).end(body);
    switch (request.url) {
      case '/healthz':
        return send(200, 'ok\n');
      case '/readyz': {
        const reason = options.notReady();
        return reason === undefined ? send(200, 'ok\n') : send(503, `${reason}\n`);
      }
      case '/metrics':
        return send(200, await options.registry.metrics(), options.registry.contentType);
      default:
        return send(404, 'There are /healthz, /readyz and /metrics.\n');
    }
  });
}
