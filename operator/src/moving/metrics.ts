import { Counter, Histogram, type Registry } from '@bankhouse/core';

export interface MovingMetrics {
  /** @param refused how long writes were, in seconds */
  moved(rows: number, refused: number): void;
  failed(): void;
}

export function createMovingMetrics(registry: Registry): MovingMetrics {
  const registers = [registry];
  const refused = new Histogram({
    name: 'bankhouse_operator_move_refused_seconds',
    help: 'Time in which a bank took no writes while it was moved into another database.',
    buckets: [0.1, 0.25, 0.5, 1, 2, 5],
    registers,
  });
  const rows = new Counter({
    name: 'bankhouse_operator_moved_rows_total',
    help: 'Rows of banks that were moved into another database.',
    registers,
  });
  const failures = new Counter({
    name: 'bankhouse_operator_move_failures_total',
    help: 'Tries to move a bank into another database that failed.',
    registers,
  });
  return {
    moved(count, seconds) {
      rows.inc(count);
      refused.observe(seconds);
    },
    failed: () => failures.inc(),
  };
}
