import { BankhouseError, type DatabaseServer, operatorUrlAt } from '@bankhouse/core';
import type { EgressPeer } from '../config.ts';
import type { Where } from './placement.ts';

/** A further server that the chart names. */
export interface Server {
  /** Of its common database, as the operator; undefined: its Secret was not there. */
  url: string | undefined;
  /** Where banks' pods reach it. */
  egress: readonly EgressPeer[];
}

export type Servers = ReadonlyMap<string, Server>;

/** @param password the operator's own on the platform's server */
export function serversOf(
  config: {
    DATABASE_SERVERS: readonly DatabaseServer[];
    DATABASE_SERVERS_DIR: string;
    DATABASE_SERVERS_EGRESS: Readonly<Record<string, EgressPeer[]>>;
  },
  password: string,
): Servers {
  return new Map(
    config.DATABASE_SERVERS.map((server) => [
      server.name,
      {
        url: operatorUrlAt(server, config.DATABASE_SERVERS_DIR, password),
        egress: config.DATABASE_SERVERS_EGRESS[server.name] ?? [],
      },
    ]),
  );
}

/** Why no bank can be on the server, in a sentence; undefined: one can. */
export function problemOfServer(name: string, servers: Servers): string | undefined {
  const server = servers.get(name);
  if (server === undefined) {
    return `The platform knows no server "${name}": name it in database.servers of the chart, or another one in spec.database.secretRef of the class.`;
  }
  if (server.url !== undefined) return undefined;
  return `The Secret of the server "${name}" was not there, or had no host, when the operator started: make the one that database.servers of the chart names, and restart the operator.`;
}

/** The server of a placement. @throws BankhouseError `server_unknown` */
export function serverAt<S>(platform: S & { on(server: string): S | undefined }, { server }: Where): S {
  const found = server === undefined ? platform : platform.on(server);
  if (found !== undefined) return found;
  const message = `The platform knows no server "${server}", or its Secret was not there when the operator started.`;
  throw new BankhouseError('server_unknown', message);
}
