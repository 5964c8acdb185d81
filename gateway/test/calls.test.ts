/** A good call on its way: what the bank's pod gets, what the client gets back, and how each end's leaving is felt. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { deriveSealKey, openAssertion } from '@bankhouse/core';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import {
  bank,
  counted,
  deadPort,
  JSON_TYPE,
  LIST,
  listen,
  MODERN_LIST,
  open,
  ROOT_KEY,
  readText,
  type Seen,
  seconds,
  send,
  slice,
  start,
  startIssuer,
  startPod,
  startTestGateway,
  until,
} from './support.ts';

const issuer = await startIssuer();
const pod = await startPod();
const gateway = await startTestGateway({
  issuers: [issuer],
  podPort: pod.port,
  env: {
    MAX_CONCURRENT_PER_BANK: '2',
    WAKE_DEADLINE_MS: '400',
    MAX_BODY_BYTES: '200000',
    UPSTREAM_HEADERS_SECONDS: '1',
  },
});
afterAll(async () => {
  await gateway.stop(0);
  await Promise.all([issuer.close(), pod.close()]);
});
beforeEach(() => {
  pod.seen.length = 0;
  pod.onRequest = undefined;
});

const bearer = async (claims: object = {}, id = 'acme') => ({
  authorization: `Bearer ${await issuer.token(claims, id)}`,
});
const only = (): Seen => {
  expect(pod.seen).toHaveLength(1);
  return pod.seen[0] as Seen;
};

describe('what a bank server gets', () => {
  it('is the body as sent, on its own path, without the query', async () => {
    const answer = await send(gateway.port, {
      target: '/mcp/bank-acme?access_token=x',
      headers: { ...JSON_TYPE, ...(await bearer()) },
      body: LIST,
    });
    expect(answer.status).toBe(200);
    expect(only()).toMatchObject({ method: 'POST', url: '/mcp/bank-acme', body: LIST });
  });

  it('has the caller sealed for the pod and for the database, each with a key of its own (R3.2)', async () => {
    const jti = crypto.randomUUID();
    const claims = { jti, scope: 'mcp:read openid mcp:write', vault_ids: ['sales'] };
    await send(gateway.port, {
      headers: { ...JSON_TYPE, ...(await bearer(claims)), 'x-request-id': 'r-1' },
      body: LIST,
    });
    const { headers } = only();
    const sealed = { pod: headers['bankhouse-assertion'], database: headers['bankhouse-database-assertion'] };
    for (const target of ['pod', 'database'] as const) {
      const keys = new Map([[1, deriveSealKey(ROOT_KEY, target, 'acme', 1)]]);
      expect(openAssertion(sealed[target] as string, { bank: 'acme', keys, now: seconds() })).toMatchObject({
        bank: 'acme',
        sub: 'tester',
        iss: issuer.issuer,
        scopes: ['mcp:read', 'mcp:write'],
        vaults: ['sales'],
        jti,
        rid: 'r-1',
      });
    }
    expect(sealed.pod).not.toBe(sealed.database);
  });

  it.each([
    ['all vaults for a token without vault_ids', {}, null],
    ['no vault for an empty list', { vault_ids: [] }, []],
  ])('opens %s', async (_name, claims, vaults) => {
    await send(gateway.port, { headers: { ...JSON_TYPE, ...(await bearer(claims)) }, body: LIST });
    const keys = new Map([[1, deriveSealKey(ROOT_KEY, 'pod', 'acme', 1)]]);
    const sealed = only().headers['bankhouse-assertion'] as string;
    expect(openAssertion(sealed, { bank: 'acme', keys, now: seconds() }).vaults).toEqual(vaults);
  });

  it("is sealed with the generation in the Bank's status", async () => {
    const routed = bank('acme');
    gateway.table.setBank('banks/acme', { ...routed, status: { ...routed.status, keyGeneration: 2 } });
    await send(gateway.port, { headers: { ...JSON_TYPE, ...(await bearer()) }, body: LIST });
    gateway.table.setBank('banks/acme', routed);
    expect(only().headers['bankhouse-assertion']).toMatch(/^2\./);
  });

  it('has neither credentials nor forged, hop-by-hop or network headers, and what MCP defines as it was', async () => {
    await send(gateway.port, {
      headers: {
        ...MODERN_LIST,
        ...(await bearer()),
        cookie: 'session=1',
        'bankhouse-assertion': 'forged',
        'Bankhouse-Database-Assertion': 'forged',
        'bankhouse-anything': 'x',
        bankhouse_assertion: 'forged',
        'x-forwarded-for': '10.0.0.1',
        'x-real-ip': '10.0.0.1',
        forwarded: 'for=10.0.0.1',
        connection: 'keep-alive, X-Private',
        'x-private': 'for one hop',
        te: 'trailers',
        upgrade: 'websocket',
        'proxy-authorization': 'Basic eDp5',
        host: 'evil.example',
        'mcp-param-region': 'eu',
        traceparent: '00-1-2-00',
      },
      body: LIST,
    });
    const { headers } = only();
    const refused = [
      'authorization',
      'cookie',
      'bankhouse-anything',
      'bankhouse_assertion',
      'x-forwarded-for',
      'x-real-ip',
    ];
    for (const name of [...refused, 'forwarded', 'x-private', 'te', 'upgrade', 'proxy-authorization']) {
      expect([name, headers[name]]).toEqual([name, undefined]);
    }
    expect(JSON.stringify(headers)).not.toContain('forged');
    expect(headers).toMatchObject({
      host: 'mcp.example.com',
      'mcp-param-region': 'eu',
      'mcp-method': 'tools/list',
      traceparent: '00-1-2-00',
      'content-type': 'application/json',
    });
  });

  it.each([
    ['a harmless request id is kept', 'trace-1:2.3_4', 'trace-1:2.3_4'],
    ['one with a space is replaced', 'a b', undefined],
    ['one that is too long is replaced', 'x'.repeat(65), undefined],
  ])('%s, and told to the client', async (_name, given, kept) => {
    const headers = { ...JSON_TYPE, ...(await bearer()), 'x-request-id': given };
    const answer = await send(gateway.port, { headers, body: LIST });
    const passed = only().headers['x-request-id'];
    expect(passed).toBe(answer.headers['x-request-id']);
    if (kept === undefined) expect(passed).toMatch(/^[0-9a-f-]{36}$/);
    else expect(passed).toBe(kept);
  });

  it.each(['GET', 'DELETE'])('%s of the older revisions is passed on', async (method) => {
    pod.onRequest = (_request, response) => response.writeHead(405, { allow: 'POST' }).end();
    const { response } = await open(gateway.port, { method, headers: await bearer() });
    expect(response.statusCode).toBe(405);
    expect(response.headers.allow).toBe('POST');
    expect(only().method).toBe(method);
  });
});

describe('what a client may do', () => {
  const tool = (name: string) => JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } });
  const modernTool = (name: string) => ({ ...MODERN_LIST, 'mcp-method': 'tools/call', 'mcp-name': name });
  it.each<[string, string, Record<string, string>, string, number]>([
    ['mcp:read lists tools, older revision', 'mcp:read', JSON_TYPE, LIST, 200],
    ['mcp:read calls a reading tool, older revision', 'mcp:read', JSON_TYPE, tool('list_recordings'), 200],
    [
      'mcp:read calls a reading tool, 2026-07-28',
      'mcp:read',
      modernTool('list_recordings'),
      tool('list_recordings'),
      200,
    ],
    ['mcp:read calls a writing tool, 2026-07-28', 'mcp:read', modernTool('delete_note'), tool('delete_note'), 403],
    ['mcp:write calls a writing tool', 'mcp:write', JSON_TYPE, tool('delete_note'), 200],
    ['mcp:write calls a reading tool', 'mcp:write', JSON_TYPE, tool('list_recordings'), 403],
    ['mcp:verify lists tools', 'mcp:verify', JSON_TYPE, LIST, 200],
    ['mcp:verify reads a resource', 'mcp:verify', { ...MODERN_LIST, 'mcp-method': 'resources/read' }, '{}', 403],
    [
      'mcp:verify sends a batch of a ping and an answer',
      'mcp:verify',
      JSON_TYPE,
      `[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":9,"result":{}}]`,
      200,
    ],
  ])('%s', async (_name, scope, headers, body, status) => {
    const answer = await send(gateway.port, { headers: { ...headers, ...(await bearer({ scope })) }, body });
    expect(answer.status).toBe(status);
    expect(pod.seen).toHaveLength(status === 200 ? 1 : 0);
  });

  it('names all scopes that a batch needs', async () => {
    const body = `[${tool('list_recordings')},${tool('delete_note')}]`;
    const answer = await send(gateway.port, { headers: { ...JSON_TYPE, ...(await bearer()) }, body });
    expect(answer.headers['www-authenticate']).toContain('scope="mcp:read mcp:write"');
  });

  it.each<[string, () => void]>([
    ['does not exist', () => gateway.table.setBank('banks/acme', undefined)],
    ['is suspended', () => gateway.table.setBank('banks/acme', bank('acme', { suspended: true }))],
    ['is not accepted', () => gateway.table.setBank('banks/acme', bank('acme', { accepted: false }))],
  ])('is told the same 403 by a bank that %s', async (_name, arrange) => {
    arrange();
    const answers = [
      await send(gateway.port, { headers: { ...JSON_TYPE, ...(await bearer()) }, body: LIST }),
      await send(gateway.port, { headers: { ...MODERN_LIST, ...(await bearer()) }, body: LIST }),
    ];
    gateway.table.setBank('banks/acme', bank('acme'));
    for (const { status, error, headers } of answers) {
      expect({ status, code: error?.data.code }).toEqual({ status: 403, code: 'bank_unavailable' });
      expect(headers['www-authenticate']).toMatch(
        /^Bearer error="insufficient_scope", error_description="[^"]+", scope="mcp:read", resource_metadata="https:\/\/mcp\.example\.com\/\.well-known\/oauth-protected-resource\/mcp\/bank-acme"$/,
      );
    }
    expect(pod.seen).toEqual([]);
  });
});

describe('streams', () => {
  it('an event reaches the client before the next is written, and headers before the first', async () => {
    const { promise: stream, resolve } = Promise.withResolvers<ServerResponse>();
    pod.onRequest = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
      response.flushHeaders();
      resolve(response);
    };
    const { response } = await open(gateway.port, { headers: { ...MODERN_LIST, ...(await bearer()) }, body: LIST });
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
    const { response } = await open(gateway.port, { headers: { ...MODERN_LIST, ...(await bearer()) }, body: LIST });
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
    const { headers } = await send(gateway.port, { headers: { ...MODERN_LIST, ...(await bearer()) }, body: LIST });
    const common = ['connection', 'date', 'transfer-encoding', 'x-content-type-options', 'x-request-id'];
    expect(Object.keys(headers).sort()).toEqual([...common, 'content-type', 'mcp-session-id', 'retry-after'].sort());
  });
});

describe('a bank server that fails', () => {
  it('before its answer is 502, and the call is not repeated', async () => {
    pod.onRequest = (request) => request.socket.destroy();
    const answer = await send(gateway.port, { headers: { ...MODERN_LIST, ...(await bearer()) }, body: LIST });
    expect({ status: answer.status, code: answer.error?.data.code }).toEqual({ status: 502, code: 'bank_failed' });
    only();
  });

  it("to take the gateway's seal is 502 and not 401, which would say that the token is bad", async () => {
    pod.onRequest = (_request, response) => response.writeHead(401, { 'content-type': 'application/json' }).end('{}');
    const answer = await send(gateway.port, { headers: { ...MODERN_LIST, ...(await bearer()) }, body: LIST });
    expect({ status: answer.status, code: answer.error?.data.code }).toEqual({
      status: 502,
      code: 'bank_refused_gateway',
    });
  });

  it('to answer in time is 504', async () => {
    pod.onRequest = () => {};
    const answer = await send(gateway.port, { headers: { ...MODERN_LIST, ...(await bearer()) }, body: LIST });
    expect({ status: answer.status, code: answer.error?.data.code }).toEqual({ status: 504, code: 'bank_timeout' });
  });

  it('within its answer breaks the connection to the client, so that nobody takes it for whole', async () => {
    pod.onRequest = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 1\n\n', () => response.destroy());
    };
    const { response } = await open(gateway.port, { headers: { ...MODERN_LIST, ...(await bearer()) }, body: LIST });
    await expect(readText(response)).rejects.toThrow(/aborted/);
  });

  it('to take the connection at one address is tried at another', async () => {
    const dead = slice('acme', [await deadPort()]);
    gateway.table.setSlice('banks/dead', { ...dead, metadata: { ...dead.metadata, name: 'dead' } });
    const retries = await counted(gateway, 'bankhouse_gateway_upstream_retries_total');
    for (let turn = 0; turn < 4; turn++) {
      const answer = await send(gateway.port, { headers: { ...MODERN_LIST, ...(await bearer()) }, body: LIST });
      expect(answer.status).toBe(200);
    }
    gateway.table.setSlice('banks/dead', undefined);
    expect(pod.seen).toHaveLength(4);
    expect(await counted(gateway, 'bankhouse_gateway_upstream_retries_total')).toBeGreaterThanOrEqual(retries);
  });

  it('to listen yet is waited for', async () => {
    const port = await deadPort();
    gateway.table.setSlice('banks/acme', slice('acme', [port]));
    const before = await counted(gateway, 'bankhouse_gateway_upstream_retries_total');
    const answer = send(gateway.port, { headers: { ...MODERN_LIST, ...(await bearer()) }, body: LIST });
    await until(async () => (await counted(gateway, 'bankhouse_gateway_upstream_retries_total')) > before);
    const late = await listen((_request, response) => response.end('{"late":true}'));
    gateway.table.setSlice('banks/acme', slice('acme', [late.port]));
    expect((await answer).body).toBe('{"late":true}');
    gateway.table.setSlice('banks/acme', slice('acme', [pod.port]));
    await late.close();
  });

  it('to have an address at all by the deadline is 503 with Retry-After', async () => {
    gateway.table.setSlice('banks/acme', undefined);
    const answer = await send(gateway.port, { headers: { ...MODERN_LIST, ...(await bearer()) }, body: LIST });
    gateway.table.setSlice('banks/acme', slice('acme', [pod.port]));
    expect({ status: answer.status, code: answer.error?.data.code }).toEqual({ status: 503, code: 'bank_starting' });
    expect(answer.headers['retry-after']).toBe('2');
  });
});

describe('revocation (R1.4)', () => {
  it('refuses the token on its next call', async () => {
    const jti = crypto.randomUUID();
    const headers = { ...MODERN_LIST, ...(await bearer({ jti })) };
    expect((await send(gateway.port, { headers, body: LIST })).status).toBe(200);
    gateway.revocations.add({ jti, exp: seconds() + 300 });
    const answer = await send(gateway.port, { headers, body: LIST });
    expect({ status: answer.status, code: answer.error?.data.code }).toEqual({ status: 401, code: 'token_revoked' });
  });

  it("refuses all of a bank's tokens from before its epoch, and no other bank's", async () => {
    gateway.revocations.add({ bank: 'globex', notBefore: seconds() + 1 });
    const refused = await send(gateway.port, {
      target: '/mcp/bank-globex',
      headers: { ...MODERN_LIST, ...(await bearer({}, 'globex')) },
      body: LIST,
    });
    const other = await send(gateway.port, { headers: { ...MODERN_LIST, ...(await bearer()) }, body: LIST });
    gateway.revocations.replace([]);
    expect([refused.error?.data.code, other.status]).toEqual(['token_revoked', 200]);
  });

  it.each(['revoked', 'expired'])('ends a stream whose token is %s meanwhile', async (how) => {
    pod.onRequest = (_request, response) =>
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hello\n\n');
    const jti = crypto.randomUUID();
    // Within the leeway of 5 s, so that it is good for about a second more.
    const claims = how === 'expired' ? { jti, iat: seconds() - 60, exp: seconds() - 3 } : { jti };
    const { response } = await open(gateway.port, {
      headers: { ...MODERN_LIST, ...(await bearer(claims)) },
      body: LIST,
    });
    const ended = expect(readText(response)).rejects.toThrow(/aborted/);
    if (how === 'revoked') {
      gateway.revocations.add({ jti, exp: seconds() + 300 });
      gateway.sweep();
    }
    await ended;
  });

  it('that is not known for more than 10 s refuses every call with 503, and lets them through once it is', async () => {
    const headers = { ...MODERN_LIST, ...(await bearer()) };
    const before = gateway.clock.ms;
    gateway.clock.ms = before + 10_001;
    const answer = await send(gateway.port, { headers, body: LIST });
    expect({ status: answer.status, code: answer.error?.data.code }).toEqual({
      status: 503,
      code: 'revocation_unknown',
    });
    expect(answer.headers['retry-after']).toBe('5');
    expect(pod.seen).toEqual([]);
    gateway.revocations.confirm(gateway.clock.ms);
    expect((await send(gateway.port, { headers, body: LIST })).status).toBe(200);
  });
});

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
