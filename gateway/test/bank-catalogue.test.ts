/** A bank's own catalogue, from its pod to what a call is sealed for (ADR 37): by pods that are right, and by such as are not. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  CATALOGUE_HEADER,
  CATALOGUE_MAX_BYTES,
  CATALOGUE_PATH,
  deriveSealKey,
  PROOF_HEADER,
  proofOf,
  type SentCatalogue,
  type ToolAccess,
  writeCatalogue,
} from '@bankhouse/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { uidOf } from '../../test/harness/routed.ts';
import { startNeighbours } from './neighbours.ts';
import { bank, counted, JSON_TYPE, LIST, listen, MODERN_LIST, podAt, ROOT_KEY, send, until } from './support.ts';

const { pod, gateway, bearer } = await startNeighbours();

const keysOf = (id: string) => new Map([[1, deriveSealKey(ROOT_KEY, 'pod', id, uidOf(id), 1)]]);
const KEYS = keysOf('acme');
const BOTH = 'mcp:read mcp:write';

let catalogues = 0;
/** One that no test had before. */
function catalogueOf(tools: Record<string, ToolAccess>): SentCatalogue {
  const digest = `sha256:${String(++catalogues).padStart(64, '0')}`;
  const described = Object.entries(tools).map(([name, access]) => [name, { access, digest }] as const);
  return writeCatalogue({ tools: described, prompts: [], resources: [] });
}

const sealedOf = ({ headers }: { headers: IncomingMessage['headers'] }) => String(headers['bankhouse-assertion']);
const assertionOf = (request: { headers: IncomingMessage['headers'] }) =>
  JSON.parse(Buffer.from(sealedOf(request).split('.')[1] ?? '', 'base64url').toString());

type Answer = (request: IncomingMessage, response: ServerResponse, it: SentCatalogue) => void;
const rightly: Answer = (request, response, { text, digest }) =>
  void response.setHeader(PROOF_HEADER, String(proofOf(sealedOf(request), KEYS, digest))).end(text);

let questions: IncomingMessage[] = [];

type Headers = Record<string, string>;
interface Having {
  answer?: Answer;
  says?: (sealed: string) => Headers;
}

/** A pod that has this catalogue, and says so in its answers, with such headers. */
function having(it: SentCatalogue, { answer = rightly, says }: Having = {}) {
  const right = (sealed: string): Headers => ({
    [PROOF_HEADER]: String(proofOf(sealed, KEYS, it.digest)),
    [CATALOGUE_HEADER]: it.digest,
  });
  return {
    onCatalogue(request: IncomingMessage, response: ServerResponse) {
      questions.push(request);
      answer(request, response, it);
    },
    onRequest(request: IncomingMessage, response: ServerResponse) {
      for (const [name, value] of Object.entries((says ?? right)(sealedOf(request)))) response.setHeader(name, value);
      request.resume().on('end', () => response.end('{"jsonrpc":"2.0","id":1,"result":{}}'));
    },
  };
}

const has = (it: SentCatalogue, options?: Having) => void Object.assign(pod, having(it, options));

async function call(tool: string, scope = BOTH, isModern = false) {
  const headers = isModern ? { ...MODERN_LIST, 'mcp-method': 'tools/call', 'mcp-name': tool } : JSON_TYPE;
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool } });
  return send(gateway.port, { headers: { ...headers, ...(await bearer({ scope })) }, body });
}

const list = async () => send(gateway.port, { headers: { ...JSON_TYPE, ...(await bearer()) }, body: LIST });
/** What the call that the pod got last was sealed for. */
const access = () => assertionOf(pod.seen.at(-1) ?? { headers: {} }).access;
const asked = (outcome: string) => counted(gateway, 'bankhouse_gateway_catalogue_questions_total', { outcome });

beforeEach(() => {
  questions = [];
  // Another life of the gateway's knowledge: nothing has been asked, and nothing just before.
  gateway.table.setBank('banks/acme', undefined);
  gateway.table.setBank('banks/acme', bank('acme'));
  gateway.table.setPod('banks/acme', podAt('acme', '127.0.0.1'));
});

