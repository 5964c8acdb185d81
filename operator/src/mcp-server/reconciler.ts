import type { Bank, Logger, McpServer } from '@bankhouse/core';
import type { Clock, Outcome, Transport } from '@bankhouse/kube';
import type { Caches } from '../caches.ts';
import { mcpServerPath } from '../cluster/paths.ts';
import { writeStatus } from '../cluster/status.ts';
import { judgeMcpServer } from '../decide/mcp-server.ts';
import { bankKeyOf, type Mapping } from '../mapping.ts';
import { createReconciler, type Step, stepOf } from '../reconcile/index.ts';

interface ServerKind {
  snapshot: { server: McpServer; bank: Bank | undefined; holder: McpServer | undefined };
  condition: 'Accepted';
  deps: ServerDeps;
  outputs: { accepted: undefined };
}

export interface ServerDeps {
  transport: Transport;
  caches: Pick<Caches, 'mcpServers' | 'banks'>;
  mapping: Mapping;
  clock: Clock;
}

const STEPS: readonly Step<ServerKind>[] = [
  stepOf<ServerKind>()({
    name: 'accepted',
    condition: 'Accepted',
    needs: [],
    async run({ server, bank, holder }) {
      return { kind: 'done', output: undefined, verdict: judgeMcpServer(server, bank, holder) };
    },
  }),
];

/** An McpServer's status: whether its bank is there and its prefix free (R5.1). */
export function createMcpServerReconciler(deps: ServerDeps, logger: Logger): (key: string) => Promise<Outcome> {
  const { transport, caches, mapping, clock } = deps;
  return createReconciler<ServerKind>({
    gather(key) {
      const server = caches.mcpServers.get(key);
      if (server === undefined || server.metadata.deletionTimestamp !== undefined) return undefined;
      const holder = mapping.holderOf(bankKeyOf(server), server.spec.toolPrefix);
      return Object.freeze({
        server,
        bank: caches.banks.get(bankKeyOf(server)),
        holder: holder === undefined ? undefined : caches.mcpServers.get(holder),
      });
    },
    lists: [STEPS],
    steps: () => STEPS,
    object: ({ server }) => server,
    writeStatus: ({ snapshot: { server }, verdicts, toConditions }) =>
      writeStatus(transport, caches.mcpServers, mcpServerPath(server), server, {
        observedGeneration: server.metadata.generation ?? 1,
        phase: verdicts.get('Accepted')?.status === 'True' ? 'Accepted' : 'Rejected',
        conditions: toConditions(verdicts),
      }),
    deps,
    clock,
    logger,
  });
}
