import { ConfigError, createLogger, EXIT_CONFIG, loadConfig, messageOf } from '@bankhouse/core';
import { createTransport } from '@bankhouse/kube';
import { KubeConfig } from '@kubernetes/client-node';
import { configSchema } from './config.ts';
import { startGateway } from './process.ts';

try {
  const config = loadConfig(configSchema, process.env);
  const logger = createLogger({ component: 'gateway', level: config.LOG_LEVEL, gatherMs: 100 });
  const gateway = await startGateway({ config, transport: await connect(), logger });
  const stop = (signal: string) => {
    logger.info({ signal }, 'stopping');
    gateway.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.fatal({ reason: messageOf(error) }, 'stopped in disorder');
        process.exit(1);
      },
    );
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, stop);
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exit(error instanceof ConfigError ? EXIT_CONFIG : 1);
}

/** From KUBECONFIG, or the pod's service account. */
async function connect() {
  try {
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromDefault();
    return await createTransport(kubeConfig);
  } catch (error) {
    throw new ConfigError(`The cluster's credentials can't be read: ${messageOf(error)}`, { cause: error });
  }
}
