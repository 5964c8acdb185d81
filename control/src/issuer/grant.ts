import {
  BANK_ID_PATTERN,
  bankUrl,
  SCOPES,
  TOKEN_DEFAULT_TTL_SECONDS,
  TOKEN_MAX_TTL_SECONDS,
  type TokenClaims,
  VAULT_ID_PATTERN,
} from '@bankhouse/core';
import { z } from 'zod';
import type { BankEntry } from '../database/directory.ts';
import { ApiError } from '../errors.ts';

export const TOKEN_MIN_TTL_SECONDS = 60;
/** The verifier's tokens live at most so long, in seconds: one handshake takes less than one. */
export const VERIFIER_MAX_TTL_SECONDS = 300;
const VERIFY_SCOPE = 'mcp:verify';
const DEFAULT_SCOPE = 'mcp:read mcp:write';
const HOURS = TOKEN_MAX_TTL_SECONDS / 3600;

export const tokenRequestSchema = z.strictObject({
  bank: z
    .string()
    .regex(BANK_ID_PATTERN, "must be a bank's id, such as acme")
    .meta({ description: "The bank's id.", example: 'acme' }),
  vaults: z
    .array(z.string().regex(VAULT_ID_PATTERN, "must be a vault's id, such as sales"))
    .max(100, 'must name at most 100 vaults')
    .refine((ids) => new Set(ids).size === ids.length, 'must name each vault once')
    .optional()
    .meta({ description: 'Vaults that the token is limited to. Absent: every vault; empty: none.' }),
  scope: z
    .string()
    .max(1024)
    .refine((text) => splitScope(text).length > 0, `must name at least one of ${SCOPES.join(', ')}`)
    .superRefine((text, context) => {
      const unknown = splitScope(text).filter((scope) => !(SCOPES as readonly string[]).includes(scope));
      if (unknown.length > 0) {
        context.addIssue({
          code: 'custom',
          message: `names ${unknown.map((scope) => `"${scope}"`).join(', ')}; the scopes are ${SCOPES.join(', ')}`,
        });
      }
    })
    .optional()
    .meta({ description: `Scopes with a space between them; default "${DEFAULT_SCOPE}".`, example: 'mcp:read' }),
  ttlSeconds: z
    .int('must be a whole number of seconds')
    .min(TOKEN_MIN_TTL_SECONDS, `must be at least ${TOKEN_MIN_TTL_SECONDS} seconds`)
    .max(TOKEN_MAX_TTL_SECONDS, `must be at most ${TOKEN_MAX_TTL_SECONDS} seconds (${HOURS} hours)`)
    .optional()
    .meta({ description: `Life of the token in seconds; default ${TOKEN_DEFAULT_TTL_SECONDS} (24 hours).` }),
  subject: z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, 'must have 1 to 255 printable ASCII characters without spaces')
    .optional()
    .meta({ description: 'Whom the token stands for (sub); it appears in logs.', example: 'alice@example.com' }),
});

export type TokenRequest = z.infer<typeof tokenRequestSchema>;

export type Minter = 'admin' | 'verifier';

/** What a token says, before it has a number: everything but `jti`. */
export type Grant = Omit<TokenClaims, 'jti'>;

function splitScope(text: string): string[] {
  return text.split(' ').filter((scope) => scope !== '');
}

/**
 * Decides what a requested token may say. The admin key gets what it asks for; the verifier key gets a handshake with one
 * bank, without any vault, for at most five minutes (docs/adr/0005).
 *
 * @param now seconds since 1970
 * @throws ApiError `vault_unknown` (404), `verifier_only` (403)
 */
export function decideGrant(
  request: TokenRequest,
  minter: Minter,
  bank: Pick<BankEntry, 'id' | 'vaults' | 'notBefore'>,
  options: { frontDoor: string; now: number },
): Grant {
  const wanted = minter === 'verifier' ? restrictToVerifier(request) : request;
  for (const vault of wanted.vaults ?? []) {
    if (bank.vaults.some(({ id }) => id === vault)) continue;
    const there = bank.vaults.map(({ id }) => id).join(', ');
    throw new ApiError(
      404,
      'vault_unknown',
      `The bank ${bank.id} has no vault "${vault}"; ${there === '' ? 'it has none' : `it has ${there}`}.`,
    );
  }
  // Right after a revocation of all tokens the bank's epoch is up to a second ahead; a token for it must not be older.
  const iat = Math.max(options.now, bank.notBefore ?? 0);
  return {
    iss: options.frontDoor,
    sub: wanted.subject ?? (minter === 'verifier' ? 'bankhouse-operator' : 'bankhouse-admin'),
    aud: bankUrl(options.frontDoor, bank.id),
    iat,
    exp: iat + (wanted.ttlSeconds ?? TOKEN_DEFAULT_TTL_SECONDS),
    client_id: minter === 'verifier' ? 'bankhouse-operator' : 'bankhouse-admin',
    scope: [...new Set(splitScope(wanted.scope ?? DEFAULT_SCOPE))].join(' '),
    ...(wanted.vaults === undefined ? {} : { vault_ids: wanted.vaults }),
  };
}

function restrictToVerifier(request: TokenRequest): TokenRequest {
  const ttlSeconds = request.ttlSeconds ?? VERIFIER_MAX_TTL_SECONDS;
  const scope = request.scope ?? VERIFY_SCOPE;
  if (
    splitScope(scope).some((one) => one !== VERIFY_SCOPE) ||
    (request.vaults ?? []).length > 0 ||
    ttlSeconds > VERIFIER_MAX_TTL_SECONDS ||
    request.subject !== undefined
  ) {
    throw new ApiError(
      403,
      'verifier_only',
      `The verifier key makes only tokens of scope ${VERIFY_SCOPE}, without vaults or subject, for at most ${VERIFIER_MAX_TTL_SECONDS} seconds; use the admin key for others.`,
    );
  }
  return { bank: request.bank, scope, ttlSeconds, vaults: [] };
}
