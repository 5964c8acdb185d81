import { BankhouseError } from '@bankhouse/core';
import { z } from 'zod';
import { sha256 } from './chain.ts';

export const FORMAT = 'bankhouse-export';
export const FORMAT_VERSION = 1;
/** No line is longer: what Postgres takes for a transcript, and half of what JavaScript takes for a string. */
export const MAX_LINE_BYTES = 256 * 1024 * 1024;

export const headerSchema = z.object({
  format: z.literal(FORMAT),
  version: z.literal(FORMAT_VERSION),
  bank: z.string(),
  displayName: z.string(),
  type: z.string(),
  /** When the snapshot was taken that the whole file shows; always of the same length. */
  exportedAt: z.string(),
  tables: z.array(z.object({ name: z.string(), columns: z.array(z.string()) })),
});
export type Header = z.infer<typeof headerSchema>;

/** After which rows the file can be gone on with: all up to `key` of `table`, and what is below that row. */
export const checkpointSchema = z.object({
  checkpoint: z.object({ rows: z.int(), table: z.string(), key: z.array(z.string()) }),
});
export type Checkpoint = z.infer<typeof checkpointSchema>['checkpoint'];

/** Of each table, in the words of a deletion's receipt, what the file has of it. */
export const endSchema = z.object({
  end: z.object({
    rows: z.int(),
    tables: z.record(z.string(), z.object({ rows: z.int(), keys: z.string() })),
  }),
});
export type End = z.infer<typeof endSchema>['end'];

/** Every so many rows, or so many bytes of them, there is a checkpoint: it follows from the rows alone. */
const CHECKPOINT_ROWS = 1000;
const CHECKPOINT_BYTES = 16 * 1024 * 1024;

export function isCheckpointDue(since: { rows: number; bytes: number }): boolean {
  return since.rows >= CHECKPOINT_ROWS || since.bytes >= CHECKPOINT_BYTES;
}

/** A JSON object with one member more at its end. */
export function withMember(body: string, name: 'sum' | 'digest', value: string): string {
  return `${body.slice(0, -1)},"${name}":"${value}"}`;
}

export function headerLine(header: Header): string {
  const body = JSON.stringify(header);
  return withMember(body, 'digest', sha256(body).toString('hex'));
}

/** `code` is `export_damaged`: the file is not as it was written, from this line on. */
export class DamagedError extends BankhouseError {
  readonly line: number;
  /** The file ends here: nothing is wrong but that it was not written to its end. */
  readonly isCutOff: boolean;

  constructor(line: number, what: string, isCutOff = false) {
    super('export_damaged', `Line ${line}: ${what}`);
    this.name = 'DamagedError';
    this.line = line;
    this.isCutOff = isCutOff;
  }
}
