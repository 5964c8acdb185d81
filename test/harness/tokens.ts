/** Good tokens, and such with something changed. */
import { bankUrl } from '@bankhouse/core';
import { CompactSign } from 'jose';

/** Who signs, and for what. */
export interface BadRequestContext {
  /** Origin of the front door, as in `iss` and `aud`. */
  readonly frontDoor: string;
  /** A bank that is there, and another one that is there too. */
  readonly bank: string;
  readonly otherBank: string;
  /** The trusted issuer and its ES256 key pair: what is signed with it is wrong in what it says alone. */
  readonly issuer: string;
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  /** Seconds since 1970. */
  readonly now: number;
}

/** Claims of a good token for the context's bank. */
export function goodClaims(context: Pick<BadRequestContext, 'frontDoor' | 'bank' | 'issuer' | 'now'>) {
  const { frontDoor, bank, issuer, now } = context;
  return {
    iss: issuer,
    sub: 'tester',
    aud: bankUrl(frontDoor, bank),
    iat: now,
    exp: now + 300,
    jti: crypto.randomUUID(),
    client_id: 'tests',
    scope: 'mcp:read',
  };
}

export function signToken(
  key: CryptoKey | Uint8Array,
  header: Record<string, unknown> & { alg: string },
  claims: unknown,
): Promise<string> {
  return new CompactSign(Buffer.from(JSON.stringify(claims))).setProtectedHeader(header).sign(key);
}

/** A good token with something changed; a change to `undefined` leaves the claim or parameter out. */
export async function changed(context: BadRequestContext, claims: object, header: object = {}): Promise<string> {
  const good = { alg: 'ES256', typ: 'at+jwt', kid: context.kid };
  return signToken(context.privateKey, { ...good, ...header }, { ...goodClaims(context), ...claims });
}
