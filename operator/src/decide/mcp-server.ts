import type { Bank, McpServer } from '@bankhouse/core';
import { fails, holds, type Verdict } from './verdict.ts';

/**
 * Whether a server can belong to its bank (R5.1): the bank is there, and the prefix is no older server's.
 *
 * @param holder the oldest server of the bank with the prefix
 */
export function judgeMcpServer(server: McpServer, bank: Bank | undefined, holder: McpServer | undefined): Verdict {
  const { bankRef, toolPrefix } = server.spec;
  if (bank === undefined) {
    return fails(
      'BankNotFound',
      `There is no Bank "${bankRef.name}" in the namespace ${server.metadata.namespace}; create it, or correct spec.bankRef.name.`,
    );
  }
  if (holder !== undefined && holder.metadata.uid !== server.metadata.uid) {
    return fails(
      'DuplicatePrefix',
      `The prefix "${toolPrefix}" belongs to the McpServer "${holder.metadata.name}" of this bank; choose another spec.toolPrefix.`,
    );
  }
  return holds('Accepted', 'The bank is there and the prefix is free.');
}
