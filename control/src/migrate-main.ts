import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, createLogger, EXIT_CONFIG, loadConfig, messageOf, withPassword } from '@bankhouse/core';
import { migrateConfigSchema } from './config.ts';
import { MigrationError, migrate } from './migrations/index.ts';

const RETRY_MS = 2_000;

/** Brings the schema up to date once the database answers. Exit 78: nothing but another configuration helps; 1: try again. */
async function main(): Promise<void> {
  const config = loadConfig(migrateConfigSchema, process.env);
  const log = createLogger({ component: 'migrate', level: config.LOG_LEVEL });
  const passwords = {
    ...(config.OPERATOR_PASSWORD === undefined ? {} : { operator: config.OPERATOR_PASSWORD }),
    ...(config.CONTROL_PASSWORD === undefined ? {} : { control: config.CONTROL_PASSWORD }),
    ...(config.GATEWAY_PASSWORD === undefined ? {} : { gateway: config.GATEWAY_PASSWORD }),
  };
  const databaseUrl = withPassword(config.DATABASE_URL, config.DATABASE_PASSWORD);
  const start = performance.now();
  for (;;) {
    try {
      await migrate({
        databaseUrl,
        migrationsDir: config.MIGRATIONS_DIR,
        parts: config.MIGRATION_PARTS,
        passwords,
        log: (message) => log.info(message),
      });
      return;
    } catch (error) {
      const secondsLeft = config.WAIT_SECONDS - (performance.now() - start) / 1000;
      const unreachable = error instanceof MigrationError && error.code === 'database_unreachable';
      if (!unreachable || secondsLeft <= 0) throw error;
      log.warn({ reason: error.message, secondsLeft: Math.ceil(secondsLeft) }, 'waiting for the database');
      await sleep(Math.min(RETRY_MS, secondsLeft * 1000));
    }
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`migrate: ${messageOf(error)}\n`);
  const lasting = error instanceof ConfigError || (error instanceof MigrationError && error.lasting);
  process.exitCode = lasting ? EXIT_CONFIG : 1;
}
