import { BankhouseError } from '@bankhouse/core';
import { z } from 'zod';
import { readChunks } from '../files.ts';
import { Chain, sha256 } from './chain.ts';
import {
  type Checkpoint,
  checkpointSchema,
  DamagedError,
  type End,
  endSchema,
  FORMAT,
  FORMAT_VERSION,
  type Header,
  headerSchema,
  MAX_LINE_BYTES,
} from './format.ts';

/** A line that is as it was written; `line` counts from 1, `end` is the offset behind it in bytes. */
export type Line = { line: number; end: number } & (
  | { kind: 'header'; header: Header }
  /** `row`: the JSON object, never parsed here, since JavaScript's numbers are not Postgres'. */
  | { kind: 'row'; table: string; row: Buffer }
  | { kind: 'checkpoint'; checkpoint: Checkpoint; digest: string }
  | { kind: 'end'; totals: End; digest: string }
);

/**
 * The lines of an export, each checked before it is given out. A file is whole when its last one is of kind `end`.
 *
 * @throws BankhouseError `file_unreadable`, `not_an_export`, `export_version`; DamagedError
 */
export async function* readArchive(path: string): AsyncGenerator<Line> {
  const check = new Checker();
  let last = 0;
  for await (const { line, end, bytes, whole } of splitLines(path)) {
    last = line;
    if (!whole && (line > 1 || startsAsHeader(bytes))) {
      throw new DamagedError(line, 'the file ends in the middle of it; what follows is missing.', true);
    }
    if (line === 1) yield { kind: 'header', header: readHeader(path, bytes), line, end };
    else yield { ...check.line(line, bytes), line, end };
  }
  if (last === 0) throw new BankhouseError('not_an_export', `${path} is empty; it is no export of a bank.`);
  if (!check.ended) {
    throw new DamagedError(
      last,
      'the file ends behind it, without the last line of an export; the rest is missing.',
      true,
    );
  }
}

const CHUNK_BYTES = 1024 * 1024;
const ROW_START = Buffer.from('{"table":"');
const ROW_MIDDLE = Buffer.from('","row":');
const ROW_SEAL = /^,"sum":"([0-9a-f]{16})"\}$/;
const ROW_SEAL_BYTES = 26;
const LINE_SEAL = /^,"digest":"([0-9a-f]{64})"\}$/;
const LINE_SEAL_BYTES = 77;
const HEADER_START = Buffer.from(`{"format":"${FORMAT}",`);
const CLOSING = Buffer.from('}');

class Checker {
  ended = false;
  private readonly chain = new Chain();
  private rows = 0;
  private readonly counts = new Map<string, number>();

  line(line: number, bytes: Buffer) {
    if (this.ended) throw new DamagedError(line, 'the export ends before it, and this is more; leave it out.');
    return bytes.subarray(0, ROW_START.length).equals(ROW_START) ? this.row(line, bytes) : this.other(line, bytes);
  }

  private row(line: number, bytes: Buffer) {
    const { body, seal } = split(line, bytes, ROW_SEAL, ROW_SEAL_BYTES);
    this.chain.add(sha256(body));
    if (seal !== this.chain.short) throw altered(line);
    const middle = body.indexOf(ROW_MIDDLE);
    if (middle === -1) throw altered(line);
    const table = body.toString('utf8', ROW_START.length, middle);
    this.rows++;
    this.counts.set(table, (this.counts.get(table) ?? 0) + 1);
    return { kind: 'row' as const, table, row: body.subarray(middle + ROW_MIDDLE.length, -1) };
  }

