import type pg from 'pg';

/** A database in which something is to be done. */
export interface Ordered {
  name: string;
  /** Of the tenants' part in it; null: it is to be made. */
  generation: number | null;
  /** It is to be dropped. */
  goes: boolean;
}

/** Those to be made come first, then those to be dropped, then those of an older generation. */
export async function readOrders(client: pg.Client, generation: number): Promise<Ordered[]> {
  const { rows } = await client.query<Ordered>(
    `select d.name, d.generation, d.receipt is not null as goes from control.databases d
      where d.dropped_at is null and (d.receipt is not null or d.generation is null or d.generation < $1)
      order by d.receipt is null and d.generation is not null, d.receipt is not null, d.ordered_at, d.name`,
    [generation],
  );
  return rows;
}

export async function wasMigrated(client: pg.Client, name: string, generation: number): Promise<void> {
  await client.query(
    `update control.databases set generation = greatest(generation, $2), migrated_at = now(), problem = null where name = $1`,
    [name, generation],
  );
}

export async function wasDropped(client: pg.Client, name: string): Promise<void> {
  await client.query('update control.databases set dropped_at = now(), problem = null where name = $1', [name]);
}

export async function hasProblem(client: pg.Client, name: string, problem: string): Promise<void> {
  await client.query('update control.databases set problem = $2 where name = $1 and problem is distinct from $2', [
    name,
    problem,
  ]);
}
