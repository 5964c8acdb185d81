import pg from 'pg';
import { MigrationError } from './errors.ts';
import type { RepeatableFile, TableFile } from './files.ts';
import type { Applied } from './plan.ts';

/** Which files were applied, in a schema that no other role may enter: nobody else can read, write or lock the table. */
const RECORD = 'bankhouse_migrations.applied';
const TRIES = 10;

/**
 * Makes the table where it is not there.
 *
 * @throws MigrationError `schema_foreign`
 */
export async function makeRecord(client: pg.Client): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { rows } = await client.query<{ columns: string[] | null }>(
        `select array_agg(attname::text) as columns from pg_catalog.pg_attribute
          where attrelid = to_regclass('${RECORD}') and attnum > 0`,
      );
      const columns = rows[0]?.columns ?? [];
      if (columns.includes('checksum')) return;
      if (columns.length > 0) {
        throw new MigrationError(
          'schema_foreign',
          'The schema of this database was made before the first release, by other files: give this release an empty database.',
        );
      }
      await client.query(`
        create schema if not exists bankhouse_migrations;
        create table ${RECORD} (
          part text not null,
          kind text not null check (kind in ('table', 'function', 'rights')),
          name text not null,
          checksum text not null,
          generation int not null,
          oldest_generation int,
          version text not null,
          applied_at timestamptz not null default now(),
          primary key (part, kind, name)
        )`);
      return;
    } catch (error) {
      // Another first run made the schema or table in this moment.
      const there = error instanceof pg.DatabaseError && /^(23505|42P06|42P07)$/.test(error.code ?? '');
      if (!there || attempt === TRIES) throw error;
    }
  }
}

export async function readRecord(client: pg.Client, part: string): Promise<Applied[]> {
  const { rows } = await client.query<Applied>(
    `select kind, name, checksum, generation, oldest_generation as "oldestGeneration" from ${RECORD} where part = $1`,
    [part],
  );
  return rows;
}

/** By whom and as what a file is written down. */
export interface Entry {
  part: string;
  generation: number;
  version: string;
}

/** Fails where it is there already. The part's rights are due from now on, whatever becomes of this run. */
export async function recordTable(client: pg.Client, entry: Entry, file: TableFile): Promise<void> {
  await client.query(
    `insert into ${RECORD} (part, kind, name, checksum, generation, oldest_generation, version)
     values ($1, 'table', $2, $3, $4, $5, $6)`,
    [entry.part, file.name, file.checksum, entry.generation, file.oldestGeneration ?? null, entry.version],
  );
  await client.query(`update ${RECORD} set checksum = '' where part = $1 and kind = 'rights'`, [entry.part]);
}

export async function recordRepeatable(
  client: pg.Client,
  entry: Entry,
  kind: 'function' | 'rights',
  file: RepeatableFile,
): Promise<void> {
  await client.query(
    `insert into ${RECORD} (part, kind, name, checksum, generation, version) values ($1, $2, $3, $4, $5, $6)
     on conflict (part, kind, name) do update
       set checksum = excluded.checksum, generation = excluded.generation, version = excluded.version, applied_at = now()`,
    [entry.part, kind, file.name, file.checksum, entry.generation, entry.version],
  );
}

export async function forgetFunctions(client: pg.Client, part: string, names: readonly string[]): Promise<void> {
  await client.query(`delete from ${RECORD} where part = $1 and kind = 'function' and name = any ($2)`, [part, names]);
}

/**
 * Waits until no other run is at work, and keeps others out until the connection ends. A table's lock and not an advisory one,
 * which any role could hold for ever. This mode lets the other connection of this run write, and holds up no concurrent index.
 *
 * @throws MigrationError `migration_busy` after `waitMs`
 */
export async function lockRecord(
  client: pg.Client,
  options: { everyMs: number; waitMs: number; onWait: () => void },
): Promise<void> {
  const limit = performance.now() + options.waitMs;
  for (;;) {
    const waitMs = Math.max(1, Math.ceil(Math.min(options.everyMs, limit - performance.now())));
    await client.query(`begin; set local lock_timeout = ${waitMs}`);
    try {
      await client.query(`lock table ${RECORD} in share update exclusive mode`);
      return;
    } catch (error) {
      await client.query('rollback');
      if (!(error instanceof pg.DatabaseError && error.code === '55P03')) throw error;
      options.onWait();
      if (performance.now() >= limit) {
        throw new MigrationError('migration_busy', 'Another run of the migrations has not ended; try again.', error);
      }
    }
  }
}
