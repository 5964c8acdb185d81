/** Ways to Postgres that are longer than the direct one. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';

export interface Relay extends AsyncDisposable {
  /** The same login, on this way. */
  url(direct: string): string;
}

/** What is done with the pieces that one connection sends and gets. */
interface Handling {
  toServer(bytes: Buffer, server: Socket): void;
  toClient(bytes: Buffer, client: Socket): void;
}

async function relayBefore(port: number, handle: () => Handling): Promise<Relay> {
  const sockets = new Set<Socket>();
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
    const handling = handle();
    client.on('data', (bytes: Buffer) => handling.toServer(bytes, upstream));
    upstream.on('data', (bytes: Buffer) => handling.toClient(bytes, client));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = (server.address() as AddressInfo).port;
  return {
    url: (direct) => direct.replace(`:${port}/`, `:${own}/`),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

export interface Counter extends Relay {
  /** How often clients sent the text. */
  counted(): number;
}

/** Passes everything on as it is, and counts one text in what clients send. */
export async function counterBefore(port: number, text: string): Promise<Counter> {
  let counted = 0;
  const relay = await relayBefore(port, () => ({
    toServer(bytes, server) {
      counted += bytes.toString('latin1').split(text).length - 1;
      server.write(bytes);
    },
    toClient: (bytes, client) => void client.write(bytes),
  }));
  return { ...relay, counted: () => counted };
}

/** BackendKeyData: 'K', length 12, process, secret (PostgreSQL protocol, "Message Formats"). */
const BACKEND_KEY = Buffer.from([0x4b, 0, 0, 0, 12]);

export interface Pooler extends Relay {
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
  let holding: string | undefined;
  let kept: { server: Socket; bytes: Buffer }[] = [];
  const relay = await relayBefore(port, () => {
    let application: string | undefined;
    return {
      toServer(bytes, server) {
        application ??= /application_name\0([^\0]*)\0/.exec(bytes.toString('latin1'))?.[1];
        if (application !== undefined && application === holding) kept.push({ server, bytes });
        else server.write(bytes);
      },
      toClient(bytes, client) {
        const at = bytes.indexOf(BACKEND_KEY);
        if (at !== -1 && bytes.length >= at + 13) bytes.writeInt32BE(4242, at + 5);
        client.write(bytes);
      },
    };
  });
  return {
    ...relay,
    hold(application) {
      holding = application;
    },
    held: () => kept.reduce((sum, { bytes }) => sum + bytes.length, 0),
    release() {
      holding = undefined;
      for (const { server, bytes } of kept) server.write(bytes);
      kept = [];
    },
  };
}
