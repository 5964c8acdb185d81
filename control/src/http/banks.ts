import { BANK_ID_PATTERN, bankUrl, scopesOf } from '@bankhouse/core';
import { z } from 'zod';
import { type BankEntry, listBanks } from '../database/directory.ts';
import { ApiError } from '../errors.ts';
import { authenticate, type Caller } from './authenticate.ts';
import { failureSchemas, success } from './schemas.ts';
import type { App, Services } from './services.ts';

const MAX_PAGE = 1000;

const bankSchema = z.object({
  id: z.string(),
  url: z.url(),
  name: z.string(),
  type: z.string(),
  vaults: z.array(z.object({ id: z.string(), displayName: z.string() })),
  role: z.enum(['admin', 'writer', 'reader']).meta({ description: 'What the caller may do there.' }),
});

const querySchema = z.strictObject({
  limit: z.coerce
    .number('must be a number')
    .int('must be a whole number')
    .min(1, 'must be at least 1')
    .max(MAX_PAGE, `must be at most ${MAX_PAGE}`)
    .default(100),
  after: z.string().regex(BANK_ID_PATTERN, "must be a bank's id, as nextAfter of the page before").optional(),
});

const pageSchema = z.object({
  banks: z.array(bankSchema),
  nextAfter: z
    .string()
    .nullable()
    .meta({ description: 'Send it as `after` for the next page; null: this is the last.' }),
});

/** @param callers who may ask at this door */
export function bankRoutes(app: App, services: Services, callers: readonly ('admin' | 'token')[]): void {
  app.get(
    '/v1/banks',
    {
      schema: {
        summary: 'The banks that the caller may use (R1.7)',
        description: "The admin key sees all; a bank's token sees that bank, with the vaults it is limited to.",
        security: [{ key: [] }],
        querystring: querySchema,
        response: { 200: success(pageSchema), ...failureSchemas },
      },
    },
    async (request) => {
      const caller = await authenticate(request, services, callers);
      if (caller.kind === 'token') {
        const data = { banks: [ownBank(caller, services.frontDoor)], nextAfter: null };
        return { ok: true as const, data };
      }
      const { limit, after } = request.query;
      const found = await listBanks(services.database, { after: after ?? '', limit: limit + 1 });
      const banks = found.slice(0, limit).map((bank) => present(bank, services.frontDoor, 'admin'));
      const nextAfter = found.length > limit ? (banks.at(-1)?.id ?? null) : null;
      return { ok: true as const, data: { banks, nextAfter } };
    },
  );
}

/** @throws ApiError 403 for a token of the verifier, which opens no data */
function ownBank({ claims, bank }: Extract<Caller, { kind: 'token' }>, frontDoor: string): z.infer<typeof bankSchema> {
  const scopes = scopesOf(claims);
  const role = scopes.includes('mcp:write') ? 'writer' : scopes.includes('mcp:read') ? 'reader' : undefined;
  if (role === undefined)
    throw new ApiError(403, 'forbidden', 'This needs a token with the scope mcp:read or mcp:write.');
  const visible = bank.vaults.filter(({ id }) => claims.vault_ids?.includes(id) ?? true);
  return present({ ...bank, vaults: visible }, frontDoor, role);
}

function present(bank: BankEntry, frontDoor: string, role: 'admin' | 'writer' | 'reader'): z.infer<typeof bankSchema> {
  return {
    id: bank.id,
    url: bankUrl(frontDoor, bank.id),
    name: bank.displayName,
    type: bank.type,
    vaults: bank.vaults.map(({ id, displayName }) => ({ id, displayName })),
    role,
  };
}
