import type { Logger, Registry } from '@bankhouse/core';
import { Authenticator } from './authentication/authenticator.ts';
import { MemoryBudget } from './calls/budget.ts';
import { CallHandler } from './calls/call-handler.ts';
import { OpenCalls } from './calls/open-calls.ts';
import { Catalogues } from './catalogues/catalogues.ts';
import { catalogueFetcher } from './catalogues/fetch.ts';
import { type GatewayConfig, issuersOf } from './config.ts';
import { Gateway } from './gateway.ts';
import { createGatewayMetrics } from './metrics.ts';
import type { Revocations } from './revocation/revocations.ts';
import { BankTable } from './routing/table.ts';
import { Sealer } from './seal.ts';
import { Upstreams } from './upstream/upstreams.ts';

/** Tokens expire without anybody's word: open calls are looked at so often. */
const SWEEP_MS = 1_000;

export interface Assembly {
  readonly gateway: Gateway;
  /** Fill it, and calls find their way. */
  readonly table: BankTable;
  readonly authenticator: Authenticator;
  /** Ends open calls whose token no longer holds; to be called after a revocation. */
  sweep(): void;
  /** Loads the issuers' keys and begins to sweep. */
  start(): Promise<void>;
  /** Lets calls end, at most for `limitMs`. */
  stop(limitMs: number): Promise<void>;
}

/** The parts of a gateway put together; where routes and revocations come from is the caller's part. */
export function assembleGateway(options: {
  config: GatewayConfig;
  revocations: Revocations;
  registry: Registry;
  logger: Logger;
  /** For tests: the port of all bank servers. */
  podPort?: number | undefined;
}): Assembly {
  const { config, revocations, registry, logger, podPort } = options;
  const issuers = issuersOf(config);
  const frontDoor = config.FRONT_DOOR_URL;
  const upstreams = new Upstreams({
    headersTimeout: config.UPSTREAM_HEADERS_SECONDS * 1000,
    bodyTimeout: config.UPSTREAM_IDLE_SECONDS * 1000,
  });
  const table = new BankTable({
    onRoute(id, route) {
      // Nothing that the former one's pods said is said of this one's, should they have an address in common.
      if (catalogues.setIncarnation(id, route?.incarnation)) upstreams.keepOnly(id, []);
      upstreams.keepOnly(id, route?.endpoints ?? []);
    },
    port: podPort,
  });
  const sealer = new Sealer(config.ROOT_KEY);
  const catalogues: Catalogues = new Catalogues({
    fetch: catalogueFetcher({ sealer, frontDoor }),
    isCurrent: ({ id, incarnation }) => table.lookup(id)?.incarnation === incarnation,
    logger,
    onAsked: (outcome) => metrics.catalogueAsked(outcome),
  });
  const authenticator = new Authenticator({
    frontDoor,
    issuers,
    revocations,
    namespaceOf: (id) => table.lookup(id)?.namespace,
    logger,
  });
  const openCalls = new OpenCalls(
    {
      call: { bank: config.MAX_CONCURRENT_PER_BANK, subject: config.MAX_CONCURRENT_PER_SUBJECT },
      stream: { bank: config.MAX_STREAMS_PER_BANK, subject: config.MAX_STREAMS_PER_SUBJECT },
    },
    config.SLOW_READER_SECONDS * 1000,
  );
  const budget = new MemoryBudget(config.MEMORY_BUDGET_BYTES);
  const metrics = createGatewayMetrics(registry, {
    revocations,
    openCalls: () => openCalls.size,
    heldBytes: () => budget.used,
    catalogues,
  });
  const calls = new CallHandler({
    authenticator,
    routes: table,
    upstreams,
    openCalls,
    budget,
    sealer,
    catalogues,
    metrics,
    logger,
    maxBodyBytes: config.MAX_BODY_BYTES,
    wakeDeadlineMs: config.WAKE_DEADLINE_MS,
  });
  const gateway = new Gateway({
    frontDoor,
    issuers,
    allowedOrigins: config.ALLOWED_ORIGINS,
    catalogueOf: (bank) => catalogues.of(bank),
    calls,
    metrics,
    logger,
  });
  const sweep = () => openCalls.sweep(authenticator);
  let sweeping: NodeJS.Timeout | undefined;
  return {
    gateway,
    table,
    authenticator,
    sweep,
    async start() {
      sweeping = setInterval(sweep, SWEEP_MS);
      await authenticator.start();
    },
    async stop(limitMs) {
      await gateway.stop(limitMs);
      clearInterval(sweeping);
      authenticator.stop();
      await upstreams.close();
    },
  };
}
