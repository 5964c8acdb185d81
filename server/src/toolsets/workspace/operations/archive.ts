import { z } from 'zod';
import type { Statement } from '../../../database/transaction.ts';
import type { EntityDefinition } from '../../../entities/index.ts';
import { defineTool, type Tool } from '../../../mcp/toolset.ts';
import { writeRefused } from '../errors.ts';
import { noun, RECEIPT, type Receipt, receiptSchema, receiptText, toReceipt } from '../rows.ts';
import { rowId } from '../schemas.ts';
import { currentState } from './current.ts';

export function archiveTool(definition: EntityDefinition): Tool {
  const { name, plural } = definition;
  // A row that is as it should be is not touched: it keeps its version.
  const statement: Statement = {
    name: `archive_${name}`,
    text: `update bank.${plural} set archived_at = case when $2::boolean then clock_timestamp() end
      where id = $1 and (archived_at is not null) <> $2::boolean returning ${RECEIPT}`,
  };
  const state = currentState(definition);
  return defineTool({
    name: `archive_${name}`,
    title: `Archive a ${noun(definition)}`,
    description: `Takes a ${noun(definition)} out of list_${plural}, or back into it with archived: false.`,
    access: 'write',
    annotations: { destructiveHint: false, idempotentHint: true },
    input: z.strictObject({ id: rowId(definition), archived: z.boolean().default(true) }),
    output: receiptSchema,
    async run({ id, archived }, { tx }) {
      const [changed] = await tx.rows<Receipt>(statement, [id, archived]);
      const receipt = toReceipt(changed ?? (await state(tx, id)));
      if (receipt.archived !== archived) throw writeRefused();
      return { structured: receipt, text: receiptText(definition, archived ? 'Archived' : 'Unarchived', receipt) };
    },
  });
}
