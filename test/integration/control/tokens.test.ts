/** Tokens for a bank and its vaults (R1.3), their revocation (R1.4), and the list of banks (R1.7), on a real Postgres. */
import { migrate } from '@bankhouse/control';
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, jwtVerify } from 'jose';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBank, startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { FRONT_DOOR, type Harness, startHarness, VERIFIER_KEY } from './harness.ts';

let postgres: TestPostgres;
let control: Harness;

beforeAll(async () => {
  postgres = await startPostgres();
  const vaults = ['sales', 'support'].map((id) => ({ id, displayName: id }));
  await createBank(postgres, 'acme', { displayName: 'Acme', vaults });
  await createBank(postgres, 'globex', { type: 'personal', vaults: [] });
  control = await startHarness(postgres);
  await control.ready;
});
afterAll(async () => {
  await control?.stop();
  await postgres?.stop();
});

const mint = async (request: Record<string, unknown>, key?: string) => {
  const answer = await control.post('/v1/tokens', request, key);
  expect(answer).toMatchObject({ status: 201, body: { ok: true } });
  return answer.body.data as { token: string; jti: string; expiresAt: string; url: string; vaults: string[] | null };
};

describe('a minted token', () => {
  it('is an RFC 9068 access token that the published keys verify (R1.3)', async () => {
    const minted = await mint({
      bank: 'acme',
      vaults: ['sales'],
      scope: 'mcp:read',
      ttlSeconds: 3600,
      subject: 'alice',
    });
    const keys = (await (await fetch(`${control.url}/oauth/jwks`)).json()) as JSONWebKeySet;
    const { payload, protectedHeader } = await jwtVerify(minted.token, createLocalJWKSet(keys), {
      issuer: FRONT_DOOR,
      audience: `${FRONT_DOOR}/mcp/bank-acme`,
      typ: 'at+jwt',
      algorithms: ['ES256'],
    });
    expect(protectedHeader.kid).toBe(keys.keys[0]?.kid);
    expect(payload).toMatchObject({
      sub: 'alice',
      client_id: 'bankhouse-admin',
      scope: 'mcp:read',
      vault_ids: ['sales'],
    });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(3600);
    expect(Buffer.from(payload.jti ?? '', 'base64url')).toHaveLength(16);
    expect(minted).toMatchObject({ jti: payload.jti, url: `${FRONT_DOOR}/mcp/bank-acme`, vaults: ['sales'] });
    expect(Date.parse(minted.expiresAt) / 1000).toBe(payload.exp);
  });

  it('lives 24 hours and sees every vault unless asked otherwise', async () => {
    const { token, vaults } = await mint({ bank: 'acme' });
    const claims = decodeJwt(token);
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(24 * 3600);
    expect(vaults).toBeNull();
    expect(claims).not.toHaveProperty('vault_ids');
  });

  it('of the verifier opens no vault and lives five minutes', async () => {
    const claims = decodeJwt((await mint({ bank: 'acme' }, VERIFIER_KEY)).token);
    expect(claims).toMatchObject({ scope: 'mcp:verify', vault_ids: [], client_id: 'bankhouse-operator' });
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(300);
  });

  it('never reaches the log, nor does the key that made it', async () => {
    const { token, jti } = await mint({ bank: 'acme' });
    const text = JSON.stringify(control.log());
    expect(text).toContain(jti);
    expect(text).not.toContain(token.split('.')[2]);
  });
});

describe('the verifier key is refused', () => {
  it.each<[string, Record<string, unknown>]>([
    ['a scope that reads', { scope: 'mcp:read' }],
    ['a second scope', { scope: 'mcp:verify mcp:read' }],
    ['a vault', { vaults: ['sales'] }],
    ['more than five minutes', { ttlSeconds: 301 }],
    ['a subject', { subject: 'alice' }],
  ])('%s', async (_sentence, request) => {
    const answer = await control.post('/v1/tokens', { bank: 'acme', ...request }, VERIFIER_KEY);
    expect(answer).toMatchObject({ status: 403, body: { ok: false, error: { code: 'verifier_only' } } });
  });

  it.each(['/v1/tokens/revoke', '/v1/banks/acme/epoch'])('POST %s', async (path) => {
    expect((await control.post(path, { jti: 'x' }, VERIFIER_KEY)).status).toBe(403);
  });

  it('the list of banks', async () => {
    expect((await control.get('/v1/banks', VERIFIER_KEY)).status).toBe(403);
  });
});

