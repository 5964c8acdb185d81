import {
  ConfigError,
  createLogger,
  createRegistry,
  EXIT_CONFIG,
  loadConfig,
  messageOf,
  ownerUrlAt,
  serverPassword,
  startAdmin,
  withPassword,
} from '@bankhouse/core';
import { type DatabasesConfig, databasesConfigSchema } from './config.ts';
import { createKeeper, type KeptServer } from './databases/index.ts';
import { MigrationError } from './migrations/index.ts';

/** Keeps the databases that banks have of their own, until it is told to end. */
async function main(): Promise<void> {
  const config = loadConfig(databasesConfigSchema, process.env);
  const logger = createLogger({ component: 'databases', level: config.LOG_LEVEL });
  const registry = createRegistry('databases');
  const keeper = createKeeper({
    databaseUrl: withPassword(config.DATABASE_URL, config.DATABASE_PASSWORD),
    servers: keptServers(config),
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

function keptServers(config: DatabasesConfig): KeptServer[] {
  const { DATABASE_SERVERS: servers, DATABASE_SERVERS_DIR: dir, OPERATOR_PASSWORD: password } = config;
  if (servers.length === 0) return [];
  if (password === undefined) {
    throw new ConfigError("OPERATOR_PASSWORD is not set: further servers get the operator's password from it");
  }
  return servers.map((server) => ({
    name: server.name,
    url: ownerUrlAt(server, dir),
    operatorPassword: serverPassword(password, server.name),
  }));
}

try {
  await main();
} catch (error) {
  process.stderr.write(`databases: ${messageOf(error)}\n`);
  process.exitCode = error instanceof ConfigError || error instanceof MigrationError ? EXIT_CONFIG : 1;
}
