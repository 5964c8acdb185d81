import { z } from 'zod';
import type { EntityDefinition, Field } from '../../../entities/index.ts';
import { defineTool, type LocalTool } from '../../../mcp/toolset.ts';
import { noun, receiptSchema, receiptText, toValue } from '../rows.ts';
import { changeable, readVersion, rowId, type Values, wholeShape } from '../schemas.ts';
import { allowedVault } from '../vaults.ts';
import { change } from './change.ts';

/** Where an entry is, is no content: a replacement that says nothing of it moves nothing. */
const staysUnlessGiven = (field: Field) => field.type === 'vaultId';

export function updateTool(definition: EntityDefinition): LocalTool {
  const { name } = definition;
  const fields = changeable(definition);
  const stays = fields.some(staysUnlessGiven) ? ', but vaultId stays' : '';
  return defineTool({
    name: `update_${name}`,
    title: `Replace a ${noun(definition)}`,
    description: `Replaces the content of a ${noun(definition)}, fields as in create_${name}: what is left out gets its default${stays}. patch_${name} changes a few fields.`,
    coveredBy: 'update_entry',
    access: 'write',
    annotations: { destructiveHint: true, idempotentHint: true },
    input: z.strictObject({ id: rowId(definition), version: readVersion, ...wholeShape(fields, { described: false }) }),
    output: receiptSchema,
    async run({ id, version: read, ...args }, { tx, caller }) {
      const given: Values = args;
      const values = fields.flatMap((field): [string, unknown][] => {
        const value = given[field.name];
        if (!staysUnlessGiven(field)) return [[field.name, toValue(field, value) ?? null]];
        return value === undefined ? [] : [[field.name, allowedVault(caller, value as string | null)]];
      });
      const receipt = await change(tx, definition, { id, version: read, values: Object.fromEntries(values) });
      return { structured: receipt, text: receiptText(definition, 'Replaced', receipt) };
    },
  });
}
