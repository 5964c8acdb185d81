/** TCP ports of 127.0.0.1 that nobody takes while their server is down. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below what Linux gives to outgoing connections (net.ipv4.ip_local_port_range), which would take a port between two listeners. */
const FIRST = 20_000;
const LAST = 29_999;
const given = new Set<number>();

/** A port on which nobody listens, of this process alone. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, LAST + 1);
    if (given.has(port)) continue;
    const server = createServer().listen(port, '127.0.0.1');
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    given.add(port);
    server.close();
    await once(server, 'close');
    return port;
  }
}
