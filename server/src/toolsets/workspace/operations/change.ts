import type { Transaction } from '../../../database/transaction.ts';
import type { EntityDefinition } from '../../../entities/index.ts';
import { changeRow } from '../api.ts';
import { notFound, staleVersion, writeRefused } from '../errors.ts';
import { type Receipt, toReceipt } from '../rows.ts';
import type { Values } from '../schemas.ts';

/**
 * Sets these fields of a row that is at this version. Two calls that read the same version can't both succeed: the second waits
 * for the first, and then finds another version.
 *
 * @throws ToolError `not_found`, `stale_version`
 */
export async function change(
  tx: Transaction,
  definition: EntityDefinition,
  { id, version, values }: { id: string; version: number; values: Values },
): Promise<Receipt> {
  const answer = await changeRow(tx, definition.name, { id, version, values });
  if (answer === null) throw notFound(definition, id);
  if (answer.changed) return toReceipt(answer.receipt);
  throw answer.receipt.version === version ? writeRefused() : staleVersion(definition, version, answer.receipt);
}