describe('a tool that the bank alone has', () => {
  it('is known from the answer before, by one question that opens nothing', async () => {
    has(catalogueOf({ amazon_order: 'write' }));
    const before = await asked('taken');
    const answers = [await list(), await list()];
    await until(async () => (await asked('taken')) === before + 1);
    expect(answers.map(({ headers }) => headers[CATALOGUE_HEADER])).toEqual([undefined, undefined]);
    expect(pod.seen.every(({ headers }) => headers[CATALOGUE_HEADER] !== undefined)).toBe(true);
    expect((await call('amazon_order', 'mcp:read')).error?.data.code).toBe('insufficient_scope');
    expect((await call('amazon_order')).status).toBe(200);
    expect(access()).toBe('write');
    expect(questions).toHaveLength(1);
    const [question] = questions as [IncomingMessage];
    expect(question.headers['bankhouse-database-assertion']).toBeUndefined();
    expect(assertionOf(question)).toMatchObject({ bank: 'acme', access: 'none', scopes: [], vaults: [] });
  });

  it.each<[string, ToolAccess, string, number, string | undefined]>([
    ['writes, by who may write: write', 'write', BOTH, 200, 'write'],
    ['writes, by who only reads: nothing', 'write', 'mcp:read', 403, undefined],
    ['reads, by who may write too: read', 'read', BOTH, 200, 'read'],
    ['reads, by who only writes: nothing', 'read', 'mcp:write', 403, undefined],
    ['may write, by who only reads: read', 'either', 'mcp:read', 200, 'read'],
  ])('and %s, also in the first call of all', async (_sentence, needs, scope, status, sealedFor) => {
    for (const isModern of [false, true]) {
      gateway.table.setBank('banks/acme', undefined);
      gateway.table.setBank('banks/acme', bank('acme'));
      has(catalogueOf({ amazon_order: needs }));
      pod.seen.length = 0;
      expect((await call('amazon_order', scope, isModern)).status).toBe(status);
      expect(questions).toHaveLength(isModern ? 2 : 1);
      expect(pod.seen.length === 0 ? undefined : access()).toBe(sealedFor);
    }
  });

  it('that it does not have is asked for once, and then passed on to be read', async () => {
    has(catalogueOf({ other: 'write' }));
    for (let times = 0; times < 3; times++) {
      expect((await call('amazon_order')).status).toBe(200);
      expect([access(), questions.length]).toEqual(['read', 1]);
    }
  });

  it('is still judged while the bank has no pod', async () => {
    has(catalogueOf({ amazon_order: 'write' }));
    await call('amazon_order');
    gateway.table.setPod('banks/acme', undefined);
    expect((await call('amazon_order', 'mcp:read')).error?.data.code).toBe('insufficient_scope');
    expect((await call('amazon_order')).error?.data.code).toBe('bank_starting');
  });

  it('is judged anew when the bank says that it needs something else', async () => {
    has(catalogueOf({ amazon_order: 'read' }));
    await call('amazon_order');
    expect(access()).toBe('read');
    has(catalogueOf({ amazon_order: 'write' }));
    // Not at once: it has just been asked.
    await until(async () => (await list()).status === 200 && questions.length === 2);
    await until(async () => (await call('amazon_order', 'mcp:read')).status === 403);
    await call('amazon_order');
    expect([access(), questions.length]).toEqual(['write', 2]);
  });
});

describe('two pods that differ, as in a rollout', () => {
  it('each get what their own catalogue says, and are asked once each', async () => {
    has(catalogueOf({ amazon_order: 'read' }));
    await call('amazon_order');
    const newer = having(catalogueOf({ amazon_order: 'write' }));
    const sealedForNewer: string[] = [];
    const second = await listen(
      (request, response) => {
        if (request.url === CATALOGUE_PATH) return newer.onCatalogue(request, response);
        sealedForNewer.push(assertionOf(request).access);
        newer.onRequest(request, response);
      },
      { port: pod.port, ip: '127.0.0.2' },
    );
    gateway.table.setPod('banks/acme-2', podAt('acme', '127.0.0.2'));
    // Its first calls are judged by the other's, as long as that one was asked just before.
    await until(async () => (await call('amazon_order')).status === 200 && sealedForNewer.at(-1) === 'write');
    pod.seen.length = 0;
    sealedForNewer.length = 0;
    for (let times = 0; times < 20; times++) await call('amazon_order');
    gateway.table.setPod('banks/acme-2', undefined);
    await second.close();
    expect(pod.seen.map((it) => assertionOf(it).access)).toEqual(Array(10).fill('read'));
    expect(sealedForNewer).toEqual(Array(10).fill('write'));
    expect(questions).toHaveLength(2);
  });
});

