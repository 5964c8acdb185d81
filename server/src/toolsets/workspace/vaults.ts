import type { Caller } from '../../caller.ts';
import { ToolError } from '../../mcp/tool-error.ts';

/**
 * The vault that a new entry goes to. A caller who is limited to one vault means that one; one who may see all may leave it
 * out, which means none. The database decides by itself; this is for clear words.
 *
 * @throws ToolError when the caller can't mean this vault, or must name one
 */
export function vaultForNew(caller: Caller, wanted: string | null | undefined): string | null {
  const { vaults } = caller.assertion;
  if (vaults === null) return wanted ?? null;
  if (vaults.length === 0) {
    throw new ToolError(
      'forbidden',
      'Your token opens no vault, so there is no place for an entry.',
      'Ask for a token that opens one.',
      { field: 'vaultId' },
    );
  }
  const [only] = vaults;
  if (wanted === undefined && vaults.length === 1 && only !== undefined) return only;
  if (wanted === undefined) {
    throw new ToolError(
      'invalid_argument',
      `Your token opens several vaults, so vaultId must name one of them: ${vaults.join(', ')}.`,
      'Send vaultId.',
      { field: 'vaultId' },
    );
  }
  return allowedVault(caller, wanted);
}

/** @throws ToolError when the caller may not put an entry there */
export function allowedVault(caller: Caller, wanted: string | null): string | null {
  const { vaults } = caller.assertion;
  if (vaults === null || (wanted !== null && vaults.includes(wanted))) return wanted;
  if (wanted === null) {
    throw new ToolError(
      'invalid_argument',
      'Only a caller who may see all vaults can have an entry in none of them.',
      `Send one of your vaults as vaultId: ${vaults.join(', ')}.`,
      { field: 'vaultId' },
    );
  }
  throw new ToolError('not_found', 'There is no such vault that you may see.', 'list_vaults gives the ids.', {
    field: 'vaultId',
  });
}
