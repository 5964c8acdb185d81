import { z } from 'zod';
import { ENTITIES, type EntityDefinition } from '../../../entities/index.ts';
import { defineTool, type LocalTool } from '../../../mcp/toolset.ts';
import { deleteRow } from '../api.ts';
import { notFound, staleVersion, writeRefused } from '../errors.ts';
import { noun, nouns } from '../rows.ts';
import { rowId, version } from '../schemas.ts';

export function deleteTool(definition: EntityDefinition): LocalTool {
  const { name } = definition;
  const children = ENTITIES.filter((entity) => definition.children.includes(entity.name));
  const along = children.length === 0 ? '' : `, with its ${children.map(nouns).join(' and ')}`;
  return defineTool({
    name: `delete_${name}`,
    title: `Delete a ${noun(definition)}`,
    description: `Deletes a ${noun(definition)} for good${along}. archive_${name} only hides it.`,
    coveredBy: 'delete_entry',
    access: 'write',
    annotations: { destructiveHint: true, idempotentHint: true },
    input: z.strictObject({
      id: rowId(definition),
      version: version.optional().meta({ description: 'Deletes only this version.' }),
    }),
    output: z.object({
      id: z.string(),
      deleted: z.object(Object.fromEntries([definition, ...children].map(({ plural }) => [plural, z.int()]))),
    }),
    async run({ id, version: read }, { tx }) {
      const answer = await deleteRow(tx, name, { id, version: read });
      if (answer === null) throw notFound(definition, id);
      if (!answer.changed) {
        const current = answer.receipt;
        throw read === undefined || read === current.version ? writeRefused() : staleVersion(definition, read, current);
      }
      const { deleted } = answer;
      const counts = children.map((child) => counted(deleted[child.plural] ?? 0, child));
      return {
        structured: { id, deleted },
        text: `Deleted ${noun(definition)} ${id}${counts.length === 0 ? '' : `, and with it ${counts.join(' and ')}`}.`,
      };
    },
  });
}

function counted(amount: number, definition: EntityDefinition): string {
  return `${amount} ${amount === 1 ? noun(definition) : nouns(definition)}`;
}
