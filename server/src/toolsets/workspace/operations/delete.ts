import { z } from 'zod';
import type { Statement } from '../../../database/transaction.ts';
import { ENTITIES, type EntityDefinition } from '../../../entities/index.ts';
import { defineTool, type Tool } from '../../../mcp/toolset.ts';
import { staleVersion, writeRefused } from '../errors.ts';
import { noun, nouns } from '../rows.ts';
import { rowId, version } from '../schemas.ts';
import { currentState } from './current.ts';

type Counts = Readonly<Record<string, number>>;

export function deleteTool(definition: EntityDefinition): Tool {
  const { name } = definition;
  const children = ENTITIES.filter((entity) => definition.children.includes(entity.name));
  const statement = deleteStatement(definition, children);
  const state = currentState(definition);
  const along = children.length === 0 ? '' : `, with its ${children.map(nouns).join(' and ')}`;
  return defineTool({
    name: `delete_${name}`,
    title: `Delete a ${noun(definition)}`,
    description: `Deletes a ${noun(definition)} for good${along}. archive_${name} only hides it.`,
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
      const [row] = await tx.rows<{ deleted: Counts }>(statement, [id, read ?? null]);
      if (row === undefined) {
        const current = await state(tx, id);
        throw read === undefined || read === current.version ? writeRefused() : staleVersion(definition, read, current);
      }
      const counts = children.map((child) => counted(row.deleted[child.plural] ?? 0, child));
      return {
        structured: { id, deleted: row.deleted },
        text: `Deleted ${noun(definition)} ${id}${counts.length === 0 ? '' : `, and with it ${counts.join(' and ')}`}.`,
      };
    },
  });
}

function counted(amount: number, definition: EntityDefinition): string {
  return `${amount} ${amount === 1 ? noun(definition) : nouns(definition)}`;
}

/** The outer query sees what was there before the deletion, so it can count what goes along. */
function deleteStatement(definition: EntityDefinition, children: readonly EntityDefinition[]): Statement {
  const counts = [
    `'${definition.plural}', 1`,
    ...children.map((child) => `'${child.plural}', ${countOf(definition, child)}`),
  ];
  return {
    name: `delete_${definition.name}`,
    text: `with gone as materialized (
        select d.id from bank.delete_rows('${definition.plural}', array[$1::uuid], $2::int) as d (id))
      select jsonb_build_object(${counts.join(', ')}) as deleted from gone g`,
  };
}

function countOf(definition: EntityDefinition, child: EntityDefinition): string {
  const ofParent =
    child.parent?.entity === 'any'
      ? `c.parent_type = '${definition.name}' and c.parent_id = g.id::text`
      : `c.${definition.name}_id = g.id`;
  return `(select count(*) from bank.${child.plural} c where ${ofParent})`;
}
