/** What the pod answers to requests that no client library would send, and around the protocol. */

import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import type { Assertion } from '@bankhouse/core';
import { defineTool, statement } from '@bankhouse/server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { SOON } from '../../harness/soon.ts';
import { call, ERAS, MODERN, modernRequest, type RunningBank, runBank } from './support.ts';

let postgres: TestPostgres;
let running: RunningBank;
beforeAll(async () => {
  postgres = await startPostgres();
  running = await runBank(postgres, 'acme');
});
afterAll(async () => {
  await running?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

const now = () => Math.floor(Date.now() / 1000);
const listVaults = () => modernRequest('tools/call', { name: 'list_vaults', arguments: {} });
const answer = async (response: Response) => ({ status: response.status, body: await response.json() });
const transactions = () =>
  withClient(postgres.superuserUrl, async (client) => {
    const { rows } = await client.query<{ n: number }>(
      'select count(*)::int n from pg_stat_activity where usename = $1',
      [running.bank.role],
    );
    return rows[0]?.n;
  });

describe('the door', () => {
  it.each<[string, () => Record<string, string | undefined>, string]>([
    ['no assertion', () => ({}), 'assertion_absent'],
    ['a bearer token instead', () => ({ authorization: 'Bearer x' }), 'assertion_absent'],
    [
      'a forged one',
      () => ({ ...running.headers(), 'bankhouse-assertion': running.headers()['bankhouse-database-assertion'] }),
      'assertion_forged',
    ],
    ['a replayed one', () => running.headers({ iat: now() - 62 }), 'assertion_expired'],
    ["another bank's", () => running.headers({ bank: 'other' }), 'assertion_forged'],
    [
      'none for the database',
      () => ({ ...running.headers(), 'bankhouse-database-assertion': undefined }),
      'assertion_absent',
    ],
  ])('answers 401 to %s, before the database hears of it', async (_sentence, headers, code) => {
    const { body, headers: protocol } = listVaults();
    expect(await answer(await running.post(body, { ...protocol, ...headers() }))).toMatchObject({
      status: 401,
      body: { jsonrpc: '2.0', error: { code: -32001, data: { code } } },
    });
    expect(await transactions()).toBe(0);
  });

  it.each(['GET', 'DELETE'])('answers %s without an assertion like any other request', async (method) => {
    expect((await fetch(running.url, { method })).status).toBe(401);
  });

  it.each<[string, Partial<Assertion>, object]>([
    ['one for a handshake does not read (G7)', { access: 'none' }, { code: 'insufficient_scope' }],
    [
      'one of a gateway before `access` does what its scopes say, and a writer may not read',
      { access: undefined, scopes: ['mcp:write'] },
      { code: 'insufficient_scope', scopes: ['mcp:read', 'mcp:write'] },
    ],
  ])('checks again what an assertion is for: %s', async (_sentence, changes, data) => {
    const { body, headers } = listVaults();
    expect(await answer(await running.post(body, { ...headers, ...running.headers(changes) }))).toMatchObject({
      status: 403,
      body: { id: 1, error: { code: -32003, data } },
    });
  });

  it.each(ERAS)("lets the operator's verifier shake hands and list, but read nothing (%s)", async (era) => {
    await using client = await running.connect(era, { scopes: ['mcp:verify'], vaults: [] });
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('list_vaults');
    await expect(client.callTool({ name: 'list_vaults', arguments: {} })).rejects.toThrow();
    await expect(client.listResources()).rejects.toThrow();
  });
});

describe('the protocol', () => {
  it('is discovered in its stateless form', async () => {
    const { body, headers } = modernRequest('server/discover');
    expect(await answer(await running.post(body, { ...headers, ...running.headers() }))).toMatchObject({
      status: 200,
      body: {
        result: {
          resultType: 'complete',
          supportedVersions: [MODERN],
          cacheScope: 'private',
          ttlMs: 300_000,
          instructions: expect.stringContaining('Acme Ltd'),
        },
      },
    });
  });

  it('K13: tells the name that the bank has now, without a new start', async () => {
    const { body, headers } = modernRequest('server/discover');
    const told = async () =>
      JSON.stringify(await answer(await running.post(body, { ...headers, ...running.headers() })));
    running.writeSecret('bank-name', 'Acme & Söhne');
    try {
      await expect.poll(told, SOON).toContain('"title":"Acme & Söhne"');
      expect(await told()).toContain('The bank \\"Acme & Söhne\\".');
      await using client = await running.connect('legacy');
      expect(client.getServerVersion()?.title).toBe('Acme & Söhne');
    } finally {
      running.writeSecret('bank-name', 'Acme Ltd');
    }
    await expect.poll(told, SOON).toContain('"title":"Acme Ltd"');
  });

  it.each<[string, Record<string, unknown>, number]>([
    ['tools/list', {}, 300_000],
    ['resources/templates/list', {}, 300_000],
    ['resources/list', {}, 5000],
    ['resources/read', { uri: 'bankhouse://acme/vaults/sales' }, 5000],
  ])('lets only the client itself keep the answer to %s', async (method, params, ttlMs) => {
    const { body, headers } = modernRequest(method, params);
    const named = typeof params.uri === 'string' ? { 'mcp-name': params.uri } : {};
    expect(await answer(await running.post(body, { ...headers, ...named, ...running.headers() }))).toMatchObject({
      status: 200,
      body: { result: { ttlMs, cacheScope: 'private' } },
    });
  });

  it.each<[string, Record<string, string | undefined>, number, number]>([
    ['another method in the header', { 'mcp-method': 'tools/list' }, 400, -32020],
    ['another tool in the header', { 'mcp-name': 'get_recording' }, 400, -32020],
    ['another version in the header', { 'mcp-protocol-version': '2025-11-25' }, 400, -32020],
    ['no method in the header', { 'mcp-method': undefined }, 400, -32020],
  ])('refuses %s than in the body', async (_sentence, headers, status, code) => {
    const { body, headers: good } = listVaults();
    expect(await answer(await running.post(body, { ...good, ...headers, ...running.headers() }))).toMatchObject({
      status,
      body: { error: { code } },
    });
  });

  it('refuses a version that it does not speak, and says which it does', async () => {
    const { body, headers } = listVaults();
    const future = JSON.parse(JSON.stringify(body).replaceAll(MODERN, '2031-01-01'));
    expect(
      await answer(
        await running.post(future, { ...headers, 'mcp-protocol-version': '2031-01-01', ...running.headers() }),
      ),
    ).toMatchObject({ status: 400, body: { error: { code: -32022, data: { supported: [MODERN] } } } });
  });

  it.each<[string, ReturnType<typeof modernRequest>, number, number]>([
    ['an unknown method', modernRequest('tools/destroy'), 404, -32601],
    ['an unknown tool', modernRequest('tools/call', { name: 'get_rich', arguments: {} }), 200, -32602],
  ])('answers %s with its error', async (_sentence, { body, headers }, status, code) => {
    expect(await answer(await running.post(body, { ...headers, ...running.headers() }))).toMatchObject({
      status,
      body: { error: { code } },
    });
  });

  it('speaks 2025-06-18 without a handshake before each request', async () => {
    const response = await running.post(
      { jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'list_vaults', arguments: {} } },
      { ...running.headers(), 'mcp-protocol-version': '2025-06-18' },
    );
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('"displayName":"Sales"');
  });

  it.each(['GET', 'DELETE'])('has no sessions: %s is not allowed', async (method) => {
    const response = await fetch(running.url, { method, headers: running.headers() });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
  });

  it('acknowledges subscriptions/listen and keeps the stream open until the client ends it', async () => {
    const abort = new AbortController();
    const { body, headers } = modernRequest('subscriptions/listen', { notifications: {} });
    const response = await fetch(running.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...headers,
        ...running.headers(),
      },
      body: JSON.stringify(body),
      signal: abort.signal,
    });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const reader = response.body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toContain(
      'notifications/subscriptions/acknowledged',
    );
    abort.abort();
  });
});

