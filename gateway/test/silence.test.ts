/** How long a bank server may be silent, as the sweep sees it: no timers, so that the test says when time passes. */
import { once } from 'node:events';
import { type IncomingMessage, request as open, type RequestListener } from 'node:http';
import { afterAll, expect, it } from 'vitest';
import { Ending } from '../src/upstream/ending.ts';
import { type Attempt, exchange } from '../src/upstream/exchange.ts';
import { Upstreams } from '../src/upstream/upstreams.ts';
import { listen, readText, until } from './support.ts';

const upstreams = new Upstreams({ headersTimeout: 1000, bodyTimeout: 2000 });
const attempts: Attempt[] = [];
let blockedBytes = 0;
/** What is sent in place of the client's body as it comes. */
let whole: Buffer | undefined;
let onRequest: RequestListener = () => {};
const pod = await listen((request, response) => onRequest(request, response));
const endpoint = { address: `127.0.0.1:${pod.port}`, isServing: true, image: undefined, mustProve: false };
const route = {
  id: 'acme',
  namespace: 'a',
  incarnation: 'i',
  isSuspended: false,
  keyGeneration: 1,
  endpoints: [endpoint],
};
const door = await listen(async (request, response) => {
  const upstream = upstreams.pick(route, new Set());
  if (upstream === undefined) return;
  const attempt = await exchange({
    upstream,
    request: { method: 'POST', path: '/', headers: [], body: () => whole ?? (request as AsyncIterable<Buffer>) },
    response,
    headers: {},
    ending: new Ending(),
    judge: () => ({}),
    onSent() {},
    onAnswer() {},
    onBlocked: (bytes) => {
      blockedBytes = bytes;
    },
  });
  attempts.push(attempt);
  response.destroy();
});
afterAll(async () => {
  await upstreams.close();
  await Promise.all([pod.close(), door.close()]);
});

/** A client that has sent one part of its body, and the pod's side of it when that has arrived. */
async function begin(listener: RequestListener = () => {}, options: { whole?: Buffer } = {}) {
  attempts.length = 0;
  whole = options.whole;
  const arrived = Promise.withResolvers<void>();
  onRequest = (request, response) => {
    request.once('data', () => arrived.resolve());
    listener(request, response);
  };
  const client = open({ port: door.port, host: '127.0.0.1', method: 'POST' });
  client.on('error', () => {});
  client.write('part');
  await arrived.promise;
  return client;
}

const ended = async () => {
  await until(() => attempts.length > 0);
  const [attempt] = attempts;
  return attempt !== undefined && 'error' in attempt
    ? [attempt.kind, (attempt.error as { code?: string }).code]
    : [attempt?.kind];
};

it('a bank server that has the request may be silent for its time, and no longer', async () => {
  await begin(undefined, { whole: Buffer.from('all of it') });
  upstreams.passTime(1000);
  expect(attempts).toEqual([]);
  upstreams.passTime(1);
  expect(await ended()).toEqual(['failed', 'UND_ERR_HEADERS_TIMEOUT']);
});

it('as long as the client is sending, the bank server may be silent', async () => {
  const client = await begin((request, response) => void readText(request).then((body) => response.end(body)));
  upstreams.passTime(1_000_000);
  client.end(' and part');
  const [answer] = (await once(client, 'response')) as [IncomingMessage];
  expect(await readText(answer)).toBe('part and part');
  expect(await ended()).toEqual(['answered']);
});

it('a bank server that takes no more of the body is not waited for', async () => {
  const client = await begin((request) => request.once('data', () => request.pause()));
  client.on('drain', () => client.write(Buffer.alloc(1 << 20)));
  client.write(Buffer.alloc(1 << 20));
  await until(() => {
    upstreams.passTime(1001);
    return attempts.length > 0;
  });
  expect(await ended()).toEqual(['failed', 'UND_ERR_HEADERS_TIMEOUT']);
});

it('an answer may pause for its time, and no longer', async () => {
  const client = await begin((_request, response) => void response.write('one'));
  client.end();
  const [answer] = (await once(client, 'response')) as [IncomingMessage];
  answer.on('error', () => {});
  await once(answer, 'data');
  upstreams.passTime(2000);
  expect(attempts).toEqual([]);
  upstreams.passTime(1);
  expect(await ended()).toEqual(['broken', 'UND_ERR_BODY_TIMEOUT']);
});

it('an answer that the client does not take is not the silence of the bank server', async () => {
  const client = await begin((_request, response) => void response.end(Buffer.alloc(16 << 20)));
  client.end();
  const [answer] = (await once(client, 'response')) as [IncomingMessage];
  answer.pause();
  await until(() => blockedBytes > 0);
  upstreams.passTime(1_000_000);
  answer.resume();
  await once(answer, 'end');
  expect(await ended()).toEqual(['answered']);
});
