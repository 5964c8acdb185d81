import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRegistry, type Logger, startAdmin, withPassword } from '@bankhouse/core';
import type { ControlConfig } from './config.ts';
import { openDatabase } from './database/pool.ts';
import { forgetExpired } from './database/revocations.ts';
import { waitForSchema } from './database/wait.ts';
import { createApp } from './http/app.ts';
import { createFailureLimit } from './http/failure-limit.ts';
import { createKeyCheck } from './http/keys.ts';
import type { App, Door } from './http/services.ts';
import { createSigner } from './issuer/signer.ts';
import { createMetrics } from './metrics.ts';

/** Of one wrong credential, and of one client address. */
const FAILURES_A_MINUTE = { maxByCredential: 10, maxBySource: 120 };
const CLOSE_LIMIT_MS = 10_000;
const FORGET_EVERY_MS = 3_600_000;

export interface ControlProcess {
  /** Ports really listened on; 0 in the configuration takes any. */
  port: number;
  adminApiPort: number;
  adminPort: number;
  /** Resolves when the schema is there; requests before are answered by 503. */
  ready: Promise<void>;
  stop(): Promise<void>;
}

/** Listens at once (probes and keys need no database), and becomes ready when the schema is there. */
export async function startControl(config: ControlConfig, log: Logger): Promise<ControlProcess> {
  const registry = createRegistry('control');
  const database = openDatabase(withPassword(config.DATABASE_URL, config.DATABASE_PASSWORD), log);
  const stopping = new AbortController();
  let notReady: string | undefined = 'waiting for the database';

  const signer = await createSigner(config.SIGNING_KEY);
  const metrics = createMetrics(registry);
  const keys = { admin: config.ADMIN_KEY, verifier: config.VERIFIER_KEY };
  const servicesOf = (door: Door) => ({
    frontDoor: config.FRONT_DOOR_URL,
    database,
    signer,
    // Where it is of no use the admin key is any wrong one, so that nobody can try keys there either.
    checkKey: createKeyCheck(door === 'admin' ? keys : { verifier: keys.verifier }),
    failures: createFailureLimit({ ...FAILURES_A_MINUTE, windowMs: 60_000, now: () => performance.now() }),
    trustedProxies: config.TRUSTED_PROXIES,
    now: () => Math.floor(Date.now() / 1000),
    newTokenId: () => randomBytes(16).toString('base64url'),
    log,
    metrics,
  });
  const app = await createApp('public', servicesOf('public'));
  const adminApi = await createApp('admin', servicesOf('admin'));
  const admin = await startAdmin({ port: config.ADMIN_PORT, metrics: registry, notReady: () => notReady });
  await listenEverywhere(app, config.PORT);
  await listenEverywhere(adminApi, config.ADMIN_API_PORT);
  const ports = {
    port: portOf(app.server.address()),
    adminApiPort: portOf(adminApi.server.address()),
    adminPort: admin.port,
  };
  log.info(ports, 'listening');

  const ready = waitForSchema(database, {
    log,
    delay: (ms) => sleep(ms, undefined, { signal: stopping.signal }).catch(() => {}),
    now: () => performance.now(),
    signal: stopping.signal,
  }).then(() => {
    if (stopping.signal.aborted) return;
    notReady = undefined;
    log.info('ready');
  });
  const forgetting = setInterval(() => {
    forgetExpired(database).catch((error: unknown) =>
      log.warn({ err: error }, 'forgetting expired revocations failed'),
    );
  }, FORGET_EVERY_MS);
  return {
    ...ports,
    ready,
    async stop() {
      notReady = 'stopping';
      stopping.abort();
      clearInterval(forgetting);
      await Promise.race([
        Promise.all([app.close(), adminApi.close()]),
        sleep(CLOSE_LIMIT_MS, undefined, { ref: false }),
      ]);
      await ready;
      await database.close();
      await admin.close();
    },
  };
}

/** On IPv6 and IPv4, or on IPv4 alone where the kernel has no IPv6. */
async function listenEverywhere(app: App, port: number): Promise<void> {
  try {
    await app.listen({ port, host: '::' });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL') throw error;
    await app.listen({ port, host: '0.0.0.0' });
  }
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address !== null ? address.port : 0;
}
