import { flatLines, type Logger } from '@bankhouse/core';
import { openChanges } from './changes/index.ts';
import type { ServerConfig } from './config.ts';
import { type Database, openDatabase } from './database/database.ts';
import { createEmbeddings } from './embeddings/index.ts';
import { startHttp } from './http/server.ts';
import { offeredCatalogue } from './mcp/offered.ts';
import { serveMcp } from './mcp/serve.ts';
import { buildSurface } from './mcp/surface.ts';
import type { Toolset } from './mcp/toolset.ts';
import { createToolMetrics } from './metrics.ts';
import { watchRest } from './rest.ts';
import { openSecrets } from './secrets.ts';
import { openSessions } from './sessions/index.ts';
import { toolsetsNamed } from './toolsets/index.ts';
import { watchValue } from './watched-value.ts';

/** Of the server, as clients see it. */
const VERSION = '0.1.0';

export interface BankServer {
  readonly port: number;
  /** What a pod does first that is to end: not ready, it takes what still comes, until nobody is connected, 3 seconds at most. */
  takeLeave(): Promise<void>;
  /** Lets running calls end, 10 seconds at most, and closes the database connections. */
  stop(): Promise<void>;
}

/**
 * Starts a bank's MCP server.
 *
 * @param options.toolsets instead of those that the configuration names
 * @param options.database instead of the one in the bank's Secret, to measure the server alone
 * @param options.onRest called when nothing was asked for 5 to 10 seconds
 * @throws ConfigError when the bank's Secret is missing or malformed
 */
export async function startBankServer(
  config: ServerConfig,
  logger: Logger,
  options: { toolsets?: readonly Toolset[]; database?: Database; now?: () => number; onRest?: () => void } = {},
): Promise<BankServer> {
  const { bank } = config;
  const secrets = openSecrets(config.secretDir, {
    onProblem: (error) => logger.error({ reason: error.message }, 'secret not usable, the former one stays in force'),
  });
  const embeddings =
    config.embeddings === undefined ? undefined : createEmbeddings(config.embeddings, { key: secrets.embeddingsKey });
  const surface = buildSurface(options.toolsets ?? toolsetsNamed(config.toolsets, { embeddings }));
  const database = options.database ?? openDatabase({ secrets, logger });
  const metrics = createToolMetrics();
  const rest = watchRest(options.onRest ?? (() => {}));
  const changes = openChanges({ bank, secrets, database, logger, onActivity: rest.touch });
  const sessions = openSessions({ secrets, database, ...(options.now === undefined ? {} : { now: options.now }) });
  const bankProfile = watchValue(secrets.toolProfile);
  const mcp = serveMcp({
    surface,
    database,
    changes,
    sessions,
    logger,
    callLogger: flatLines(logger),
    bank,
    bankName: () => secrets.bankName() ?? bank,
    version: VERSION,
    bankProfile,
    onToolCall: metrics.observe,
  });
  const http = await startHttp({
    bank,
    port: config.port,
    secrets,
    mcp,
    tools: surface.tools,
    catalogue: offeredCatalogue(surface),
    logger,
    metrics,
    onRequest() {
      metrics.count();
      rest.touch();
    },
    ...(options.now === undefined ? {} : { now: options.now }),
  });
  return {
    port: http.port,
    takeLeave: http.takeLeave,
    async stop() {
      rest.stop();
      bankProfile.stop();
      await http.stop();
      await changes.close();
      await database.close();
    },
  };
}
