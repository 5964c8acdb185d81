import { createRegistry, type Logger, startAdmin, withPassword } from '@bankhouse/core';
import { createReflectorMetrics, type Transport } from '@bankhouse/kube';
import { assembleGateway } from './assembly.ts';
import type { GatewayConfig } from './config.ts';
import { RevocationFeed } from './revocation/feed.ts';
import { Revocations } from './revocation/revocations.ts';
import { watchRoutes } from './routing/watch.ts';

const DRAIN_LIMIT_MS = 25_000;

export interface GatewayProcess {
  readonly port: number;
  readonly adminPort: number;
  /** Not ready at once, then no new connections, then no calls (at most 25 s), then nothing. */
  stop(): Promise<void>;
}

/** The whole gateway: listens at once, is ready when routes, keys and revocations are there. */
export async function startGateway(options: {
  config: GatewayConfig;
  transport: Transport;
  logger: Logger;
  /** For tests: the port of all bank servers. */
  podPort?: number;
}): Promise<GatewayProcess> {
  const { config, transport, logger, podPort } = options;
  const registry = createRegistry('gateway');
  const revocations = new Revocations(config.REVOCATION_MAX_STALENESS_SECONDS * 1000);
  const assembly = assembleGateway({ config, revocations, registry, logger, podPort });
  const watch = watchRoutes({
    table: assembly.table,
    transport,
    namespaces: config.WATCH_NAMESPACES,
    logger,
    metrics: createReflectorMetrics(registry),
  });
  const feed = new RevocationFeed({
    databaseUrl: withPassword(config.DATABASE_URL, config.DATABASE_PASSWORD),
    revocations,
    logger,
    onChange: assembly.sweep,
  });
  let isStopping = false;
  const missing = () => [
    ...(watch.isSynced ? [] : ['the list of banks and their addresses']),
    ...(assembly.authenticator.isReady ? [] : ["the issuer's keys"]),
    // Later gaps are answered per call, with a sentence that says what is wrong; an endpoint taken away would say nothing.
    ...(Number.isFinite(revocations.stalenessMs) ? [] : ['the revoked tokens']),
  ];
  const notReady = () => {
    if (isStopping) return 'stopping';
    const waitingFor = missing();
    return waitingFor.length === 0 ? undefined : `waiting for: ${waitingFor.join(', ')}`;
  };
  const admin = await startAdmin({ port: config.ADMIN_PORT, metrics: registry, notReady });
  watch.start();
  feed.start();
  const [port] = await Promise.all([assembly.gateway.listen(config.PORT), assembly.start()]);
  logger.info({ port, adminPort: admin.port }, 'listening');
  return {
    port,
    adminPort: admin.port,
    async stop() {
      isStopping = true;
      await assembly.stop(DRAIN_LIMIT_MS);
      await Promise.all([watch.stop(), feed.stop()]);
      await transport.close();
      await admin.close();
    },
  };
}
