/** Limits of one call and of a bank's calls at once. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { startNeighbours } from './neighbours.ts';
import { JSON_TYPE, LIST, MODERN_LIST, readText, send, start, until } from './support.ts';

const { pod, gateway, bearer } = await startNeighbours();

describe('bounds', () => {
  it.each([
    ['declared', { ...JSON_TYPE }, 'x'.repeat(200_001)],
    ['declared, 2026-07-28', { ...MODERN_LIST }, 'x'.repeat(200_001)],
  ])('a body over the limit is 413: %s', async (_name, headers, body) => {
    const outgoing = start(gateway.port, { headers: { ...headers, ...(await bearer()) }, body });
    outgoing.on('error', () => {});
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    expect([response.statusCode, response.headers.connection]).toEqual([413, 'close']);
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
