import { Counter, Histogram, type Registry } from '@bankhouse/core';
import type { ControlMetrics } from './http/services.ts';

export function createMetrics(registry: Registry): ControlMetrics {
  return {
    duration: new Histogram({
      name: 'bankhouse_control_request_seconds',
      help: 'Duration of requests to the REST API, by method, route and status.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
      registers: [registry],
    }),
    minted: new Counter({
      name: 'bankhouse_control_tokens_minted_total',
      help: 'Tokens made, by key.',
      labelNames: ['by'],
      registers: [registry],
    }),
    refused: new Counter({
      name: 'bankhouse_control_refused_credentials_total',
      help: 'Requests with a wrong key or token.',
      registers: [registry],
    }),
  };
}
