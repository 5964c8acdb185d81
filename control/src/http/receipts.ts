import { BANK_ID_PATTERN } from '@bankhouse/core';
import { z } from 'zod';
import { findReceipt, listReceipts } from '../database/receipts.ts';
import { ApiError } from '../errors.ts';
import { authenticate } from './authenticate.ts';
import { failureSchemas, success } from './schemas.ts';
import type { App, Services } from './services.ts';

const MAX_PAGE = 1000;

const receiptSchema = z.object({
  id: z.int(),
  bank: z.string(),
  uid: z.string().meta({ description: 'Of the Bank: another one of the same name has another.' }),
  owner: z.string().meta({ description: 'namespace/name of the Bank.' }),
  erasedAt: z.string().meta({ description: 'RFC 3339.' }),
  tables: z
    .record(z.string(), z.object({ rows: z.int(), keys: z.string() }))
    .meta({ description: 'Rows that were erased, and SHA-256 over their primary keys, as an export has it.' }),
});

const idSchema = z.coerce
  .number('must be the number of a receipt')
  .int('must be the number of a receipt')
  .min(1, 'must be the number of a receipt');

const querySchema = z.strictObject({
  bank: z.string().regex(BANK_ID_PATTERN, "must be a bank's id, such as acme").optional(),
  limit: z.coerce
    .number('must be a number')
    .int('must be a whole number')
    .min(1, 'must be at least 1')
    .max(MAX_PAGE, `must be at most ${MAX_PAGE}`)
    .default(100),
  before: idSchema.optional().meta({ description: 'nextBefore of the page before.' }),
});

const pageSchema = z.object({
  receipts: z.array(receiptSchema),
  nextBefore: z
    .int()
    .nullable()
    .meta({ description: 'Send it as `before` for the next page; null: this is the last.' }),
});

const signedSchema = z.object({
  receipt: receiptSchema,
  jws: z.string().meta({
    description:
      'The receipt, signed (RFC 7515) by the key of /oauth/jwks that is in force: payload {iss, iat, receipt}, typ bankhouse-receipt+jwt.',
  }),
});

const security = [{ key: [] }];

export function receiptRoutes(app: App, services: Services): void {
  app.get(
    '/v1/receipts',
    {
      preValidation: async (request) => void (await authenticate(request, services, ['admin'])),
      schema: {
        summary: 'What deletions of banks erased, the newest first',
        security,
        querystring: querySchema,
        response: { 200: success(pageSchema), ...failureSchemas },
      },
    },
    async (request) => {
      const { bank, before, limit } = request.query;
      const found = await listReceipts(services.database, { bank, before, limit: limit + 1 });
      const receipts = found.slice(0, limit);
      const nextBefore = found.length > limit ? (receipts.at(-1)?.id ?? null) : null;
      return { ok: true as const, data: { receipts, nextBefore } };
    },
  );

  app.get(
    '/v1/receipts/:id',
    {
      preValidation: async (request) => void (await authenticate(request, services, ['admin'])),
      schema: {
        summary: 'One receipt, signed, to hand to the tenant',
        security,
        params: z.object({ id: idSchema }),
        response: { 200: success(signedSchema), ...failureSchemas },
      },
    },
    async (request) => {
      const { id } = request.params;
      const receipt = await findReceipt(services.database, id);
      if (receipt === undefined) {
        throw new ApiError(404, 'receipt_unknown', `There is no receipt ${id}; GET /v1/receipts lists them.`);
      }
      const jws = await services.signer.signReceipt({ iss: services.frontDoor, iat: services.now(), receipt });
      return { ok: true as const, data: { receipt, jws } };
    },
  );
}
