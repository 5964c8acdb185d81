import type { Writable } from 'node:stream';
import { BankhouseError, messageOf } from '@bankhouse/core';
import type pg from 'pg';
import {
  type End,
  FORMAT,
  FORMAT_VERSION,
  flatten,
  type Header,
  headerLine,
  readCatalog,
  tablesIn,
  withMember,
} from '../archive/index.ts';
import { type BankRow, openAsData, requireBank } from '../database.ts';
import { findPoint, type Point } from './point.ts';
import { inTurn, type Place, type Source, walk } from './rows.ts';
import { type Sink, toNewFile, toOldFile, toStream } from './sink.ts';
import { Track } from './track.ts';

export interface ExportOptions {
  /** URL of a role that may become bankhouse_data: the owner of the database. */
  databaseUrl: string;
  bank: string;
  /** Path, or a stream, which can't be gone on with. */
  target: string | Writable;
  /** Goes on with the file where it has a checkpoint; a file that is not there or empty is begun. */
  resume: boolean;
  onProgress?: (progress: ExportProgress) => void;
}

export interface ExportProgress {
  /** `comparing`: what the file has already, with what the bank has now. */
  doing: 'comparing' | 'writing';
  rows: number;
  total: number;
}

export interface ExportResult {
  rows: number;
  tables: End['tables'];
  /** Rolling digest of the file. */
  digest: string;
  /** Rows that were in the file already. */
  kept: number;
}

/**
 * Writes all of a bank, as one snapshot shows it. A file that is gone on with is first compared with a new snapshot, row by row in
 * the database; it shows that one then as if it had been written from it alone.
 *
 * @throws BankhouseError `bank_unknown`, `database_unreachable`, `schema_unknown`, `file_exists`, `file_unwritable`,
 *   `export_changed`, `export_stopped`; of the file that is gone on with also what readArchive throws, and `wrong_file`
 */
export async function exportBank(options: ExportOptions): Promise<ExportResult> {
  const point =
    options.resume && typeof options.target === 'string' ? await findPoint(options.target, options.bank) : undefined;
  if (point?.whole !== undefined) {
    return { ...point.whole.totals, digest: point.whole.digest, kept: point.whole.totals.rows };
  }
  const sql = await openAsData(options.databaseUrl, 'exporting');
  try {
    await sql.query('begin isolation level repeatable read read only');
    await sql.query(
      "set local timezone = 'UTC'; set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0; set local jit = off",
    );
    return await new Exporter(options, point, await prepare(sql, options.bank)).run();
  } finally {
    await sql.end().catch(() => undefined);
  }
}

interface Prepared {
  source: Omit<Source, 'give'>;
  header: Header;
  totals: End['tables'];
}

async function prepare(sql: pg.Client, bank: string): Promise<Prepared> {
  const found: BankRow = await requireBank(sql, bank);
  const catalog = await readCatalog(sql);
  const tables = tablesIn(catalog);
  const names = flatten(tables).map(({ name }) => name);
  const { rows } = await sql.query<{ at: string; totals: End['tables'] }>(
    `select to_char(now(), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at,
            (select json_object_agg(t, bank.digest_of(t, $1) order by n)
               from unnest($2::text[]) with ordinality u (t, n)) as totals`,
    [bank, names],
  );
  const columnsOf = (name: string) => (catalog.get(name) ?? []).map((column) => column.name);
  return {
    source: { ask: inTurn(sql), catalog, tables, bank },
    header: {
      format: FORMAT,
      version: FORMAT_VERSION,
      bank,
      displayName: found.displayName,
      type: found.type,
      exportedAt: rows[0]?.at ?? '',
      tables: names.map((name) => ({ name, columns: columnsOf(name) })),
    },
    totals: rows[0]?.totals ?? {},
  };
}

class Exporter {
  private readonly options: ExportOptions;
  private readonly point: Point | undefined;
  private readonly prepared: Prepared;
  private readonly track = new Track();
  private readonly total: number;

