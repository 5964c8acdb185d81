import { BankhouseError, messageOf } from '@bankhouse/core';
import pg from 'pg';
import { type Catalog, EXPORTED, flatten, type Header, type Line, readArchive, readCatalog } from '../archive/index.ts';
import { openAsData, requireBank, tidy } from '../database.ts';
import { checkArchive, type Summary } from './check.ts';
import { insertSql } from './sql.ts';
import { decideStart, type ImportState, type Start } from './start.ts';

export interface ImportOptions {
  /** URL of a role that may become bankhouse_data: the owner of the database. */
  databaseUrl: string;
  file: string;
  /** Default: the one that was exported. */
  bank?: string;
  /** Goes on with an import that stopped; where there is none, begins. */
  resume: boolean;
  onProgress?: (progress: { rows: number; total: number }) => void;
}

export interface ImportResult {
  bank: string;
  rows: number;
  /** Rows that an earlier attempt had brought. */
  kept: number;
}

/**
 * Brings an export into an empty bank. The whole file is checked before the first row is written; rows and how far they go are
 * committed together at each checkpoint of the file, so an import that stopped goes on without writing a row twice.
 *
 * @throws BankhouseError what checkArchive throws, `bank_unknown`, `database_unreachable`, `schema_unknown`,
 *   `bank_not_empty`, `import_unfinished`, `import_busy`, `wrong_file`, `import_refused`, `import_stopped`
 */
export async function importBank(options: ImportOptions): Promise<ImportResult> {
  const summary = await checkArchive(options.file);
  const bank = options.bank ?? summary.header.bank;
  const sql = await openAsData(options.databaseUrl, 'importing');
  try {
    await requireBank(sql, bank);
    const catalog = await readCatalog(sql);
    requireColumns(summary.header, catalog);
    const state = await readState(sql, bank);
    const occupied = await findOccupied(sql, bank, catalog);
    const { file, resume } = options;
    const start = decideStart({ bank, file, summary, state, occupied, resume });
    if (start.kind === 'done') return { bank, rows: summary.totals.rows, kept: summary.totals.rows };
    await new Importer(sql, bank, options, summary, start).run();
    // All is there; what this would do, autovacuum does later.
    await tidy(sql, [...summary.header.tables.map(({ name }) => name), 'search_documents']).catch(() => undefined);
    return { bank, rows: summary.totals.rows, kept: start.kind === 'go on' ? start.rows : 0 };
  } finally {
    await sql.end().catch(() => undefined);
  }
}

/** The file may lack columns that a newer schema has; the other way round something would be lost. */
function requireColumns(header: Header, catalog: Catalog): void {
  const exported = new Set(flatten(EXPORTED).map(({ name }) => name));
  const missing = header.tables.flatMap(({ name, columns }) => {
    const there = exported.has(name) ? catalog.get(name) : undefined;
    if (there === undefined) return [name];
    return columns.filter((column) => !there.some((one) => one.name === column)).map((column) => `${name}.${column}`);
  });
  if (missing.length === 0) return;
  throw new BankhouseError(
    'schema_unknown',
    `The export has what this database does not: ${missing.join(', ')}. Upgrade the platform to the version that it was exported from.`,
  );
}

async function readState(sql: pg.Client, bank: string): Promise<ImportState | undefined> {
  const { rows } = await sql.query<ImportState>(
    `select exported_bank as "exportedBank", exported_at as "exportedAt", imported_rows::float8 as rows, digest,
            finished_at is not null as finished
       from bank.imports where bank_id = $1`,
    [bank],
  );
  return rows[0];
}

async function findOccupied(sql: pg.Client, bank: string, catalog: Catalog): Promise<string[]> {
  const occupied: string[] = [];
  for (const { name } of flatten(EXPORTED)) {
    if (name === 'vaults' || !catalog.has(name)) continue;
    const { rows } = await sql.query(`select from bank.${sql.escapeIdentifier(name)} where bank_id = $1 limit 1`, [
      bank,
    ]);
    if (rows.length > 0) occupied.push(name);
  }
  return occupied;
}

const FLUSH_BYTES = 4 * 1024 * 1024;
const FLUSH_ROWS = 1000;

class Importer {
  private readonly sql: pg.Client;
  private readonly bank: string;
  private readonly options: ImportOptions;
  private readonly summary: Summary;
  private readonly statements: ReadonlyMap<string, string>;
  private readonly start: Start;
  /** By table, as JSON. */
  private readonly pending = new Map<string, string[]>();
  private waiting = { rows: 0, bytes: 0 };
  /** Rows of the file so far. */
  private rows = 0;
  private committed: { rows: number; digest: string };
  private open = false;
  private seeking: boolean;

