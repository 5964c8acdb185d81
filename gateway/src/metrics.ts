import { Counter, Gauge, Histogram, type Registry } from '@bankhouse/core';
import type { TokenReason } from './authentication/token-error.ts';
import type { Revocations } from './revocation/revocations.ts';

/** How a request ended: label of a metric and field of the log. */
export type Outcome =
  | 'answered'
  | 'metadata'
  | 'preflight'
  | 'path_refused'
  | 'method_refused'
  | 'origin_refused'
  | 'unauthorized'
  | 'forbidden'
  | 'bad_request'
  | 'too_large'
  | 'overloaded'
  | 'undecided'
  | 'no_endpoint'
  | 'upstream_failed'
  | 'upstream_broken'
  | 'client_gone'
  | 'cut'
  | 'slow_reader'
  | 'internal_error';

export interface GatewayMetrics {
  finished(outcome: Outcome): void;
  unauthorized(reason: TokenReason): void;
  /** From a request's arrival until it begins to be written to the bank server, in seconds. */
  added(seconds: number): void;
  /** From there until the answer's headers, in seconds. */
  upstream(seconds: number): void;
  retried(): void;
  /** An assertion was sealed for a pod with keys of this generation. */
  sealed(generation: number): void;
  /** An answer was thrown away since nothing proved that it is the bank's. */
  unproven(): void;
  /** A bank's pod was asked for its catalogue. */
  catalogueAsked(outcome: 'taken' | 'failed'): void;
}

export function createGatewayMetrics(
  registry: Registry,
  sources: {
    revocations: Revocations;
    openCalls: () => number;
    heldBytes: () => number;
    catalogues: { readonly size: number; readonly used: number };
  },
): GatewayMetrics {
  const registers = [registry];
  const requests = new Counter({
    name: 'bankhouse_gateway_requests_total',
    help: 'Requests by how they ended.',
    labelNames: ['outcome'] as const,
    registers,
  });
  const failures = new Counter({
    name: 'bankhouse_gateway_authentication_failures_total',
    help: 'Tokens refused, by reason.',
    labelNames: ['reason'] as const,
    registers,
  });
  const added = new Histogram({
    name: 'bankhouse_gateway_added_seconds',
    help: "From a call's arrival until it begins to be written to its bank server.",
    buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 5],
    registers,
  });
  const upstream = new Histogram({
    name: 'bankhouse_gateway_upstream_seconds',
    help: "From there until the headers of the bank server's answer.",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
    registers,
  });
  const retries = new Counter({
    name: 'bankhouse_gateway_upstream_retries_total',
    help: 'Addresses that did not take the connection, so that another attempt was made.',
    registers,
  });
  const seals = new Counter({
    name: 'bankhouse_gateway_seals_total',
    help: 'Assertions sealed for pods, by the generation of the root key. A rotation is through when only the new one counts.',
    labelNames: ['generation'] as const,
    registers,
  });
  const unproven = new Counter({
    name: 'bankhouse_gateway_unproven_answers_total',
    help: "Answers thrown away, since they came without the proof that they are the bank's, or with a wrong one.",
    registers,
  });
  const catalogueQuestions = new Counter({
    name: 'bankhouse_gateway_catalogue_questions_total',
    help: 'Questions to pods for the catalogue of their bank, since they said that it is another.',
    labelNames: ['outcome'] as const,
    registers,
  });
  new Gauge({
    name: 'bankhouse_gateway_catalogues',
    help: 'Catalogues of banks that are held; equal ones count once.',
    registers,
    collect() {
      this.set(sources.catalogues.size);
    },
  });
  new Gauge({
    name: 'bankhouse_gateway_catalogue_bytes',
    help: 'What they take, about.',
    registers,
    collect() {
      this.set(sources.catalogues.used);
    },
  });
  new Gauge({
    name: 'bankhouse_gateway_revocation_staleness_seconds',
    help: 'Since revocations were last known to be complete; -1 before the first time.',
    registers,
    collect() {
      const { stalenessMs } = sources.revocations;
      this.set(Number.isFinite(stalenessMs) ? stalenessMs / 1000 : -1);
    },
  });
  new Gauge({
    name: 'bankhouse_gateway_revocations',
    help: 'Revoked tokens and bank epochs known.',
    registers,
    collect() {
      this.set(sources.revocations.size);
    },
  });
  new Gauge({
    name: 'bankhouse_gateway_open_calls',
    help: 'Calls under way, streams among them.',
    registers,
    collect() {
      this.set(sources.openCalls());
    },
  });
  new Gauge({
    name: 'bankhouse_gateway_held_bytes',
    help: 'Bodies and waiting answers of calls under way, of MEMORY_BUDGET_BYTES.',
    registers,
    collect() {
      this.set(sources.heldBytes());
    },
  });
  return {
    finished: (outcome) => requests.inc({ outcome }),
    unauthorized: (reason) => failures.inc({ reason }),
    added: (seconds) => added.observe(seconds),
    upstream: (seconds) => upstream.observe(seconds),
    retried: () => retries.inc(),
    sealed: (generation) => seals.inc({ generation }),
    unproven: () => unproven.inc(),
    catalogueAsked: (outcome) => catalogueQuestions.inc({ outcome }),
  };
}
