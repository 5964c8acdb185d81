import { createPublicKey, type KeyObject } from 'node:crypto';
import { TOKEN_TYPE, type TokenClaims } from '@bankhouse/core';
import { calculateJwkThumbprint, exportJWK, type JWK, type JWTPayload, SignJWT } from 'jose';
import type { Receipt } from '../database/receipts.ts';

export const SIGNING_ALGORITHM = 'ES256';
/** `typ` of a signed receipt: nobody may take one for a token. */
export const RECEIPT_TYPE = 'bankhouse-receipt+jwt';

/** Signs access tokens (RFC 9068) and receipts, and says by which public key they are checked. */
export interface Signer {
  readonly publicKey: KeyObject;
  /** A JWK Set (RFC 7517 section 5) of public keys. */
  readonly jwks: { keys: JWK[] };
  sign(claims: TokenClaims): Promise<string>;
  /** Signs what a deletion erased; who has it can check it against the JWK Set for as long as the key is in there. */
  signReceipt(payload: { iss: string; iat: number; receipt: Receipt }): Promise<string>;
}

/** @param privateKey EC P-256. Its `kid` is the RFC 7638 thumbprint, so that every replica names it alike. */
export async function createSigner(privateKey: KeyObject): Promise<Signer> {
  const publicKey = createPublicKey(privateKey);
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  const signAs = (typ: string, payload: JWTPayload) =>
    new SignJWT(payload).setProtectedHeader({ alg: SIGNING_ALGORITHM, typ, kid }).sign(privateKey);
  return {
    publicKey,
    jwks: { keys: [{ ...jwk, kid, alg: SIGNING_ALGORITHM, use: 'sig' }] },
    sign: (claims) => signAs(TOKEN_TYPE, claims as JWTPayload),
    signReceipt: (payload) => signAs(RECEIPT_TYPE, payload),
  };
}
