import { type Logger, messageOf } from '@bankhouse/core';
import { type CryptoKey, createLocalJWKSet, errors, type JSONWebKeySet, type JWSHeaderParameters } from 'jose';
import { z } from 'zod';
import { TokenError, UndecidedError } from './token-error.ts';

const REFRESH_MS = 5 * 60_000;
/** After a load, an unknown `kid` asks the issuer again only when so much time has passed. */
const COOLDOWN_MS = 10_000;
/** An issuer publishes a key before it signs with it; so far its clock and caches may be behind. */
const PUBLISHED_BEFORE_MS = 60_000;
/** Keys that were published and are no more: so many are remembered. */
const MAX_WITHDRAWN = 1_000;
const RETRY_MS = 2_000;
const TIMEOUT_MS = 5_000;
const MAX_BYTES = 256 * 1024;
const MAX_KEYS = 100;

const jwksSchema = z.object({
  keys: z.array(z.looseObject({ kty: z.string(), kid: z.string().optional() })).max(MAX_KEYS),
});

/**
 * An issuer's public keys (RFC 7517). Loaded at `start` and every 5 minutes; an unknown `kid` loads them at once, but not
 * within 10 seconds of the last load. A load that fails, or finds no key that can be used, leaves the keys as they were: an issuer may be
 * away, or be served by something that knows no keys yet.
 *
 * | a `kid` that is not there                                 | answer                                      |
 * |-----------------------------------------------------------|---------------------------------------------|
 * | 10 s after the last load                                  | load, then refuse                           |
 * | within 10 s; withdrawn, or the token is older than that load by a minute | refuse: it is none of the issuer's |
 * | within 10 s otherwise                                     | undecided: it may be a new key              |
 */
export class KeySet {
  private readonly url: string;
  private readonly logger: Logger;
  private readonly now: () => number;
  private find: ReturnType<typeof createLocalJWKSet> | undefined;
  private kids: ReadonlySet<string> = new Set();
  private readonly withdrawn = new Set<string>();
  private triedAt = Number.NEGATIVE_INFINITY;
  private loading: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private readonly stopping = new AbortController();

  /** @param options.now milliseconds, monotonic */
  constructor(options: { url: string; logger: Logger; now?: () => number }) {
    this.url = options.url;
    this.logger = options.logger;
    this.now = options.now ?? (() => performance.now());
  }

  get isLoaded(): boolean {
    return this.find !== undefined;
  }

  /** Whether the issuer still publishes this key: a token verified earlier is good only so long. */
  has(kid: string): boolean {
    return this.kids.has(kid);
  }

  /** Loads once and keeps loading; resolves after the first attempt, whether or not it succeeded. */
  async start(): Promise<void> {
    await this.load();
    this.schedule();
  }

  stop(): void {
    this.stopping.abort();
    clearTimeout(this.timer);
  }

  /**
   * The key for a token's header: `kid`, `alg`, `use` and `key_ops` must fit (jose).
   *
   * @param tokenAge seconds since the token was issued, by its own word
   * @throws TokenError token_key; UndecidedError when no keys were ever loaded, or this one may be new
   */
  async get(header: JWSHeaderParameters & { kid: string }, tokenAge: number): Promise<CryptoKey> {
    const { kid } = header;
    if (!this.kids.has(kid)) {
      const sinceLoad = this.now() - this.triedAt;
      if (this.loading !== undefined) await this.loading;
      else if (sinceLoad >= COOLDOWN_MS) await this.load();
      else if (
        this.find !== undefined &&
        !this.withdrawn.has(kid) &&
        tokenAge * 1000 < sinceLoad + PUBLISHED_BEFORE_MS
      ) {
        throw new UndecidedError('issuer_keys_stale', { retryAfter: Math.ceil((COOLDOWN_MS - sinceLoad) / 1000) });
      }
    }
    if (this.find === undefined) throw new UndecidedError('issuer_unreachable');
    if (!this.kids.has(kid)) throw new TokenError('token_key');
    try {
      return await this.find(header);
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof TypeError || error instanceof DOMException) {
        throw new TokenError('token_key', { cause: error });
      }
      throw error;
    }
  }

  private load(): Promise<void> {
    this.loading ??= this.fetchKeys().finally(() => {
      this.loading = undefined;
    });
    return this.loading;
  }

  private async fetchKeys(): Promise<void> {
    this.triedAt = this.now();
    try {
      const answer = await fetch(this.url, {
        headers: { accept: 'application/jwk-set+json, application/json' },
        redirect: 'error',
        signal: AbortSignal.any([this.stopping.signal, AbortSignal.timeout(TIMEOUT_MS)]),
      });
      if (answer.status !== 200) throw new Error(`HTTP ${answer.status}`);
      const { keys } = jwksSchema.parse(JSON.parse(await readBounded(answer)));
      // A symmetric key in a published set is a mistake, and would be one that everybody can sign with.
      const usable = keys.filter((key) => key.kty !== 'oct' && key.kid !== undefined);
      if (usable.length === 0 && this.kids.size > 0) throw new Error('the key set has no key that can be used');
      this.find = createLocalJWKSet({ keys: usable } as JSONWebKeySet);
      this.replaceKids(new Set(usable.map((key) => key.kid ?? '')));
      this.logger.debug({ url: this.url, keys: usable.length }, 'issuer keys loaded');
    } catch (error) {
      if (!this.stopping.signal.aborted) {
        this.logger.warn({ url: this.url, reason: messageOf(error), cause: causeOf(error) }, 'issuer keys not loaded');
      }
    }
  }

  private replaceKids(kids: ReadonlySet<string>): void {
    for (const kid of this.kids) if (!kids.has(kid)) this.withdrawn.add(kid);
    for (const kid of kids) this.withdrawn.delete(kid);
    for (const oldest of this.withdrawn) {
      if (this.withdrawn.size <= MAX_WITHDRAWN) break;
      this.withdrawn.delete(oldest);
    }
    this.kids = kids;
  }

  private schedule(): void {
    if (this.stopping.signal.aborted) return;
    this.timer = setTimeout(() => this.load().then(() => this.schedule()), this.isLoaded ? REFRESH_MS : RETRY_MS);
  }
}

async function readBounded(answer: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of answer.body ?? []) {
    bytes += part.length;
    if (bytes > MAX_BYTES) throw new Error(`the key set is longer than ${MAX_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function causeOf(error: unknown): string | undefined {
  return error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : undefined;
}
