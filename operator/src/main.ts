import { hostname } from 'node:os';
import {
  ConfigError,
  createLogger,
  createRegistry,
  EXIT_CONFIG,
  embeddingsConfig,
  type Logger,
  loadConfig,
  messageOf,
  startAdmin,
  withPassword,
} from '@bankhouse/core';
import { createReflectorMetrics, createTransport, systemClock, type Transport } from '@bankhouse/kube';
import { KubeConfig } from '@kubernetes/client-node';
import { configSchema, type OperatorConfig } from './config.ts';
import { createDatabase } from './database/index.ts';
import { createErasingMetrics } from './erasing/index.ts';
import { lead } from './leadership.ts';
import { createOperatorMetrics } from './metrics.ts';
import { createMovingMetrics } from './moving/index.ts';
import { createOperator } from './operator.ts';
import { serversOf } from './placement/index.ts';
import { createFrontDoor } from './probe/index.ts';
import { release } from './release/index.ts';
import { createWatchdog } from './watchdog/index.ts';

async function main(): Promise<void> {
  const config = readConfig();
  const logger = createLogger({ component: 'operator', level: config.LOG_LEVEL });
  const registry = createRegistry('operator');
  const transport = await connect();
  const instance = config.POD_NAME ?? hostname();
  const url = withPassword(config.DATABASE_URL, config.DATABASE_PASSWORD);
  const known = serversOf(config, decodeURIComponent(new URL(url).password));
  const servers = new Map(
    [...known].flatMap(([name, server]) => (server.url === undefined ? [] : [[name, server.url]])),
  );
  const database = createDatabase(url, { connections: config.DATABASE_CONNECTIONS, servers });
  const frontDoor = createFrontDoor(config, systemClock);
  const leadership = lead({
    transport,
    namespace: config.PLATFORM_NAMESPACE,
    name: config.LEASE_NAME,
    identity: `${instance}_${process.pid}`,
    clock: systemClock,
    logger,
    onLost() {
      logger.fatal('lease lost');
      process.exit(1);
    },
  });
  if (process.argv[2] === 'release') {
    const { OPERATOR_DEPLOYMENT: name, PLATFORM_NAMESPACE: namespace, WATCH_NAMESPACES: namespaces } = config;
    await release({
      transport,
      database,
      deployment: { namespace, name },
      namespaces,
      alone: leadership.acquired,
      logger,
    });
    await leadership.release();
    process.exit(0);
  }
  const operator = createOperator({
    transport: leadership.transport,
    database: leadership.guardDatabase(database),
    frontDoor,
    settings: Object.freeze({ ...config, SERVERS: known }),
    namespaces: config.WATCH_NAMESPACES,
    clock: systemClock,
    logger,
    workers: config.WORKERS,
    verifyEvery: config.VERIFY_EVERY_SECONDS * 1000,
    instance,
    onLifted: (bank) => watchdog.forget(bank),
    metrics: {
      operator: createOperatorMetrics(registry),
      reflectors: createReflectorMetrics(registry),
      erasing: createErasingMetrics(registry),
      moving: createMovingMetrics(registry),
    },
  });

  // In every replica, whoever leads: two do no harm, and when one goes the other is there already.
  const watchdog = createWatchdog({
    url,
    servers,
    logger,
    registry,
    judgesStatements: config.WATCH_STATEMENTS,
    onQuarantined: (bank) => operator.recheck(bank),
  });

  // Who stands by is ready too: otherwise a rolling update would wait for the lease that the old pod holds.
  const admin = await startAdmin({
    port: config.ADMIN_PORT,
    metrics: registry,
    notReady: () => (operator.isSynced ? undefined : 'not synced yet'),
  });

  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    logger.info({ signal }, 'stopping');
    await Promise.all([operator.stop(), watchdog.stop()]);
    await leadership.release();
    await Promise.allSettled([frontDoor.close(), database.close(), admin.close(), transport.close()]);
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => void stop(signal).catch(die(logger)));

  watchdog.start();
  await Promise.all([operator.watch(), leadership.acquired]);
  await operator.start();
  logger.info('working');
}

function readConfig(): OperatorConfig {
  try {
    const config = loadConfig(configSchema, process.env);
    embeddingsConfig(config);
    return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(EXIT_CONFIG);
  }
}

/** From KUBECONFIG, or the pod's service account. */
async function connect(): Promise<Transport> {
  try {
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromDefault();
    return await createTransport(kubeConfig);
  } catch (error) {
    process.stderr.write(`The cluster's credentials can't be read: ${messageOf(error)}\n`);
    process.exit(EXIT_CONFIG);
  }
}

function die(logger: Logger): (error: unknown) => void {
  return (error) => {
    logger.fatal({ reason: messageOf(error) }, 'stopped in disorder');
    process.exit(1);
  };
}

await main();
