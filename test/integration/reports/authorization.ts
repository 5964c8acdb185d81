/** What clients need to find out how to sign in, and what browsers need to be let through. */
import { expect } from 'vitest';
import { LIST, ORIGIN, type Report, VAULTS } from './bank.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const body = JSON.stringify(LIST);

const preflight = (asked: string, source: string): Report => ({
  holds: `a browser may send ${asked} without having a token yet`,
  source,
  async check(bank) {
    const headers = {
      origin: ORIGIN,
      'access-control-request-method': 'POST',
      'access-control-request-headers': asked,
    };
    const { status, headers: told } = await bank.send('OPTIONS', { headers });
    expect([status, told['access-control-allow-origin']]).toEqual([204, ORIGIN]);
    expect(told['access-control-allow-headers']).toBe(asked);
    expect(told['access-control-allow-methods']).toBe('POST, GET, DELETE, OPTIONS');
  },
});

const nobodys = (paths: readonly string[], source: string): Report => ({
  holds: `${paths.join(', ')}: 404 as JSON, which a client that probes can read`,
  fault: 'P3, P7',
  source,
  async check(bank) {
    for (const path of paths) {
      for (const method of ['GET', 'POST']) {
        const { status, headers, json } = await bank.send(method, { path });
        expect([path, status, headers['content-type']]).toEqual([path, 404, 'application/json']);
        expect(typeof json.error).toMatch(/string|object/);
      }
    }
  },
});

