/** Stopping: no new connections, calls under way end, what is left after the limit is cut. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { LIST, MODERN_LIST, open, readText, send, startIssuer, startPod, startTestGateway, until } from './support.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function start() {
  const issuer = await startIssuer();
  const pod = await startPod();
  const gateway = await startTestGateway({ issuers: [issuer], podPort: pod.port });
  closing.push(issuer.close, pod.close);
  return { pod, gateway, headers: { ...MODERN_LIST, authorization: `Bearer ${await issuer.token()}` } };
}

describe('a gateway that stops', () => {
  it('lets a call under way end, closes idle connections at once and takes no new one', async () => {
    const { pod, gateway, headers } = await start();
    const waiting: ServerResponse[] = [];
    pod.onRequest = (_request, response) => void waiting.push(response);
    const idle = connect(gateway.port, '127.0.0.1');
    await once(idle, 'connect');
    const running = send(gateway.port, { headers, body: LIST });
    await until(() => waiting.length === 1);
    const stopped = gateway.stop(10_000);
    await once(idle.resume(), 'close');
    await expect(send(gateway.port, { headers, body: LIST })).rejects.toThrow(/ECONNREFUSED/);
    waiting[0]?.end('{}');
    expect((await running).status).toBe(200);
    await stopped;
  });

  it('cuts a stream that is still open at the limit', async () => {
    const { pod, gateway, headers } = await start();
    pod.onRequest = (_request, response) =>
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hello\n\n');
    const { response } = await open(gateway.port, { headers, body: LIST });
    const ended = expect(readText(response)).rejects.toThrow(/aborted/);
    await gateway.stop(50);
    await ended;
  });
});
