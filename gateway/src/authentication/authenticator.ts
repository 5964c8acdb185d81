import { hash } from 'node:crypto';
import {
  type Grant,
  type Logger,
  type Resource,
  type Scope,
  scopesOf,
  TOKEN_MAX_TTL_SECONDS,
  type TokenClaims,
  tokenClaimsSchema,
} from '@bankhouse/core';
import { compactVerify, decodeJwt, decodeProtectedHeader, errors, type ProtectedHeaderParameters } from 'jose';
import type { IssuerConfig } from '../config.ts';
import type { Revocations } from '../revocation/revocations.ts';
import { KeySet } from './key-set.ts';
import { TokenError, UndecidedError } from './token-error.ts';
import { VerifiedCache } from './verified-cache.ts';

/** Clocks may differ by so many seconds: for `exp`, `nbf` and `iat`. */
export const CLOCK_LEEWAY_SECONDS = 5;
export const TOKEN_MAX_BYTES = 8192;
const CACHE_LIMIT = 20_000;
const REFUSED_HEADER_PARAMETERS = ['crit', 'jwk', 'jku', 'x5u', 'x5c', 'b64', 'zip'] as const;

/** Who calls, once every check has been passed. */
export interface Caller extends Grant {
  readonly claims: TokenClaims;
  /** Scopes of ours that were granted; others mean nothing here. */
  readonly scopes: readonly Scope[];
}

/** Namespace of the bank that has this id now; undefined: none has. */
export type NamespaceOf = (bank: string) => string | undefined;

/** What a signature check established; it holds for any bank, so the audience is compared on every call. */
interface Verified extends Caller {
  readonly issuer: Issuer;
  readonly kid: string;
}

interface Issuer {
  readonly config: IssuerConfig;
  readonly types: ReadonlySet<string>;
  /** `<namespace>/<id>` and `<namespace>/*` that it is trusted for; undefined: all. */
  readonly banks: ReadonlySet<string> | undefined;
  readonly keys: KeySet;
}

/**
 * Tokens of the trusted issuers (RFC 9068, RFC 8725). A token's signature is checked once; audience, times, revocation, whether the
 * issuer is trusted for the bank and still publishes the key are checked on every call, and again while it is open.
 */
export class Authenticator {
  private readonly frontDoor: string;
  private readonly issuers: ReadonlyMap<string, Issuer>;
  private readonly revocations: Revocations;
  private readonly namespaceOf: NamespaceOf;
  private readonly now: () => number;
  private readonly cache = new VerifiedCache<Verified>(CACHE_LIMIT);

  /** @param options.now seconds since 1970; `elapsed` milliseconds, monotonic */
  constructor(options: {
    frontDoor: string;
    issuers: readonly IssuerConfig[];
    revocations: Revocations;
    namespaceOf: NamespaceOf;
    logger: Logger;
    now?: () => number;
    elapsed?: () => number;
  }) {
    const elapsed = options.elapsed ?? (() => performance.now());
    this.frontDoor = options.frontDoor;
    this.revocations = options.revocations;
    this.namespaceOf = options.namespaceOf;
    this.now = options.now ?? (() => Date.now() / 1000);
    this.issuers = new Map(
      options.issuers.map((config) => [
        config.issuer,
        {
          config,
          types: new Set(config.types.map(mediaType)),
          banks: config.banks === undefined ? undefined : new Set(config.banks),
          keys: new KeySet({ url: config.jwksUrl, logger: options.logger, now: elapsed }),
        },
      ]),
    );
  }

  /** Our own issuer's keys are there; without it, any issuer's. A foreign issuer that is away keeps nobody else out. */
  get isReady(): boolean {
    const own = this.issuers.get(this.frontDoor);
    return own === undefined ? [...this.issuers.values()].some(({ keys }) => keys.isLoaded) : own.keys.isLoaded;
  }

  async start(): Promise<void> {
    await Promise.all([...this.issuers.values()].map(({ keys }) => keys.start()));
  }

  stop(): void {
    for (const { keys } of this.issuers.values()) keys.stop();
  }

  /**
   * @param authorization the one Authorization header
   * @param resource that the request's path names
   * @throws TokenError (401), UndecidedError (503)
   */
  async authenticate(authorization: string | undefined, resource: Resource): Promise<Caller> {
    const token = bearerToken(authorization);
    const digest = hash('sha256', token, 'base64');
    let verified = this.cache.get(digest);
    if (verified !== undefined && !verified.issuer.keys.has(verified.kid)) {
      this.cache.delete(digest);
      verified = undefined;
    }
    if (verified === undefined) {
      verified = await this.verify(token);
      this.cache.set(digest, verified);
    }
    if (!isOnlyAudience(verified.claims.aud, resource.audience)) throw new TokenError('token_audience');
    this.confirm(verified, resource.bank);
    return verified;
  }

