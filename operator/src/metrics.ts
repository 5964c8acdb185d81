import { Counter, Gauge, Histogram, type Registry } from '@bankhouse/core';
import type { Transport, WorkQueue } from '@bankhouse/kube';

export interface OperatorMetrics {
  /** A pass over an object of the kind took so many seconds and ended so. */
  passed(kind: string, outcome: string, seconds: number): void;
  /** The transport, with its writes counted. */
  countWrites(transport: Transport): Transport;
  watchQueue(queue: WorkQueue): void;
}

export function createOperatorMetrics(registry: Registry): OperatorMetrics {
  const registers = [registry];
  const passes = new Histogram({
    name: 'bankhouse_operator_pass_seconds',
    help: 'Time of a pass over one object, by kind and outcome.',
    labelNames: ['kind', 'outcome'] as const,
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers,
  });
  const writes = new Counter({
    name: 'bankhouse_operator_writes_total',
    help: 'Requests to the API server that write, leases apart.',
    labelNames: ['method', 'resource'] as const,
    registers,
  });
  const counted = (transport: Transport): Transport => ({
    request(method, path, options) {
      if (method !== 'GET') writes.inc({ method, resource: resourceOf(path) });
      return transport.request(method, path, options);
    },
    stream: (path, options) => transport.stream(path, options),
    separate: () => transport.separate(),
    close: () => transport.close(),
  });
  return {
    passed: (kind, outcome, seconds) => passes.observe({ kind, outcome }, seconds),
    countWrites: counted,
    watchQueue(queue) {
      new Gauge({
        name: 'bankhouse_operator_queue_length',
        help: 'Keys that wait for a worker.',
        registers,
        collect() {
          this.set(queue.length);
        },
      });
    },
  };
}

/** `banks/status` of `/apis/bankhouse.dev/v1alpha1/namespaces/x/banks/y/status`: never a name, which would be a series each. */
export function resourceOf(path: string): string {
  const parts = path.split('/').filter((part) => part !== '');
  const rest = parts.slice(parts[0] === 'api' ? 2 : 3);
  const inNamespace = rest[0] === 'namespaces' && rest.length > 2;
  const [resource = '', , ...subresource] = inNamespace ? rest.slice(2) : rest;
  return [resource, ...subresource].join('/');
}
