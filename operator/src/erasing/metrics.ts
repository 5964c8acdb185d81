import { Counter, Histogram, type Registry } from '@bankhouse/core';

export interface ErasingMetrics {
  erased(rows: number, seconds: number): void;
  failed(): void;
}

export function createErasingMetrics(registry: Registry): ErasingMetrics {
  const registers = [registry];
  const seconds = new Histogram({
    name: 'bankhouse_operator_erasure_seconds',
    help: 'Time that it took to erase the rows of a deleted bank.',
    buckets: [0.1, 1, 10, 60, 600, 3600],
    registers,
  });
  const rows = new Counter({
    name: 'bankhouse_operator_erased_rows_total',
    help: 'Rows erased of deleted banks.',
    registers,
  });
  const failures = new Counter({
    name: 'bankhouse_operator_erasure_failures_total',
    help: 'Tries to erase the rows of a deleted bank that failed.',
    registers,
  });
  return {
    erased(count, took) {
      rows.inc(count);
      seconds.observe(took);
    },
    failed: () => failures.inc(),
  };
}
