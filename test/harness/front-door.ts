/** The gateway in front of a bank server, with an issuer of its own. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bankPath, createLogger, createRegistry, loadConfig } from '@bankhouse/core';
import { type Assembly, assembleGateway, configSchema, Revocations, readBank, readPod } from '@bankhouse/gateway';
import { exportJWK, generateKeyPair } from 'jose';
import { goodClaims, signToken } from './bad-requests.ts';
import { freePort } from './ports.ts';
import type { TestPostgres } from './postgres.ts';
import { bankObject, podObject } from './routed.ts';

export interface FrontDoor extends AsyncDisposable {
  /** The bank's URL, as in the audience of its tokens. */
  readonly url: string;
  /** Where the gateway listens: the front door, unless that is somewhere else. */
  readonly origin: string;
  readonly assembly: Assembly;
  readonly revocations: Revocations;
  /** For five minutes, to read and write, unless the claims say otherwise. */
  token(claims?: object): Promise<string>;
}

/**
 * @param bank its id, and the URL of its server
 * @param root the key that both were made with
 * @param options.frontDoor origin that clients know, where something stands in front of the gateway
 */
export async function openFrontDoor(
  postgres: TestPostgres,
  bank: { readonly id: string; readonly url: string },
  root: Buffer,
  options: { frontDoor?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<FrontDoor> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const frontDoor = options.frontDoor ?? origin;
  const keys = await generateKeyPair('ES256', { extractable: true });
  const published = JSON.stringify({ keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'k' }] });
  const jwks = createServer((_request, response) => response.end(published)).listen(0, '127.0.0.1');
  await once(jwks, 'listening');
  const config = loadConfig(configSchema, {
    FRONT_DOOR_URL: frontDoor,
    ROOT_KEY: root.toString('base64'),
    DATABASE_URL: postgres.serviceUrl('gateway'),
    TRUSTED_ISSUERS: JSON.stringify([
      { issuer: frontDoor, jwksUrl: `http://127.0.0.1:${(jwks.address() as AddressInfo).port}/` },
    ]),
    ...options.env,
  });
  const revocations = new Revocations(3_600_000);
  revocations.confirm(performance.now());
  const assembly = assembleGateway({
    config,
    revocations,
    registry: createRegistry('gateway'),
    logger: createLogger({ component: 'test', level: 'silent' }),
    podPort: Number(new URL(bank.url).port),
  });
  assembly.table.setBank(`banks/${bank.id}`, readBank(bankObject(bank.id)));
  assembly.table.setPod('banks/pod', readPod(podObject(bank.id, '127.0.0.1')));
  await assembly.start();
  await assembly.gateway.listen(port, '127.0.0.1');
  return {
    url: `${frontDoor}${bankPath(bank.id)}`,
    origin,
    assembly,
    revocations,
    token(claims = {}) {
      const now = Math.floor(Date.now() / 1000);
      const good = goodClaims({ frontDoor, bank: bank.id, issuer: frontDoor, now });
      const header = { alg: 'ES256', typ: 'at+jwt', kid: 'k' };
      return signToken(keys.privateKey, header, { ...good, scope: 'mcp:read mcp:write', ...claims });
    },
    async [Symbol.asyncDispose]() {
      await assembly.stop(0);
      jwks.close();
    },
  };
}
