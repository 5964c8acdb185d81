/** The gateway in front of a bank server, with an issuer of its own. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bankPath, createLogger, createRegistry, loadConfig } from '@bankhouse/core';
import { assembleGateway, configSchema, Revocations, readBank, readPod } from '@bankhouse/gateway';
import { exportJWK, generateKeyPair } from 'jose';
import { goodClaims, signToken } from '../harness/bad-requests.ts';
import type { TestPostgres } from '../harness/postgres.ts';
import { bankObject, podObject } from '../harness/routed.ts';
import type { RunningBank } from '../integration/server/support.ts';
import { addingProxy } from './run.ts';

/** A front door at a loopback address, and in front of it what adds a bearer token to every request. */
export async function openFrontDoor(
  postgres: TestPostgres,
  bank: RunningBank,
  root: Buffer,
): Promise<{ url: string } & AsyncDisposable> {
  const keys = await generateKeyPair('ES256', { extractable: true });
  const published = JSON.stringify({ keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'k' }] });
  const jwks = createServer((_request, response) => response.end(published)).listen(0, '127.0.0.1');
  await once(jwks, 'listening');
  const proxy = await addingProxy(async () => {
    const now = Math.floor(Date.now() / 1000);
    const claims = goodClaims({ frontDoor: proxy.origin, bank: bank.id, issuer: proxy.origin, now });
    const token = await signToken(
      keys.privateKey,
      { alg: 'ES256', typ: 'at+jwt', kid: 'k' },
      { ...claims, scope: 'mcp:read mcp:write' },
    );
    return { authorization: `Bearer ${token}` };
  });
  const config = loadConfig(configSchema, {
    FRONT_DOOR_URL: proxy.origin,
    ROOT_KEY: root.toString('base64'),
    DATABASE_URL: postgres.serviceUrl('gateway'),
    TRUSTED_ISSUERS: JSON.stringify([
      { issuer: proxy.origin, jwksUrl: `http://127.0.0.1:${(jwks.address() as AddressInfo).port}/` },
    ]),
  });
  const revocations = new Revocations(3_600_000);
  revocations.confirm(performance.now());
  const logger = createLogger({ component: 'test', level: 'silent' });
  const assembly = assembleGateway({
    config,
    revocations,
    registry: createRegistry('gateway'),
    logger,
    podPort: Number(new URL(bank.url).port),
  });
  assembly.table.setBank(`banks/${bank.id}`, readBank(bankObject(bank.id)));
  assembly.table.setPod('banks/pod', readPod(podObject(bank.id, '127.0.0.1')));
  await assembly.start();
  proxy.target = `http://127.0.0.1:${await assembly.gateway.listen(0, '127.0.0.1')}`;
  return {
    url: `${proxy.origin}${bankPath(bank.id)}`,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await assembly.stop(0);
      jwks.close();
    },
  };
}
