import { createHash, timingSafeEqual } from 'node:crypto';
import type { Minter } from '../issuer/grant.ts';

/** Tells which of our keys a bearer credential is. Only digests are kept, and all are compared, whichever matches. */
export function createKeyCheck(keys: Readonly<Record<Minter, string>>): (credential: string) => Minter | undefined {
  const digests = (Object.entries(keys) as [Minter, string][]).map(([minter, key]) => [minter, digest(key)] as const);
  return (credential) => {
    const offered = digest(credential);
    let found: Minter | undefined;
    for (const [minter, expected] of digests) if (timingSafeEqual(offered, expected)) found = minter;
    return found;
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Wrong credentials per source: so many in a window are answered by 401, further ones by 429. */
export interface FailureLimit {
  /** @returns seconds to wait when this failure is one too many */
  add(source: string): number | undefined;
}

const MAX_SOURCES = 10_000;

/** @param now milliseconds, monotonic */
export function createFailureLimit(options: { max: number; windowMs: number; now: () => number }): FailureLimit {
  const sources = new Map<string, { count: number; until: number }>();
  return {
    add(source) {
      const now = options.now();
      let entry = sources.get(source);
      if (entry === undefined || entry.until <= now) {
        // The map is bounded: the source that was first seen goes when a new one comes.
        const oldest = sources.keys().next().value;
        if (sources.size >= MAX_SOURCES && oldest !== undefined) sources.delete(oldest);
        sources.delete(source);
        entry = { count: 0, until: now + options.windowMs };
        sources.set(source, entry);
      }
      entry.count += 1;
      return entry.count > options.max ? Math.ceil((entry.until - now) / 1000) : undefined;
    },
  };
}
