/** Limits of one call and of a bank's calls at once. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startNeighbours } from './neighbours.ts';
import { counted, JSON_TYPE, LIST, MODERN_LIST, readText, send, start, until } from './support.ts';

const { pod, gateway, bearer } = await startNeighbours();

/** A body in chunks of one byte, on a connection of its own. */
async function sendInSingleBytes(body: string, headers: Record<string, string>) {
  const socket = connect(gateway.port, '127.0.0.1');
  socket.on('error', () => {});
  const { promise: closed, resolve } = Promise.withResolvers<unknown>();
  socket.on('close', resolve);
  const all = { host: 'x', ...JSON_TYPE, ...headers, 'transfer-encoding': 'chunked' };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`POST /mcp/bank-acme HTTP/1.1\r\n${lines.join('')}\r\n`);
  socket.write([...body].map((byte) => `1\r\n${byte}\r\n`).join(''));
  // Not the end of what is too long: its connection must close without it.
  if (body.length < 4_096) socket.write('0\r\n\r\n');
  return { socket, closed };
}

describe('bounds', () => {
  it.each([
    ['declared', { ...JSON_TYPE }, 'x'.repeat(200_001)],
    ['declared, 2026-07-28', { ...MODERN_LIST }, 'x'.repeat(200_001)],
  ])('a body over the limit is 413: %s', async (_name, headers, body) => {
    const outgoing = start(gateway.port, { headers: { ...headers, ...(await bearer()) }, body });
    outgoing.on('error', () => {});
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(413);
    expect(JSON.parse(await readText(response)).error.data.code).toBe('body_too_large');
    expect(pod.seen).toEqual([]);
  });

  it.each([
    ['older revision', JSON_TYPE],
    ['2026-07-28', MODERN_LIST],
  ])('a body that grows over the limit is 413: %s', async (_name, headers) => {
    pod.onRequest = (request) => request.resume();
    const outgoing = start(gateway.port, { headers: { ...headers, ...(await bearer()) }, body: null });
    outgoing.on('error', () => {});
    const answer = once(outgoing, 'response');
    outgoing.write('x'.repeat(150_000));
    outgoing.write('x'.repeat(150_000));
    const [response] = (await answer) as [IncomingMessage];
    expect(response.statusCode).toBe(413);
    response.resume();
    outgoing.destroy();
  });

  it.each([
    ['at once, older revision', JSON_TYPE, 413],
    ['at once, 2026-07-28', MODERN_LIST, 413],
  ])(
    'G13: 30 MB that are sent to the end before anybody reads get their answer: %s',
    async (_name, headers, status) => {
      const outgoing = start(gateway.port, {
        headers: { ...headers, ...(await bearer()) },
        body: 'x'.repeat(30_000_000),
      });
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
      if (!outgoing.writableFinished) await once(outgoing, 'finish');
      expect([response.statusCode, JSON.parse(await readText(response)).error.data.code]).toEqual([
        status,
        'body_too_large',
      ]);
      expect(outgoing.errored).toBeNull();
    },
  );

  it('G13: so do 30 MB of somebody without a token', async () => {
    const outgoing = start(gateway.port, { headers: JSON_TYPE, body: 'x'.repeat(30_000_000) });
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    if (!outgoing.writableFinished) await once(outgoing, 'finish');
    expect([response.statusCode, outgoing.errored]).toEqual([401, null]);
    response.resume();
  });

  it.each<[string, string, string]>([
    ['a million empty lists', `[${Array(60_000).fill('[]').join(',')}]`, 'body_too_many'],
    ['sixty thousand numbers', `[${Array(60_000).fill(0).join(',')}]`, 'body_too_many'],
    ['lists in lists', `${'['.repeat(90_000)}${']'.repeat(90_000)}`, 'body_too_deep'],
    ['objects in objects', `${'{"a":'.repeat(65)}0${'}'.repeat(65)}`, 'body_too_deep'],
  ])('G2: %s are refused before they are parsed', async (_name, body, code) => {
    const answer = await send(gateway.port, { headers: { ...JSON_TYPE, ...(await bearer()) }, body });
    expect([answer.status, answer.error?.data.code]).toEqual([400, code]);
  });

  it('G2: brackets and commas in texts count for nothing', async () => {
    const text = `\\"${'[{,'.repeat(50_000)}\\\\`;
    const body = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"text":"${text}"}}`;
    expect((await send(gateway.port, { headers: { ...JSON_TYPE, ...(await bearer()) }, body })).status).toBe(200);
  });

  it.each<[string, (long: string) => string]>([
    ['a method', (long) => JSON.stringify({ jsonrpc: '2.0', id: 1, method: long })],
    ['a tool', (long) => JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: long } })],
    [
      'many tools',
      (long) => {
        const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: long.slice(0, 3_000) } };
        return JSON.stringify(Array(50).fill(call));
      },
    ],
  ])('G3: %s of any length and any characters leaves one short line in the log', async (_name, bodyOf) => {
    gateway.lines.length = 0;
    const body = bodyOf('\u202e\u2028\n\u0000x'.repeat(30_000));
    await send(gateway.port, { headers: { ...JSON_TYPE, ...(await bearer()) }, body });
    const [line = '', ...more] = gateway.lines;
    expect(more).toEqual([]);
    expect(line.length).toBeLessThan(6_000);
    expect(line.trimEnd()).not.toMatch(/[\u202e\u2028\n\0]|\\n|\\u/);
  });

  it('G2: a body in single bytes is put together as it was', async () => {
    const { socket } = await sendInSingleBytes(LIST.padEnd(4_000), await bearer());
    await once(socket, 'data');
    expect(pod.seen.map(({ body }) => body.trimEnd())).toEqual([LIST]);
    socket.destroy();
  });

  it.each<[string, boolean]>([
    ['of a caller', true],
    ['of somebody without a token, which is refused and read to its end otherwise', false],
  ])('G2: many thousand single bytes end their connection: %s', async (_name, isCaller) => {
    const { socket, closed } = await sendInSingleBytes(' '.repeat(20_000), isCaller ? await bearer() : {});
    socket.resume();
    await closed;
    expect(pod.seen).toEqual([]);
    expect(await counted(gateway, 'bankhouse_gateway_held_bytes')).toBe(0);
  });

  it('headers over 16 KiB are 431', async () => {
    const answer = await send(gateway.port, { headers: { ...JSON_TYPE, 'x-long': 'x'.repeat(17_000) }, body: LIST });
    expect({ status: answer.status, code: answer.error?.data.code }).toEqual({
      status: 431,
      code: 'headers_too_large',
    });
  });

  it('more calls of a bank at once than allowed are 503, and other banks do not notice', async () => {
    const waiting: ServerResponse[] = [];
    pod.onRequest = (_request, response) => void waiting.push(response);
    const headers = { ...MODERN_LIST, ...(await bearer()) };
    const running = [send(gateway.port, { headers, body: LIST }), send(gateway.port, { headers, body: LIST })];
    await until(() => waiting.length === 2);
    const refused = await send(gateway.port, { headers, body: LIST });
    expect({ status: refused.status, code: refused.error?.data.code }).toEqual({
      status: 503,
      code: 'bank_overloaded',
    });
    expect(refused.headers['retry-after']).toBe('1');
    pod.onRequest = undefined;
    const other = { ...MODERN_LIST, ...(await bearer({}, 'globex')) };
    expect((await send(gateway.port, { target: '/mcp/bank-globex', headers: other, body: LIST })).status).toBe(200);
    for (const response of waiting) response.end('{}');
    expect((await Promise.all(running)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it('a body that is announced (Expect: 100-continue) is invited only from who may send it', async () => {
    const outgoing = start(gateway.port, {
      headers: { ...JSON_TYPE, ...(await bearer()), expect: '100-continue', 'content-length': String(LIST.length) },
      body: null,
    });
    outgoing.flushHeaders();
    await once(outgoing, 'continue');
    outgoing.end(LIST);
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(200);
    response.resume();

    const refused = start(gateway.port, {
      headers: { ...JSON_TYPE, expect: '100-continue', 'content-length': String(LIST.length) },
      body: null,
    });
    let invited = false;
    refused.on('continue', () => {
      invited = true;
    });
    refused.on('error', () => {});
    refused.flushHeaders();
    const [answer] = (await once(refused, 'response')) as [IncomingMessage];
    expect([answer.statusCode, invited]).toEqual([401, false]);
    refused.destroy();
  });
});
