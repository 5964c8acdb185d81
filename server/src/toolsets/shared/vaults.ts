import { statement } from '../../database/statement.ts';
import type { Transaction } from '../../database/transaction.ts';
import { ToolError } from '../../mcp/tool-error.ts';

const VAULT_EXISTS = statement({
  name: 'vault_exists',
  text: 'select api.vault_exists($1) as found',
});

/**
 * An empty answer for a vault that isn't there would mislead; asked only when the answer is empty.
 *
 * @param field the argument that names it
 * @throws ToolError `not_found`
 */
export async function requireVault(tx: Transaction, vault: string | undefined, field = 'vaultId'): Promise<void> {
  if (vault === undefined) return;
  const [row] = await tx.rows<{ found: boolean }>(VAULT_EXISTS, [vault]);
  if (row?.found === true) return;
  throw new ToolError('not_found', `There is no vault "${vault}" that you may see.`, 'list_vaults gives the ids.', {
    field,
  });
}
