/** What the front door's failures are told apart by, against a server that answers as the table says. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bankMetadataUrl, bankUrl, DATABASE_LOGIN_REFUSED } from '@bankhouse/core';
import { systemClock } from '@bankhouse/kube';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createFrontDoor, type ProbeFailure } from '../src/probe/index.ts';

type Answer = (request: IncomingMessage, response: ServerResponse, body: { id?: unknown; method?: string }) => void;

let answer: Answer = () => {};
let mints = 0;
const server = createServer(async (request, response) => {
  let text = '';
  for await (const part of request) text += part;
  if (request.url === '/v1/tokens') {
    mints += 1;
    response.setHeader('content-type', 'application/json').end('{"data":{"token":"t"}}');
    return;
  }
  answer(request, response, text === '' ? {} : JSON.parse(text));
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const frontDoor = createFrontDoor({ FRONT_DOOR_URL: origin, CONTROL_URL: origin, VERIFIER_KEY: 'k' }, systemClock);
afterAll(async () => {
  await frontDoor.close();
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  mints = 0;
});

const signal = () => AbortSignal.timeout(5_000);
const failureOf = async (work: Promise<unknown>): Promise<ProbeFailure | undefined> => {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return (error as { failure?: ProbeFailure } | undefined)?.failure;
};
const status =
  (code: number): Answer =>
  (_request, response) =>
    response.writeHead(code, { 'content-type': 'application/json' }).end('{}');
const rpc =
  (reply: (method: string) => object): Answer =>
  (_request, response, { id, method = '' }) => {
    if (id === undefined) return void response.writeHead(202).end();
    const text = JSON.stringify({ jsonrpc: '2.0', id, ...reply(method) });
    response.writeHead(200, { 'content-type': 'application/json' }).end(text);
  };
const INITIALIZED = {
  protocolVersion: '2025-06-18',
  capabilities: { tools: {} },
  serverInfo: { name: 'bank', version: '1' },
};
const bankThat = (lists: object): Answer =>
  rpc((method) => {
    if (method === 'initialize') return { result: INITIALIZED };
    return method === 'tools/list' ? lists : { error: { code: -32601, message: 'Method not found' } };
  });

describe('a handshake', () => {
  test.each<{ sentence: string; answers: Answer; failure: ProbeFailure | undefined }>([
    { sentence: 'with a bank that answers succeeds', answers: bankThat({ result: { tools: [] } }), failure: undefined },
    {
      sentence: 'that the front door refuses tells the status: no pod takes the call',
      answers: status(503),
      failure: { kind: 'refused', status: 503 },
    },
    {
      sentence: 'that the front door refuses tells the status: the bank is not there',
      answers: status(403),
      failure: { kind: 'refused', status: 403 },
    },
    {
      sentence: 'with a bank whose login Postgres refuses says so (D7)',
      answers: bankThat({
        error: { code: -32603, message: 'refused', data: { code: DATABASE_LOGIN_REFUSED } },
      }),
      failure: { kind: 'databaseRefused' },
    },
    {
      sentence: 'with a bank that fails otherwise is a failure without more',
      answers: bankThat({ error: { code: -32603, message: 'internal' } }),
      failure: { kind: 'failed' },
    },
    {
      sentence: 'that is cut off is a failure without more',
      answers: (request) => request.socket.destroy(),
      failure: { kind: 'failed' },
    },
  ])('$sentence', async ({ answers, failure }) => {
    answer = answers;
    expect(await failureOf(frontDoor.checkHandshake('acme', signal()))).toEqual(failure);
  });

  test('with a bank that answers without end is over soon: what it says is held in memory', async () => {
    let sent = 0;
    let isGone = false;
    answer = (_request, response) => {
      const part = Buffer.alloc(256 * 1024, ' ');
      const more = () => {
        while (!response.destroyed && sent < 64 * 1024 * 1024) {
          sent += part.length;
          if (!response.write(part)) return void response.once('drain', more);
        }
        response.end();
      };
      response.on('close', () => {
        isGone = !response.writableFinished;
      });
      response.writeHead(200, { 'content-type': 'application/json' });
      more();
    };
    expect(await failureOf(frontDoor.checkHandshake('acme', signal()))).toEqual({ kind: 'failed' });
    await vi.waitUntil(() => isGone);
    expect(sent).toBeLessThan(32 * 1024 * 1024);
  });

  test('with a bank that has its streams taken up again at once, for ever, takes no more than a few requests', async () => {
    let requests = 0;
    answer = (request, response, body) => {
      requests += 1;
      if (body.method === 'tools/list' || request.method === 'GET') {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).end('id: 1\nretry: 0\ndata: \n\n');
      } else bankThat({})(request, response, body);
    };
    expect(await failureOf(frontDoor.checkHandshake('acme', AbortSignal.timeout(500)))).toEqual({ kind: 'failed' });
    expect(requests).toBeGreaterThan(5);
    expect(requests).toBeLessThanOrEqual(10);
  });

  test('takes another token only after one was refused: a bank that is not there costs control nothing', async () => {
    answer = status(503);
    for (let turn = 0; turn < 3; turn += 1) await failureOf(frontDoor.checkHandshake('frugal', signal()));
    expect(mints).toBe(1);
    answer = status(401);
    for (let turn = 0; turn < 3; turn += 1) await failureOf(frontDoor.checkHandshake('frugal', signal()));
    expect(mints).toBeGreaterThan(1);
  });
});

describe('a route', () => {
  const served =
    (challenge: number): Answer =>
    (request, response) => {
      if (request.method === 'GET') {
        response.end(JSON.stringify({ resource: bankUrl(origin, 'acme') }));
        return;
      }
      const header = `Bearer resource_metadata="${bankMetadataUrl(origin, 'acme')}"`;
      response.writeHead(challenge, { 'www-authenticate': header }).end();
    };
  test.each<{ sentence: string; answers: Answer; failure: ProbeFailure | undefined }>([
    { sentence: 'with metadata and challenge is there', answers: served(401), failure: undefined },
    { sentence: 'without a challenge is not', answers: served(200), failure: { kind: 'refused', status: 200 } },
    { sentence: 'without metadata is not', answers: status(404), failure: { kind: 'refused', status: 404 } },
    {
      sentence: 'behind a broken ingress is not',
      answers: (request) => request.socket.destroy(),
      failure: { kind: 'failed' },
    },
  ])('$sentence', async ({ answers, failure }) => {
    answer = answers;
    expect(await failureOf(frontDoor.checkRoute('acme', signal()))).toEqual(failure);
  });
});
