import { z } from 'zod';
import type { EntityDefinition } from '../../../entities/index.ts';
import { ToolError } from '../../../mcp/tool-error.ts';
import { defineTool, type LocalTool } from '../../../mcp/toolset.ts';
import { type Created, createRow, type StoredReceipt, storedValues } from '../api.ts';
import { digestOf } from '../digest.ts';
import { writeRefused } from '../errors.ts';
import { noun, receiptShape, receiptText, toReceipt, toValue } from '../rows.ts';
import { creatable, type Values, wholeShape } from '../schemas.ts';
import { vaultForNew } from '../vaults.ts';

export const idempotencyKey = z
  .string()
  .min(1)
  .max(200)
  .refine((value) => /^[\x21-\x7e]+$/.test(value), { message: 'it must be printable ASCII without blanks' })
  .optional()
  .meta({ description: 'Of your choice: sent again within 24 hours, nothing is made twice.' });

export function createTool(definition: EntityDefinition): LocalTool {
  const fields = creatable(definition);
  const placed = fields.find((field) => field.name === 'vaultId');
  return defineTool({
    name: `create_${definition.name}`,
    title: `Create a ${noun(definition)}`,
    description: `Makes a ${noun(definition)}. ${definition.description}.`,
    coveredBy: 'create_entry',
    access: 'write',
    annotations: { destructiveHint: false, idempotentHint: false },
    input: z.strictObject({ ...wholeShape(fields, { described: true }), idempotencyKey }),
    output: z.object({
      ...receiptShape,
      replayed: z.boolean().meta({ description: 'The idempotencyKey was known: this was made before.' }),
    }),
    async run({ idempotencyKey: key, ...args }, { tx, caller }) {
      const given: Values = args;
      const values = fields.flatMap((field): [string, unknown][] => {
        const value =
          // Where only create may set the vault, it follows a parent, and the database knows best.
          field === placed && field.writable === 'always'
            ? vaultForNew(caller, given.vaultId as string | null | undefined)
            : toValue(field, given[field.name]);
        return value === undefined ? [] : [[field.name, value]];
      });
      // By stored names: a call that is sent again to the next version is the same.
      const once = key === undefined ? undefined : { key, digest: digestOf(storedValues(definition.name, args)) };
      const created = await createRow(tx, definition.name, Object.fromEntries(values), once);
      const receipt = toReceipt(madeOf(definition, created));
      const replayed = created?.replayed ?? false;
      return {
        structured: { ...receipt, replayed },
        text: receiptText(definition, replayed ? 'Already made' : 'Made', receipt),
      };
    },
  });
}

/** @throws ToolError `conflict` for a key that was used for something else, or for what is gone */
function madeOf(definition: EntityDefinition, created: Created | null): StoredReceipt {
  if (created === null) throw writeRefused();
  if (!created.replayed) return created.receipt;
  if (!created.same) {
    throw new ToolError(
      'conflict',
      'This idempotencyKey was used within the last 24 hours to create something else.',
      `Send another key for another ${noun(definition)}, or the same arguments as before.`,
      { field: 'idempotencyKey' },
    );
  }
  if (created.receipt === null) {
    throw new ToolError(
      'conflict',
      `The ${noun(definition)} that was made with this idempotencyKey is no longer there, or no longer yours to see.`,
      'Send another key to make another one.',
      { field: 'idempotencyKey' },
    );
  }
  return created.receipt;
}
