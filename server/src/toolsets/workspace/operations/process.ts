import { z } from 'zod';
import type { Statement } from '../../../database/transaction.ts';
import { type Action, allFields, type EntityDefinition } from '../../../entities/index.ts';
import { defineTool, type Tool } from '../../../mcp/toolset.ts';
import { contended, invalidTransition, staleVersion } from '../errors.ts';
import { noun, RECEIPT, type Receipt, receiptShape, receiptText, toReceipt } from '../rows.ts';
import { rowId, version } from '../schemas.ts';
import { currentState } from './current.ts';

const ATTEMPTS = 3;

export function processTool(definition: EntityDefinition): Tool {
  const { name, actions } = definition;
  const statements = new Map(
    Object.entries(actions).map(([action, way]) => [action, transition(definition, action, way)]),
  );
  const state = currentState(definition);
  const names = Object.keys(actions);
  return defineTool({
    name: `process_${name}`,
    title: `Process a ${noun(definition)}`,
    description: `Moves a ${noun(definition)} on in its states. ${Object.entries(actions).map(describe).join('; ')}.`,
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
      const statement = statements.get(action);
      if (way === undefined || statement === undefined) throw new Error(`no statement for ${action}`);
      for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
        const [row] = await tx.rows<Receipt>(statement, [id, read ?? null]);
        if (row !== undefined) {
          const receipt = toReceipt(row);
          return {
            structured: { ...receipt, actions: possibleFrom(definition, receipt.status) },
            text: receiptText(definition, 'Processed', receipt),
          };
        }
        const current = await state(tx, id);
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

function transition(definition: EntityDefinition, action: string, way: Action): Statement {
  const assignments = Object.entries({ ...way.sets }).map(([name, value]) => {
    const field = allFields(definition).find((candidate) => candidate.name === name);
    if (field === undefined) throw new Error(`${definition.name} has no field ${name}`);
    return `, ${field.column} = ${value === 'now' ? 'clock_timestamp()' : value === null ? 'null' : "''"}`;
  });
  const from = way.from.map((status) => `'${status}'`).join(', ');
  return {
    name: `process_${definition.name}_${action}`,
    text: `update bank.${definition.plural} set status = '${way.to}'${assignments.join('')}
      where id = $1 and ($2::int is null or version = $2) and status in (${from}) returning ${RECEIPT}`,
  };
}

/** `complete (open, in_progress → done) says that it is done` */
function describe([action, way]: [string, Action]): string {
  return `${action} (${way.from.join(', ')} → ${way.to}) ${way.description}`;
}

function erases(way: Action): boolean {
  return Object.values(way.sets ?? {}).includes('');
}
