import {
  ConfigError,
  createLogger,
  createRegistry,
  loadConfig,
  messageOf,
  startAdmin,
  withPassword,
} from '@bankhouse/core';
import { databasesConfigSchema } from './config.ts';
import { createKeeper } from './databases/index.ts';
import { MigrationError } from './migrations/index.ts';

const EX_CONFIG = 78;

/** Keeps the databases that banks have of their own, until it is told to end. */
async function main(): Promise<void> {
  const config = loadConfig(databasesConfigSchema, process.env);
  const logger = createLogger({ component: 'databases', level: config.LOG_LEVEL });
  const registry = createRegistry('databases');
  const keeper = createKeeper({
    databaseUrl: withPassword(config.DATABASE_URL, config.DATABASE_PASSWORD),
    migrationsDir: config.MIGRATIONS_DIR,
    logger,
    registry,
  });
  const notReady = () => (keeper.isReady ? undefined : 'waiting for the database');
  await startAdmin({ port: config.ADMIN_PORT, metrics: registry, notReady });
  const stop = (signal: string) => {
    logger.info({ signal }, 'stopping');
    void keeper.stop().then(() => process.exit(0));
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  keeper.start();
  logger.info('working');
}

try {
  await main();
} catch (error) {
  process.stderr.write(`databases: ${messageOf(error)}\n`);
  process.exitCode = error instanceof ConfigError || error instanceof MigrationError ? EX_CONFIG : 1;
}
