/** The two doors of control: what takes the admin key is not where the front door leads to, and one client's failures are its own (G10). */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBank, startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { ADMIN_KEY, type Harness, startHarness, VERIFIER_KEY } from './harness.ts';

let postgres: TestPostgres;
/** Behind a proxy that is named, and behind one that is not. */
let named: Harness;
let unnamed: Harness;

beforeAll(async () => {
  postgres = await startPostgres();
  await createBank(postgres, 'acme');
  named = await startHarness(postgres, { TRUSTED_PROXIES: '127.0.0.0/8, ::1' });
  unnamed = await startHarness(postgres);
  await Promise.all([named.ready, unnamed.ready]);
});
afterAll(async () => {
  await named?.stop();
  await unnamed?.stop();
  await postgres?.stop();
});

async function ask(url: string, options: { method?: string; key?: string; from?: string; body?: unknown } = {}) {
  const { method = 'GET', key, from, body } = options;
  const response = await fetch(url, {
    method,
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(from === undefined ? {} : { 'x-forwarded-for': from }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as { ok?: boolean; error?: { message: string } } };
}

describe('the public door', () => {
  it.each<[string, string, string, number, unknown?]>([
    ['lists nothing for the admin key', 'GET', '/v1/banks', 401],
    ['makes no token for it', 'POST', '/v1/tokens', 401, { bank: 'acme' }],
    ['revokes nothing', 'POST', '/v1/tokens/revoke', 404, { jti: 'x' }],
    ['moves no epoch', 'POST', '/v1/banks/acme/epoch', 404, {}],
    ['shows no receipts', 'GET', '/v1/receipts', 404],
    ['shows none of them', 'GET', '/v1/receipts/1', 404],
  ])('%s', async (_sentence, method, path, status, body) => {
    const answer = await ask(`${named.url}${path}`, { method, key: ADMIN_KEY, body });
    expect(answer).toMatchObject({ status, body: { ok: false } });
  });

  it("makes the operator's handshake token, which a version before asks for here", async () => {
    const answer = await ask(`${named.url}/v1/tokens`, { method: 'POST', key: VERIFIER_KEY, body: { bank: 'acme' } });
    expect(answer.status).toBe(201);
  });

  it('shows a token its bank', async () => {
    const { body } = await named.post('/v1/tokens', { bank: 'acme' });
    const answer = await ask(`${named.url}/v1/banks`, { key: String(body.data?.token) });
    expect(answer).toMatchObject({ status: 200, body: { data: { banks: [{ id: 'acme' }] } } });
  });

  it.each(['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'])(
    'has no %s, as there is no authorization server (P3)',
    async (path) => {
      expect(await ask(`${named.url}${path}`)).toMatchObject({ status: 404, body: { ok: false } });
    },
  );

  it('says in its description what it has, and no more', async () => {
    const { body } = await ask(`${named.url}/v1/openapi.json`);
    expect(Object.keys((body as { paths: object }).paths).sort()).toEqual(['/v1/banks', '/v1/tokens']);
  });
});

describe('one client with wrong credentials', () => {
  const wrong = (control: Harness, from: string | undefined, times: number, key?: string) =>
    Promise.all(
      Array.from({ length: times }, () =>
        ask(`${control.url}/v1/banks`, {
          key: key ?? randomBytes(16).toString('hex'),
          ...(from === undefined ? {} : { from }),
        }),
      ),
    ).then((answers) => answers.map(({ status }) => status));

  it('behind a named proxy has to wait, and nobody else has', async () => {
    const { body } = await named.post('/v1/tokens', { bank: 'acme' });
    const good = String(body.data?.token);
    expect(await ask(`${named.url}/v1/banks`, { key: good, from: '192.0.2.1' })).toMatchObject({ status: 200 });
    const statuses = await wrong(named, '192.0.2.1', 150);
    expect(statuses.filter((status) => status === 401)).toHaveLength(120);
    expect(statuses.filter((status) => status === 429)).toHaveLength(30);
    expect(await wrong(named, '192.0.2.2', 1)).toEqual([401]);
    // What was right lately stays so, even from there.
    expect(await ask(`${named.url}/v1/banks`, { key: good, from: '192.0.2.1' })).toMatchObject({ status: 200 });
  });

  it('can give itself no other address: what a proxy was told is not believed further than the proxy', async () => {
    const statuses = [];
    for (let i = 0; i < 125; i++) statuses.push(...(await wrong(named, `198.51.100.${i}, 192.0.2.9`, 1)));
    expect(statuses.slice(-5)).toEqual([429, 429, 429, 429, 429]);
  });

  it('behind a proxy that nobody named is slowed by what it repeats, and nobody else is', async () => {
    const statuses = await wrong(unnamed, '192.0.2.1', 200, 'the same one');
    expect(statuses.filter((status) => status === 401)).toHaveLength(10);
    expect(await wrong(unnamed, '192.0.2.2', 1)).toEqual([401]);
  });

  it("never slows the holder of one of our own keys, at the admin's door either", async () => {
    for (let i = 0; i < 130; i++) await unnamed.get('/v1/banks', `guess-${i}`);
    expect((await unnamed.get('/v1/banks', 'one more')).status).toBe(429);
    expect((await unnamed.get('/v1/banks')).status).toBe(200);
  });
});
