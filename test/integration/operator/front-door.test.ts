import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configSchema as controlConfig, startControl } from '@bankhouse/control';
import { type Bank, createLogger, loadConfig } from '@bankhouse/core';
import { type GatewayProcess, configSchema as gatewayConfig, startGateway } from '@bankhouse/gateway';
import { createTransport, systemClock } from '@bankhouse/kube';
import { createDatabase, createFrontDoor, type Settings } from '@bankhouse/operator';
import { loadServerConfig, startBankServer } from '@bankhouse/server';
import { afterAll, describe, expect, test } from 'vitest';
import { freePort } from '../../harness/ports.ts';
import { startPostgres } from '../../harness/postgres.ts';
import { createPod } from '../../harness/routed.ts';
import { eventually, pathsOf, settings, useWorld, Wire, type World } from './support/index.ts';

const FRONT_DOOR_URL = 'https://mcp.example.com';
const VERIFIER_KEY = randomBytes(24).toString('hex');
const ADMIN_KEY = randomBytes(24).toString('hex');
/** Of the platform from the start, and the one that comes after it. */
const ROOTS = new Map([1, 2].map((generation) => [generation, randomBytes(32)]));
const rootsOf = (...generations: number[]) => new Map(generations.map((g) => [g, ROOTS.get(g) as Buffer]));
const logger = createLogger({ component: 'test', level: process.env.TEST_LOG_LEVEL ?? 'fatal' });

