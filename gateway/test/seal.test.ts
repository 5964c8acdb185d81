/** What the gateway seals of a token's time, so that nothing that the token opens outlives it. */
import { type Access, deriveSealKey, openAssertion } from '@bankhouse/core';
import { afterAll, describe, expect, it } from 'vitest';
import { uidOf } from '../../test/harness/routed.ts';
import { Sealer, type TokenAssertion } from '../src/seal.ts';
import {
  JSON_TYPE,
  LIST,
  MODERN_LIST,
  ROOT_KEY,
  seconds,
  send,
  startIssuer,
  startPod,
  startTestGateway,
} from './support.ts';

const ROOTS = new Map([[1, ROOT_KEY]]);
const TARGETS = { pod: 'bankhouse-assertion', database: 'bankhouse-database-assertion' } as const;
type Target = keyof typeof TARGETS;

const opened = (sealed: string, target: Target, now: number) =>
  openAssertion(sealed, {
    bank: 'acme',
    keys: new Map([[1, deriveSealKey(ROOT_KEY, target, 'acme', uidOf('acme'), 1)]]),
    now,
  });

const issuer = await startIssuer();
const pod = await startPod();
const gateway = await startTestGateway({ issuers: [issuer], podPort: pod.port });
afterAll(async () => {
  await gateway.stop(0);
  await Promise.all([issuer.close(), pod.close()]);
});

describe('a call', () => {
  const TOKENS: [string, () => { iat: number; exp: number }][] = [
    ['for five minutes', () => ({ iat: seconds(), exp: seconds() + 300 })],
    ['for an hour', () => ({ iat: seconds(), exp: seconds() + 3600 })],
    ['for two days', () => ({ iat: seconds(), exp: seconds() + 48 * 3600 })],
    ['that expires in a minute, an hour old', () => ({ iat: seconds() - 3600, exp: seconds() + 60 })],
    ['that expired a second ago, within the leeway', () => ({ iat: seconds() - 60, exp: seconds() - 1 })],
  ];
  it.each(TOKENS)('carries exp of a token %s, to the second, for the pod and the database', async (_sentence, of) => {
    for (const type of [JSON_TYPE, MODERN_LIST]) {
      const claims = of();
      const authorization = `Bearer ${await issuer.token(claims)}`;
      const answer = await send(gateway.port, { headers: { ...type, authorization }, body: LIST });
      expect(answer.status).toBe(200);
      const headers = pod.seen.pop()?.headers ?? {};
      for (const target of ['pod', 'database'] as const) {
        expect(opened(String(headers[TARGETS[target]]), target, seconds()).exp).toBe(claims.exp);
      }
    }
  });
});

