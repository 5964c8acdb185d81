/** A bank's pod that fails before, within or instead of its answer. */
import { describe, expect, it } from 'vitest';
import { startNeighbours } from './neighbours.ts';
import { counted, LIST, listen, MODERN_LIST, podAt, readText, send, until } from './support.ts';

const { pod, gateway, bearer, only, list, openList } = await startNeighbours();

describe('a bank server that fails', () => {
  it('before its answer is 502, and the call is not repeated', async () => {
    pod.onRequest = (request) => request.socket.destroy();
    const answer = await list();
    expect({ status: answer.status, code: answer.error?.data.code }).toEqual({ status: 502, code: 'bank_failed' });
    only();
  });

  it("to take the gateway's seal is 502 and not 401, which would say that the token is bad", async () => {
    pod.onRequest = (_request, response) => response.writeHead(401, { 'content-type': 'application/json' }).end('{}');
    const answer = await list();
    expect({ status: answer.status, code: answer.error?.data.code }).toEqual({
      status: 502,
      code: 'bank_refused_gateway',
    });
  });

  it('to answer in time is 504', async () => {
    pod.onRequest = () => {};
    const answer = await list();
    expect({ status: answer.status, code: answer.error?.data.code }).toEqual({ status: 504, code: 'bank_timeout' });
  });

  it('within its answer breaks the connection to the client, so that nobody takes it for whole', async () => {
    pod.onRequest = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 1\n\n', () => response.destroy());
    };
    const { response } = await openList();
    await expect(readText(response)).rejects.toThrow(/aborted/);
  });

  it('to take the connection at one address is tried at another', async () => {
    gateway.table.setPod('banks/dead', podAt('acme', '127.0.0.2'));
    const retries = await counted(gateway, 'bankhouse_gateway_upstream_retries_total');
    for (let turn = 0; turn < 4; turn++) {
      const answer = await list();
      expect(answer.status).toBe(200);
    }
    gateway.table.setPod('banks/dead', undefined);
    expect(pod.seen).toHaveLength(4);
    expect(await counted(gateway, 'bankhouse_gateway_upstream_retries_total')).toBeGreaterThanOrEqual(retries);
  });

  it('to listen yet is waited for', async () => {
    gateway.table.setPod('banks/acme', podAt('acme', '127.0.0.3', { state: 'starting' }));
    const before = await counted(gateway, 'bankhouse_gateway_upstream_retries_total');
    const answer = send(gateway.port, { headers: { ...MODERN_LIST, ...(await bearer()) }, body: LIST });
    await until(async () => (await counted(gateway, 'bankhouse_gateway_upstream_retries_total')) > before);
    const late = await listen((_request, response) => response.end('{"late":true}'), {
      ip: '127.0.0.3',
      port: pod.port,
    });
    expect((await answer).body).toBe('{"late":true}');
    gateway.table.setPod('banks/acme', podAt('acme', '127.0.0.1'));
    await late.close();
  });

  it('to have an address at all by the deadline is 503 with Retry-After', async () => {
    gateway.table.setPod('banks/acme', undefined);
    const answer = await list();
    gateway.table.setPod('banks/acme', podAt('acme', '127.0.0.1'));
    expect({ status: answer.status, code: answer.error?.data.code }).toEqual({ status: 503, code: 'bank_starting' });
    expect(answer.headers['retry-after']).toBe('2');
  });
});