const IMAGE = 'registry.example.com/bankhouse/server@sha256:1234';
let dir = '';
let gatewayPort = 0;
let podPort = 0;
let adminUrl = '';
let operatorSettings: Settings;
let makeGateway: (...generations: number[]) => Promise<GatewayProcess>;
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The whole platform as processes have it, but in one, with a test in the place of kubelet and ingress. */
const world: World = useWorld(async () => {
  dir = mkdtempSync(join(tmpdir(), 'bankhouse-front-door-'));
  const postgres = await startPostgres();
  world.onClose(() => postgres.stop());
  const control = await startControl(
    loadConfig(controlConfig, {
      FRONT_DOOR_URL,
      DATABASE_URL: postgres.serviceUrl('control'),
      SIGNING_KEY: generateKeyPairSync('ec', { namedCurve: 'P-256' })
        .privateKey.export({ type: 'pkcs8', format: 'pem' })
        .toString(),
      ADMIN_KEY,
      VERIFIER_KEY,
      PORT: '0',
      ADMIN_API_PORT: '0',
      ADMIN_PORT: '0',
    }),
    logger,
  );
  world.onClose(() => control.stop());
  adminUrl = `http://127.0.0.1:${control.adminApiPort}`;
  const issuers = [{ issuer: FRONT_DOOR_URL, jwksUrl: `http://127.0.0.1:${control.port}/oauth/jwks` }];
  podPort = await freePort();
  makeGateway = async (...generations) => {
    const started = await startGateway({
      config: loadConfig(gatewayConfig, {
        FRONT_DOOR_URL,
        ROOT_KEY: generations.map((g) => `${g}:${ROOTS.get(g)?.toString('base64')}`).join('\n'),
        DATABASE_URL: postgres.serviceUrl('gateway'),
        TRUSTED_ISSUERS: JSON.stringify(issuers),
        PORT: '0',
        ADMIN_PORT: '0',
      }),
      transport: await createTransport(world.api.kubeconfig),
      logger,
      podPort,
    });
    world.onClose(() => started.stop());
    return started;
  };
  const gateway = await makeGateway(1);
  gatewayPort = gateway.port;
  const ingress = await startIngress(dir, gateway.port);
  world.onClose(() => ingress.wire.stop());

  const operatorUrl = new URL(postgres.serviceUrl('operator'));
  const database = createDatabase(operatorUrl.toString(), { connections: 4 });
  world.onClose(() => database.close());
  operatorUrl.password = '';
  operatorSettings = { ...settings, FRONT_DOOR_URL, ROOT_KEY: rootsOf(1), DATABASE_URL: operatorUrl.toString() };
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
    settings: operatorSettings,
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

/** What the kubelet does when the Secret has changed, some time later. */
async function mountSecret(id: string): Promise<void> {
  const secret = await world.get<{ data: Record<string, string> }>(`${pathsOf(id).secrets}/bank-${id}`);
  for (const [name, value] of Object.entries(secret.data)) {
    writeFileSync(join(dir, id, name), Buffer.from(value, 'base64'));
  }
}

/** What kubelet and controllers do once the bank's Deployment is there: its server runs with what the Secret has. */
async function runPod(id: string): Promise<void> {
  const secretDir = join(dir, id);
  await world.setPods(id, id, { replicas: 1, ready: 0 });
  mkdirSync(secretDir);
  await mountSecret(id);
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

/** The bank of the first test, whose pod stays at work. */
describe('G7: the root key is replaced while a bank is at work', () => {
  interface Stored {
    metadata: { generation: number };
    data: Record<string, string>;
  }
  const secretOf = async () => (await world.get<Stored>(`${pathsOf('acme').secrets}/bank-acme`)).data;
  const generationsIn = async () =>
    Object.keys(JSON.parse(Buffer.from((await secretOf())['seal-keys'] ?? '', 'base64').toString()));
  const deploymentOf = async () =>
    (await world.get<Stored>(`${pathsOf('acme').deployments}/bank-acme`)).metadata.generation;
  const statusWith = (keyGeneration: number) =>
    eventually(async () => {
      const { status } = await world.get<Bank>(`${pathsOf('acme').banks}/acme`);
      expect(status?.keyGeneration).toBe(keyGeneration);
    });

  async function vaultsThrough(gateway: GatewayProcess): Promise<string> {
    const minted = await fetch(`${adminUrl}/v1/tokens`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ bank: 'acme', scope: 'mcp:read', ttlSeconds: 300 }),
    });
    const { data } = (await minted.json()) as { data: { token: string } };
    const answer = await fetch(`http://127.0.0.1:${gateway.port}/mcp/bank-acme`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${data.token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'list_vaults' } }),
    });
    return `${answer.status} ${await answer.text()}`;
  }
  async function sealsOf(gateway: GatewayProcess): Promise<string[]> {
    const text = await (await fetch(`http://127.0.0.1:${gateway.adminPort}/metrics`)).text();
    return [...text.matchAll(/bankhouse_gateway_seals_total\{[^}]*generation="(\d+)"[^}]*\} (\d+)/g)].map(
      ([, generation, count]) => `${generation}: ${count}`,
    );
  }
  const ready = (gateway: GatewayProcess) =>
    eventually(async () => expect((await fetch(`http://127.0.0.1:${gateway.adminPort}/readyz`)).status).toBe(200));
  const SEEN = /^200 .*sales/s;

  test('no call fails, no pod restarts, and in the end the old key opens nothing', async () => {
    const [old, both] = await Promise.all([makeGateway(1), makeGateway(1, 2)]);
    await Promise.all([old, both].map(ready));
    const template = await deploymentOf();
    const password = (await secretOf())['database-url'];
    const operatorWith = (...generations: number[]) =>
      world.restart({ settings: { ...operatorSettings, ROOT_KEY: rootsOf(...generations) } });
    for (const gateway of [old, both]) expect(await vaultsThrough(gateway)).toMatch(SEEN);

    await operatorWith(1, 2);
    await statusWith(2);
    expect(await generationsIn()).toEqual(['1', '2']);
    // The pod has its files as they were.
    for (const gateway of [old, both]) expect(await vaultsThrough(gateway)).toMatch(SEEN);
    await mountSecret('acme');
    await eventually(async () => {
      for (const gateway of [old, both]) expect(await vaultsThrough(gateway)).toMatch(SEEN);
      expect((await sealsOf(both)).map((line) => line.split(':')[0])).toEqual(['1', '2']);
    });

    await operatorWith(2);
    await eventually(async () => expect(await generationsIn()).toEqual(['2']));
    await mountSecret('acme');
    const fresh = await makeGateway(2);
    await ready(fresh);
    for (const gateway of [both, fresh]) expect(await vaultsThrough(gateway)).toMatch(SEEN);
    expect(await vaultsThrough(old)).not.toMatch(/sales/);
    expect((await secretOf())['database-url']).toBe(password);
    expect(await deploymentOf()).toBe(template);
  });
});
