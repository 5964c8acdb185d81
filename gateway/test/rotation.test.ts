/** G7: the root key is replaced while calls go on: which generation a gateway seals with, for the database and for a pod. */
import { deriveSealKey, openAssertion, PROOF_HEADER, proofOf } from '@bankhouse/core';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { uidOf } from '../../test/harness/routed.ts';
import { bank, counted, JSON_TYPE, LIST, seconds, send, startIssuer, startPod, startTestGateway } from './support.ts';

const ROOTS = new Map([
  [1, Buffer.alloc(32, 1)],
  [2, Buffer.alloc(32, 2)],
]);
const text = (...generations: number[]) =>
  generations.map((g) => `${g}:${ROOTS.get(g)?.toString('base64')}`).join('\n');
const keys = (target: 'pod' | 'database', ...generations: number[]) =>
  new Map(generations.map((g) => [g, deriveSealKey(ROOTS.get(g) as Buffer, target, 'acme', uidOf('acme'), g)]));

const issuer = await startIssuer();
const pod = await startPod();
const gateways = new Map<string, Awaited<ReturnType<typeof startTestGateway>>>();
for (const generations of [[1], [1, 2], [2]]) {
  const env = { ROOT_KEY: text(...generations) };
  gateways.set(generations.join(), await startTestGateway({ issuers: [issuer], podPort: pod.port, env }));
}
afterAll(async () => {
  await Promise.all([...gateways.values()].map((gateway) => gateway.stop(0)));
  await Promise.all([issuer.close(), pod.close()]);
});

/** A pod that has the keys of these generations, refuses what is sealed with another, and proves itself. */
function podHas(...generations: number[]): void {
  pod.onRequest = (request, response) => {
    const sealed = String(request.headers['bankhouse-assertion']);
    const proof = proofOf(sealed, keys('pod', ...generations));
    if (proof === undefined) response.statusCode = 401;
    else response.setHeader(PROOF_HEADER, proof);
    request.resume().on('end', () => response.end('{}'));
  };
}

async function call(roots: string): Promise<{ status: number; pod: string; database: string }> {
  const authorization = `Bearer ${await issuer.token()}`;
  const { port } = gateways.get(roots) as { port: number };
  const { status } = await send(port, { headers: { ...JSON_TYPE, authorization }, body: LIST });
  const headers = pod.seen.pop()?.headers ?? {};
  const [ofPod, ofDatabase] = [headers['bankhouse-assertion'], headers['bankhouse-database-assertion']].map(String);
  if (status === 200) {
    for (const [target, sealed] of [
      ['pod', ofPod],
      ['database', ofDatabase],
    ] as const) {
      openAssertion(sealed, { bank: 'acme', keys: keys(target, 1, 2), now: seconds() });
    }
  }
  return { status, pod: ofPod?.split('.')[0] ?? '', database: ofDatabase?.split('.')[0] ?? '' };
}

/** The Bank's status says so; every gateway hears of it, and of a pod of which it knows nothing. */
function inForce(keyGeneration: number): void {
  for (const { table } of gateways.values()) {
    table.setBank('banks/acme', undefined);
    table.setBank('banks/acme', bank('acme', { keyGeneration }));
  }
}

beforeEach(() => {
  pod.seen.length = 0;
});

describe('G7: a gateway', () => {
  it.each<[string, string, number, number[], [string, string][]]>([
    ['with one root seals with it', '1', 1, [1], [['1', '1']]],
    [
      'that has the next root too stays with the old one until the status names it',
      '1,2',
      1,
      [1, 2],
      [
        ['1', '1'],
        ['1', '1'],
      ],
    ],
    [
      'seals anew for the database at once, and for a pod when that has said to have the keys',
      '1,2',
      2,
      [1, 2],
      [
        ['1', '2'],
        ['2', '2'],
      ],
    ],
    [
      'goes on with the old one for a pod that has no other',
      '1,2',
      2,
      [1],
      [
        ['1', '2'],
        ['1', '2'],
      ],
    ],
    [
      'that has not been given the next root goes on with the one it has',
      '1',
      2,
      [1, 2],
      [
        ['1', '1'],
        ['1', '1'],
      ],
    ],
    ['that has only the next one seals with it', '2', 2, [2], [['2', '2']]],
  ])('%s', async (_sentence, roots, keyGeneration, has, expected) => {
    inForce(keyGeneration);
    podHas(...has);
    for (const [ofPod, ofDatabase] of expected) {
      expect(await call(roots)).toEqual({ status: 200, pod: ofPod, database: ofDatabase });
    }
  });

  it('that meets a pod which has the new keys alone is refused once', async () => {
    inForce(2);
    podHas(2);
    expect((await call('1,2')).status).toBe(502);
    expect(await call('1,2')).toEqual({ status: 200, pod: '2', database: '2' });
  });

  it('without the root of a bank says to try again', async () => {
    inForce(1);
    expect((await call('2')).status).toBe(503);
  });

  it('counts by generation, so that one sees when the old one is used no more', async () => {
    inForce(2);
    podHas(1, 2);
    const gateway = gateways.get('1,2') as Parameters<typeof counted>[0];
    const by = (generation: number) => counted(gateway, 'bankhouse_gateway_seals_total', { generation } as never);
    await call('1,2');
    const [old, fresh] = [await by(1), await by(2)];
    await call('1,2');
    expect([await by(1), await by(2)]).toEqual([old, fresh + 1]);
  });
});
