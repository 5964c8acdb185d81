/** R1.5, R1.8: the gateway's table of bad requests, sent to the real front door; none of them reaches a bank server. */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, type RequestOptions, request } from 'node:https';
import { calculateJwkThumbprint, exportJWK, importPKCS8, importSPKI } from 'jose';
import { afterAll, describe, expect, it } from 'vitest';
import { type BadRequest, badRequests, goodClaims, signToken } from '../harness/bad-requests.ts';
import { bankRequests, connect, keyOf, platform, sampleBank } from './platform.ts';

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

/** One request, its target sent byte for byte. */
function send(row: Pick<BadRequest, 'method' | 'target' | 'headers' | 'body'>): Promise<Answered> {
  const { hostname, port } = new URL(platform.frontDoor);
  const { promise, resolve, reject } = Promise.withResolvers<Answered>();
  const options: RequestOptions = {
    agent,
    hostname,
    port,
    method: row.method,
    path: row.target,
    headers: { ...(row.headers as Record<string, string | string[]>), 'content-length': Buffer.byteLength(row.body) },
  };
  const sent = request(options, (answer) => {
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

const context = await realIssuer();
const rows = await badRequests(context);

describe('a bad request at the front door', () => {
  it('is one of more than 40 kinds', () => {
    expect(rows.length).toBeGreaterThan(40);
  });

  it.each(rows.map((row) => [row.name, row] as const))(
    '%s: is refused and reaches no bank server',
    async (_name, row) => {
      const before = await bankRequests();
      const answer = await send(row);
      // What an ingress controller makes of a strange path is its own: it may refuse it, or tidy it up into a bank's path.
      if (!row.isPathRow) {
        expect([row.status, answer.body]).toEqual([answer.status, expect.stringContaining(row.code)]);
        if (row.challenge === 'none') expect(answer.challenge).toBeUndefined();
        else expect(answer.challenge).toMatch(/^Bearer .*resource_metadata="https:/);
      } else {
        expect(answer.status).toBeGreaterThanOrEqual(400);
      }
      expect(await bankRequests()).toEqual(before);
    },
  );

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