describe('a pod that is not right', () => {
  const LONG = 'x'.repeat(CATALOGUE_MAX_BYTES);
  const proven =
    (body: (it: SentCatalogue) => string, digest: (it: SentCatalogue) => string | undefined, keys = KEYS): Answer =>
    (request, response, it) =>
      void response.setHeader(PROOF_HEADER, String(proofOf(sealedOf(request), keys, digest(it)))).end(body(it));
  const other = catalogueOf({ amazon_order: 'write', more: 'write' });
  it.each<[string, Answer]>([
    ['has no proof', (_request, response, { text }) => void response.end(text)],
    [
      'has the proof of an answer',
      proven(
        ({ text }) => text,
        () => undefined,
      ),
    ],
    [
      'has the proof of another catalogue',
      proven(
        ({ text }) => text,
        () => other.digest,
      ),
    ],
    [
      'says another than it proves',
      proven(
        () => other.text,
        ({ digest }) => digest,
      ),
    ],
    [
      "has another bank's key",
      proven(
        ({ text }) => text,
        ({ digest }) => digest,
        keysOf('globex'),
      ),
    ],
    [
      'gives no JSON',
      proven(
        () => '<html>',
        () => undefined,
      ),
    ],
    ['gives one without end', (_request, response) => [1, 2].forEach(() => void response.write(LONG))],
    [
      'gives it byte by byte',
      (request, response, it) => {
        response.setHeader(PROOF_HEADER, String(proofOf(sealedOf(request), KEYS, it.digest)));
        for (const byte of `${it.text}${' '.repeat(100_000)}`) response.write(byte);
        response.end();
      },
    ],
    ['fails', (_request, response) => void response.writeHead(500).end('no')],
    ['sends somewhere else', (_request, response) => void response.writeHead(302, { location: '/x' }).end()],
    ['hangs up', (request) => void request.socket.destroy()],
    ['says nothing for longer than is waited', () => {}],
  ])('in its catalogue, as it %s, has its tools read at most, and the others as ever', async (_sentence, answer) => {
    has(catalogueOf({ amazon_order: 'write' }), { answer });
    const before = await asked('failed');
    expect((await call('amazon_order')).status).toBe(200);
    expect([access(), (await asked('failed')) - before]).toEqual(['read', 1]);
    expect((await call('delete_note')).status).toBe(200);
    expect(access()).toBe('write');
    expect((await call('delete_note', 'mcp:read')).status).toBe(403);
  });

  it.each<[string, (sealed: string, digest: string) => Record<string, string>, number]>([
    ['without a proof', (_sealed, digest) => ({ [CATALOGUE_HEADER]: digest }), 200],
    [
      'with the proof of an answer that says none',
      (sealed, digest) => ({ [CATALOGUE_HEADER]: digest, [PROOF_HEADER]: String(proofOf(sealed, KEYS)) }),
      502,
    ],
    [
      'with the proof of one that says another',
      (sealed, digest) => ({
        [CATALOGUE_HEADER]: digest,
        [PROOF_HEADER]: String(proofOf(sealed, KEYS, 'x'.repeat(43))),
      }),
      502,
    ],
    [
      "by another bank's key",
      (sealed, digest) => ({
        [CATALOGUE_HEADER]: digest,
        [PROOF_HEADER]: String(proofOf(sealed, keysOf('globex'), digest)),
      }),
      502,
    ],
    [
      'that is none',
      (sealed) => ({
        [CATALOGUE_HEADER]: 'x'.repeat(5000),
        [PROOF_HEADER]: String(proofOf(sealed, KEYS, 'x'.repeat(5000))),
      }),
      200,
    ],
  ])('and says a digest %s is not asked for it', async (_sentence, says, status) => {
    const it = catalogueOf({ amazon_order: 'write' });
    has(it, { says: (sealed) => says(sealed, it.digest) });
    expect((await list()).status).toBe(status);
    await new Promise((resolve) => setImmediate(resolve));
    expect(questions).toEqual([]);
  });

  it.each<[string, Record<string, ToolAccess>, string, string, number, string | undefined]>([
    ['a write from who only reads', { list_notes: 'write', foo: 'either' }, 'foo', 'mcp:read', 200, 'read'],
    ['a write by our own reading tool', { list_notes: 'write' }, 'list_notes', BOTH, 200, 'read'],
    ['a write by our own reading tool as if it forwarded', { list_notes: 'either' }, 'list_notes', BOTH, 200, 'read'],
    ['a read from who only writes', { list_notes: 'either' }, 'list_notes', 'mcp:write', 403, undefined],
    ['anything from who only verifies', { foo: 'either' }, 'foo', 'mcp:verify', 403, undefined],
  ])('and lies does not get %s', async (_sentence, tools, tool, scope, status, sealedFor) => {
    has(catalogueOf({ ...tools, new_one: 'read' }));
    await call('new_one');
    pod.seen.length = 0;
    expect((await call(tool, scope)).status).toBe(status);
    expect(pod.seen.length === 0 ? undefined : access()).toBe(sealedFor);
  });

  it('gets less by saying that a tool of ours that writes reads', async () => {
    has(catalogueOf({ delete_note: 'read', new_one: 'read' }));
    await call('new_one');
    await call('delete_note');
    expect(access()).toBe('read');
  });
});

describe('a client', () => {
  it.each([
    CATALOGUE_PATH,
    `/mcp/bank-acme/..${CATALOGUE_PATH}`,
    `/mcp/bank-acme${CATALOGUE_PATH}`,
    `//${CATALOGUE_PATH}`,
  ])('does not get to the catalogue by %s', async (target) => {
    has(catalogueOf({}));
    const answer = await send(gateway.port, { method: 'GET', target, headers: await bearer() });
    expect([answer.status, questions, pod.seen]).toEqual([404, [], []]);
  });

  it('can say nothing of catalogues', async () => {
    has(catalogueOf({}));
    const headers = { ...JSON_TYPE, [CATALOGUE_HEADER]: 'none', ...(await bearer()) };
    await send(gateway.port, { headers, body: LIST });
    expect(pod.seen.map((it) => it.headers[CATALOGUE_HEADER])).toEqual(['digest']);
  });
});
