/** What needs no token: the metadata (R1.8), browsers' questions, and a configuration that is wrong. */
import { connect } from 'node:net';
import { loadConfig } from '@bankhouse/core';
import { afterAll, describe, expect, it } from 'vitest';
import { configSchema, issuersOf } from '../src/index.ts';
import { FRONT_DOOR, JSON_TYPE, LIST, readText, send, startIssuer, startPod, startTestGateway } from './support.ts';

const issuer = await startIssuer();
const pod = await startPod();
const gateway = await startTestGateway({
  issuers: [issuer],
  podPort: pod.port,
  env: { ALLOWED_ORIGINS: 'https://app.example.com, http://localhost:6274' },
});
afterAll(async () => {
  await gateway.stop(0);
  await Promise.all([issuer.close(), pod.close()]);
});

describe('protected-resource metadata (RFC 9728, R1.8)', () => {
  const target = (id: string) => `/.well-known/oauth-protected-resource/mcp/bank-${id}`;

  it('names the bank, its authorization servers and its scopes, to any page', async () => {
    const { status, headers, body } = await send(gateway.port, { method: 'GET', target: target('acme') });
    expect(status).toBe(200);
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'access-control-allow-origin': '*' });
    expect(JSON.parse(body)).toEqual({
      resource: 'https://mcp.example.com/mcp/bank-acme',
      resource_name: 'Bankhouse bank acme',
      authorization_servers: [FRONT_DOOR],
      scopes_supported: ['mcp:read', 'mcp:write'],
      bearer_methods_supported: ['header'],
    });
  });

  it('is the same for a bank that is not there', async () => {
    const there = await send(gateway.port, { method: 'GET', target: target('acme') });
    const nowhere = await send(gateway.port, { method: 'GET', target: target('nobody') });
    expect([nowhere.status, nowhere.body.replaceAll('nobody', 'acme')]).toEqual([there.status, there.body]);
  });

  it.each([
    ['HEAD', 200],
    ['OPTIONS', 204],
    ['POST', 405],
    ['DELETE', 405],
  ])('answers %s with %d', async (method, status) => {
    const answer = await send(gateway.port, { method, target: target('acme') });
    expect(answer.status).toBe(status);
    if (status === 405) expect(answer.headers.allow).toBe('GET, HEAD, OPTIONS');
  });
});

describe('a path that nobody owns (P7)', () => {
  const OAUTH = { error: 'not_found', error_description: expect.stringContaining('oauth-protected-resource') };
  const MCP = { jsonrpc: '2.0', id: null, error: { data: { code: 'path_unknown' } } };
  it.each<[string, string, object]>([
    ['GET', '/', MCP],
    ['POST', '/', MCP],
    ['GET', '/favicon.ico', MCP],
    ['POST', '/v1/tokens', MCP],
    ['POST', '/mcp', MCP],
    ['POST', '/register', OAUTH],
    ['GET', '/authorize?response_type=code', OAUTH],
    ['POST', '/token', OAUTH],
    ['GET', '/.well-known/oauth-authorization-server', OAUTH],
    ['GET', '/.well-known/oauth-authorization-server/mcp/bank-acme', OAUTH],
    ['GET', '/.well-known/openid-configuration', OAUTH],
    ['GET', '/.well-known/oauth-protected-resource', OAUTH],
  ])('%s %s: 404 as JSON', async (method, target, body) => {
    const answer = await send(gateway.port, { method, target });
    expect(answer).toMatchObject({ status: 404, headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(answer.body)).toMatchObject(body);
  });

  it('answers HEAD without a body', async () => {
    const answer = await send(gateway.port, { method: 'HEAD', target: '/' });
    expect([answer.status, answer.body]).toEqual([404, '']);
  });
});

describe('authorization_servers (P3)', () => {
  it('are the issuers that name the bank, before ours, which has no authorization endpoint; never those of other banks', async () => {
    const foreign = (name: string, banks: string[]) => ({ issuer: name, url: issuer.url, more: { banks } });
    const many = await startTestGateway({
      issuers: [
        issuer,
        foreign('https://id.acme.example', ['banks/acme']),
        foreign('https://id.globex.example', ['banks/globex', 'banks/nobody']),
        foreign('https://id.banks.example', ['banks/*']),
      ],
      podPort: pod.port,
    });
    const servers = async (id: string) => {
      const target = `/.well-known/oauth-protected-resource/mcp/bank-${id}`;
      return JSON.parse((await send(many.port, { method: 'GET', target })).body).authorization_servers;
    };
    const seen = [await servers('acme'), await servers('nobody'), await servers('other')];
    await many.stop(0);
    expect(seen).toEqual([
      ['https://id.acme.example', FRONT_DOOR],
      ['https://id.globex.example', FRONT_DOOR],
      [FRONT_DOOR],
    ]);
  });
});

describe('a browser', () => {
  it.each([FRONT_DOOR, 'https://app.example.com', 'http://localhost:6274'])(
    'of %s may call and read the answer',
    async (origin) => {
      const preflight = await send(gateway.port, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,mcp-param-x',
        },
      });
      expect(preflight.status).toBe(204);
      expect(preflight.headers).toMatchObject({
        'access-control-allow-origin': origin,
        'access-control-allow-methods': 'POST, GET, DELETE, OPTIONS',
        'access-control-allow-headers': 'authorization,mcp-param-x',
      });
      const authorization = `Bearer ${await issuer.token()}`;
      const answer = await send(gateway.port, { headers: { ...JSON_TYPE, origin, authorization }, body: LIST });
      expect([answer.status, answer.headers['access-control-allow-origin'], answer.headers.vary]).toEqual([
        200,
        origin,
        'Origin',
      ]);
      expect(answer.headers['access-control-expose-headers']).toContain('WWW-Authenticate');
    },
  );

  it.each(['https://evil.example', 'https://app.example.com.evil.example', 'null'])(
    'of %s gets 403 for its preflight',
    async (origin) => {
      const answer = await send(gateway.port, { method: 'OPTIONS', headers: { origin } });
      expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([403, undefined]);
    },
  );
});

