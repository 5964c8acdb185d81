/** Answers and bodies that take their time: each piece passes at once, and each end's leaving is felt at the other. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { startNeighbours } from './neighbours.ts';
import { counted, LIST, MODERN_LIST, start, until } from './support.ts';

const { pod, gateway, bearer, list, openList } = await startNeighbours();

describe('streams', () => {
  it('an event reaches the client before the next is written, and headers before the first', async () => {
    const { promise: stream, resolve } = Promise.withResolvers<ServerResponse>();
    pod.onRequest = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
      response.flushHeaders();
      resolve(response);
    };
    const { response } = await openList();
    expect(response.headers).toMatchObject({ 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
    const upstream = await stream;
    for (const event of ['data: 1\n\n', ': keep-alive\n\n', 'data: 2\n\n']) {
      upstream.write(event);
      const [chunk] = (await once(response, 'data')) as [Buffer];
      expect(chunk.toString()).toBe(event);
    }
    upstream.end();
    await once(response, 'end');
  });

  it('a part of a long body reaches the bank server before the next is sent', async () => {
    const { promise: arrived, resolve } = Promise.withResolvers<IncomingMessage>();
    pod.onRequest = (request, response) => {
      resolve(request);
      request.on('end', () => response.end('{}'));
    };
    const outgoing = start(gateway.port, { headers: { ...MODERN_LIST, ...(await bearer()) }, body: null });
    outgoing.write('first');
    const upstream = await arrived;
    const [first] = (await once(upstream, 'data')) as [Buffer];
    expect(first.toString()).toBe('first');
    outgoing.write('second');
    const [second] = (await once(upstream, 'data')) as [Buffer];
    expect(second.toString()).toBe('second');
    outgoing.end();
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(200);
    response.resume();
  });

  it('a slow reader slows the bank server down', async () => {
    const total = 48 * 1024 * 1024;
    let written = 0;
    pod.onRequest = (_request, response) => {
      const chunk = Buffer.alloc(64 * 1024, 120);
      const push = () => {
        while (written < total) {
          written += chunk.length;
          if (!response.write(chunk)) return void response.once('drain', push);
        }
        response.end();
      };
      push();
    };
    const { response } = await openList();
    let read = 0;
    let lead = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      read += chunk.length;
      lead = Math.max(lead, written - read);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(read).toBe(total);
    expect(lead).toBeLessThan(16 * 1024 * 1024);
  });

  it.each(['before the answer', 'within the answer'])('a client that goes away %s ends the work', async (when) => {
    const { promise: arrived, resolve } = Promise.withResolvers<IncomingMessage>();
    const { promise: closed, resolve: close } = Promise.withResolvers<void>();
    pod.onRequest = (request, response) => {
      response.on('close', close);
      if (when === 'within the answer')
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
      resolve(request);
    };
    const outgoing = start(gateway.port, { headers: { ...MODERN_LIST, ...(await bearer()) }, body: LIST });
    outgoing.on('error', () => {});
    if (when === 'within the answer') await once(outgoing, 'response');
    await arrived;
    outgoing.destroy();
    await closed;
    await until(async () => (await counted(gateway, 'bankhouse_gateway_open_calls')) === 0);
  });

  it("headers that would speak for the front door don't pass, those of the protocol do", async () => {
    pod.onRequest = (_request, response) =>
      response
        .writeHead(200, {
          'content-type': 'application/json',
          'mcp-session-id': 's',
          'retry-after': '1',
          'set-cookie': 'a=b',
          'www-authenticate': 'Bearer resource_metadata="https://evil.example"',
          'access-control-allow-origin': '*',
          'strict-transport-security': 'max-age=0',
          'x-powered-by': 'x',
          'bankhouse-assertion': 'x',
        })
        .end('{}');
    const { headers } = await list();
    const common = ['connection', 'date', 'transfer-encoding', 'x-content-type-options', 'x-request-id'];
    expect(Object.keys(headers).sort()).toEqual([...common, 'content-type', 'mcp-session-id', 'retry-after'].sort());
  });
});
