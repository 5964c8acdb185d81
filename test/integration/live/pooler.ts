import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';

/** BackendKeyData: 'K', length 12, process, secret (PostgreSQL protocol, "Message Formats"). */
const BACKEND_KEY = Buffer.from([0x4b, 0, 0, 0, 12]);

export interface Pooler extends AsyncDisposable {
  readonly port: number;
  /** Keeps back what connections of this application_name send from now on. */
  hold(application: string): void;
  /** Bytes that are kept back. */
  held(): number;
  /** Sends them. */
  release(): void;
}

/**
 * What clients of a pooler see in front of Postgres: connections whose key names no process of the server. (A pooler in
 * transaction mode would also lose LISTEN.)
 */
export async function poolerBefore(port: number): Promise<Pooler> {
  const sockets = new Set<Socket>();
  let holding: string | undefined;
  let kept: { upstream: Socket; bytes: Buffer }[] = [];
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    let application: string | undefined;
    client.on('data', (bytes: Buffer) => {
      application ??= /application_name\0([^\0]*)\0/.exec(bytes.toString('latin1'))?.[1];
      if (application !== undefined && application === holding) kept.push({ upstream, bytes });
      else upstream.write(bytes);
    });
    upstream.on('data', (bytes: Buffer) => {
      const at = bytes.indexOf(BACKEND_KEY);
      if (at !== -1 && bytes.length >= at + 13) bytes.writeInt32BE(4242, at + 5);
      client.write(bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    hold(application) {
      holding = application;
    },
    held: () => kept.reduce((sum, { bytes }) => sum + bytes.length, 0),
    release() {
      holding = undefined;
      for (const { upstream, bytes } of kept) upstream.write(bytes);
      kept = [];
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
