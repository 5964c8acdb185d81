import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { type Admin, type AdminAnswers, startAdmin } from '../src/index.ts';

const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
const METRICS = { contentType: CONTENT_TYPE, metrics: async () => 'up 1\n' };

let admin: Admin | undefined;
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await admin?.close();
  admin = undefined;
});

async function start(answers: Partial<AdminAnswers> = {}, requestLimitMs?: number): Promise<number> {
  const limit = requestLimitMs === undefined ? {} : { requestLimitMs };
  admin = await startAdmin({ port: 0, notReady: () => undefined, metrics: METRICS, ...answers, ...limit });
  return admin.port;
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

const failing = {
  contentType: CONTENT_TYPE,
  metrics: async () => {
    throw new Error('secret');
  },
};

describe('the admin server', () => {
  it.each<[string, string, Partial<AdminAnswers>, number, string]>([
    ['a process that runs is healthy', '/healthz', {}, 200, 'ok\n'],
    ['also while it is not ready', '/healthz', { notReady: () => 'stopping' }, 200, 'ok\n'],
    ['ready where nothing is missing', '/readyz', {}, 200, 'ok\n'],
    ['not ready, with the reason', '/readyz', { notReady: () => 'waiting for: keys' }, 503, 'waiting for: keys\n'],
    ['metrics', '/metrics', {}, 200, 'up 1\n'],
    ['metrics that fail, without the reason', '/metrics', { metrics: failing }, 500, 'metrics failed\n'],
    ['any other path', '/', {}, 404, 'There are /healthz, /readyz and /metrics.\n'],
    ['no path with a query', '/healthz?x', {}, 404, 'There are /healthz, /readyz and /metrics.\n'],
  ])('answers %s', async (_sentence, path, answers, status, body) => {
    const answer = await fetch(`http://127.0.0.1:${await start(answers)}${path}`);
    expect([answer.status, await answer.text()]).toEqual([status, body]);
    expect(answer.headers.get('content-type')).toBe(
      status === 200 && path === '/metrics' ? CONTENT_TYPE : 'text/plain; charset=utf-8',
    );
  });

  it.each<[string, string, RegExp]>([
    [
      'HEAD by the head of the answer',
      'HEAD /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
      /^HTTP\/1.1 200 [\s\S]*content-length: 3\r\n[\s\S]*\r\n\r\n$/,
    ],
    [
      'another method by 405',
      'DELETE /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
      /^HTTP\/1.1 405 [\s\S]*allow: GET, HEAD\r\n/,
    ],
    [
      'an endless body by the answer and the end',
      'POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 999999999\r\n\r\n',
      /^HTTP\/1.1 405 [\s\S]*connection: close\r\n/,
    ],
    [
      'a body of a GET by the answer and the end',
      'GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 999999999\r\n\r\n',
      /^HTTP\/1.1 200 [\s\S]*connection: close\r\n/,
    ],
    [
      'headers over 8 KiB by 431',
      `GET /healthz HTTP/1.1\r\nhost: x\r\na: ${'x'.repeat(8192)}\r\n\r\n`,
      /^HTTP\/1.1 431 /,
    ],
    ['what is not HTTP by 400', 'hello\r\n\r\n', /^HTTP\/1.1 400 /],
  ])('answers %s', async (_sentence, request, expected) => {
    const socket = await open(await start());
    socket.write(request);
    expect(await text(socket)).toMatch(expected);
  });

  it.each([
    ['says nothing', ''],
    ['stops within its headers', 'GET /healthz HTTP/1.1\r\nhost:'],
  ])('cuts off whoever connects and %s', async (_sentence, begun) => {
    const socket = await open(await start({}, 50));
    socket.write(begun);
    expect(await text(socket)).toMatch(/^(HTTP\/1.1 408 [\s\S]*)?$/);
  });

  it('counts once for all that ask at the same time, and anew for the next', async () => {
    let scrapes = 0;
    const counted = Promise.withResolvers<string>();
    const metrics = {
      contentType: CONTENT_TYPE,
      metrics: () => (++scrapes === 1 ? counted.promise : Promise.resolve('later\n')),
    };
    const port = await start({ metrics });
    const socket = await open(port);
    const request = 'GET /metrics HTTP/1.1\r\nhost: x\r\n';
    socket.write(`${`${request}\r\n`.repeat(100)}${request}connection: close\r\n\r\n`);
    const answers = text(socket);
    await expect.poll(() => scrapes).toBe(1);
    expect(await (await fetch(`http://127.0.0.1:${port}/readyz`)).text()).toBe('ok\n');
    counted.resolve('once\n');
    expect((await answers).split('once\n')).toHaveLength(102);
    expect(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).toBe('later\n');
    expect(scrapes).toBe(2);
  });

  it('says that a port is taken, and closes under whoever is connected', async () => {
    const port = await start();
    await expect(startAdmin({ port, notReady: () => undefined, metrics: METRICS })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
    const socket = await open(port);
    const closed = once(socket, 'close');
    await admin?.close();
    await closed;
  });
});
