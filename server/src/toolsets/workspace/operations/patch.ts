import { z } from 'zod';
import type { EntityDefinition } from '../../../entities/index.ts';
import { ToolError } from '../../../mcp/tool-error.ts';
import { defineTool, type Tool } from '../../../mcp/toolset.ts';
import { noun, receiptSchema, receiptText, toParameter } from '../rows.ts';
import { changeable, partShape, readVersion, rowId, type Values } from '../schemas.ts';
import { allowedVault } from '../vaults.ts';
import { changeRow } from './change.ts';

export function patchTool(definition: EntityDefinition): Tool {
  const { name } = definition;
  const fields = changeable(definition);
  const change = changeRow(
    definition,
    `patch_${name}`,
    fields.map((field) => ({ field, optional: true })),
  );
  return defineTool({
    name: `patch_${name}`,
    title: `Change a ${noun(definition)}`,
    description: `Changes the given fields of a ${noun(definition)} and leaves the others; null empties one. Fields as in create_${name}.`,
    access: 'write',
    annotations: { destructiveHint: true, idempotentHint: true },
    input: z.strictObject({ id: rowId(definition), version: readVersion, ...partShape(fields) }),
    output: receiptSchema,
    async run({ id, version: read, ...args }, { tx, caller }) {
      const given: Values = args;
      if (fields.every((field) => given[field.name] === undefined)) throw nothingGiven(definition);
      const values = fields.flatMap((field) => {
        const value = given[field.name];
        if (value === undefined) return [false, null];
        return [
          true,
          field.type === 'vaultId' ? allowedVault(caller, value as string | null) : toParameter(field, value),
        ];
      });
      const receipt = await change(tx, id, read, values);
      return { structured: receipt, text: receiptText(definition, 'Changed', receipt) };
    },
  });
}

function nothingGiven(definition: EntityDefinition): ToolError {
  const names = changeable(definition).map((field) => field.name);
  return new ToolError(
    'invalid_argument',
    'The call names no field to change.',
    `Send at least one of ${names.join(', ')}.`,
  );
}
