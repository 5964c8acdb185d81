import { z } from 'zod';
import type { EntityDefinition } from '../../../entities/index.ts';
import { defineTool, type LocalTool } from '../../../mcp/toolset.ts';
import { fromCharacter, moreText, nextCharacter, partOf } from '../../shared/budget.ts';
import { readRow } from '../api.ts';
import { notFound } from '../errors.ts';
import { entryText, fieldNames, longText, noun, toEntry } from '../rows.ts';
import { rowId, rowShape } from '../schemas.ts';

export function getTool(definition: EntityDefinition): LocalTool {
  const { name } = definition;
  const fields = fieldNames(definition);
  const long = longText(definition);
  return defineTool({
    name: `get_${name}`,
    title: `Get a ${noun(definition)}`,
    description: `Gives one ${noun(definition)} with the version that changes of it need.${long === undefined ? '' : ` A long ${long.name} comes in parts.`}`,
    coveredBy: 'get_entry',
    access: 'read',
    input: z.strictObject({ id: rowId(definition), ...(long === undefined ? {} : { fromCharacter }) }),
    output: z.object({ ...rowShape(definition), ...(long === undefined ? {} : { nextCharacter }) }),
    async run({ id, ...range }, { tx, caller }) {
      const row = await readRow(tx, name, id, fields);
      if (row === undefined) throw notFound(definition, id);
      const entry = toEntry(definition, row, caller.assertion.iss);
      if (long === undefined) return { structured: entry, text: entryText(definition, entry) };
      const whole = String(entry[long.name]);
      const rest = { ...entry, [long.name]: '' };
      const beside = Math.max(JSON.stringify(rest).length, entryText(definition, rest).length);
      const part = partOf(whole, (range as { fromCharacter: number }).fromCharacter, beside);
      const shown = { ...entry, [long.name]: part.text };
      return {
        structured: { ...shown, ...(part.next === undefined ? {} : { nextCharacter: part.next }) },
        text: `${entryText(definition, shown)}${moreText(part, whole)}`,
      };
    },
  });
}