describe('bytes that are no request', () => {
  it.each([
    ['a NUL in the path', 'POST /mcp/bank-acme\0 HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    ['no Host', 'POST /mcp/bank-acme HTTP/1.1\r\n\r\n', 400],
    [
      'both lengths, as in request smuggling',
      'POST /mcp/bank-acme HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    [
      'two lengths',
      'POST /mcp/bank-acme HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde',
      400,
    ],
    ['a header that goes on in the next line', 'POST /mcp/bank-acme HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n', 400],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00', 400],
  ])('are refused: %s', async (_name, bytes, status) => {
    const socket = connect(gateway.port, '127.0.0.1');
    socket.write(bytes, 'latin1');
    const answer = await readText(socket);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(pod.seen.filter(({ body }) => body !== LIST)).toEqual([]);
  });
});

describe('the configuration', () => {
  const good = {
    FRONT_DOOR_URL: FRONT_DOOR,
    ROOT_KEY: Buffer.alloc(32).toString('base64'),
    DATABASE_URL: 'postgres://gateway@db:5432/bankhouse',
    TRUSTED_ISSUERS: JSON.stringify([
      { issuer: FRONT_DOOR, jwksUrl: 'http://control/oauth/jwks' },
      { issuer: 'https://id.example', jwksUrl: 'https://id.example/jwks', banks: ['tenant-a/acme'] },
    ]),
  };
  it('opens all vaults to tokens of our own issuer and none to those of others, unless it says so', () => {
    expect(issuersOf(loadConfig(configSchema, good)).map(({ vaults }) => vaults)).toEqual(['all', 'claim']);
  });

  it.each([
    ['no issuers', { TRUSTED_ISSUERS: undefined }, /TRUSTED_ISSUERS is not set: name at least one issuer/],
    ['an empty list of issuers', { TRUSTED_ISSUERS: '[]' }, /TRUSTED_ISSUERS is wrong: it must be a JSON list/],
    ['issuers that are no JSON', { TRUSTED_ISSUERS: 'https://id.example' }, /TRUSTED_ISSUERS is wrong/],
    [
      'a symmetric algorithm',
      { TRUSTED_ISSUERS: '[{"issuer":"x","jwksUrl":"https://x","algorithms":["HS256"]}]' },
      /at 0\.algorithms\.0/,
    ],
    [
      'a foreign issuer that is bound to no bank (G1)',
      { TRUSTED_ISSUERS: '[{"issuer":"x","jwksUrl":"https://x"}]' },
      /the issuer x must name the banks that it is trusted for/,
    ],
    [
      'a bank without its namespace (G1)',
      { TRUSTED_ISSUERS: '[{"issuer":"x","jwksUrl":"https://x","banks":["acme"]}]' },
      /at 0\.banks\.0: it must be <namespace>\/<bank id> or <namespace>\/\*/,
    ],
    [
      'an issuer for every namespace (G1)',
      { TRUSTED_ISSUERS: '[{"issuer":"x","jwksUrl":"https://x","banks":["*/*"]}]' },
      /at 0\.banks\.0/,
    ],
    [
      'a foreign issuer that may verify (G1)',
      { TRUSTED_ISSUERS: '[{"issuer":"x","jwksUrl":"https://x","banks":["a/b"],"scopes":["mcp:verify"]}]' },
      /at 0\.scopes\.0/,
    ],
    [
      'our own issuer bound to banks (G1)',
      { TRUSTED_ISSUERS: `[{"issuer":"${FRONT_DOOR}","jwksUrl":"https://x","banks":["a/b"]}]` },
      /leave banks and scopes out/,
    ],
    [
      'an issuer named twice',
      { TRUSTED_ISSUERS: '[{"issuer":"x","jwksUrl":"https://x"},{"issuer":"x","jwksUrl":"https://y"}]' },
      /named twice/,
    ],
    [
      'an origin with a path',
      { ALLOWED_ORIGINS: 'https://app.example.com/' },
      /ALLOWED_ORIGINS is wrong: it must be origins/,
    ],
    ['a short root key', { ROOT_KEY: 'c2hvcnQ=' }, /ROOT_KEY is wrong: it must be base64 of at least 32 bytes/],
    [
      'a database URL of another kind',
      { DATABASE_URL: 'mysql://x/y' },
      /DATABASE_URL is wrong: it must have the form postgres/,
    ],
    ['a port that is no number', { PORT: 'http' }, /PORT is wrong: it must be a port from 0 to 65535/],
    ['a staleness of zero', { REVOCATION_MAX_STALENESS_SECONDS: '0' }, /whole number from 2 to 3600/],
  ])('says what is wrong: %s', (_name, change, sentence) => {
    expect(() => loadConfig(configSchema, { ...good, ...change })).toThrow(sentence);
  });
});
