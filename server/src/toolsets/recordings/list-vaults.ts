import { z } from 'zod';
import { defineTool } from '../../mcp/toolset.ts';
import { LIST_VAULTS } from './sql.ts';

const vaultSchema = z.object({
  id: z.string(),
  displayName: z.string(),
  recordings: z.int().meta({ description: 'Recordings in the vault that you may see.' }),
});

export const listVaults = defineTool({
  name: 'list_vaults',
  title: 'List vaults',
  description:
    'Lists the vaults of this bank that you may see, with the number of recordings in each. Use it to learn the vault ids that the other tools take.',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({ vaults: z.array(vaultSchema) }),
  async run(_args, { tx }) {
    const rows = await tx.rows<{ id: string; display_name: string; recordings: number }>(LIST_VAULTS);
    const vaults = rows.map((row) => ({ id: row.id, displayName: row.display_name, recordings: row.recordings }));
    const lines = vaults.map((vault) => `- ${vault.id}: ${vault.displayName}, ${vault.recordings} recordings`);
    return {
      structured: { vaults },
      text:
        vaults.length === 0 ? 'There are no vaults that you may see.' : `${vaults.length} vaults:\n${lines.join('\n')}`,
    };
  },
});
