import { z } from 'zod';

/** `{ok: true, data}` (R5.5). */
export function success<T extends z.ZodType>(data: T) {
  return z.object({ ok: z.literal(true), data });
}

const failureSchema = z.object({
  ok: z.literal(false),
  error: z.object({
    code: z.string().meta({ description: 'Stable, for programs.' }),
    message: z.string().meta({ description: 'For people: what is wrong and what to do.' }),
  }),
});

export const failureSchemas = { '4xx': failureSchema, '5xx': failureSchema };
