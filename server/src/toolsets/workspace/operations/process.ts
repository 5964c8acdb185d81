import { z } from 'zod';
import type { Action, EntityDefinition } from '../../../entities/index.ts';
import { defineTool, type LocalTool } from '../../../mcp/toolset.ts';
import { processRow } from '../api.ts';
import { contended, invalidTransition, notFound, staleVersion } from '../errors.ts';
import { noun, receiptShape, receiptText, toReceipt } from '../rows.ts';
import { rowId, version } from '../schemas.ts';

const ATTEMPTS = 3;

export function processTool(definition: EntityDefinition): LocalTool {
  const { name, actions } = definition;
  const names = Object.keys(actions);
  return defineTool({
    name: `process_${name}`,
    title: `Process a ${noun(definition)}`,
    description: `Moves a ${noun(definition)} on in its states. ${Object.entries(actions).map(describe).join('; ')}.`,
    coveredBy: 'process_entry',
    access: 'write',
    annotations: { destructiveHint: Object.values(actions).some(erases), idempotentHint: false },
    input: z.strictObject({
      id: rowId(definition),
      action: z.enum(names),
      version: version.optional().meta({ description: 'Acts only on this version.' }),
    }),
    output: z.object({
      ...receiptShape,
      actions: z.array(z.string()).meta({ description: 'Possible from here.' }),
    }),
    async run({ id, action, version: read }, { tx }) {
      const way = actions[action];
      if (way === undefined) throw new TypeError(action);
      for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
        const answer = await processRow(tx, name, { id, action, version: read });
        if (answer === null) throw notFound(definition, id);
        if (answer.changed) {
          const receipt = toReceipt(answer.receipt);
          return {
            structured: { ...receipt, actions: possibleFrom(definition, receipt.status) },
            text: receiptText(definition, 'Processed', receipt),
          };
        }
        const current = answer.receipt;
        if (read !== undefined && read !== current.version) throw staleVersion(definition, read, current);
        if (!way.from.includes(current.status)) {
          throw invalidTransition(definition, action, current, possibleFrom(definition, current.status));
        }
      }
      throw contended(definition);
    },
  });
}

export function possibleFrom(definition: EntityDefinition, status: string): string[] {
  return Object.entries(definition.actions)
    .filter(([, way]) => way.from.includes(status))
    .map(([action]) => action);
}

/** `complete (open, in_progress → done) says that it is done` */
function describe([action, way]: [string, Action]): string {
  return `${action} (${way.from.join(', ')} → ${way.to}) ${way.description}`;
}

function erases(way: Action): boolean {
  return Object.values(way.sets ?? {}).includes('');
}
