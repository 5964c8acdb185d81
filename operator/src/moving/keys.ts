import type { Try } from './copy.ts';
import { MoveError } from './errors.ts';
import type { Side } from './side.ts';

type Part = { part: number; keys: string; hashes: string };

/**
 * Makes the target have the keys that the source has, and no others: what was deleted meanwhile goes. Resolves where both have the same; a
 * key that is only at the source is one that was not brought, which nothing here can mend.
 * @param tables in the order in which they are filled
 */
export async function matchKeys(
  sides: { source: Side; target: Side },
  attempt: Try,
  tables: readonly string[],
): Promise<{ keys: number; removed: number }> {
  let removed = 0;
  let keys = 0;
  // Those that refer to others first.
  for (const table of [...tables].reverse()) {
    const compared = await compare(sides, attempt, table);
    keys += compared.keys;
    if (compared.parts.length === 0) continue;
    removed += await removeOthers(sides, attempt, table, compared.parts);
    await expectSame(sides, attempt, table);
  }
  // With a row that others refer to, those go too: of rows that were brought again meanwhile, none may have.
  if (removed > 0) for (const table of tables) await expectSame(sides, attempt, table);
  return { keys, removed };
}

async function expectSame(sides: { source: Side; target: Side }, attempt: Try, table: string): Promise<void> {
  if ((await compare(sides, attempt, table)).parts.length === 0) return;
  const message = `The rows of ${table} that arrived are not those that left; nothing was switched.`;
  throw new MoveError('move_unverified', message);
}

async function compare(
  { source, target }: { source: Side; target: Side },
  { id, move }: Try,
  table: string,
): Promise<{ keys: number; parts: number[] }> {
  const [left, arrived] = await Promise.all([partsOf(source, id, move, table), partsOf(target, id, move, table)]);
  return { keys: left.reduce((sum, { keys }) => sum + Number(keys), 0), parts: partsThatDiffer(left, arrived) };
}

function partsOf(side: Side, id: string, move: string, table: string): Promise<Part[]> {
  return side.rows<Part>('select part, keys::text, hashes::text from admin.moving_keys($1, $2, $3)', [id, move, table]);
}

/** Pure. */
export function partsThatDiffer(left: readonly Part[], arrived: readonly Part[]): number[] {
  const digest = ({ keys, hashes }: Part) => `${keys} ${hashes}`;
  const there = new Map(arrived.map((part) => [part.part, digest(part)]));
  const other = left.filter((part) => there.get(part.part) !== digest(part)).map(({ part }) => part);
  const here = new Set(left.map(({ part }) => part));
  return [...other, ...arrived.map(({ part }) => part).filter((part) => !here.has(part))].sort((a, b) => a - b);
}

async function removeOthers(
  { source, target }: { source: Side; target: Side },
  { id, move }: Try,
  table: string,
  parts: readonly number[],
): Promise<number> {
  const keys = await source.rows<{ key: string }>('select key from admin.moving_keys_in($1, $2, $3, $4) key', [
    id,
    move,
    table,
    parts,
  ]);
  const values = [id, move, table, parts, keys.map(({ key }) => key)];
  return Number(await target.call<string>('admin.keep_arriving_keys', values));
}
