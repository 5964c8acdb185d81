import { z } from 'zod';
import { type BankEntry, findBank, listBanks } from '../database/directory.ts';
import { ApiError } from '../errors.ts';
import { decideGrant, type Minter, tokenRequestSchema } from '../issuer/grant.ts';
import { authenticate } from './authenticate.ts';
import { failureSchemas, success } from './schemas.ts';
import type { App, Services } from './services.ts';

const NAMED_IN_A_SENTENCE = 20;

const mintedSchema = z.object({
  token: z.string().meta({ description: 'The access token, a JWT (RFC 9068).' }),
  jti: z.string().meta({ description: 'Its number, by which it can be revoked.' }),
  expiresAt: z.iso.datetime(),
  url: z.url().meta({ description: "The bank's MCP endpoint, which is also the token's audience." }),
  scope: z.string(),
  vaults: z.array(z.string()).nullable().meta({ description: 'null: every vault of the bank.' }),
});

const security = [{ key: [] }];

/** @param minters whose key is taken at this door */
export function mintRoute(app: App, services: Services, minters: readonly Minter[]): void {
  app.post(
    '/v1/tokens',
    {
      preValidation: async (request) => void (await authenticate(request, services, minters)),
      schema: {
        summary: 'Make a token for a bank',
        security,
        body: tokenRequestSchema,
        response: { 201: success(mintedSchema), ...failureSchemas },
      },
    },
    async (request, reply) => {
      const { kind } = await authenticate(request, services, minters);
      const bank = await requireBank(request.body.bank, services, kind === 'admin');
      const grant = decideGrant(request.body, kind, bank, { frontDoor: services.frontDoor, now: services.now() });
      const jti = services.newTokenId();
      const token = await services.signer.sign({ ...grant, jti });
      const vaults = grant.vault_ids ?? null;
      services.metrics.minted.inc({ by: kind });
      request.log[kind === 'admin' ? 'info' : 'debug'](
        { bank: bank.id, jti, sub: grant.sub, scope: grant.scope, vaults, exp: grant.exp, by: kind },
        'made a token',
      );
      const data = { token, jti, expiresAt: isoTime(grant.exp), url: String(grant.aud), scope: grant.scope, vaults };
      return reply.code(201).send({ ok: true, data });
    },
  );
}

/** @param tellOthers whether the caller may know which banks there are */
export async function requireBank(id: string, services: Services, tellOthers: boolean): Promise<BankEntry> {
  const bank = await findBank(services.database, id);
  if (bank !== undefined) return bank;
  if (!tellOthers) throw new ApiError(404, 'bank_unknown', `There is no bank "${id}".`);
  const others = await listBanks(services.database, { after: '', limit: NAMED_IN_A_SENTENCE + 1 });
  const names = others.slice(0, NAMED_IN_A_SENTENCE).map((one) => one.id);
  const more = others.length > names.length ? ' and more' : '';
  const there = names.length === 0 ? 'there is none yet' : `there are ${names.join(', ')}${more}`;
  throw new ApiError(404, 'bank_unknown', `There is no bank "${id}"; ${there}.`);
}

export function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}