  private other(line: number, bytes: Buffer) {
    const { body, seal } = split(line, bytes, LINE_SEAL, LINE_SEAL_BYTES);
    this.chain.add(sha256(body));
    if (seal !== this.chain.full) throw altered(line);
    const parsed = z.union([checkpointSchema, endSchema]).safeParse(parse(body.toString()));
    if (!parsed.success) throw new DamagedError(line, 'it is neither a row nor a checkpoint nor the end of an export.');
    if ('checkpoint' in parsed.data) {
      const { checkpoint } = parsed.data;
      if (checkpoint.rows !== this.rows) throw new DamagedError(line, this.miscounted(checkpoint.rows));
      return { kind: 'checkpoint' as const, checkpoint, digest: seal };
    }
    const totals = parsed.data.end;
    const counted = Object.entries(totals.tables).every(([table, { rows }]) => rows === (this.counts.get(table) ?? 0));
    if (totals.rows !== this.rows || !counted) throw new DamagedError(line, this.miscounted(totals.rows));
    this.ended = true;
    return { kind: 'end' as const, totals, digest: seal };
  }

  private miscounted(said: number): string {
    return `it says that there are ${said} rows before it, and there are ${this.rows}, or of other tables.`;
  }
}

function split(line: number, bytes: Buffer, pattern: RegExp, size: number): { body: Buffer; seal: string } {
  const seal = pattern.exec(bytes.toString('latin1', Math.max(0, bytes.length - size)))?.[1];
  if (seal === undefined) throw new DamagedError(line, 'it does not end as a line of an export does.');
  return { body: Buffer.concat([bytes.subarray(0, -size), CLOSING]), seal };
}

function altered(line: number): DamagedError {
  return new DamagedError(
    line,
    'this is not what was exported here: it was altered or moved, or one before it is missing.',
  );
}

function readHeader(path: string, bytes: Buffer): Header {
  const json = parse(bytes.toString());
  const hint = bytes[0] === 0x1f && bytes[1] === 0x8b ? ' It is compressed: unpack it first.' : '';
  if (json === undefined && startsAsHeader(bytes)) throw altered(1);
  const said = z.object({ format: z.literal(FORMAT), version: z.unknown() }).safeParse(json);
  if (!said.success) {
    throw new BankhouseError(
      'not_an_export',
      `${path} is no export of a bank: its first line must be {"format":"${FORMAT}",…}.${hint} Recordings of your own are loaded by "bankhouse load".`,
    );
  }
  if (said.data.version !== FORMAT_VERSION) {
    throw new BankhouseError(
      'export_version',
      `${path} is in version ${JSON.stringify(said.data.version)} of the format, and this bankhouse reads version ${FORMAT_VERSION}; use the bankhouse that wrote it, or a newer one.`,
    );
  }
  const { body, seal } = split(1, bytes, LINE_SEAL, LINE_SEAL_BYTES);
  const header = headerSchema.safeParse(json);
  if (sha256(body).toString('hex') !== seal || !header.success) throw altered(1);
  return header.data;
}

function startsAsHeader(bytes: Buffer): boolean {
  return bytes.subarray(0, HEADER_START.length).equals(HEADER_START);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

interface RawLine {
  line: number;
  /** Offset behind it. */
  end: number;
  bytes: Buffer;
  /** Whether a line feed ends it. */
  whole: boolean;
}

async function* splitLines(path: string): AsyncGenerator<RawLine> {
  let parts: Buffer[] = [];
  let held = 0;
  let line = 0;
  let end = 0;
  for await (const chunk of readChunks(path, CHUNK_BYTES)) {
    let from = 0;
    for (let to = chunk.indexOf(10); to !== -1; to = chunk.indexOf(10, from)) {
      parts.push(chunk.subarray(from, to));
      const bytes = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
      end += bytes.length + 1;
      yield { line: ++line, end, bytes, whole: true };
      parts = [];
      held = 0;
      from = to + 1;
    }
    if (from < chunk.length) parts.push(chunk.subarray(from));
    held += chunk.length - from;
    if (held > MAX_LINE_BYTES) throw new DamagedError(line + 1, 'it is longer than any line of an export.');
  }
  if (held > 0) yield { line: line + 1, end: end + held, bytes: Buffer.concat(parts), whole: false };
}
