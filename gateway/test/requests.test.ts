/** What a bank's pod gets of a good call: body, path, headers and two seals. */
import { deriveSealKey, openAssertion } from '@bankhouse/core';
import { describe, expect, it } from 'vitest';
import { uidOf } from '../../test/harness/routed.ts';
import { startNeighbours } from './neighbours.ts';
import { JSON_TYPE, LIST, MODERN_LIST, open, ROOT_KEY, seconds, send } from './support.ts';

const { issuer, pod, gateway, bearer, only } = await startNeighbours();

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

  const QUERIES: [string, string][] = [
    ['?tools=compact', '?tools=compact'],
    ['?tools=full', '?tools=full'],
    ['?access_token=x&tools=search&tools2=y', '?tools=search'],
    ['?tools=%63ompact', '?tools=compact'],
    ['?Tools=compact', ''],
    ['?', ''],
  ];
  it.each(
    QUERIES.flatMap(([query, passedOn]) => [
      ['older', query, passedOn, JSON_TYPE] as const,
      ['2026-07-28', query, passedOn, MODERN_LIST] as const,
    ]),
  )('%s: has of the query %s the tool profile alone: %s', async (_era, query, passedOn, headers) => {
    const target = `/mcp/bank-acme${query}`;
    await send(gateway.port, { target, headers: { ...headers, ...(await bearer()) }, body: LIST });
    expect(only()).toMatchObject({ url: `/mcp/bank-acme${passedOn}` });
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
      const keys = new Map([[1, deriveSealKey(ROOT_KEY, target, 'acme', uidOf('acme'), 1)]]);
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
    const keys = new Map([[1, deriveSealKey(ROOT_KEY, 'pod', 'acme', uidOf('acme'), 1)]]);
    const sealed = only().headers['bankhouse-assertion'] as string;
    expect(openAssertion(sealed, { bank: 'acme', keys, now: seconds() }).vaults).toEqual(vaults);
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
