import { BankhouseError } from '@bankhouse/core';
import type pg from 'pg';
import { EXPORTED, type ExportedTable, NOT_EXPORTED } from './tables.ts';

export interface Column {
  name: string;
  /** As a cast takes it. */
  type: string;
  /** Of no fixed size. */
  variable: boolean;
}

/** Columns of the tables with a bank_id that are not computed from others; bank_id itself is left out. */
export type Catalog = ReadonlyMap<string, readonly Column[]>;

export async function readCatalog(sql: pg.Client): Promise<Catalog> {
  const { rows } = await sql.query<Column & { table: string }>(
    `select c.relname as table, a.attname as name, format_type(a.atttypid, null) as type, a.attlen = -1 as variable
       from pg_catalog.pg_class c
       join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.relnamespace = 'bank'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and a.attname <> 'bank_id' and a.attgenerated = ''
        and exists (select from pg_catalog.pg_attribute b
                     where b.attrelid = c.oid and b.attname = 'bank_id' and not b.attisdropped)
      order by c.relname, a.attnum`,
  );
  const catalog = new Map<string, Column[]>();
  for (const { table, ...column } of rows) {
    const columns = catalog.get(table) ?? [];
    columns.push(column);
    catalog.set(table, columns);
  }
  return catalog;
}

/**
 * The tables to export that this database has.
 *
 * @throws BankhouseError `schema_unknown` when there is one of which nobody decided whether it is exported
 */
export function tablesIn(catalog: Catalog): ExportedTable[] {
  const known = new Set([
    ...EXPORTED.flatMap(({ name, below }) => [name, ...(below === undefined ? [] : [below.name])]),
    ...Object.keys(NOT_EXPORTED),
  ]);
  const unknown = [...catalog.keys()].filter((table) => !known.has(table));
  if (unknown.length > 0) {
    throw new BankhouseError(
      'schema_unknown',
      `The database has tables that this bankhouse does not know: ${unknown.join(', ')}. Use the one of the platform's version, so that nothing is left out.`,
    );
  }
  return EXPORTED.filter(({ name }) => catalog.has(name)).map(({ below, ...table }) =>
    below === undefined || !catalog.has(below.name) ? table : { ...table, below },
  );
}
