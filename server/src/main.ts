import { ConfigError, createLogger, EXIT_CONFIG, messageOf } from '@bankhouse/core';
import { startBankServer } from './bank-server.ts';
import { loadServerConfig } from './config.ts';
import { collectGarbage } from './rest.ts';

async function main(): Promise<void> {
  const config = loadServerConfig(process.env);
  const logger = createLogger({ component: 'server', level: config.logLevel, gatherMs: 1000 }).child({
    bank: config.bank,
  });
  const server = await startBankServer(config, logger, { onRest: () => void collectGarbage() });
  const startMs = Math.round(performance.now());
  logger.info({ port: server.port, toolsets: config.toolsets, startMs }, 'listening');

  let stopping = false;
  const stop = (signal: string) => {
    if (stopping) return;
    stopping = true;
    logger.info({ signal }, 'stopping');
    server
      .takeLeave()
      .then(() => server.stop())
      .then(
        () => process.exit(0),
        (error: unknown) => {
          logger.error({ reason: messageOf(error) }, 'stopping failed');
          process.exit(1);
        },
      );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

main().catch((error: unknown) => {
  process.stderr.write(`bankhouse server: ${messageOf(error)}\n`);
  process.exitCode = error instanceof ConfigError ? EXIT_CONFIG : 1;
});
