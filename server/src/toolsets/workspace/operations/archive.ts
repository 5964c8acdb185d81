import { z } from 'zod';
import type { EntityDefinition } from '../../../entities/index.ts';
import { defineTool, type LocalTool } from '../../../mcp/toolset.ts';
import { archiveRow } from '../api.ts';
import { notFound, writeRefused } from '../errors.ts';
import { noun, receiptSchema, receiptText, toReceipt } from '../rows.ts';
import { rowId } from '../schemas.ts';

export function archiveTool(definition: EntityDefinition): LocalTool {
  const { name, plural } = definition;
  return defineTool({
    name: `archive_${name}`,
    title: `Archive a ${noun(definition)}`,
    description: `Takes a ${noun(definition)} out of list_${plural}, or back into it with archived: false.`,
    coveredBy: 'archive_entry',
    access: 'write',
    annotations: { destructiveHint: false, idempotentHint: true },
    input: z.strictObject({ id: rowId(definition), archived: z.boolean().default(true) }),
    output: receiptSchema,
    async run({ id, archived }, { tx }) {
      const answer = await archiveRow(tx, name, id, archived);
      if (answer === null) throw notFound(definition, id);
      const receipt = toReceipt(answer.receipt);
      if (receipt.archived !== archived) throw writeRefused();
      return { structured: receipt, text: receiptText(definition, archived ? 'Archived' : 'Unarchived', receipt) };
    },
  });
}
