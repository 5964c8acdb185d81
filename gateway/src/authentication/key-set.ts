import { type Logger, messageOf } from '@bankhouse/core';
import { type CryptoKey, createLocalJWKSet, errors, type JSONWebKeySet, type JWSHeaderParameters } from 'jose';
import { z } from 'zod';
import { TokenError, UndecidedError } from './token-error.ts';

const REFRESH_MS = 5 * 60_000;
/** After a load, an unknown `kid` asks the issuer again only when so much time has passed. */
const COOLDOWN_MS = 10_000;
const RETRY_MS = 2_000;
const TIMEOUT_MS = 5_000;
const MAX_BYTES = 256 * 1024;
const MAX_KEYS = 100;

const jwksSchema = z.object({
  keys: z.array(z.looseObject({ kty: z.string(), kid: z.string().optional() })).max(MAX_KEYS),
});

/**
 * An issuer's public keys (RFC 7517). Loaded at `start` and every 5 minutes; an unknown `kid` loads them at once, but not
 * within 10 seconds of the last load. A load that fails leaves the keys as they were, so that an issuer may be away.
 */
export class KeySet {
  private readonly url: string;
  private readonly logger: Logger;
  private readonly now: () => number;
  private find: ReturnType<typeof createLocalJWKSet> | undefined;
  private kids: ReadonlySet<string> = new Set();
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
   * @throws TokenError token_key; UndecidedError when no keys were ever loaded
   */
  async get(header: JWSHeaderParameters & { kid: string }): Promise<CryptoKey> {
    if (!this.kids.has(header.kid) && this.now() - this.triedAt >= COOLDOWN_MS) await this.load();
    else if (this.loading !== undefined && !this.kids.has(header.kid)) await this.loading;
    if (this.find === undefined) throw new UndecidedError('issuer_unreachable');
    if (!this.kids.has(header.kid)) throw new TokenError('token_key');
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
      this.find = createLocalJWKSet({ keys: usable } as JSONWebKeySet);
      this.kids = new Set(usable.map((key) => key.kid ?? ''));
      this.logger.debug({ url: this.url, keys: usable.length }, 'issuer keys loaded');
    } catch (error) {
      if (!this.stopping.signal.aborted) {
        this.logger.warn({ url: this.url, reason: messageOf(error), cause: causeOf(error) }, 'issuer keys not loaded');
      }
    }
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
