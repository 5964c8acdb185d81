import { z } from 'zod';
import type { EntityDefinition } from '../../../entities/index.ts';
import { defineTool, type Tool } from '../../../mcp/toolset.ts';
import { notFound } from '../errors.ts';
import { entryText, noun, selectList, toEntry } from '../rows.ts';
import { rowId, rowShape, type Values } from '../schemas.ts';

export function getTool(definition: EntityDefinition): Tool {
  const { name, plural } = definition;
  const statement = {
    name: `get_${name}`,
    text: `select ${selectList(definition, { cut: false })} from bank.${plural} where id = $1`,
  };
  return defineTool({
    name: `get_${name}`,
    title: `Get a ${noun(definition)}`,
    description: `Gives one ${noun(definition)} whole, with the version that changes of it need.`,
    access: 'read',
    input: z.strictObject({ id: rowId(definition) }),
    output: z.object(rowShape(definition)),
    async run({ id }, { tx }) {
      const [row] = await tx.rows<Values>(statement, [id]);
      if (row === undefined) throw notFound(definition, id);
      const entry = toEntry(definition, row);
      return { structured: entry, text: entryText(definition, entry) };
    },
  });
}
