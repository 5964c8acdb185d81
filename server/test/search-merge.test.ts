/** Pages of several ranked streams (R3.10). */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { mergeStreams } from '../src/toolsets/workspace/search/merge.ts';

interface Row {
  id: string;
  rank: number;
}

/** All pages, as the tool reads them: of each stream what a page can take and one more. */
function readAll(streams: readonly (readonly Row[])[], limit: number, keeps: (row: Row) => boolean): Row[] {
  const offsets = streams.map(() => 0);
  const read: Row[] = [];
  for (;;) {
    const { page, taken, more } = mergeStreams(
      streams.map((rows, at) => {
        const window = rows.slice(offsets[at], (offsets[at] ?? 0) + limit + 1);
        return { rows: window, more: window.length > limit };
      }),
      limit,
      keeps,
    );
    read.push(...page);
    taken.forEach((amount, at) => {
      offsets[at] = (offsets[at] ?? 0) + amount;
    });
    if (!more) return read;
    expect(taken.reduce((sum, amount) => sum + amount, 0)).toBeGreaterThan(0);
  }
}

const streams = fc
  .array(fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 30 }), { minLength: 1, maxLength: 6 })
  .map((ranks) => ranks.map((stream, at) => stream.map((rank, n): Row => ({ id: `${at}-${n}`, rank }))));

it('hold every row once and in one order, whatever their length is', () => {
  fc.assert(
    fc.property(
      streams,
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: -1, max: 5 }),
      (given, one, other, passedOver) => {
        const keeps = (row: Row) => row.rank !== passedOver;
        const read = readAll(given, one, keeps);
        expect(read).toEqual(readAll(given, other, keeps));
        expect(read.map(({ id }) => id).sort()).toEqual(
          given
            .flat()
            .filter(keeps)
            .map(({ id }) => id)
            .sort(),
        );
      },
    ),
  );
});

it('begin with the best of all', () => {
  const { page } = mergeStreams(
    [
      { rows: [{ rank: 2 }, { rank: 9 }], more: false },
      { rows: [{ rank: 5 }, { rank: 1 }], more: false },
    ],
    3,
  );
  expect(page.map(({ rank }) => rank)).toEqual([5, 2, 9]);
});
