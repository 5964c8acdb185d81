import { hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** A Postgres besides the platform's own, as the chart names it (`database.servers`). */
const serverSchema = z.strictObject({
  /** As classes name it in `database.secretRef.name`, and as placements have it. */
  name: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/)
    // What the platform's own is called.
    .refine((name) => name !== 'platform'),
  /** In place of the Secret's. */
  host: z.string().optional(),
  /** Of the connection's URL, such as `sslmode=verify-full`. */
  parameters: z.string().optional(),
});

export type DatabaseServer = z.infer<typeof serverSchema>;

/** What a process that reaches further servers has in its configuration. */
export const databaseServersVariables = {
  DATABASE_SERVERS: z
    .string()
    .default('[]')
    .transform((text, context): DatabaseServer[] => {
      try {
        return z.array(serverSchema).max(100).parse(JSON.parse(text));
      } catch {
        context.addIssue({ code: 'custom', message: 'it must be a JSON list of {"name","host","parameters"}' });
        return z.NEVER;
      }
    }),
  /** A folder for each server, with keys of its Secret as files. */
  DATABASE_SERVERS_DIR: z.string().default('/etc/bankhouse/servers'),
};

/** Name of the common database on each of them. */
export const SERVER_DATABASE = 'bankhouse';

/**
 * As the owner, in the database that the Secret names; undefined where the Secret, or one of its keys `host`, `username` and `password`, is
 * not there.
 */
export function ownerUrlAt(server: DatabaseServer, dir: string): string | undefined {
  const [user, password] = [readKey(server, dir, 'username'), readKey(server, dir, 'password')];
  if (user === undefined || password === undefined) return undefined;
  return urlAt(server, dir, { user, password, database: readKey(server, dir, 'dbname') ?? SERVER_DATABASE });
}

/** As `bankhouse_operator`, in the common database there; undefined where the Secret, or its key `host`, is not there. */
export function operatorUrlAt(server: DatabaseServer, dir: string, operatorPassword: string): string | undefined {
  const password = serverPassword(operatorPassword, server.name);
  return urlAt(server, dir, { user: 'bankhouse_operator', password, database: SERVER_DATABASE });
}

/** Of `bankhouse_operator` on a further server: who runs that one learns no password that opens another. */
export function serverPassword(operatorPassword: string, server: string): string {
  return Buffer.from(hkdfSync('sha256', operatorPassword, '', `bankhouse/server/${server}`, 24)).toString('base64url');
}

function urlAt(
  server: DatabaseServer,
  dir: string,
  { user, password, database }: { user: string; password: string; database: string },
): string | undefined {
  const host = server.host ?? readKey(server, dir, 'host');
  if (host === undefined) return undefined;
  const port = readKey(server, dir, 'port') ?? '5432';
  const url = `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}:${port}/${encodeURIComponent(database)}`;
  const all = server.parameters === undefined ? url : `${url}?${server.parameters}`;
  return URL.canParse(all) ? all : undefined;
}

function readKey({ name }: DatabaseServer, dir: string, key: string): string | undefined {
  try {
    const value = readFileSync(join(dir, name, key), 'utf8').replace(/\r?\n$/, '');
    return value === '' ? undefined : value;
  } catch {
    return undefined;
  }
}
