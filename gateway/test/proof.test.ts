/** G9: an answer is the bank's when it proves so; what does not is thrown away. Who has to prove it, the Bank's status and the kubelet say. */
import { deriveSealKey, PROOF_HEADER, PROVEN_IMAGE_HEADER, proofOf } from '@bankhouse/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { uidOf } from '../../test/harness/routed.ts';
import { startNeighbours } from './neighbours.ts';
import { bank, counted, JSON_TYPE, LIST, podAt, ROOT_KEY, send } from './support.ts';

const { pod, gateway, bearer } = await startNeighbours();

const IMAGE = 'registry.example.com/bankhouse/server@sha256:1234';
const keyOf = (target: 'pod' | 'database', id: string, incarnation: string, generation = 1) =>
  new Map([[1, deriveSealKey(ROOT_KEY, target, id, incarnation, generation)]]);
const PODS_KEY = keyOf('pod', 'acme', uidOf('acme'));

type Proof = (sealed: string) => string | string[] | undefined;
const none: Proof = () => undefined;
const right: Proof = (sealed) => proofOf(sealed, PODS_KEY);
let former = '';

/** The pod answers with what proves it, and with what it would like clients to believe. */
function answerWith(proof: Proof): void {
  pod.onRequest = (request, response) => {
    const sealed = String(request.headers['bankhouse-assertion']);
    const value = proof(sealed);
    if (value !== undefined) response.setHeader(PROOF_HEADER, value);
    former = right(sealed) as string;
    response.setHeader(PROVEN_IMAGE_HEADER, 'of its own choice');
    request.resume().on('end', () => response.end('{"jsonrpc":"2.0","id":1,"result":{"who":"the pod"}}'));
  };
}

function runs(options: { image?: string; provenImages?: string[] }): void {
  const { image = IMAGE, provenImages = [] } = options;
  gateway.table.setBank('banks/acme', bank('acme', { provenImages }));
  gateway.table.setPod('banks/acme', podAt('acme', '127.0.0.1', { imageID: image }));
}

const call = async (claims: object = {}) =>
  send(gateway.port, { headers: { ...JSON_TYPE, ...(await bearer(claims)) }, body: LIST });

beforeEach(() => runs({ provenImages: ['another@sha256:5678', IMAGE] }));

describe('G9: of a pod whose image is known to prove itself, an answer', () => {
  const CASES: [string, Proof, number][] = [
    ['with the proof of this request is passed on', right, 200],
    ['without a proof is thrown away', none, 502],
    ['with an empty one is thrown away', () => '', 502],
    ['with the proof of another request is thrown away', () => former, 502],
    ['with two is thrown away', (sealed) => [String(right(sealed)), String(right(sealed))], 502],
    ['with a shorter one is thrown away', (sealed) => String(right(sealed)).slice(1), 502],
    ["by another bank's key is thrown away", (it) => proofOf(it, keyOf('pod', 'globex', uidOf('globex'))), 502],
    ["by an earlier incarnation's key is thrown away", (it) => proofOf(it, keyOf('pod', 'acme', 'uid-before')), 502],
    ["by the database's key is thrown away", (it) => proofOf(it, keyOf('database', 'acme', uidOf('acme'))), 502],
    ['with the assertion itself is thrown away', (sealed) => sealed, 502],
  ];
  it.each(CASES)('%s', async (_sentence, proof, status) => {
    answerWith(right);
    await call();
    answerWith(proof);
    const before = await counted(gateway, 'bankhouse_gateway_unproven_answers_total');
    gateway.lines.length = 0;
    const answer = await call();
    expect(answer.status).toBe(status);
    expect(answer.headers).not.toHaveProperty(PROOF_HEADER);
    const thrownAway = status === 200 ? 0 : 1;
    expect((await counted(gateway, 'bankhouse_gateway_unproven_answers_total')) - before).toBe(thrownAway);
    if (status === 200) return expect(answer.body).toContain('the pod');
    expect(answer.body).not.toContain('the pod');
    expect(answer.error?.data.code).toBe('bank_unproven');
    expect(answer.error?.message).toMatch(/has not shown that it is the bank's server/);
    expect(gateway.lines.join('')).toMatch(/"level":"warn".*"reason":"bank_unproven".*127\.0\.0\.1:\d+ answered with/);
  });

  it('that is a refusal has to be proven too', async () => {
    pod.onRequest = (request, response) =>
      request.resume().on('end', () => response.writeHead(403).end('{"error":{}}'));
    expect((await call()).error?.data.code).toBe('bank_unproven');
  });
});

describe('G9: of a pod of the version before, or of which nothing is known, an answer', () => {
  const CASES: [string, () => void, Proof, number][] = [
    ['without a proof is passed on', () => runs({}), none, 200],
    ['of another image without a proof is passed on', () => runs({ provenImages: ['other@sha256:5678'] }), none, 200],
    ['of an image that the kubelet does not name is', () => runs({ image: '', provenImages: ['', IMAGE] }), none, 200],
    ['with the right proof is passed on', () => runs({}), right, 200],
    ['with a wrong one is thrown away', () => runs({}), () => 'A'.repeat(43), 502],
  ];
  it.each(CASES)('%s', async (_sentence, prepare, proof, status) => {
    prepare();
    answerWith(proof);
    expect((await call()).status).toBe(status);
  });

  it('has to be proven as soon as the status says so, on a connection that is open', async () => {
    runs({});
    answerWith(none);
    expect((await call()).status).toBe(200);
    runs({ provenImages: [IMAGE] });
    expect((await call()).status).toBe(502);
  });
});

describe('the image that proved itself is told', () => {
  const verify = { scope: 'mcp:verify', vault_ids: [] };
  it.each<[string, object, Proof, string | undefined]>([
    ["to the operator's handshake", verify, right, IMAGE],
    ['to nobody without a proof', verify, none, undefined],
    ['to nobody else', {}, right, undefined],
  ])('%s', async (_sentence, claims, proof, image) => {
    runs({});
    answerWith(proof);
    expect((await call(claims)).headers[PROVEN_IMAGE_HEADER]).toBe(image);
  });
});
