/** Latencies of a closed loop: so many clients, each sending its next call when the last one is answered. */

export interface Latencies {
  count: number;
  errors: number;
  perSecond: number;
  p50: number;
  p95: number;
  p99: number;
}

/** Quantile of sorted numbers by nearest rank. */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN;
}

/** Sums up latencies in milliseconds that were taken within `elapsedMs`. */
export function summarize(samples: readonly number[], errors: number, elapsedMs: number): Latencies {
  const sorted = [...samples].sort((a, b) => a - b);
  return {
    count: sorted.length,
    errors,
    perSecond: (sorted.length / elapsedMs) * 1000,
    p50: quantile(sorted, 0.5),
    p95: quantile(sorted, 0.95),
    p99: quantile(sorted, 0.99),
  };
}

/**
 * Runs `call` in `clients` loops for `warmUpMs`, whose figures are thrown away, and then for `durationMs`. A call that throws
 * counts as an error, and its latency not at all.
 */
export async function load(
  call: (client: number, turn: number) => Promise<void>,
  options: { clients: number; warmUpMs: number; durationMs: number },
): Promise<Latencies> {
  const samples: number[] = [];
  let errors = 0;
  const start = performance.now();
  const measureFrom = start + options.warmUpMs;
  const end = measureFrom + options.durationMs;
  const loop = async (client: number) => {
    for (let turn = 0; performance.now() < end; turn++) {
      const began = performance.now();
      try {
        await call(client, turn);
        if (began >= measureFrom) samples.push(performance.now() - began);
      } catch {
        if (began >= measureFrom) errors++;
      }
    }
  };
  await Promise.all(Array.from({ length: options.clients }, (_, client) => loop(client)));
  return summarize(samples, errors, performance.now() - measureFrom);
}
