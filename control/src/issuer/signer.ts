import { createPublicKey, type KeyObject } from 'node:crypto';
import { TOKEN_TYPE, type TokenClaims } from '@bankhouse/core';
import { calculateJwkThumbprint, exportJWK, type JWK, type JWTPayload, SignJWT } from 'jose';

export const SIGNING_ALGORITHM = 'ES256';

/** Signs access tokens (RFC 9068) and says by which public key they are checked. */
export interface Signer {
  readonly publicKey: KeyObject;
  /** A JWK Set (RFC 7517 section 5) of public keys. */
  readonly jwks: { keys: JWK[] };
  sign(claims: TokenClaims): Promise<string>;
}

/** @param privateKey EC P-256. Its `kid` is the RFC 7638 thumbprint, so that every replica names it alike. */
export async function createSigner(privateKey: KeyObject): Promise<Signer> {
  const publicKey = createPublicKey(privateKey);
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  return {
    publicKey,
    jwks: { keys: [{ ...jwk, kid, alg: SIGNING_ALGORITHM, use: 'sig' }] },
    sign: (claims) =>
      new SignJWT(claims as JWTPayload)
        .setProtectedHeader({ alg: SIGNING_ALGORITHM, typ: TOKEN_TYPE, kid })
        .sign(privateKey),
  };
}
