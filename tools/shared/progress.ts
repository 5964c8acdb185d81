const FIRST_WORD_MS = 5_000;
const FURTHER_WORDS_MS = 10_000;
const WORTH_SAYING_MS = 1_000;

export interface Step {
  /** What exactly is being done now; shown with the next line. */
  detail: string;
}

/**
 * Does `work` and tells about it: after five seconds, and every ten from then on, what is being done and for how long; at the end
 * how long it took. What takes less than a second is not mentioned. Lines only, no cursor movements: it reads the same in a log.
 */
export async function step<T>(label: string, work: (step: Step) => Promise<T>): Promise<T> {
  const start = performance.now();
  const current: Step = { detail: '' };
  let next = FIRST_WORD_MS;
  const timer = setInterval(() => {
    const elapsed = performance.now() - start;
    if (elapsed < next) return;
    next += FURTHER_WORDS_MS;
    const detail = current.detail === '' ? '' : `: ${current.detail}`;
    say(`${label}, ${Math.round(elapsed / 1000)} s so far${detail} …`);
  }, 500);
  try {
    const result = await work(current);
    const elapsed = performance.now() - start;
    if (elapsed >= WORTH_SAYING_MS) say(`${label}: ${(elapsed / 1000).toFixed(1)} s`);
    return result;
  } finally {
    clearInterval(timer);
  }
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
