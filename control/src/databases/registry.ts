import { SERVER_DATABASE } from '@bankhouse/core';
import pg from 'pg';

/** A database in which something is to be done. */
export interface Ordered {
  name: string;
  /** Of the tenants' part in it; null: it is to be made. */
  generation: number | null;
  /** It is to be dropped. */
  goes: boolean;
}

/** Where the databases of a server are written down. @param server undefined: the platform's own */
export function registryOf(server: string | undefined): { table: string; here: string } {
  if (server === undefined) return { table: 'control.databases', here: 'true' };
  return { table: 'control.server_databases', here: `server = ${pg.escapeLiteral(server)}` };
}

/** The common database of a further server is one that is always ordered. */
export async function orderCommon(client: pg.Client, server: string): Promise<void> {
  await client.query(
    'insert into control.server_databases (server, name) values ($1, $2) on conflict (server, name) do nothing',
    [server, SERVER_DATABASE],
  );
}

/** Those to be made come first, then those to be dropped, then those of an older generation. @param also name of one whatever its generation is */
export async function readOrders(
  client: pg.Client,
  server: string | undefined,
  { generation, also }: { generation: number; also: string | undefined },
): Promise<Ordered[]> {
  const { table, here } = registryOf(server);
  const { rows } = await client.query<Ordered>(
    `select d.name, d.generation, d.receipt is not null as goes from ${table} d
      where ${here} and d.dropped_at is null
        and (d.receipt is not null or d.generation is null or d.generation < $1 or d.name = $2)
      order by d.receipt is null and d.generation is not null, d.receipt is not null, d.ordered_at, d.name`,
    [generation, also ?? ''],
  );
  return rows;
}

/** What became of the databases of a server. */
export class Records {
  readonly #client: pg.Client;
  readonly #where: string;
  readonly #table: string;

  constructor(client: pg.Client, server: string | undefined) {
    const { table, here } = registryOf(server);
    this.#client = client;
    this.#table = table;
    this.#where = `name = $1 and ${here}`;
  }

  async wasMigrated(name: string, generation: number): Promise<void> {
    await this.#update('generation = greatest(generation, $2), migrated_at = now(), problem = null', [
      name,
      generation,
    ]);
  }

  async wasDropped(name: string): Promise<void> {
    await this.#update('dropped_at = now(), problem = null', [name]);
  }

  async hasProblem(name: string, problem: string): Promise<void> {
    await this.#update('problem = $2', [name, problem], 'and problem is distinct from $2');
  }

  async #update(changes: string, values: unknown[], and = ''): Promise<void> {
    await this.#client.query(`update ${this.#table} set ${changes} where ${this.#where} ${and}`, values);
  }
}
