import type { Bank, McpServer } from '@bankhouse/core';
import { fails, holds, type Verdict } from './verdict.ts';

/** Whether a server can belong to its bank (R5.1): the bank is there, and the prefix is no older server's. */
export function judgeMcpServer(server: McpServer, bank: Bank | undefined, siblings: readonly McpServer[]): Verdict {
  const { bankRef, toolPrefix } = server.spec;
  if (bank === undefined) {
    return fails(
      'BankNotFound',
      `There is no Bank "${bankRef.name}" in the namespace ${server.metadata.namespace}; create it, or correct spec.bankRef.name.`,
    );
  }
  const older = siblings
    .filter((other) => other.spec.toolPrefix === toolPrefix && other.metadata.uid !== server.metadata.uid)
    .find((other) => isOlder(other, server));
  if (older !== undefined) {
    return fails(
      'DuplicatePrefix',
      `The prefix "${toolPrefix}" belongs to the McpServer "${older.metadata.name}" of this bank; choose another spec.toolPrefix.`,
    );
  }
  return holds('Accepted', 'The bank is there and the prefix is free.');
}

function isOlder(a: McpServer, b: McpServer): boolean {
  const times = (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '');
  return times === 0 ? (a.metadata.uid ?? '') < (b.metadata.uid ?? '') : times < 0;
}
