export { ApiError, isApiError } from './api-error.ts';
export { type Clock, delay, exponential, jitteredBackoff, systemClock } from './clock.ts';
export { type KubeObject, keyOf, type ObjectMeta, type OwnerReference, splitKey } from './objects.ts';
export { createReflectorMetrics, type ReflectorMetrics } from './reflector/metrics.ts';
export { createReflector, type Reflector, type ReflectorOptions } from './reflector/reflector.ts';
export type { Notice } from './reflector/store.ts';
export {
  APPLY_PATCH_TYPE,
  createTransport,
  JSON_PATCH_TYPE,
  JSON_TYPE,
  MERGE_PATCH_TYPE,
  type Method,
  type Query,
  type RequestOptions,
  type StreamOptions,
  type Transport,
} from './transport.ts';
