import { z } from 'zod';
import type { EntityDefinition } from '../../../entities/index.ts';
import { defineTool, type Tool } from '../../../mcp/toolset.ts';
import { readRow } from '../api.ts';
import { notFound } from '../errors.ts';
import { entryText, fieldNames, noun, toEntry } from '../rows.ts';
import { rowId, rowShape } from '../schemas.ts';

export function getTool(definition: EntityDefinition): Tool {
  const { name } = definition;
  const fields = fieldNames(definition);
  return defineTool({
    name: `get_${name}`,
    title: `Get a ${noun(definition)}`,
    description: `Gives one ${noun(definition)} whole, with the version that changes of it need.`,
    access: 'read',
    input: z.strictObject({ id: rowId(definition) }),
    output: z.object(rowShape(definition)),
    async run({ id }, { tx, caller }) {
      const row = await readRow(tx, name, id, fields);
      if (row === undefined) throw notFound(definition, id);
      const entry = toEntry(definition, row, caller.assertion.iss);
      return { structured: entry, text: entryText(definition, entry) };
    },
  });
}
