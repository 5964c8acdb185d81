import { BANK_ID_PATTERN, TOKEN_MAX_TTL_SECONDS } from '@bankhouse/core';
import { z } from 'zod';
import { advanceEpoch, revokeToken } from '../database/revocations.ts';
import { ApiError } from '../errors.ts';
import { readOwnToken } from '../issuer/verify.ts';
import { authenticate } from './authenticate.ts';
import { failureSchemas, success } from './schemas.ts';
import type { App, Services } from './services.ts';
import { isoTime, requireBank } from './tokens.ts';

const revokeSchema = z
  .strictObject({
    jti: z.string().min(1).max(128).optional().meta({ description: "The token's number." }),
    token: z.string().min(1).max(8192).optional().meta({ description: 'Or the token itself, if it is ours.' }),
    expiresAt: z.iso
      .datetime('must be a time such as 2026-12-01T12:00:00Z')
      .optional()
      .meta({ description: "When a foreign issuer's token expires; ours never outlive 48 hours." }),
  })
  .refine((body) => (body.jti === undefined) !== (body.token === undefined), 'must have either jti or token');

const revokedSchema = z.object({ jti: z.string(), until: z.iso.datetime() });
const epochSchema = z.object({ bank: z.string(), notBefore: z.iso.datetime() });
const bankParamsSchema = z.object({ id: z.string().regex(BANK_ID_PATTERN, "must be a bank's id, such as acme") });
const security = [{ key: [] }];

export function revocationRoutes(app: App, services: Services): void {
  app.post(
    '/v1/tokens/revoke',
    {
      preValidation: async (request) => void (await authenticate(request, services, ['admin'])),
      schema: {
        summary: 'Revoke a token',
        description:
          'It is refused by every gateway within a second. Revoking again, or what was never made, is no error.',
        security,
        body: revokeSchema,
        response: { 200: success(revokedSchema), ...failureSchemas },
      },
    },
    async (request) => {
      const { jti, exp } = await tokenToRevoke(request.body, services);
      await revokeToken(services.database, jti, exp);
      request.log.info({ jti }, 'revoked a token');
      return { ok: true as const, data: { jti, until: isoTime(exp) } };
    },
  );

  app.post(
    '/v1/banks/:id/epoch',
    {
      preValidation: async (request) => void (await authenticate(request, services, ['admin'])),
      schema: {
        summary: 'Revoke all tokens of a bank that were issued until now',
        security,
        params: bankParamsSchema,
        response: { 200: success(epochSchema), ...failureSchemas },
      },
    },
    async (request) => {
      const bank = await requireBank(request.params.id, services, true);
      const notBefore = await advanceEpoch(services.database, bank.id);
      request.log.info({ bank: bank.id, notBefore }, 'revoked all tokens of a bank');
      return { ok: true as const, data: { bank: bank.id, notBefore: isoTime(notBefore) } };
    },
  );
}

async function tokenToRevoke(
  body: z.infer<typeof revokeSchema>,
  services: Services,
): Promise<{ jti: string; exp: number }> {
  if (body.token !== undefined) {
    const read = await readOwnToken(body.token, services.signer, services.frontDoor);
    if (read === undefined) {
      throw new ApiError(
        400,
        'token_foreign',
        'token is not a token that this platform signed; for one of another issuer send its jti and expiresAt.',
      );
    }
    return { jti: read.claims.jti, exp: read.claims.exp };
  }
  // Kept for as long as the longest-lived token of ours could still be valid.
  const exp = body.expiresAt === undefined ? services.now() + TOKEN_MAX_TTL_SECONDS : Date.parse(body.expiresAt) / 1000;
  return { jti: body.jti ?? '', exp: Math.ceil(exp) };
}
