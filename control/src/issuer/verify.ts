import { bankUrl, parseBankTarget, TOKEN_TYPE, type TokenClaims, tokenClaimsSchema } from '@bankhouse/core';
import { compactVerify } from 'jose';
import { SIGNING_ALGORITHM, type Signer } from './signer.ts';

/**
 * The claims of a token that this issuer signed, and its bank; `undefined` for anything else. Neither expiry nor revocation is
 * judged here.
 */
export async function readOwnToken(
  token: string,
  signer: Signer,
  frontDoor: string,
): Promise<{ claims: TokenClaims; bank: string } | undefined> {
  try {
    const { payload, protectedHeader } = await compactVerify(token, signer.publicKey, {
      algorithms: [SIGNING_ALGORITHM],
    });
    if (protectedHeader.typ !== TOKEN_TYPE) return undefined;
    const claims = tokenClaimsSchema.parse(JSON.parse(new TextDecoder().decode(payload)));
    if (claims.iss !== frontDoor || typeof claims.aud !== 'string' || !claims.aud.startsWith(`${frontDoor}/`)) {
      return undefined;
    }
    const target = parseBankTarget(claims.aud.slice(frontDoor.length));
    return target !== undefined && bankUrl(frontDoor, target.id) === claims.aud
      ? { claims, bank: target.id }
      : undefined;
  } catch {
    return undefined;
  }
}
