import type { McpServer } from '@bankhouse/core';
import { type Clock, isApiError, type Outcome, type Transport } from '@bankhouse/kube';
import { mcpServerPath } from './cluster/paths.ts';
import { writeStatus } from './cluster/status.ts';
import { toConditions } from './decide/conditions.ts';
import { judgeMcpServer } from './decide/mcp-server.ts';
import type { Caches } from './snapshot.ts';

/** An McpServer's status: whether its bank is there and its prefix free (R5.1). */
export function createMcpServerReconciler({
  transport,
  caches,
  clock,
}: {
  transport: Transport;
  caches: Caches;
  clock: Clock;
}) {
  return async (key: string): Promise<Outcome> => {
    const server = caches.mcpServers.get(key);
    if (server === undefined || server.metadata.deletionTimestamp !== undefined) return { kind: 'done' };
    const siblings = caches.mcpServers.list().filter((other) => bankKeyOf(other) === bankKeyOf(server));
    const verdict = judgeMcpServer(server, caches.banks.get(bankKeyOf(server)), siblings);
    const generation = server.metadata.generation ?? 1;
    try {
      await writeStatus(transport, caches.mcpServers, mcpServerPath(server), server, {
        observedGeneration: generation,
        phase: verdict.status === 'True' ? 'Accepted' : 'Rejected',
        conditions: toConditions(
          server.status?.conditions ?? [],
          [['Accepted', verdict]],
          generation,
          new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z'),
        ),
      });
    } catch (error) {
      if (!isApiError(error, 'not_found', 'conflict')) throw error;
    }
    return { kind: 'done' };
  };
}

/** Key of the Bank that a server names. */
export function bankKeyOf(server: McpServer): string {
  return `${server.metadata.namespace}/${server.spec.bankRef.name}`;
}
