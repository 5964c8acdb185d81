import { BankhouseError } from './errors.ts';

/** Milliseconds of each unit that Go's `time.ParseDuration` knows. */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/**
 * A length of time as Go writes and reads it (`time.ParseDuration`, so `metav1.Duration` too): `168h`, `1h30m`, `500ms`,
 * `168h0m0s`. Without a sign, and with no more digits than keep any sum below Go's limit of 292 years. Go knows no days: they
 * are not always 24 hours.
 */
export const DURATION_PATTERN =
  /^([0-9]{1,5}(\.[0-9]{1,9})?h|[0-9]{1,7}(\.[0-9]{1,9})?m|[0-9]{1,9}(\.[0-9]{1,9})?(s|ms|us|µs|ns))+$/;
export const DURATION_MAX_LENGTH = 32;

/**
 * @returns milliseconds, rounded to a whole number
 * @throws BankhouseError `duration` when the text is none
 */
export function parseDuration(text: string): number {
  if (text.length > DURATION_MAX_LENGTH || !DURATION_PATTERN.test(text)) {
    throw new BankhouseError('duration', 'A duration must have a form such as 168h, 1h30m or 500ms.');
  }
  const parts = [...text.matchAll(/([0-9.]+)(ms|us|µs|ns|s|m|h)/g)];
  return Math.round(parts.reduce((sum, [, amount, unit = '']) => sum + Number(amount) * (UNITS[unit] ?? 0), 0));
}
