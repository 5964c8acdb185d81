/** R1.5, R1.8: the gateway's table of bad requests, sent to the real front door; none of them reaches a bank server. */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request as plainRequest, type RequestOptions } from 'node:http';
import { Agent, request } from 'node:https';
import { calculateJwkThumbprint, exportJWK, importPKCS8, importSPKI } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BadRequest, badRequests, goodClaims, signToken } from '../harness/bad-requests.ts';
import {
  bankRequests,
  connect,
  keyOf,
  kubectl,
  platform,
  SYSTEM_NAMESPACE,
  sampleBank,
  settledBanks,
} from './platform.ts';

const agent = new Agent({ keepAlive: true, ca: readFileSync(platform.caFile) });
afterAll(() => agent.destroy());

/** The real issuer's keys, which only an administrator of the cluster can read. */
async function realIssuer() {
  const signing = createPrivateKey(await keyOf('signing-key'));
  const verifying = createPublicKey(signing);
  const publicKey = await importSPKI(verifying.export({ type: 'spki', format: 'pem' }).toString(), 'ES256', {
    extractable: true,
  });
  return {
    frontDoor: platform.frontDoor,
    issuer: platform.frontDoor,
    bank: sampleBank(0).id,
    otherBank: sampleBank(1).id,
    kid: await calculateJwkThumbprint(await exportJWK(publicKey)),
    privateKey: await importPKCS8(signing.export({ type: 'pkcs8', format: 'pem' }).toString(), 'ES256'),
    publicKey,
    now: Math.floor(Date.now() / 1000),
  };
}

interface Answered {
  status: number;
  challenge: string | undefined;
  body: string;
}

/**
 * One request, its target sent byte for byte: through the front door, or, where the target is what is wrong, to the gateway's
 * own address, because an ingress controller may make a bank's path out of it (RFC 3986 section 6.2.2) or refuse it itself.
 */
function send(row: BadRequest): Promise<Answered> {
  const { promise, resolve, reject } = Promise.withResolvers<Answered>();
  const options: RequestOptions = {
    method: row.method,
    path: row.target,
    headers: { ...(row.headers as Record<string, string | string[]>), 'content-length': Buffer.byteLength(row.body) },
  };
  const { hostname, port } = new URL(platform.frontDoor);
  const sent = row.isPastIngress
    ? plainRequest({ ...options, host: gatewayAddress, port: 8080 })
    : request({ ...options, agent, hostname, port });
  sent.on('response', (answer) => {
    let body = '';
    answer.setEncoding('utf8').on('data', (part: string) => {
      body += part;
    });
    answer.on('end', () =>
      resolve({ status: answer.statusCode ?? 0, challenge: answer.headers['www-authenticate'], body }),
    );
  });
  sent.on('error', reject);
  sent.end(row.body);
  return promise;
}

const gatewayAddress = await kubectl([
  'get',
  'pod',
  '-n',
  SYSTEM_NAMESPACE,
  '-l',
  'app.kubernetes.io/component=gateway',
  '-o',
  'jsonpath={.items[0].status.podIP}',
]);
const context = await realIssuer();
const rows = await badRequests(context);

const operator = ['-n', SYSTEM_NAMESPACE, 'deploy/bankhouse-operator'] as const;
let seenBefore: Record<string, number>;

describe('a bad request at the front door', () => {
  // The operator verifies banks by handshakes of its own, which the pods would count.
  beforeAll(async () => {
    await kubectl(['scale', ...operator, '--replicas=0']);
    await kubectl([
      'wait',
      '-n',
      SYSTEM_NAMESPACE,
      '--for=delete',
      'pod',
      '-l',
      'app.kubernetes.io/component=operator',
      '--timeout=60s',
    ]);
    await settledBanks();
    seenBefore = await bankRequests();
  });
  afterAll(async () => {
    await kubectl(['scale', ...operator, '--replicas=1']);
    await kubectl(['rollout', 'status', ...operator, '--timeout=60s']);
  });

  it('is one of more than 300 kinds', () => {
    expect(rows.length).toBeGreaterThan(300);
  });

  it.each(rows.map((row) => [row.name, row] as const))('%s: is refused', async (_name, row) => {
    const answer = await send(row);
    expect([answer.status, answer.body]).toEqual([row.status, expect.stringContaining(row.code)]);
    if (row.challenge === 'none') expect(answer.challenge).toBeUndefined();
    else expect(answer.challenge).toMatch(/^Bearer .*resource_metadata="https:/);
  });

  it('has reached no bank server, whichever it was', async () => {
    expect(await bankRequests()).toEqual(seenBefore);
  });

  it('differs from a good one by what the row says alone: the same issuer, bank and body, well-formed, are answered', async () => {
    const token = await signToken(
      context.privateKey,
      { alg: 'ES256', typ: 'at+jwt', kid: context.kid },
      goodClaims(context),
    );
    await using client = await connect(sampleBank(0).url, token);
    expect((await client.listTools()).tools.length).toBeGreaterThan(0);
  });
});
