import type { Statement, Transaction } from '../../../database/transaction.ts';
import type { EntityDefinition } from '../../../entities/index.ts';
import { notFound } from '../errors.ts';
import { RECEIPT, type Receipt } from '../rows.ts';

/** Asked when a change hit no row, to say why. */
export function currentState(definition: EntityDefinition) {
  const statement: Statement = {
    name: `state_${definition.plural}`,
    text: `select ${RECEIPT} from bank.${definition.plural} where id = $1`,
  };
  /** @throws ToolError `not_found` */
  return async (tx: Transaction, id: string): Promise<Receipt> => {
    const [row] = await tx.rows<Receipt>(statement, [id]);
    if (row === undefined) throw notFound(definition, id);
    return row;
  };
}
