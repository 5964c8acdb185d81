import type { Statement, Transaction } from '../../../database/transaction.ts';
import type { EntityDefinition, Field } from '../../../entities/index.ts';
import { staleVersion, writeRefused } from '../errors.ts';
import { parameter, RECEIPT, type Receipt, toReceipt } from '../rows.ts';
import { currentState } from './current.ts';

/** A column that a change sets: always, or only where the second parameter of its pair is true. */
export interface Change {
  readonly field: Field;
  readonly optional: boolean;
}

/**
 * One `update … where version = …` for a set of columns. Two calls that read the same version can't both succeed: the second
 * waits for the first, and then finds another version.
 */
export function changeRow(definition: EntityDefinition, name: string, changes: readonly Change[]) {
  const state = currentState(definition);
  const statement: Statement = { name, text: updateText(definition, changes) };
  /**
   * @param values one parameter for each change, two where it is optional: whether, and the value
   * @throws ToolError `not_found`, `stale_version`
   */
  return async (tx: Transaction, id: string, version: number, values: readonly unknown[]): Promise<Receipt> => {
    const [row] = await tx.rows<Receipt>(statement, [id, version, ...values]);
    if (row !== undefined) return toReceipt(row);
    const current = await state(tx, id);
    throw current.version === version ? writeRefused() : staleVersion(definition, version, current);
  };
}

function updateText(definition: EntityDefinition, changes: readonly Change[]): string {
  let next = 3;
  const assignments = changes.map(({ field, optional }) => {
    if (!optional) return `${field.column} = ${parameter(next++, field)}`;
    const whether = `$${next++}::boolean`;
    return `${field.column} = case when ${whether} then ${parameter(next++, field)} else ${field.column} end`;
  });
  return `update bank.${definition.plural} set ${assignments.join(', ')} where id = $1 and version = $2 returning ${RECEIPT}`;
}