describe('G7: what is sealed for a request is for what it needs, and the token for both is of all scopes', () => {
  const call = (name: string) => ({ method: 'tools/call', params: { name } });
  const list = { method: 'tools/list', params: {} };
  const CASES: [string, object | object[], Access][] = [
    ['a list of tools', list, 'none'],
    ['an answer to the server', { result: {} }, 'none'],
    ['a tool that reads', call('list_notes'), 'read'],
    ['a resource', { method: 'resources/read', params: { uri: 'x' } }, 'read'],
    ['a tool that writes', call('create_note'), 'write'],
    ['a batch of readers', [list, call('list_notes')], 'read'],
    ['a batch with a writer', [call('list_notes'), call('create_note'), list], 'write'],
  ];
  it.each(CASES)('%s', async (_sentence, messages, access) => {
    const authorization = `Bearer ${await issuer.token({ scope: 'mcp:read mcp:write' })}`;
    const numbered = (message: object) => ({ jsonrpc: '2.0', id: 1, ...message });
    const body = JSON.stringify(Array.isArray(messages) ? messages.map(numbered) : numbered(messages));
    const answer = await send(gateway.port, { headers: { ...JSON_TYPE, authorization }, body });
    expect(answer.status).toBe(200);
    const headers = pod.seen.pop()?.headers ?? {};
    for (const target of ['pod', 'database'] as const) {
      // Older bank servers decide by the scopes.
      const expected = { access, scopes: ['mcp:read', 'mcp:write'] };
      expect(opened(String(headers[TARGETS[target]]), target, seconds())).toMatchObject(expected);
    }
  });

  it.each<[sentence: string, method: string, scope: string, access: Access]>([
    ['a stream of who reads', 'GET', 'mcp:read', 'read'],
    ['a stream of who reads and writes', 'GET', 'mcp:read mcp:write', 'read'],
    ['a stream of who only writes', 'GET', 'mcp:write', 'none'],
    ['a stream of who verifies', 'GET', 'mcp:verify', 'none'],
    ['the end of a session', 'DELETE', 'mcp:read mcp:write', 'none'],
  ])('%s, whose session and last event go on to the bank', async (_sentence, method, scope, access) => {
    const authorization = `Bearer ${await issuer.token({ scope })}`;
    const session = { 'mcp-session-id': '1.a.b.c', 'last-event-id': '1.d' };
    await send(gateway.port, { method, headers: { ...session, authorization } });
    const headers = pod.seen.pop()?.headers ?? {};
    expect(headers).toMatchObject(session);
    for (const target of ['pod', 'database'] as const) {
      expect(opened(String(headers[TARGETS[target]]), target, seconds()).access).toBe(access);
    }
  });

  it('a request that says it in its headers', async () => {
    const authorization = `Bearer ${await issuer.token({ scope: 'mcp:read mcp:write' })}`;
    const headers = { ...MODERN_LIST, 'mcp-method': 'tools/call', 'mcp-name': 'list_notes', authorization };
    // The bank server compares; what is sealed goes by what was decided by.
    await send(gateway.port, { headers, body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...call('create_note') }) });
    expect(opened(String(pod.seen.pop()?.headers[TARGETS.database]), 'database', seconds()).access).toBe('read');
  });
});

describe('a sealer', () => {
  const bound = { incarnation: uidOf('acme'), keyGeneration: 1 };
  const NOW = 1_800_000_000;
  const assertion: TokenAssertion = {
    bank: 'acme',
    sub: 'ann',
    iss: 'https://i',
    access: 'read',
    scopes: ['mcp:read'],
    vaults: ['sales'],
    jti: 'j1',
    exp: NOW + 60,
    iat: NOW,
    rid: 'r1',
  };

  it.each<Target>(['pod', 'database'])('seals for the %s what it is given, and nothing else', (target) => {
    const sealed = new Sealer(ROOTS).seal(assertion, bound)[target];
    expect(opened(sealed, target, NOW)).toEqual(assertion);
  });

  it('seals with other keys once the id has passed to another Bank, though it has the old ones at hand', () => {
    const sealer = new Sealer(ROOTS);
    sealer.seal(assertion, { ...bound, incarnation: 'uid-before' });
    expect(opened(sealer.seal(assertion, bound).pod, 'pod', NOW)).toEqual(assertion);
    const foreign = sealer.seal(assertion, { ...bound, incarnation: 'uid-after' });
    expect(() => opened(foreign.pod, 'pod', NOW)).toThrow(/not sealed with a key of this bank/);
  });

  it('is not given an assertion without exp or access: the compiler refuses it, and nobody would open it', () => {
    const { exp: _, ...lasting } = assertion;
    // @ts-expect-error what such an assertion opens would not end with its token
    const sealed = new Sealer(ROOTS).seal(lasting, bound);
    expect(() => opened(sealed.database, 'database', NOW)).toThrow(/does not have its form/);
    const { access: __, ...wide } = assertion;
    // @ts-expect-error it would be for whatever the token allows
    expect(new Sealer(ROOTS).seal(wide, bound)).toBeDefined();
  });
});
