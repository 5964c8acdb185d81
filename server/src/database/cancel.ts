import { connect } from 'node:net';
import type { PoolClient } from 'pg';

const CANCEL_REQUEST_CODE = 80877102;
const TIMEOUT_MS = 1000;

/** What pg knows about the server's side of a connection, and its types leave out. */
interface BackendKey {
  processID: number | null;
  secretKey: number | null;
  host: string;
  port: number;
}

/**
 * Asks the server to stop what the connection is running (PostgreSQL protocol, "Canceling Requests in Progress"): a connection
 * of its own, 16 bytes, no answer. pgbouncer passes it on. Best effort: the statement's time limit ends what it misses.
 */
export function cancelQuery(client: PoolClient): void {
  const { processID, secretKey, host, port } = client as unknown as BackendKey;
  if (processID === null || secretKey === null) return;
  const packet = Buffer.alloc(16);
  packet.writeInt32BE(16, 0);
  packet.writeInt32BE(CANCEL_REQUEST_CODE, 4);
  packet.writeInt32BE(processID, 8);
  packet.writeInt32BE(secretKey, 12);
  const socket = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('connect', () => socket.end(packet));
}
