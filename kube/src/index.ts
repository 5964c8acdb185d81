export { ApiError, isApiError, retryAfterOf } from './api-error.ts';
export { type Clock, delay, exponential, jitteredBackoff, systemClock } from './clock.ts';
export { holdLease, LEASE_SECONDS, type LeaderElection, RENEW_SECONDS, RETRY_SECONDS } from './lease.ts';
export { type KubeObject, keyOf, type ObjectMeta, type OwnerReference, splitKey } from './objects.ts';
export { type Priority, type QueueOptions, WorkQueue } from './queue.ts';
export { createReflectorMetrics, type ReflectorMetrics } from './reflector/metrics.ts';
export { createReflector, type Reflector, type ReflectorOptions } from './reflector/reflector.ts';
export { createScopedReflector } from './reflector/scoped.ts';
export type { Notice } from './reflector/store.ts';
export {
  APPLY_PATCH_TYPE,
  createTransport,
  JSON_PATCH_TYPE,
  JSON_TYPE,
  MERGE_PATCH_TYPE,
  METADATA_ACCEPT,
  type Method,
  type Query,
  type RequestOptions,
  type StreamOptions,
  type Transport,
} from './transport.ts';
export { type Outcome, startWorkers, type Workers } from './workers.ts';
