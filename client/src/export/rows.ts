import { BankhouseError } from '@bankhouse/core';
import type pg from 'pg';
import { type Catalog, type ExportedTable, MAX_LINE_BYTES, sha256 } from '../archive/index.ts';

/** A row as its line without the seal, or only what is needed to tell whether a line is the same. */
export interface ExportedRow {
  table: string;
  /** What the table is ordered by. */
  key: string[];
  hash: Buffer;
  bytes: number;
  /** Undefined where only digests were asked for. */
  body?: string;
}

/** One statement after the other, in the order in which they are asked for. */
export type Ask = <Row extends pg.QueryResultRow>(text: string, values: unknown[]) => Promise<Row[]>;

export function inTurn(sql: pg.Client): Ask {
  let last: Promise<unknown> = Promise.resolve();
  return <Row extends pg.QueryResultRow>(text: string, values: unknown[]) => {
    const answer = last.then(async () => (await sql.query<Row>(text, values)).rows);
    // Each fails for whoever asked.
    last = answer.catch(() => undefined);
    return answer;
  };
}

/** Where rows come from: a transaction that sees one snapshot. */
export interface Source {
  ask: Ask;
  catalog: Catalog;
  tables: readonly ExportedTable[];
  bank: string;
  /** `digests`: the database tells SHA-256 and size of a line, and the line stays there. */
  give: 'lines' | 'digests';
}

/** Behind these rows a file may have a checkpoint. */
export interface Place {
  table: string;
  key: string[];
}

export type Step = { kind: 'row'; row: ExportedRow } | { kind: 'boundary'; place: Place };

/** All rows in the order of the file; a row, what is below it, and then a boundary. */
export async function* walk(source: Source, after?: Place): AsyncGenerator<Step> {
  const first = after === undefined ? 0 : source.tables.findIndex(({ name }) => name === after.table);
  for (const [index, table] of source.tables.slice(first).entries()) {
    const key = index === 0 ? after?.key : undefined;
    const below = table.below === undefined ? undefined : rowsOf(source, table.below, key);
    let child = await below?.next();
    for await (const row of rowsOf(source, table, key)) {
      yield { kind: 'row', row };
      while (child?.done === false && row.key.every((part, place) => child?.value?.key[place] === part)) {
        yield { kind: 'row', row: child.value };
        child = await below?.next();
      }
      yield { kind: 'boundary', place: { table: table.name, key: row.key } };
    }
    if (child?.done === false) {
      throw new BankhouseError('export_failed', `A row of ${child.value.table} belongs to none of ${table.name}.`);
    }
  }
}

const PAGE_ROWS = 500;
/** Of what is stored, which is compressed. */
const PAGE_BYTES = 1024 * 1024;
const SIZES_AT_ONCE = 2000;

/**
 * Rows of one table in their order, by pages of bounded size; while one is used, the next is fetched.
 *
 * @param after beginning of the key behind which to start
 */
async function* rowsOf(source: Source, table: ExportedTable, after: string[] | undefined): AsyncGenerator<ExportedRow> {
  let next: Promise<ExportedRow[]> | undefined;
  for await (const { from, to } of pagesOf(source, table, after)) {
    const page = next;
    next = readPage(source, table, from, to);
    // It fails for whoever awaits it; nobody may any more.
    next.catch(() => undefined);
    if (page !== undefined) yield* await page;
  }
  if (next !== undefined) yield* await next;
}

interface Page {
  from: string[] | undefined;
  to: string[];
}

async function* pagesOf(source: Source, table: ExportedTable, after: string[] | undefined): AsyncGenerator<Page> {
  const { ask, bank } = source;
  let from = after;
  for (;;) {
    const rows = await ask<{ key: string[]; size: number }>(sizesSql(source, table, from?.length ?? 0), [
      bank,
      ...(from ?? []),
    ]);
    let bytes = 0;
    let amount = 0;
    for (const [index, { key, size }] of rows.entries()) {
      bytes += size;
      amount++;
      if (bytes < PAGE_BYTES && amount < PAGE_ROWS && index < rows.length - 1) continue;
      yield { from, to: key };
      from = key;
      bytes = 0;
      amount = 0;
    }
    if (rows.length < SIZES_AT_ONCE) return;
  }
}

async function readPage(source: Source, table: ExportedTable, from: string[] | undefined, to: string[]) {
  const rows = await source.ask<{ key: string[]; line?: string; hash?: Buffer; bytes?: number }>(
    pageSql(source, table, from?.length ?? 0),
    [source.bank, ...(from ?? []), ...to],
  );
  return rows.map(({ key, line, hash, bytes }): ExportedRow => {
    const size = line === undefined ? (bytes ?? 0) : Buffer.byteLength(line);
    if (size > MAX_LINE_BYTES) {
      throw new BankhouseError(
        'row_too_large',
        `The row ${key.join('/')} of ${table.name} has more than ${MAX_LINE_BYTES} bytes as JSON, which no line may have.`,
      );
    }
    return line === undefined
      ? { table: table.name, key, hash: hash ?? Buffer.alloc(0), bytes: size }
      : { table: table.name, key, hash: sha256(line), bytes: size, body: line };
  });
}

/** Parameters: bank, and a key's first `given` columns, behind which it starts. Sizes are as stored: nothing is unpacked. */
function sizesSql(source: Source, table: ExportedTable, given: number): string {
  const sizes = columnsOf(source, table)
    .filter(({ variable }) => variable)
    .map(({ name }) => `coalesce(pg_column_size(t.${quote(name)}), 0)`);
  return `select ${keyOf(table)} as key, ${['100', ...sizes].join(' + ')} as size
    from bank.${quote(table.name)} t where t.bank_id = $1 ${bound(source, table, given, '>', 2)}
   order by ${orderOf(table)} limit ${SIZES_AT_ONCE}`;
}

/** Parameters: bank, the beginning of the key behind which it starts, the key with which it ends. */
function pageSql(source: Source, table: ExportedTable, given: number): string {
  const columns = columnsOf(source, table).map(({ name }) => `t.${quote(name)}`);
  const wanted =
    source.give === 'lines'
      ? 'l.line'
      : `sha256(convert_to(l.line, 'UTF8')) as hash, octet_length(convert_to(l.line, 'UTF8')) as bytes`;
  return `select ${keyOf(table)} as key, ${wanted}
    from bank.${quote(table.name)} t
   cross join lateral (
     select '{"table":"${table.name}","row":' || row_to_json(r)::text || '}' as line
       from (select ${columns.join(', ')}) r offset 0
   ) l
   where t.bank_id = $1 ${bound(source, table, given, '>', 2)} ${bound(source, table, table.order.length, '<=', 2 + given)}
   order by ${orderOf(table)}`;
}

function bound(source: Source, table: ExportedTable, amount: number, operator: '>' | '<=', first: number): string {
  if (amount === 0) return '';
  const names = table.order.slice(0, amount);
  const types = new Map(columnsOf(source, table).map(({ name, type }) => [name, type]));
  const values = names.map((name, index) => `$${first + index}::${types.get(name)}`);
  return `and (${names.map((name) => `t.${quote(name)}`).join(', ')}) ${operator} (${values.join(', ')})`;
}

function columnsOf({ catalog }: Source, table: ExportedTable) {
  return catalog.get(table.name) ?? [];
}

function keyOf(table: ExportedTable): string {
  return `array[${table.order.map((name) => `t.${quote(name)}::text`).join(', ')}]`;
}

function orderOf(table: ExportedTable): string {
  return table.order.map((name) => `t.${quote(name)}`).join(', ');
}

function quote(name: string): string {
  return `"${name}"`;
}
