/** The ranked matches of one kind, best first within a block: what a page may take of it, and one more to know whether there is. */
export interface Stream<R> {
  readonly rows: readonly R[];
  /** Whether there may be more behind `rows`. */
  readonly more: boolean;
}

export interface Merged<R> {
  readonly page: readonly R[];
  /** How many of each stream are used up. */
  readonly taken: number[];
  readonly more: boolean;
}

/**
 * One page of several streams: the better of their heads, again and again. What comes next depends on the heads alone, so pages
 * of any length fit together and hold every match once, when the next page's streams begin behind what was taken.
 *
 * @param keeps false for a match that is passed over, and counts as taken
 */
export function mergeStreams<R extends { rank: number }>(
  streams: readonly Stream<R>[],
  limit: number,
  keeps: (row: R) => boolean = () => true,
): Merged<R> {
  const taken = streams.map(() => 0);
  const head = (at: number): R | undefined => streams[at]?.rows[taken[at] ?? 0];
  const page: R[] = [];
  while (page.length < limit) {
    // What is behind a stream's last known row could be better than all other heads.
    if (streams.some((stream, at) => stream.more && head(at) === undefined)) break;
    let best: { at: number; row: R } | undefined;
    for (const at of streams.keys()) {
      const row = head(at);
      if (row !== undefined && (best === undefined || row.rank > best.row.rank)) best = { at, row };
    }
    if (best === undefined) break;
    taken[best.at] = (taken[best.at] ?? 0) + 1;
    if (keeps(best.row)) page.push(best.row);
  }
  return { page, taken, more: streams.some((stream, at) => stream.more || head(at) !== undefined) };
}
