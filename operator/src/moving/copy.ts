import { MoveError } from './errors.ts';
import type { Side } from './side.ts';

/** Which try moves which bank. */
export interface Try {
  id: string;
  uid: string;
  move: string;
}

/** So much is held in memory of what is on its way, but for a single row that is bigger. */
const CHUNK_BYTES = 2 * 1024 * 1024;
const FIRST_ROWS = 8;
const MOST_ROWS = 2_000;

/** Rows as of one snapshot of the source, and the oldest transaction that it may not have seen whole: where the next round begins. */
export interface Round {
  rows: number;
  horizon: string;
}

/**
 * Brings the rows of all tables that transactions from `since` on wrote, all rows without it, as one snapshot of the source has them. Each
 * table is one transaction at the target. What was deleted stays there; `matchKeys` sees to it.
 */
export async function copyRound(
  { source, target }: { source: Side; target: Side },
  { id, move }: Try,
  options: { tables: readonly string[]; since: string | undefined; onRows: (table: string, rows: number) => void },
): Promise<Round> {
  return await source.transaction('begin isolation level repeatable read read only', async () => {
    const [snapshot] = await source.rows<{ horizon: string }>(
      'select pg_snapshot_xmin(pg_current_snapshot())::text as horizon',
    );
    let rows = 0;
    for (const table of options.tables) {
      await source.call('admin.open_leaving_rows', [id, move, table, options.since ?? null]);
      await target.transaction('begin', async () => {
        for await (const chunk of chunks(source)) {
          await put(target, { id, move, table }, chunk);
          rows += chunk.length;
          options.onRows(table, chunk.length);
        }
      });
      await source.rows('close leaving_rows');
    }
    return { rows, horizon: snapshot?.horizon ?? '' };
  });
}

interface Leaving {
  value: string;
  hash: string;
}

async function* chunks(source: Side): AsyncGenerator<Leaving[]> {
  let count = FIRST_ROWS;
  for (;;) {
    const chunk = await source.rows<Leaving & Record<string, unknown>>(`fetch ${count} from leaving_rows`);
    if (chunk.length === 0) return;
    yield chunk;
    const bytes = chunk.reduce((sum, { value }) => sum + value.length, 0);
    const fitting = Math.floor((chunk.length * CHUNK_BYTES) / Math.max(bytes, 1));
    count = Math.max(1, Math.min(MOST_ROWS, 4 * count, fitting));
  }
}

async function put(
  target: Side,
  { id, move, table }: { id: string; move: string; table: string },
  chunk: readonly Leaving[],
): Promise<void> {
  const values = [id, move, table, chunk.map(({ value }) => value)];
  const stored = BigInt(await target.call<string>('admin.put_arriving_rows', values));
  const left = chunk.reduce((sum, { hash }) => sum + BigInt(hash), 0n);
  if (stored === left) return;
  throw new MoveError('move_unverified', `Rows of ${table} are not stored as they left; nothing was switched.`);
}