describe('a request body', () => {
  it.each<[string, string, number, number]>([
    ['that is no JSON', '{"jsonrpc":', 400, -32700],
    ['that is empty', '', 400, -32700],
    ['that nests without end', '['.repeat(50_000) + ']'.repeat(50_000), 400, -32600],
    [
      'of more than 1 MiB',
      JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping', params: { pad: 'x'.repeat(1024 * 1024) } }),
      413,
      -32000,
    ],
  ])('%s is refused', async (_sentence, body, status, code) => {
    expect(await answer(await running.post(body))).toMatchObject({ status, body: { error: { code } } });
  });

  it('of another type is refused by the SDK', async () => {
    expect((await running.post('jsonrpc=2.0', { ...running.headers(), 'content-type': 'text/plain' })).status).toBe(
      415,
    );
  });

  it.each([
    '[]',
    'null',
    '7',
    '"x"',
    '[null]',
    '{}',
    '{"jsonrpc":"2.0","method":7,"id":1}',
    '{"__proto__":{"method":"tools/call"}}',
  ])('that is no request (%s) is a client error', async (body) => {
    const response = await running.post(body);
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.status).toBeLessThan(500);
  });

  it('that stops half way leaves the server as it was', async () => {
    const { hostname, port, pathname } = new URL(running.url);
    const socket = connectTcp(Number(port), hostname);
    await once(socket, 'connect');
    const headers = Object.entries(running.headers()).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(
      `POST ${pathname} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n${headers.join('')}\r\n{"jsonrpc"`,
    );
    socket.destroy();
    await using client = await running.connect();
    expect(await call(client, 'list_vaults')).toMatchObject({ vaults: [{ id: 'sales' }, { id: 'support' }] });
  });
});

