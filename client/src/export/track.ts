import { Chain, type End, isCheckpointDue, sha256, withMember } from '../archive/index.ts';
import type { ExportedRow, Place } from './rows.ts';

/** What a file has come to: its rolling digest, its rows, and when the next checkpoint is due. */
export class Track {
  rows = 0;
  readonly counts = new Map<string, number>();
  private readonly chain = new Chain();
  private since = { rows: 0, bytes: 0 };

  /** @returns the seal of the row's line */
  row({ table, hash, bytes }: ExportedRow): string {
    this.rows++;
    this.counts.set(table, (this.counts.get(table) ?? 0) + 1);
    this.since.rows++;
    this.since.bytes += bytes;
    this.chain.add(hash);
    return this.chain.short;
  }

  /** The line of a checkpoint, where one is due. */
  checkpoint({ table, key }: Place): string | undefined {
    if (!isCheckpointDue(this.since)) return undefined;
    this.since = { rows: 0, bytes: 0 };
    return this.seal({ checkpoint: { rows: this.rows, table, key } });
  }

  end(tables: End['tables']): string {
    return this.seal({ end: { rows: this.rows, tables } });
  }

  get digest(): string {
    return this.chain.full;
  }

  private seal(content: unknown): string {
    const body = JSON.stringify(content);
    this.chain.add(sha256(body));
    return withMember(body, 'digest', this.chain.full);
  }
}