describe('the list of banks (R1.7)', () => {
  it('shows all to the admin key', async () => {
    const { body } = await control.get('/v1/banks');
    expect(body.data).toEqual({
      banks: [
        {
          id: 'acme',
          url: `${FRONT_DOOR}/mcp/bank-acme`,
          name: 'Acme',
          type: 'business',
          vaults: [
            { id: 'sales', displayName: 'sales' },
            { id: 'support', displayName: 'support' },
          ],
          role: 'admin',
        },
        {
          id: 'globex',
          url: `${FRONT_DOOR}/mcp/bank-globex`,
          name: 'globex',
          type: 'personal',
          vaults: [],
          role: 'admin',
        },
      ],
      nextAfter: null,
    });
  });

  it('comes in pages', async () => {
    const first = await control.get('/v1/banks?limit=1');
    expect(first.body.data).toMatchObject({ banks: [{ id: 'acme' }], nextAfter: 'acme' });
    const second = await control.get('/v1/banks?limit=1&after=acme');
    expect(second.body.data).toMatchObject({ banks: [{ id: 'globex' }], nextAfter: null });
  });

  it('shows a token its bank alone, with the vaults that it is limited to', async () => {
    const { token } = await mint({ bank: 'acme', vaults: ['support'], scope: 'mcp:read' });
    const { body } = await control.get('/v1/banks', token);
    expect(body.data).toMatchObject({
      banks: [{ id: 'acme', vaults: [{ id: 'support' }], role: 'reader' }],
      nextAfter: null,
    });
    expect(body.data?.banks).toHaveLength(1);
  });

  it('has no bank whose Bank is gone and whose id is kept, and no token is made for it', async () => {
    const bank = await createBank(postgres, 'gone');
    const token = (await mint({ bank: 'gone' })).token;
    expect((await control.get('/v1/banks', token)).status).toBe(200);
    await withClient(postgres.serviceUrl('operator'), (sql) =>
      sql.query('select control.release_id($1, $2, null)', [bank.id, bank.uid]),
    );
    const { body } = await control.get('/v1/banks');
    expect(((body.data?.banks ?? []) as { id: string }[]).map(({ id }) => id)).toEqual(['acme', 'globex']);
    expect(await control.post('/v1/tokens', { bank: 'gone' })).toMatchObject({
      status: 404,
      body: { error: { code: 'bank_unknown' } },
    });
    expect((await control.get('/v1/banks', token)).status).toBe(401);
  });

  it('shows nothing to a token of the verifier', async () => {
    const { token } = await mint({ bank: 'acme' }, VERIFIER_KEY);
    expect((await control.get('/v1/banks', token)).status).toBe(403);
  });
});

describe('revocation (R1.4)', () => {
  it('is there for the gateways to read as soon as it is answered', async () => {
    const { token, jti } = await mint({ bank: 'acme' });
    const gateway = new pg.Client({ connectionString: postgres.serviceUrl('gateway') });
    await gateway.connect();
    try {
      expect(await control.post('/v1/tokens/revoke', { token })).toMatchObject({
        status: 200,
        body: { data: { jti } },
      });
      const { rows } = await gateway.query('select jti from control.revoked_tokens where jti = $1', [jti]);
      expect(rows).toHaveLength(1);
    } finally {
      await gateway.end();
    }
    expect((await control.get('/v1/banks', token)).status).toBe(401);
  });

  it('by number holds for 48 hours, and again is no error', async () => {
    const first = await control.post('/v1/tokens/revoke', { jti: 'foreign' });
    const hours = (Date.parse(String(first.body.data?.until)) - Date.now()) / 3_600_000;
    expect(hours).toBeGreaterThan(47.9);
    expect((await control.post('/v1/tokens/revoke', { jti: 'foreign' })).status).toBe(200);
  });

  it('of a whole bank ends its earlier tokens and no other bank, and a new token works at once', async () => {
    const before = await mint({ bank: 'acme' });
    const other = await mint({ bank: 'globex' });
    expect(await control.post('/v1/banks/acme/epoch')).toMatchObject({ status: 200, body: { data: { bank: 'acme' } } });
    expect((await control.get('/v1/banks', before.token)).status).toBe(401);
    expect((await control.get('/v1/banks', other.token)).status).toBe(200);
    const after = await mint({ bank: 'acme' });
    expect((await control.get('/v1/banks', after.token)).status).toBe(200);
    const rows = await withClient(
      postgres.serviceUrl('gateway'),
      async (client) =>
        (
          await client.query(
            "select extract(epoch from not_before)::int as at from control.bank_epochs where bank_id = 'acme'",
          )
        ).rows,
    );
    expect(decodeJwt(before.token).iat).toBeLessThan(rows[0].at);
    expect(decodeJwt(after.token).iat).toBeGreaterThanOrEqual(rows[0].at);
  });
});

describe('before the migration job was there', () => {
  it('control answers 503 and says why in its log, and is ready when the schema is', async () => {
    const fresh = await startPostgres({ migrate: false });
    const early = await startHarness(fresh);
    try {
      expect((await fetch(`${early.adminUrl}/healthz`)).status).toBe(200);
      expect((await fetch(`${early.adminUrl}/readyz`)).status).toBe(503);
      expect(await early.get('/v1/banks')).toMatchObject({
        status: 503,
        body: { error: { code: 'database_unavailable' } },
      });
      expect((await fetch(`${early.url}/oauth/jwks`)).status).toBe(200);
      await migrate({
        databaseUrl: fresh.ownerUrl,
        migrationsDir: 'migrations',
        passwords: fresh.passwords,
        log: () => {},
      });
      await early.ready;
      expect((await fetch(`${early.adminUrl}/readyz`)).status).toBe(200);
      expect((await early.get('/v1/banks')).body.data).toEqual({ banks: [], nextAfter: null });
      expect(early.log().filter(({ msg }) => msg === 'waiting for the database').length).toBeGreaterThan(0);
    } finally {
      await early.stop();
      await fresh.stop();
    }
  });
});

describe('while Postgres is away', () => {
  it('control says so, stays up, and works again by itself', async () => {
    await mint({ bank: 'acme' });
    await postgres.restart();
    // Every pooled connection is broken now: the first request already finds new ones.
    await mint({ bank: 'acme' });
    expect((await fetch(`${control.adminUrl}/readyz`)).status).toBe(200);
  });
});
