import { z } from 'zod';
import type { EntityDefinition, Field } from '../../../entities/index.ts';
import { ToolError } from '../../../mcp/tool-error.ts';
import { defineTool, type LocalTool } from '../../../mcp/toolset.ts';
import { noun, receiptSchema, receiptText, toValue } from '../rows.ts';
import { changeable, partShape, readVersion, rowId, type Values } from '../schemas.ts';
import { allowedVault } from '../vaults.ts';
import { change } from './change.ts';

export function patchTool(definition: EntityDefinition): LocalTool {
  const { name } = definition;
  const fields = changeable(definition);
  return defineTool({
    name: `patch_${name}`,
    title: `Change a ${noun(definition)}`,
    description: `Changes the given fields of a ${noun(definition)} and leaves the others; null empties one. Fields as in create_${name}.`,
    coveredBy: 'patch_entry',
    access: 'write',
    annotations: { destructiveHint: true, idempotentHint: true },
    input: z.strictObject({ id: rowId(definition), version: readVersion, ...partShape(fields) }),
    output: receiptSchema,
    emptied: emptiedOf(fields),
    async run({ id, version: read, ...args }, { tx, caller }) {
      const given: Values = args;
      const changed = fields.filter((field) => given[field.name] !== undefined);
      if (changed.length === 0) throw nothingGiven(definition);
      const values = changed.map((field): [string, unknown] => {
        const value = given[field.name];
        return [
          field.name,
          field.type === 'vaultId' ? allowedVault(caller, value as string | null) : toValue(field, value),
        ];
      });
      const receipt = await change(tx, definition, { id, version: read, values: Object.fromEntries(values) });
      return { structured: receipt, text: receiptText(definition, 'Changed', receipt) };
    },
  });
}

/** What null empties although the database has no null for it: texts and lists whose default is empty. */
function emptiedOf(fields: readonly Field[]): Readonly<Record<string, unknown>> {
  const empty = fields.filter(({ default: value }) => value === '' || (Array.isArray(value) && value.length === 0));
  return Object.fromEntries(empty.map((field) => [field.name, field.default]));
}

function nothingGiven(definition: EntityDefinition): ToolError {
  const names = changeable(definition).map((field) => field.name);
  return new ToolError(
    'invalid_argument',
    'The call names no field to change.',
    `Send at least one of ${names.join(', ')}.`,
  );
}