  constructor(options: ExportOptions, point: Point | undefined, prepared: Prepared) {
    this.options = options;
    this.point = point;
    this.prepared = prepared;
    this.total = Object.values(prepared.totals).reduce((sum, { rows }) => sum + rows, 0);
  }

  async run(): Promise<ExportResult> {
    let sink: Sink | undefined;
    try {
      const after = await this.compare();
      const kept = this.track.rows;
      sink = await this.open();
      await this.write(sink, after);
      return { rows: this.track.rows, tables: this.prepared.totals, digest: this.track.digest, kept };
    } catch (error) {
      // What was written up to here can be gone on with.
      await sink?.close().catch(() => undefined);
      throw error instanceof BankhouseError ? error : this.stopped(error);
    }
  }

  /** Whether the file has, up to its last checkpoint, what the bank has now. @returns where to go on */
  private async compare(): Promise<Place | undefined> {
    const point = this.point;
    if (point?.checkpoint === undefined) return undefined;
    this.requireSameTables(point);
    const { rows, digest, place } = point.checkpoint;
    for await (const step of walk({ ...this.prepared.source, give: 'digests' })) {
      if (step.kind === 'row') {
        this.track.row(step.row);
        continue;
      }
      const line = this.track.checkpoint(step.place);
      this.tell('comparing');
      if (line !== undefined && this.track.rows >= rows) break;
    }
    if (this.track.rows !== rows || this.track.digest !== digest) {
      throw new BankhouseError(
        'export_changed',
        `Bank ${this.options.bank} was changed since ${this.options.target} was begun, in the first ${rows} rows, so the rest would not fit to them; export it anew into another file.`,
      );
    }
    return place;
  }

  private requireSameTables(point: Point): void {
    if (JSON.stringify(point.header.tables) === JSON.stringify(this.prepared.header.tables)) return;
    throw new BankhouseError(
      'export_changed',
      `The database was migrated since ${this.options.target} was begun; export the bank anew into another file.`,
    );
  }

  private open(): Promise<Sink> {
    const { target } = this.options;
    if (typeof target !== 'string') return Promise.resolve(toStream(target));
    if (this.point?.checkpoint === undefined) return toNewFile(target, { overwrite: this.options.resume });
    // The file shows the new snapshot; its first line keeps its length, since only the time in it is another one.
    const header = { ...this.point.header, exportedAt: this.prepared.header.exportedAt };
    return toOldFile(target, this.point.checkpoint.offset, headerLine(header));
  }

  private async write(sink: Sink, after: Place | undefined): Promise<void> {
    if (after === undefined) await sink.line(headerLine(this.prepared.header));
    for await (const step of walk({ ...this.prepared.source, give: 'lines' }, after)) {
      if (step.kind === 'row') {
        await sink.line(withMember(step.row.body ?? '', 'sum', this.track.row(step.row)));
        continue;
      }
      const line = this.track.checkpoint(step.place);
      if (line !== undefined) await sink.line(line);
      this.tell('writing');
    }
    for (const [table, { rows }] of Object.entries(this.prepared.totals)) {
      if ((this.track.counts.get(table) ?? 0) !== rows) {
        throw new BankhouseError('export_failed', `${table} has ${rows} rows, and not as many were written.`);
      }
    }
    await sink.line(this.track.end(this.prepared.totals));
    await sink.close();
  }

  private tell(doing: ExportProgress['doing']): void {
    this.options.onProgress?.({ doing, rows: this.track.rows, total: this.total });
  }

  private stopped(error: unknown): BankhouseError {
    const go =
      typeof this.options.target === 'string'
        ? ` Go on with: bankhouse export ${this.options.bank} ${this.options.target} --resume`
        : '';
    return new BankhouseError(
      'export_stopped',
      `The export stopped after ${this.track.rows} of ${this.total} rows: ${messageOf(error)}.${go}`,
      { cause: error },
    );
  }
}
