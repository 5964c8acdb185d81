import { stat } from 'node:fs/promises';
import { BankhouseError } from '@bankhouse/core';
import { DamagedError, type End, type Header, readArchive } from '../archive/index.ts';
import type { Place } from './rows.ts';

/** How far an interrupted export had come. */
export interface Point {
  header: Header;
  /** The last one that is intact; none: from the beginning. */
  checkpoint?: {
    rows: number;
    place: Place;
    digest: string;
    /** In bytes, behind it. */
    offset: number;
  };
  /** Nothing is missing. */
  whole?: { totals: End; digest: string };
}

/**
 * Reads a file up to where it is as it was written; what a crash left behind that is of no use.
 *
 * @returns undefined when there is no such file, or not even a whole first line in it
 * @throws BankhouseError `wrong_file` for an export of another bank, and what readArchive throws about a first line
 */
export async function findPoint(path: string, bank: string): Promise<Point | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || found.size === 0) return undefined;
  let point: Point | undefined;
  try {
    for await (const line of readArchive(path)) {
      if (line.kind === 'header') {
        requireBankOf(line.header, path, bank);
        point = { header: line.header };
      } else if (line.kind === 'checkpoint' && point !== undefined) {
        const { rows, table, key } = line.checkpoint;
        point.checkpoint = { rows, place: { table, key }, digest: line.digest, offset: line.end };
      } else if (line.kind === 'end' && point !== undefined) {
        point.whole = { totals: line.totals, digest: line.digest };
      }
    }
  } catch (error) {
    if (!(error instanceof DamagedError)) throw error;
    if (point === undefined && !error.isCutOff) throw error;
    delete point?.whole;
  }
  return point;
}

function requireBankOf(header: Header, path: string, bank: string): void {
  if (header.bank === bank) return;
  throw new BankhouseError(
    'wrong_file',
    `${path} is an export of bank ${header.bank}, not of ${bank}; name another file.`,
  );
}
