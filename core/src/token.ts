import { z } from 'zod';
import { VAULT_ID_PATTERN } from './bank-id.ts';

/** `typ` of our access tokens (RFC 9068 section 2.1). */
export const TOKEN_TYPE = 'at+jwt';

/** A vault-limited token lives at most this long, in seconds (R1.3). */
export const TOKEN_MAX_TTL_SECONDS = 48 * 3600;
export const TOKEN_DEFAULT_TTL_SECONDS = 24 * 3600;

/**
 * Claims of a bank's access token (RFC 9068 section 2.2): times in seconds since 1970, `aud` the bank's URL, `scope` a
 * space-separated list.
 */
export const tokenClaimsSchema = z.object({
  iss: z.string().min(1),
  sub: z.string().min(1).max(255),
  aud: z.union([z.string(), z.array(z.string())]),
  exp: z.number().int(),
  iat: z.number().int(),
  nbf: z.number().int().optional(),
  jti: z.string().min(1).max(128),
  client_id: z.string().min(1).max(255),
  scope: z.string().max(1024).default(''),
  /** Vaults that the token is limited to (R1.3). Absent: every vault of the bank. Empty: none. */
  vault_ids: z.array(z.string().regex(VAULT_ID_PATTERN)).max(100).optional(),
});

export type TokenClaims = Readonly<z.infer<typeof tokenClaimsSchema>>;

/** `scope` as a list (RFC 6749 section 3.3). */
export function scopesOf(claims: Pick<TokenClaims, 'scope'>): string[] {
  return claims.scope.split(' ').filter((scope) => scope !== '');
}
