import { BankhouseError } from '@bankhouse/core';
import { DamagedError, type End, type Header, readArchive } from '../archive/index.ts';

/** What a whole export says of itself. */
export interface Summary {
  header: Header;
  lines: number;
  totals: End;
  /** Rolling digest of the file. */
  digest: string;
}

/**
 * Reads a file from its first line to its last.
 *
 * @throws what readArchive throws: DamagedError names the first line that is wrong
 */
export async function checkArchive(path: string): Promise<Summary> {
  let header: Header | undefined;
  let summary: Summary | undefined;
  for await (const line of readArchive(path)) {
    if (line.kind === 'header') {
      header = line.header;
    } else if (line.kind === 'row' && !header?.tables.some(({ name }) => name === line.table)) {
      throw new DamagedError(line.line, `it is of table ${line.table}, which the first line does not name.`);
    } else if (line.kind === 'end' && header !== undefined) {
      summary = { header, lines: line.line, totals: line.totals, digest: line.digest };
    }
  }
  // Never, since readArchive refuses a file without an end.
  if (summary === undefined) throw new BankhouseError('export_damaged', `${path} has no end.`);
  return summary;
}
