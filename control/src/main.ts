import { ConfigError, createLogger, EXIT_CONFIG, loadConfig, messageOf } from '@bankhouse/core';
import { configSchema } from './config.ts';
import { startControl } from './process.ts';

try {
  const config = loadConfig(configSchema, process.env);
  const log = createLogger({ component: 'control', level: config.LOG_LEVEL });
  const control = await startControl(config, log);
  const stop = (signal: string) => {
    log.info({ signal }, 'stopping');
    control.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'stopping failed');
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
} catch (error) {
  process.stderr.write(`control: ${messageOf(error)}\n`);
  process.exitCode = error instanceof ConfigError ? EXIT_CONFIG : 1;
}
