/** Bad input to the REST API: the one form of answer (R5.5), the field, what is wrong and what to send. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBank, startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { ADMIN_KEY, type Harness, startHarness } from './harness.ts';

let postgres: TestPostgres;
let control: Harness;

beforeAll(async () => {
  postgres = await startPostgres();
  await createBank(postgres, 'acme', { vaults: [{ id: 'sales', displayName: 'Sales' }] });
  control = await startHarness(postgres);
  await control.ready;
});
afterAll(async () => {
  await control?.stop();
  await postgres?.stop();
});

describe('POST /v1/tokens refuses', () => {
  it.each<[string, unknown, number, string, RegExp]>([
    ['no bank', {}, 400, 'invalid_request', /bank is missing/],
    ['a bank that is no id', { bank: 'Acme' }, 400, 'invalid_request', /bank must be a bank's id, such as acme/],
    ['a bank that does not exist', { bank: 'nobody' }, 404, 'bank_unknown', /"nobody"; there are acme/],
    ['a vault that does not exist', { bank: 'acme', vaults: ['attic'] }, 404, 'vault_unknown', /"attic"; it has sales/],
    [
      'a vault that is no id',
      { bank: 'acme', vaults: ['a/b'] },
      400,
      'invalid_request',
      /vaults\[0\] must be a vault's id/,
    ],
    [
      'a vault named twice',
      { bank: 'acme', vaults: ['sales', 'sales'] },
      400,
      'invalid_request',
      /vaults must name each/,
    ],
    ['vaults as text', { bank: 'acme', vaults: 'sales' }, 400, 'invalid_request', /vaults must be a list/],
    [
      '101 vaults',
      { bank: 'acme', vaults: Array.from({ length: 101 }, (_, i) => `v${i}`) },
      400,
      'invalid_request',
      /at most 100/,
    ],
    [
      'a scope that is none',
      { bank: 'acme', scope: 'everything' },
      400,
      'invalid_request',
      /"everything"; the scopes are mcp:read/,
    ],
    ['an empty scope', { bank: 'acme', scope: ' ' }, 400, 'invalid_request', /scope must name at least one/],
    [
      'more than 48 hours (R1.3)',
      { bank: 'acme', ttlSeconds: 172_801 },
      400,
      'invalid_request',
      /ttlSeconds must be at most 172800 .*48 hours/,
    ],
    ['less than a minute', { bank: 'acme', ttlSeconds: 59 }, 400, 'invalid_request', /ttlSeconds must be at least 60/],
    ['half a second', { bank: 'acme', ttlSeconds: 60.5 }, 400, 'invalid_request', /ttlSeconds must be a whole number/],
    ['a time as text', { bank: 'acme', ttlSeconds: '24h' }, 400, 'invalid_request', /ttlSeconds must be a/],
    ['a subject with a space', { bank: 'acme', subject: 'a b' }, 400, 'invalid_request', /subject must have/],
    ['a field that is not known', { bank: 'acme', vault: 'sales' }, 400, 'invalid_request', /no field "vault"/],
    ['a list', [], 400, 'invalid_request', /body must be an object/],
    ['null', null, 400, 'invalid_request', /body/i],
    ['broken JSON', '{"bank":', 400, 'invalid_json', /not valid JSON/],
    ['an empty body', '', 400, 'invalid_json', /empty/],
    ['a key that would reach prototypes', '{"bank":"acme","__proto__":{"a":1}}', 400, 'invalid_json', /JSON/],
    ['a body of 20 kB', { bank: 'acme', subject: 'a'.repeat(20_000) }, 413, 'body_too_large', /16384 bytes/],
  ])('%s', async (_sentence, body, status, code, message) => {
    const answer = await control.post('/v1/tokens', body);
    expect(answer).toMatchObject({ status, body: { ok: false, error: { code } } });
    expect(answer.body.error?.message).toMatch(message);
    expect(answer.body.error?.message).toMatch(/^\S.*\.$/s);
  });

  it('a body that is not JSON by its type', async () => {
    const response = await fetch(`${control.apiUrl}/v1/tokens`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'text/csv' },
      body: 'bank,acme',
    });
    expect(response.status).toBe(415);
    expect(await response.json()).toMatchObject({ ok: false, error: { code: 'not_json' } });
  });
});

describe('elsewhere', () => {
  it.each<[string, string, string, unknown, number, string, RegExp]>([
    ['a path that is none', 'GET', '/v2/tokens', undefined, 404, 'not_found', /openapi\.json/],
    ['another method', 'DELETE', '/v1/tokens', undefined, 405, 'method_not_allowed', /it takes POST/],
    ['a broken escape', 'GET', '/v1/%zz', undefined, 400, 'invalid_url', /percent-encoded/],
    [
      'a page size that is none',
      'GET',
      '/v1/banks?limit=many',
      undefined,
      400,
      'invalid_request',
      /limit must be a number/,
    ],
    ['a page of 1001', 'GET', '/v1/banks?limit=1001', undefined, 400, 'invalid_request', /at most 1000/],
    [
      'a query field that is not known',
      'GET',
      '/v1/banks?page=2',
      undefined,
      400,
      'invalid_request',
      /query has no field "page"/,
    ],
    ['an epoch of no id', 'POST', '/v1/banks/A%2F/epoch', undefined, 400, 'invalid_request', /id must be a bank's id/],
    ['an epoch of no bank', 'POST', '/v1/banks/nobody/epoch', undefined, 404, 'bank_unknown', /nobody/],
    ['a revocation of nothing', 'POST', '/v1/tokens/revoke', {}, 400, 'invalid_request', /either jti or token/],
    ['a revocation of both', 'POST', '/v1/tokens/revoke', { jti: 'a', token: 'b' }, 400, 'invalid_request', /either/],
    ['a revocation of a foreign token', 'POST', '/v1/tokens/revoke', { token: 'a.b.c' }, 400, 'token_foreign', /jti/],
    [
      'a revocation until someday',
      'POST',
      '/v1/tokens/revoke',
      { jti: 'a', expiresAt: 'someday' },
      400,
      'invalid_request',
      /expiresAt must be a time/,
    ],
  ])('%s', async (_sentence, method, path, body, status, code, message) => {
    const response = await fetch(`${control.apiUrl}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${ADMIN_KEY}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    expect(response.status).toBe(status);
    const answer = (await response.json()) as { error: { message: string } };
    expect(answer).toMatchObject({ ok: false, error: { code } });
    expect(answer.error.message).toMatch(message);
  });
});

describe('what is no HTTP', () => {
  it.each<[string, string, number, string]>([
    ['garbage', 'GARBAGE\r\n\r\n', 400, 'invalid_http'],
    ['20 kB of headers', `GET / HTTP/1.1\r\nhost: x\r\na: ${'a'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_large'],
  ])('%s', async (_sentence, bytes, status, code) => {
    const answer = await sendBytes(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toMatchObject({ ok: false, error: { code } });
  });
});

function sendBytes(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(control.apiUrl).port), '127.0.0.1', () => socket.write(bytes));
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk.toString();
    });
    socket.on('end', () => resolve(answer));
    socket.on('error', reject);
  });
}

describe('credentials', () => {
  it.each<[string, string | undefined]>([
    ['none', undefined],
    ['another scheme', 'Basic YTpi'],
    ['the beginning of the key', `Bearer ${ADMIN_KEY.slice(0, -1)}`],
    ['the key and more', `Bearer ${ADMIN_KEY}0`],
    ['a token of nobody', 'Bearer e30.e30.e30'],
  ])('%s: 401 with a challenge', async (_sentence, authorization) => {
    const response = await fetch(`${control.apiUrl}/v1/banks`, {
      headers: authorization === undefined ? {} : { authorization },
    });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/);
    expect(await response.json()).toMatchObject({ ok: false, error: { code: 'unauthorized' } });
  });

  it('a wrong one that is repeated is slowed down, the right one and other wrong ones never are (G10)', async () => {
    const statuses = [];
    for (let i = 0; i < 12; i++) statuses.push((await control.get('/v1/banks', 'wrong')).status);
    expect(statuses.at(-1)).toBe(429);
    expect((await control.get('/v1/banks')).status).toBe(200);
    expect((await control.get('/v1/banks', 'another')).status).toBe(401);
  });
});

describe('the OpenAPI document', () => {
  it('lists every public operation', async () => {
    const document = (await (await fetch(`${control.apiUrl}/v1/openapi.json`)).json()) as {
      paths: Record<string, unknown>;
    };
    expect(Object.keys(document.paths).sort()).toEqual([
      '/v1/banks',
      '/v1/banks/{id}/epoch',
      '/v1/receipts',
      '/v1/receipts/{id}',
      '/v1/tokens',
      '/v1/tokens/revoke',
    ]);
  });
});