  /**
   * The checks whose result changes with time; also asked for calls that are still open.
   *
   * @param caller as `authenticate` answered it
   * @throws as `authenticate`
   */
  confirm(caller: Caller, bank: string): void {
    const { claims, issuer, kid } = caller as Verified;
    const now = this.now();
    if (!issuer.keys.has(kid)) throw new TokenError('token_key');
    if (!this.isTrustedFor(issuer, bank)) throw new TokenError('token_issuer');
    if (claims.exp + CLOCK_LEEWAY_SECONDS <= now) throw new TokenError('token_expired');
    if (Math.max(claims.nbf ?? 0, claims.iat) - CLOCK_LEEWAY_SECONDS > now) throw new TokenError('token_not_yet_valid');
    if (this.revocations.isRevoked(claims, bank)) throw new TokenError('token_revoked');
    if (!this.revocations.isFresh) throw new UndecidedError('revocation_unknown');
  }

  /** Of a bank that is not there nobody knows the namespace: the same refusal as for one that is somebody else's. */
  private isTrustedFor({ banks }: Issuer, bank: string): boolean {
    if (banks === undefined) return true;
    const namespace = this.namespaceOf(bank);
    return namespace !== undefined && (banks.has(`${namespace}/${bank}`) || banks.has(`${namespace}/*`));
  }

  private async verify(token: string): Promise<Verified> {
    const { header, issuer, issuedAt } = this.inspect(token);
    const { config, keys } = issuer;
    const key = await keys.get(header, this.now() - issuedAt);
    let payload: unknown;
    try {
      const result = await compactVerify(token, key, { algorithms: [...config.algorithms] });
      payload = JSON.parse(Buffer.from(result.payload).toString('utf8'));
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed)
        throw new TokenError('token_signature', { cause: error });
      if (error instanceof errors.JOSEAlgNotAllowed) throw new TokenError('token_algorithm', { cause: error });
      if (error instanceof TypeError) throw new TokenError('token_key', { cause: error });
      throw new TokenError('token_malformed', { cause: error });
    }
    const claims = readClaims(payload);
    // What was verified is what was inspected: the same bytes, and an issuer that was looked up by exact comparison.
    if (claims.iss !== config.issuer) throw new TokenError('token_issuer');
    if (claims.exp - claims.iat > TOKEN_MAX_TTL_SECONDS) throw new TokenError('token_lifetime');
    const granted = new Set<string>(scopesOf(claims));
    return {
      claims,
      scopes: config.scopes.filter((scope) => granted.has(scope)),
      vaults: claims.vault_ids ?? (config.vaults === 'all' ? null : []),
      issuer,
      kid: header.kid,
    };
  }

  /** Everything that can be refused before a key is touched. */
  private inspect(token: string): {
    header: ProtectedHeaderParameters & { alg: string; kid: string };
    issuer: Issuer;
    issuedAt: number;
  } {
    let header: ProtectedHeaderParameters;
    let iss: unknown;
    let iat: unknown;
    try {
      header = decodeProtectedHeader(token);
      ({ iss, iat } = decodeJwt(token));
    } catch (error) {
      throw new TokenError('token_malformed', { cause: error });
    }
    if (REFUSED_HEADER_PARAMETERS.some((name) => Object.hasOwn(header, name))) throw new TokenError('token_header');
    const issuer = typeof iss === 'string' ? this.issuers.get(iss) : undefined;
    if (issuer === undefined) throw new TokenError('token_issuer');
    if (typeof header.typ !== 'string' || !issuer.types.has(mediaType(header.typ))) throw new TokenError('token_type');
    const { alg, kid } = header;
    if (!issuer.config.algorithms.some((allowed) => allowed === alg)) throw new TokenError('token_algorithm');
    if (typeof alg !== 'string' || typeof kid !== 'string' || kid === '' || kid.length > 256) {
      throw new TokenError('token_key');
    }
    return { header: { ...header, alg, kid }, issuer, issuedAt: typeof iat === 'number' ? iat : 0 };
  }
}

/** The credentials of RFC 6750 section 2.1, as a compact JWS. @throws TokenError */
function bearerToken(authorization: string | undefined): string {
  if (authorization === undefined || authorization === '') throw new TokenError('token_absent');
  if (authorization.length > TOKEN_MAX_BYTES + 'Bearer '.length) throw new TokenError('token_too_long');
  const match = /^Bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/i.exec(authorization);
  if (match?.[1] === undefined) throw new TokenError('token_malformed');
  return match[1];
}

/** A token that names another resource besides is good there too, and whoever runs that one could use it here (RFC 9068 section 5). */
function isOnlyAudience(audience: TokenClaims['aud'], url: string): boolean {
  return typeof audience === 'string' ? audience === url : audience.length === 1 && audience[0] === url;
}

/** `typ` values compare without case, and `application/` may be left out (RFC 7515 section 4.1.9). */
function mediaType(value: string): string {
  return value.toLowerCase().replace(/^application\//, '');
}

/** Providers that don't follow RFC 9068 name the client `azp`. */
function readClaims(payload: unknown): TokenClaims {
  const input: unknown =
    typeof payload === 'object' && payload !== null && 'azp' in payload
      ? { client_id: payload.azp, ...payload }
      : payload;
  const result = tokenClaimsSchema.safeParse(input);
  if (!result.success) throw new TokenError('token_claims', { cause: result.error });
  return result.data;
}
