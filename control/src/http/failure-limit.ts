import { isIPv6 } from 'node:net';

/** An attempt that may be looked at; it counts as failed until it is said to be right. */
export interface Attempt {
  right(): void;
  wrong(): void;
}

/**
 * Wrong credentials, counted before they are looked at, so that a thousand at once are no more than one after the other (G10):
 *
 * | counted by         | means                                     | then                                                |
 * |--------------------|-------------------------------------------|-----------------------------------------------------|
 * | the credential     | a client that repeats what is refused     | it is told to wait; others at its address are not   |
 * | the client address | somebody who guesses                      | what was right lately goes on, all else has to wait |
 *
 * Requests through a proxy that is not known have no client address, and are counted by credential alone: otherwise one client would make all
 * that come the same way wait.
 */
export interface FailureLimit {
  /**
   * @param credential its digest as text
   * @param source the client's address; undefined: nobody can tell
   */
  begin(credential: string, source: string | undefined): Attempt | { waitSeconds: number };
}

const MAX_ENTRIES = 10_000;

/** @param options.now milliseconds, monotonic */
export function createFailureLimit(options: {
  maxByCredential: number;
  maxBySource: number;
  windowMs: number;
  now: () => number;
}): FailureLimit {
  const { windowMs, now } = options;
  const byCredential = new Counts(options.maxByCredential, windowMs);
  const bySource = new Counts(options.maxBySource, windowMs);
  /** Credentials that were right lately, and until when that counts. */
  const known = new Map<string, number>();
  return {
    begin(credential, source) {
      const at = now();
      const isKnown = (known.get(credential) ?? 0) > at;
      if (!isKnown) {
        const waits = [byCredential.add(credential, at), source === undefined ? 0 : bySource.add(source, at)];
        const waitSeconds = Math.max(...waits);
        if (waitSeconds > 0) return { waitSeconds };
      }
      return {
        right() {
          if (!isKnown) {
            byCredential.takeBack(credential);
            if (source !== undefined) bySource.takeBack(source);
          }
          known.delete(credential);
          forgetOldest(known);
          known.set(credential, now() + windowMs);
        },
        wrong: () => void known.delete(credential),
      };
    },
  };
}

class Counts {
  private readonly max: number;
  private readonly windowMs: number;
  private readonly entries = new Map<string, { count: number; until: number }>();

  constructor(max: number, windowMs: number) {
    this.max = max;
    this.windowMs = windowMs;
  }

  /** @returns seconds to wait when this is one too many, else 0 */
  add(key: string, at: number): number {
    let entry = this.entries.get(key);
    if (entry === undefined || entry.until <= at) {
      this.entries.delete(key);
      forgetOldest(this.entries);
      entry = { count: 0, until: at + this.windowMs };
      this.entries.set(key, entry);
    }
    entry.count += 1;
    return entry.count > this.max ? Math.ceil((entry.until - at) / 1000) : 0;
  }

  takeBack(key: string): void {
    const entry = this.entries.get(key);
    if (entry !== undefined && entry.count > 0) entry.count -= 1;
  }
}

/** Maps are bounded: what came first goes when a new one comes. */
function forgetOldest(entries: Map<string, unknown>): void {
  const oldest = entries.keys().next().value;
  if (entries.size >= MAX_ENTRIES && oldest !== undefined) entries.delete(oldest);
}

/**
 * What stands for a client: its IPv4 address, or the network of its IPv6 one, of which a single client has 2^64.
 *
 * @param ip as Fastify has it: the last address before the proxies that are trusted
 * @param isForwarded whether somebody speaks for others, and is not trusted to: then nobody can tell
 */
export function sourceOf(ip: string, isForwarded: boolean): string | undefined {
  if (isForwarded) return undefined;
  const address = ip.startsWith('::ffff:') && ip.includes('.') ? ip.slice(7) : ip.slice(0, 64);
  return isIPv6(address) ? networkOf(address) : address;
}

/** The first 64 bits of an IPv6 address, as four groups. */
function networkOf(address: string): string {
  const [head = '', tail] = address.split('::');
  const groups = head.split(':').filter((group) => group !== '');
  const after = (tail ?? '').split(':').filter((group) => group !== '');
  const filled =
    tail === undefined ? groups : [...groups, ...Array(8 - groups.length - after.length).fill('0'), ...after];
  return filled
    .slice(0, 4)
    .map((group: string) => Number.parseInt(group, 16).toString(16))
    .join(':');
}
