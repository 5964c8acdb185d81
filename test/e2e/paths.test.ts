/** P7, P3, G10: what nobody owns at the front door is answered as JSON, and what takes the admin key is not there. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { frontDoorFetch, platform, STATE, sampleBank } from './platform.ts';

const ADMIN_KEY = readFileSync(join(STATE, 'admin-key'), 'utf8').trim();

describe('a path of the front door that nobody owns', () => {
  it.each([
    ['GET', '/'],
    ['POST', '/'],
    ['GET', '/favicon.ico'],
    ['POST', '/mcp'],
    ['POST', '/register'],
    ['GET', '/authorize'],
    ['POST', '/token'],
    ['GET', '/.well-known/oauth-authorization-server'],
    ['GET', '/.well-known/oauth-authorization-server/mcp/bank-acme'],
    ['GET', '/.well-known/openid-configuration'],
    ['POST', '/v1/tokens'],
    ['POST', '/v1/tokens/revoke'],
    ['GET', '/v1/receipts'],
    ['GET', '/v2'],
    // Where the gateway asks a bank's pod for its catalogue.
    ['GET', '/bankhouse/catalogue'],
    ['GET', '/mcp/bank-acme/bankhouse/catalogue'],
  ])('%s %s: 404 as JSON', async (method, path) => {
    const answer = await frontDoorFetch(`${platform.frontDoor}${path}`, { method });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([404, 'application/json']);
    expect(await answer.json()).toHaveProperty('error');
  });
});

describe('the admin key', () => {
  const authorization = `Bearer ${ADMIN_KEY}`;

  it('opens nothing at the front door', async () => {
    const banks = await frontDoorFetch(`${platform.frontDoor}/v1/banks`, { headers: { authorization } });
    expect([banks.status, await banks.json()]).toMatchObject([401, { ok: false, error: { code: 'unauthorized' } }]);
    const epoch = await frontDoorFetch(`${platform.frontDoor}/v1/banks/${sampleBank(0).id}/epoch`, {
      method: 'POST',
      headers: { authorization },
    });
    expect([epoch.status, await epoch.json()]).toMatchObject([404, { ok: false, error: { code: 'not_found' } }]);
  });

  it('opens everything at the port for it', async () => {
    const url = readFileSync(join(STATE, 'admin-url'), 'utf8').trim();
    const banks = await fetch(`${url}/v1/banks`, { headers: { authorization } });
    expect([banks.status, await banks.json()]).toMatchObject([200, { ok: true }]);
  });
});

describe('wrong credentials of one client', () => {
  it('do not turn the 401 of another credential into 429', async () => {
    const ask = async (key: string) =>
      (await frontDoorFetch(`${platform.frontDoor}/v1/banks`, { headers: { authorization: `Bearer ${key}` } })).status;
    const statuses = [];
    for (let i = 0; i < 15; i++) statuses.push(await ask('the same one'.replaceAll(' ', '-')));
    expect(statuses.at(-1)).toBe(429);
    expect(await ask('an-expired-token')).toBe(401);
  });
});
