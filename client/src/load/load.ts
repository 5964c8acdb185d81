import { BankhouseError } from '@bankhouse/core';
import pg from 'pg';
import { openAsData, requireBank, tidy } from '../database.ts';
import { type Call, type ParsedLine, parseLine } from '../recordings/format.ts';
import { type CallRow, toRow } from './rows.ts';
import { ADD_ENTRIES, REMOVE_ENTRIES, UPSERT_LEGACY, UPSERT_RECORDINGS } from './sql.ts';

/** A line of the input, counted from 1. */
export interface NumberedLine {
  line: number;
  parsed: ParsedLine;
}

export interface Progress {
  /** Lines read so far. */
  read: number;
  /** Calls written, because they were new or different. */
  written: number;
  /** Calls that were there already, equal. */
  unchanged: number;
  /** Lines refused. */
  failed: number;
}

export interface LoadOptions {
  /** URL of a role that may become bankhouse_data: the owner of the database. */
  databaseUrl: string;
  bank: string;
  lines: AsyncIterable<NumberedLine> | Iterable<NumberedLine>;
  /** Called after each batch. */
  onProgress?: (progress: Progress) => void;
  /** Called for every line that is refused; what stands in it is in no message. */
  onProblem?: (line: number, problem: string) => void;
}

const BATCH_CALLS = 200;
const BATCH_CHARACTERS = 8 * 1024 * 1024;

/**
 * Loads calls into one bank, in transactions of up to 200 calls. A line that can't be used is reported and left out; the others
 * are loaded. Loading the same calls again writes nothing.
 *
 * @throws BankhouseError `bank_unknown`, `database_unreachable`
 */
export async function loadRecordings(options: LoadOptions): Promise<Progress> {
  const sql = await openAsData(options.databaseUrl, 'loading');
  try {
    const progress = await new Loader(sql, options, await vaultsOf(sql, options.bank)).run();
    if (progress.written > 0) await tidy(sql, ['recordings', 'fathom_calls', 'vault_entries', 'search_documents']);
    return progress;
  } finally {
    await sql.end();
  }
}

/** Ids of a bank's vaults. @throws BankhouseError `bank_unknown`, naming those that are there */
async function vaultsOf(sql: pg.Client, bank: string): Promise<Set<string>> {
  await requireBank(sql, bank);
  const { rows } = await sql.query<{ id: string }>('select id from bank.vaults where bank_id = $1', [bank]);
  return new Set(rows.map(({ id }) => id));
}

/** Ids of a bank's vaults, for those who generate calls into them. */
export async function listVaults(databaseUrl: string, bank: string): Promise<string[]> {
  const sql = await openAsData(databaseUrl, 'loading');
  try {
    return [...(await vaultsOf(sql, bank))].sort();
  } finally {
    await sql.end();
  }
}

interface Pending {
  line: number;
  row: CallRow;
}

class Loader {
  private readonly sql: pg.Client;
  private readonly options: LoadOptions;
  private readonly vaults: ReadonlySet<string>;
  private readonly progress: Progress = { read: 0, written: 0, unchanged: 0, failed: 0 };
  private pending: Pending[] = [];
  private characters = 0;

  constructor(sql: pg.Client, options: LoadOptions, vaults: ReadonlySet<string>) {
    this.sql = sql;
    this.options = options;
    this.vaults = vaults;
  }

  async run(): Promise<Progress> {
    for await (const { line, parsed } of this.options.lines) {
      this.progress.read++;
      if (!parsed.ok) {
        this.refuse(line, parsed.problems);
        continue;
      }
      const missing = parsed.call.vaults.filter((vault) => !this.vaults.has(vault));
      if (missing.length > 0) {
        this.refuse(line, [
          `vaults: bank ${this.options.bank} has no vault ${missing.join(', ')}; add it to the Bank's spec.vaults`,
        ]);
        continue;
      }
      this.add(line, parsed.call);
      if (this.pending.length >= BATCH_CALLS || this.characters >= BATCH_CHARACTERS) await this.flush();
    }
    await this.flush();
    return this.progress;
  }