  constructor(sql: pg.Client, bank: string, options: ImportOptions, summary: Summary, start: Start) {
    this.sql = sql;
    this.bank = bank;
    this.options = options;
    this.summary = summary;
    this.start = start;
    this.seeking = start.kind === 'go on';
    this.committed = start.kind === 'go on' ? { rows: start.rows, digest: start.digest } : { rows: 0, digest: '' };
    this.statements = new Map(summary.header.tables.map(({ name, columns }) => [name, insertSql(name, columns)]));
  }

  async run(): Promise<void> {
    try {
      if (this.start.kind === 'begin') await this.begin();
      for await (const line of readArchive(this.options.file)) {
        if (this.seeking) this.seek(line);
        else await this.bring(line);
      }
    } catch (error) {
      throw error instanceof BankhouseError ? error : this.stopped(error);
    }
  }

  private async begin(): Promise<void> {
    const { bank, exportedAt } = this.summary.header;
    const { rowCount } = await this.sql.query(
      `insert into bank.imports as i (bank_id, exported_bank, exported_at) values ($1, $2, $3)
       on conflict (bank_id) do update set exported_bank = excluded.exported_bank, exported_at = excluded.exported_at,
         imported_rows = 0, digest = '', started_at = clock_timestamp(), finished_at = null
       where i.finished_at is not null or i.imported_rows = 0`,
      [this.bank, bank, exportedAt],
    );
    if (rowCount !== 1) throw this.busy();
  }

  /** Passes over what an earlier attempt has brought, of the same file. @throws BankhouseError `wrong_file` */
  private seek(line: Line): void {
    if (line.kind === 'row') this.rows++;
    const isThere = line.kind === 'checkpoint' && this.rows === this.committed.rows;
    if (isThere && line.digest === this.committed.digest) this.seeking = false;
    else if (isThere || line.kind === 'end' || this.rows > this.committed.rows) {
      throw new BankhouseError(
        'wrong_file',
        `The import into ${this.bank} that stopped after ${this.committed.rows} rows was of another file than ${this.options.file}; go on with that one.`,
      );
    }
  }

  private async bring(line: Line): Promise<void> {
    if (line.kind === 'header') return;
    if (!this.open) await this.lock();
    if (line.kind === 'row') {
      this.rows++;
      const rows = this.pending.get(line.table) ?? [];
      rows.push(line.row.toString());
      this.pending.set(line.table, rows);
      this.waiting.rows++;
      this.waiting.bytes += line.row.length;
      if (this.waiting.rows >= FLUSH_ROWS || this.waiting.bytes >= FLUSH_BYTES) await this.flush();
    } else {
      await this.flush();
      await this.commit(line.digest, line.kind === 'end');
    }
  }

  /** The position's row is held through the transaction: of two imports at once, one finds that the other went on. */
  private async lock(): Promise<void> {
    await this.sql.query('begin; set constraints all deferred');
    this.open = true;
    const { rowCount } = await this.sql.query(
      'select from bank.imports where bank_id = $1 and digest = $2 and finished_at is null for update',
      [this.bank, this.committed.digest],
    );
    if (rowCount !== 1) throw this.busy();
  }

  private async flush(): Promise<void> {
    for (const [table, statement] of this.statements) {
      const rows = this.pending.get(table) ?? [];
      if (rows.length === 0) continue;
      const { rowCount } = await this.sql.query(statement, [this.bank, `[${rows.join(',')}]`]);
      if (rowCount !== rows.length) {
        throw new BankhouseError('import_refused', `The database took ${rowCount} of ${rows.length} rows of ${table}.`);
      }
    }
    this.pending.clear();
    this.waiting = { rows: 0, bytes: 0 };
  }

  private async commit(digest: string, finished: boolean): Promise<void> {
    await this.sql.query(
      `update bank.imports set imported_rows = $2, digest = $3,
         finished_at = case when $4 then clock_timestamp() end where bank_id = $1`,
      [this.bank, this.rows, digest, finished],
    );
    await this.sql.query('commit');
    this.open = false;
    this.committed = { rows: this.rows, digest };
    this.options.onProgress?.({ rows: this.rows, total: this.summary.totals.rows });
  }

  private busy(): BankhouseError {
    return new BankhouseError(
      'import_busy',
      `Another import into ${this.bank} is going on, or the bank was deleted meanwhile.`,
    );
  }

  private stopped(error: unknown): BankhouseError {
    const { rows } = this.committed;
    // Classes 22 and 23: a value or a row that the schema does not take; repeating it helps nobody.
    if (error instanceof pg.DatabaseError && /^2[23]/.test(error.code ?? '')) {
      return new BankhouseError(
        'import_refused',
        `The database refuses a row behind the ${rows} that are imported: ${error.message}.`,
        { cause: error },
      );
    }
    return new BankhouseError(
      'import_stopped',
      `The import stopped after ${rows} of ${this.summary.totals.rows} rows: ${messageOf(error)}. Go on with: bankhouse import ${this.options.file} --bank ${this.bank} --resume`,
      { cause: error },
    );
  }
}
