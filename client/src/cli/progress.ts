const EVERY_MS = 5000;

/** Tells every few seconds how far something is, and how fast. */
export function createTicker(say: (text: string) => void): (what: string, rows: number, total: number) => void {
  const began = performance.now();
  let told = began;
  let first: { what: string; rows: number; at: number } | undefined;
  return (what, rows, total) => {
    const now = performance.now();
    // What was there already was not made at this speed.
    if (first?.what !== what) first = { what, rows, at: now };
    if (now - told < EVERY_MS) return;
    told = now;
    const speed = Math.round(((rows - first.rows) * 1000) / Math.max(now - first.at, 1));
    say(`${what} ${rows} of ${total} rows (${speed}/s)`);
  };
}