  private add(line: number, call: Call): void {
    const row = toRow(this.options.bank, call);
    this.characters += call.transcript.reduce((sum, segment) => sum + segment.text.length, 0);
    const twin = this.pending.findIndex((other) => other.row.id === row.id);
    if (twin !== -1) this.pending.splice(twin, 1);
    this.pending.push({ line, row });
  }

  private refuse(line: number, problems: string[]): void {
    this.progress.failed++;
    for (const problem of problems) this.options.onProblem?.(line, problem);
  }

  private async flush(): Promise<void> {
    const batch = this.pending;
    this.pending = [];
    this.characters = 0;
    if (batch.length === 0) return;
    try {
      await this.write(batch);
    } catch (error) {
      if (!isConstraint(error)) throw error;
      // One call of the batch breaks a rule of the database; alone, it says which.
      for (const one of batch) await this.writeOne(one);
    }
    this.options.onProgress?.({ ...this.progress });
  }

  private async writeOne(one: Pending): Promise<void> {
    try {
      await this.write([one]);
    } catch (error) {
      if (!isConstraint(error)) throw error;
      this.refuse(one.line, [explain(error, one.row)]);
    }
  }

  private async write(batch: readonly Pending[]): Promise<void> {
    const parameters = [this.options.bank, JSON.stringify(batch.map(({ row }) => row))];
    await this.sql.query('begin');
    try {
      const legacy = await this.sql.query(`${UPSERT_LEGACY} returning f.id`, parameters);
      const current = await this.sql.query(`${UPSERT_RECORDINGS} returning r.id, r.legacy_id`, parameters);
      await this.sql.query(ADD_ENTRIES, parameters);
      await this.sql.query(REMOVE_ENTRIES, parameters);
      await this.sql.query('commit');
      const touched = new Set<string>(current.rows.map((row) => String(row.legacy_id ?? row.id)));
      for (const row of legacy.rows) touched.add(String(row.id));
      this.progress.written += touched.size;
      this.progress.unchanged += batch.length - touched.size;
    } catch (error) {
      await this.sql.query('rollback');
      throw error;
    }
  }
}

/** Class 23: integrity constraint violation; 21000: a row of the batch met itself. */
function isConstraint(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && (error.code?.startsWith('23') === true || error.code === '21000');
}

function explain(error: pg.DatabaseError, row: CallRow): string {
  if (error.constraint?.includes('legacy_id') === true) {
    return `legacyId: another recording of this bank was already migrated from legacy call ${row.legacy_id}`;
  }
  return `the database refuses it: ${error.message}`;
}

/** The lines of a JSON Lines stream; blank ones are passed over. */
export async function* readLines(chunks: AsyncIterable<Buffer | string>): AsyncGenerator<NumberedLine> {
  const decoder = new TextDecoder();
  let rest = '';
  let line = 0;
  for await (const chunk of chunks) {
    rest += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
    let end = rest.indexOf('\n');
    while (end !== -1) {
      line++;
      const text = rest.slice(0, end).trim();
      rest = rest.slice(end + 1);
      if (text !== '') yield { line, parsed: parseLine(text) };
      end = rest.indexOf('\n');
    }
    if (rest.length > MAX_REST)
      throw new BankhouseError('line_too_long', `Line ${line + 1} has more than 16 MiB; is this JSON Lines?`);
  }
  if (rest.trim() !== '') yield { line: line + 1, parsed: parseLine(rest.trim()) };
}

const MAX_REST = 16 * 1024 * 1024;

/** Calls that a program made, as lines. */
export function* numbered(calls: Iterable<Call>): Generator<NumberedLine> {
  let line = 0;
  for (const call of calls) yield { line: ++line, parsed: { ok: true, call } };
}
