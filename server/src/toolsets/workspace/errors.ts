import type { EntityDefinition } from '../../entities/index.ts';
import { ToolError } from '../../mcp/tool-error.ts';
import { noun, type Receipt } from './rows.ts';

/** The same answer for what is not there and for what the caller may not see. */
export function notFound(definition: EntityDefinition, id: string): ToolError {
  return new ToolError(
    'not_found',
    `There is no ${noun(definition)} "${id}" that you may see.`,
    `list_${definition.plural} gives the ids.`,
    { field: 'id' },
  );
}

export function staleVersion(definition: EntityDefinition, sent: number, current: Receipt): ToolError {
  return new ToolError(
    'stale_version',
    `The ${noun(definition)} is at version ${current.version}, not ${sent}: it was changed in between, and your call changed nothing.`,
    `Read it with get_${definition.name}, and if your change still makes sense, send it with version ${current.version}.`,
    { field: 'version' },
  );
}

/** @param possible actions from the status that the row has now */
export function invalidTransition(
  definition: EntityDefinition,
  action: string,
  current: Receipt,
  possible: readonly string[],
): ToolError {
  return new ToolError(
    'invalid_transition',
    `The ${noun(definition)} is ${current.status}, so "${action}" is not possible.`,
    possible.length === 0 ? 'No action leads on from there.' : `Possible now: ${possible.join(', ')}.`,
    { field: 'action' },
  );
}

/** The row is there and nothing speaks against the change but the policies. */
export function writeRefused(): ToolError {
  return new ToolError(
    'forbidden',
    'The database refused this change.',
    'Ask for a token that may write (scope mcp:write).',
  );
}

/** Others were faster each time. */
export function contended(definition: EntityDefinition): ToolError {
  return new ToolError(
    'conflict',
    `Other calls keep changing the ${noun(definition)} at the same time.`,
    'Send the call again.',
    { retryable: true },
  );
}
