import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configSchema as controlConfig, startControl } from '@bankhouse/control';
import { createLogger, loadConfig } from '@bankhouse/core';
import { configSchema as gatewayConfig, startGateway } from '@bankhouse/gateway';
import { createTransport, systemClock } from '@bankhouse/kube';
import { createDatabase, createFrontDoor } from '@bankhouse/operator';
import { loadServerConfig, startBankServer } from '@bankhouse/server';
import { afterAll, describe, expect, test } from 'vitest';
import { freePort } from '../../harness/ports.ts';
import { startPostgres } from '../../harness/postgres.ts';
import { createPod } from '../../harness/routed.ts';
import { pathsOf, settings, useWorld, Wire, type World } from './support/index.ts';

const FRONT_DOOR_URL = 'https://mcp.example.com';
const VERIFIER_KEY = randomBytes(24).toString('hex');
const logger = createLogger({ component: 'test', level: process.env.TEST_LOG_LEVEL ?? 'fatal' });

const IMAGE = 'registry.example.com/bankhouse/server@sha256:1234';
let dir = '';
let gatewayPort = 0;
let podPort = 0;
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The whole platform as processes have it, but in one, with a test in the place of kubelet and ingress. */
const world: World = useWorld(async () => {
  dir = mkdtempSync(join(tmpdir(), 'bankhouse-front-door-'));
  const postgres = await startPostgres();
  world.onClose(() => postgres.stop());
  const rootKey = randomBytes(32).toString('base64');
  const control = await startControl(
    loadConfig(controlConfig, {
      FRONT_DOOR_URL,
      DATABASE_URL: postgres.serviceUrl('control'),
      SIGNING_KEY: generateKeyPairSync('ec', { namedCurve: 'P-256' })
        .privateKey.export({ type: 'pkcs8', format: 'pem' })
        .toString(),
      ADMIN_KEY: randomBytes(24).toString('hex'),
      VERIFIER_KEY,
      PORT: '0',
      ADMIN_PORT: '0',
    }),
    logger,
  );
  world.onClose(() => control.stop());
  const issuers = [{ issuer: FRONT_DOOR_URL, jwksUrl: `http://127.0.0.1:${control.port}/oauth/jwks` }];
  podPort = await freePort();
  const gateway = await startGateway({
    config: loadConfig(gatewayConfig, {
      FRONT_DOOR_URL,
      ROOT_KEY: rootKey,
      DATABASE_URL: postgres.serviceUrl('gateway'),
      TRUSTED_ISSUERS: JSON.stringify(issuers),
      PORT: '0',
      ADMIN_PORT: '0',
    }),
    transport: await createTransport(world.api.kubeconfig),
    logger,
    podPort,
  });
  world.onClose(() => gateway.stop());
  gatewayPort = gateway.port;
  const ingress = await startIngress(dir, gateway.port);
  world.onClose(() => ingress.wire.stop());

  const operatorUrl = new URL(postgres.serviceUrl('operator'));
  const database = createDatabase(operatorUrl.toString(), { connections: 4 });
  world.onClose(() => database.close());
  operatorUrl.password = '';
  const frontDoor = createFrontDoor(
    {
      FRONT_DOOR_URL,
      FRONT_DOOR_CONNECT: `127.0.0.1:${ingress.wire.port}`,
      FRONT_DOOR_CA: ingress.ca,
      CONTROL_URL: `http://127.0.0.1:${control.port}`,
      VERIFIER_KEY,
    },
    systemClock,
  );
  world.onClose(() => frontDoor.close());
  return {
    database,
    frontDoor,
    settings: {
      ...settings,
      FRONT_DOOR_URL,
      ROOT_KEY: new Map([[1, Buffer.from(rootKey, 'base64')]]),
      DATABASE_URL: operatorUrl.toString(),
    },
  };
});

/** Ends TLS for the platform's name and passes bytes on, as an ingress does. */
async function startIngress(folder: string, port: number): Promise<{ wire: Wire; ca: string }> {
  const [key, cert] = [join(folder, 'tls.key'), join(folder, 'tls.crt')];
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert];
  const named = ['-subj', '/CN=test', '-addext', 'subjectAltName=DNS:mcp.example.com', '-days', '1'];
  execFileSync('openssl', ['req', '-x509', ...made, ...named], { stdio: 'ignore' });
  const wire = await Wire.to(port, { key: readFileSync(key), cert: readFileSync(cert) });
  return { wire, ca: readFileSync(cert, 'utf8') };
}

/** What kubelet and controllers do once the bank's Deployment is there: its server runs with what the Secret has. */
async function runPod(id: string): Promise<void> {
  const paths = pathsOf(id);
  const secretDir = join(dir, id);
  await world.setPods(id, id, { replicas: 1, ready: 0 });
  const secret = await world.get<{ data: Record<string, string> }>(`${paths.secrets}/bank-${id}`);
  mkdirSync(secretDir);
  for (const [name, value] of Object.entries(secret.data)) {
    writeFileSync(join(secretDir, name), Buffer.from(value, 'base64'));
  }
  const config = loadServerConfig({ BANK_ID: id, SECRET_DIR: secretDir, PORT: String(podPort) });
  const server = await startBankServer(config, logger);
  world.onClose(() => server.stop());
  await createPod(world.api.transport, id, '127.0.0.1', { namespace: id, imageID: IMAGE });
}

describe('Ready means that an MCP client can work through the front door', () => {
  test('a bank is Verified by a real handshake over TLS, gateway, token and seal', async () => {
    await world.createNamespace('acme');
    await world.createBank('acme', 'acme', { vaults: [{ id: 'sales' }] });
    await runPod('acme');
    const bank = await world.bankWhen('acme', 'acme', 'True');
    expect(bank.status?.conditions?.find(({ type }) => type === 'Verified')?.reason).toBe('Handshake');
    expect(gatewayPort).toBeGreaterThan(0);
    // G9: from now on the gateway takes no answer of a pod with this image that does not prove itself.
    expect(bank.status?.provenImages).toEqual([IMAGE]);
  });

  test('a pod that does not answer is told of, with the route that does', async () => {
    await world.createNamespace('mute');
    await world.createBank('mute', 'mute');
    await world.setPods('mute', 'mute', { replicas: 1, ready: 1 });
    const bank = await world.bankWhen('mute', 'mute', 'False', 'HandshakeFailed');
    expect(bank.status?.conditions?.find(({ type }) => type === 'RouteReady')?.status).toBe('True');
    expect(bank.status?.phase).toBe('Failing');
  });
});