export const AUTHORIZATION: readonly Report[] = [
  {
    holds: "a 401 leads to the metadata of this very bank, whose resource is the bank's URL byte by byte",
    source: 'microsoft/vscode#259251',
    async check(bank) {
      const { status, headers } = await bank.send('POST', { headers: JSON_TYPE, body });
      const where = /resource_metadata="([^"]+)"/.exec(String(headers['www-authenticate']))?.[1] ?? '';
      expect([status, where]).toEqual([401, bank.url.replace('/mcp/', '/.well-known/oauth-protected-resource/mcp/')]);
      const { json } = await bank.send('GET', { path: new URL(where).pathname });
      expect(json.resource).toBe(bank.url);
    },
  },
  {
    holds: 'every 401 has one challenge, of the scheme Bearer, with parameters in double quotes',
    source: 'InsForge/insforge-mcp#69',
    async check(bank) {
      for (const authorization of [undefined, 'Bearer none', `Bearer ${await bank.token({ exp: 1 })}`, 'Basic eDp5']) {
        const headers = { ...JSON_TYPE, ...(authorization === undefined ? {} : { authorization }) };
        const challenge = String((await bank.send('POST', { headers, body })).headers['www-authenticate']);
        expect(challenge).toMatch(/^Bearer (\w+="[^"]*"(, )?)+$/);
      }
    },
  },
  {
    holds: 'the metadata needs no token, and a browser of any page may read it',
    source: 'jimprosser/obsidian-web-mcp#18',
    async check(bank) {
      const path = `/.well-known/oauth-protected-resource${bank.path}`;
      for (const method of ['GET', 'HEAD', 'OPTIONS']) {
        const { status, headers } = await bank.send(method, { path, headers: { origin: 'https://anywhere.example' } });
        expect([method, status < 300, headers['access-control-allow-origin']]).toEqual([method, true, '*']);
      }
    },
  },
  {
    holds: 'the metadata of two banks of one host differ, each with its own resource',
    source: 'juspay/juspay-mcp#127',
    async check(bank) {
      const { json } = await bank.send('GET', { path: '/.well-known/oauth-protected-resource/mcp/bank-other' });
      expect(json.resource).toBe(bank.url.replace(/acme$/, 'other'));
    },
  },
  nobodys(
    [
      '/.well-known/oauth-authorization-server',
      '/.well-known/openid-configuration',
      '/register',
      '/authorize',
      '/token',
    ],
    'akutishevsky/nutrition-mcp#51',
  ),
  nobodys(
    [
      '/.well-known/oauth-authorization-server/mcp/bank-acme',
      '/.well-known/openid-configuration/mcp/bank-acme',
      '/.well-known/oauth-protected-resource',
    ],
    'juspay/juspay-mcp#127',
  ),
  nobodys(
    [
      '/mcp/bank-acme/.well-known/oauth-authorization-server',
      '/mcp/bank-acme/.well-known/openid-configuration',
      '/mcp/bank-acme/sse',
      '/sse',
    ],
    'akutishevsky/nutrition-mcp#51',
  ),
  {
    holds: 'a slash behind the path is 404 as JSON, and no redirect, which would lose the body and the token',
    fault: 'P7',
    source: 'microsoft/vscode#259251',
    async check(bank) {
      const headers = { ...JSON_TYPE, authorization: `Bearer ${await bank.token()}` };
      const { status, headers: told, json } = await bank.send('POST', { path: `${bank.path}/`, headers, body });
      expect([status, told.location, json.error.data.code]).toEqual([404, undefined, 'path_unknown']);
    },
  },
  {
    holds: 'the 401 offers every scope that people have, so that a client does not stay read-only',
    fault: 'P4',
    async check(bank) {
      const { headers } = await bank.send('POST', { headers: JSON_TYPE, body });
      expect(headers['www-authenticate']).toContain('scope="mcp:read mcp:write"');
    },
  },
  {
    holds: 'a 403 for want of a scope names what is held too: a client replaces its scopes by these',
    fault: 'P4',
    async check(bank) {
      const headers = { authorization: `Bearer ${await bank.token({ scope: 'mcp:read' })}` };
      const message = { ...VAULTS, params: { name: 'create_note', arguments: { title: 'x' } } };
      const { status, headers: told } = await bank.post(message, headers);
      expect([status, told['www-authenticate']]).toEqual([403, expect.stringContaining('scope="mcp:read mcp:write"')]);
    },
  },
  {
    holds: 'a bank that is not there is 403 without a challenge: signing in anew would not help',
    fault: 'P5',
    async check(bank) {
      const aud = bank.url.replace(/acme$/, 'nobody');
      const headers = { ...JSON_TYPE, authorization: `Bearer ${await bank.token({ aud })}` };
      const { status, headers: told } = await bank.send('POST', { path: '/mcp/bank-nobody', headers, body });
      expect([status, told['www-authenticate']]).toEqual([403, undefined]);
    },
  },
  {
    holds: 'a HEAD that probes is challenged as any call, so that a client knows to sign in',
    fault: 'P6',
    async check(bank) {
      const { status, headers } = await bank.send('HEAD');
      expect([status, headers['www-authenticate']]).toEqual([401, expect.stringContaining('resource_metadata=')]);
    },
  },
  {
    holds: 'no scope is shown that nobody can be given',
    fault: 'P6',
    async check(bank) {
      const { json } = await bank.send('GET', { path: `/.well-known/oauth-protected-resource${bank.path}` });
      expect(json.scopes_supported).toEqual(['mcp:read', 'mcp:write']);
    },
  },
  {
    holds: 'the scheme of a token is the same in any case',
    async check(bank) {
      for (const scheme of ['bearer', 'BEARER', 'Bearer']) {
        expect((await bank.post(LIST, { authorization: `${scheme} ${await bank.token()}` })).status).toBe(200);
      }
    },
  },
  preflight('authorization,content-type,mcp-protocol-version', 'netdata/netdata#22258'),
  preflight('accept,last-event-id,mcp-session-id', 'GDKsoftware/Delphi-MCP-Server#16'),
  preflight('authorization,mcp-method,mcp-name,mcp-param-region', 'hauptsacheNet/typo3-mcp-server#115'),
  {
    holds: 'a browser reads the session that it was given, on the very answer that gives it',
    source: 'kernel/kernel-mcp-server#128',
    async check(bank) {
      const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'page', version: '1' } };
      const message = { jsonrpc: '2.0', id: 1, method: 'initialize', params };
      const { headers } = await bank.post(message, { origin: ORIGIN });
      expect(headers['access-control-allow-origin']).toBe(ORIGIN);
      expect(headers['access-control-expose-headers']).toContain('Mcp-Session-Id');
      expect(headers['mcp-session-id']).toBeDefined();
    },
  },
  {
    holds: 'a browser reads the challenge of a 401, and why anything else is refused',
    source: 'routecraftjs/routecraft#329',
    async check(bank) {
      const refused = await bank.send('POST', { headers: { ...JSON_TYPE, origin: ORIGIN }, body });
      expect([refused.status, refused.headers['access-control-allow-origin']]).toEqual([401, ORIGIN]);
      expect(refused.headers['access-control-expose-headers']).toContain('WWW-Authenticate');
      const wrong = await bank.post('{', { origin: ORIGIN });
      expect([wrong.status, wrong.headers['access-control-allow-origin']]).toEqual([400, ORIGIN]);
    },
  },
  {
    holds: 'a browser that ends its session by DELETE is let through',
    source: 'cameronrye/openzim-mcp#93',
    async check(bank) {
      const headers = { origin: ORIGIN, 'access-control-request-method': 'DELETE' };
      expect((await bank.send('OPTIONS', { headers })).headers['access-control-allow-methods']).toContain('DELETE');
      expect((await bank.send('DELETE', { headers: { ...(await bank.begin()), origin: ORIGIN } })).status).toBe(204);
    },
  },
];