describe('other paths', () => {
  it.each<[string, number]>([
    ['/healthz', 200],
    ['/readyz', 200],
    ['/metrics', 200],
    ['/', 404],
    ['/mcp/bank-other', 404],
    ['/mcp/bank-acme/', 404],
    ['/mcp//bank-acme', 404],
    ['/mcp/bank%2Dacme', 404],
    ['/MCP/bank-acme', 404],
  ])('%s is answered with %i', async (path, status) => {
    const { hostname, port } = new URL(running.url);
    const socket = connectTcp(Number(port), hostname);
    socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    expect(Number(text.split(' ')[1])).toBe(status);
  });

  it('counts calls in /metrics', async () => {
    await using client = await running.connect();
    await call(client, 'list_vaults');
    expect(await (await fetch(new URL('/metrics', running.url))).text()).toMatch(
      /bankhouse_server_tool_calls_total\{tool="list_vaults",outcome="ok"\} [1-9]/,
    );
  });
});

describe('a stop', () => {
  it('lets a call end that is under way, ends streams at once, and takes no new connection', async () => {
    const entered = Promise.withResolvers<void>();
    const slow = defineTool({
      name: 'get_slow',
      title: 'Slow',
      description: 'Takes a moment.',
      access: 'read',
      input: z.strictObject({}),
      output: z.object({}),
      async run(_args, { tx }) {
        entered.resolve();
        await tx.rows(statement({ name: 'slow', text: 'select pg_sleep(0.3)' }));
        return { structured: {}, text: 'done' };
      },
    });
    const stopping = await runBank(postgres, 'stopping', {
      toolsets: [{ name: 'slow', instructions: '', tools: [slow], resources: [] }],
    });
    const listen = modernRequest('subscriptions/listen', { notifications: {} });
    const stream = await stopping.post(listen.body, { ...listen.headers, ...stopping.headers() });
    const { body, headers } = modernRequest('tools/call', { name: 'get_slow', arguments: {} });
    const underWay = stopping.post(body, { ...headers, ...stopping.headers() });
    await entered.promise;
    const start = performance.now();
    await Promise.all([
      stopping[Symbol.asyncDispose](),
      underWay.then((response) => expect(response.status).toBe(200)),
      stream.text(),
    ]);
    expect(performance.now() - start).toBeLessThan(3000);
    await expect(fetch(stopping.url)).rejects.toThrow();
  });
});

describe('the log', () => {
  it('names request, tool and outcome, and holds no assertion and no password', async () => {
    await using client = await running.connect('modern', { rid: 'rid-of-this-call' });
    await call(client, 'list_vaults');
    const lines = running.logs.map((line) => JSON.parse(line));
    expect(lines).toContainEqual(
      expect.objectContaining({ msg: 'tool called', rid: 'rid-of-this-call', tool: 'list_vaults', outcome: 'ok' }),
    );
    const all = running.logs.join('');
    expect(all).not.toContain(new URL(running.bank.url).password);
    expect(all).not.toContain(running.headers()['bankhouse-database-assertion']?.split('.')[1]?.slice(0, 40));
  });
});
