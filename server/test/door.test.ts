import type { Access } from '@bankhouse/core';
import { describe, expect, it } from 'vitest';
import { checkAccess, DoorError, openDoor } from '../src/http/door.ts';
import { buildSurface } from '../src/mcp/surface.ts';
import { openSecrets } from '../src/secrets.ts';
import { ALL_TOOLSETS, makeAssertion, makeSecretDir, nowSeconds, sealedHeaders } from './fixtures.ts';

const { dir } = makeSecretDir('acme');
const secrets = openSecrets(dir);
const open = (headers: Record<string, string | string[] | undefined>) =>
  openDoor(headers, 'acme', secrets, nowSeconds());
const good = () => sealedHeaders(makeAssertion('acme'));

describe('the door (R3.2)', () => {
  it('opens to an assertion sealed for this pod, and passes the one for the database on unopened', () => {
    const headers = good();
    expect(open(headers)).toEqual({
      assertion: expect.objectContaining({ bank: 'acme', sub: 'someone' }),
      databaseAssertion: headers['bankhouse-database-assertion'],
    });
  });

  it.each<[string, () => Record<string, string | string[] | undefined>, string]>([
    ['no assertion', () => ({}), 'assertion_absent'],
    ['an empty one', () => ({ ...good(), 'bankhouse-assertion': '' }), 'assertion_absent'],
    ['garbage', () => ({ ...good(), 'bankhouse-assertion': 'let me in' }), 'assertion_malformed'],
    [
      'one without a seal',
      () => ({ ...good(), 'bankhouse-assertion': good()['bankhouse-assertion'].replace(/[^.]+$/, '') }),
      'assertion_malformed',
    ],
    [
      'one that was changed',
      () => ({ ...good(), 'bankhouse-assertion': good()['bankhouse-assertion'].replace(/\.(.)/, '.f') }),
      'assertion_forged',
    ],
    [
      "the database's instead of the pod's",
      () => ({ ...good(), 'bankhouse-assertion': good()['bankhouse-database-assertion'] }),
      'assertion_forged',
    ],
    [
      "one sealed with another bank's key",
      () => sealedHeaders(makeAssertion('acme'), { bank: 'other' }),
      'assertion_forged',
    ],
    [
      'one for another bank under our key',
      () => sealedHeaders(makeAssertion('other'), { bank: 'acme' }),
      'assertion_forged',
    ],
    [
      'one of a generation that is not in force',
      () => sealedHeaders(makeAssertion('acme'), { generation: 2 }),
      'assertion_forged',
    ],
    [
      'one that is too old',
      () => sealedHeaders(makeAssertion('acme', { iat: nowSeconds() - 62 })),
      'assertion_expired',
    ],
    [
      'one whose token has expired (G7)',
      () => sealedHeaders(makeAssertion('acme', { exp: nowSeconds() - 7 })),
      'assertion_expired',
    ],
    [
      'one from the future',
      () => sealedHeaders(makeAssertion('acme', { iat: nowSeconds() + 60 })),
      'assertion_expired',
    ],
    ['none for the database', () => ({ ...good(), 'bankhouse-database-assertion': undefined }), 'assertion_absent'],
    [
      'something else for the database',
      () => ({ ...good(), 'bankhouse-database-assertion': "x'; drop table" }),
      'assertion_absent',
    ],
  ])('stays closed to %s', (_sentence, headers, code) => {
    expect(() => open(headers())).toThrow(expect.objectContaining({ status: 401, code }));
  });

  it('opens to a new generation as soon as it is asked for, and closes to the old one when that is taken away', () => {
    const rotating = makeSecretDir('acme');
    let clock = 0;
    const keys = openSecrets(rotating.dir, { now: () => clock });
    const tryWith = (generation: number) => () =>
      openDoor(sealedHeaders(makeAssertion('acme'), { generation }), 'acme', keys, nowSeconds());
    expect(tryWith(2)).toThrow(DoorError);
    rotating.writeKeys([1, 2]);
    expect(tryWith(2)).not.toThrow();
    expect(tryWith(1)).not.toThrow();
    rotating.writeKeys([2]);
    clock += 1000;
    expect(tryWith(1)).toThrow(DoorError);
  });
});

describe('what an assertion is for', () => {
  const tools = buildSurface(ALL_TOOLSETS).tools;
  const call = (name: unknown) => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } });

  it.each<[string, unknown, Access, boolean]>([
    ['reading by one for reading', call('list_vaults'), 'read', true],
    ['writing by one for reading', call('create_note'), 'read', false],
    ['writing by one for writing', call('create_note'), 'write', true],
    ['reading by one for writing', call('list_vaults'), 'write', true],
    ['reading by one for a handshake', call('list_vaults'), 'none', false],
    ['a handshake by one for it', { method: 'initialize' }, 'none', true],
    ['a batch with one message too many', [{ method: 'tools/list' }, call('delete_note')], 'read', false],
    ['a batch of readers', [call('get_recording'), call('list_vaults')], 'read', true],
    ['a call that is forwarded to no tool by one for reading', call('call_tool'), 'read', true],
    ['a call that is forwarded to no tool by one for a handshake', call('call_tool'), 'none', false],
  ])('G7: %s, whatever the scopes of its token are', (_sentence, body, access, allowed) => {
    const check = () =>
      checkAccess(body, { access, scopes: ['mcp:read', 'mcp:write', 'mcp:verify'], vaults: null }, tools);
    if (allowed) expect(check).not.toThrow();
    else expect(check).toThrow(expect.objectContaining({ status: 403, code: 'insufficient_scope' }));
  });

  it.each<[string, unknown, string[], boolean]>([
    ['reading by a reader', call('list_vaults'), ['mcp:read'], true],
    ['writing by a reader', call('create_note'), ['mcp:read'], false],
    ['writing by a writer', call('create_note'), ['mcp:write'], true],
    ['reading by the verifier', call('list_vaults'), ['mcp:verify'], false],
    ['a list of tools by the verifier', { method: 'tools/list' }, ['mcp:verify'], true],
    ['resources by the verifier', { method: 'resources/list' }, ['mcp:verify'], false],
    ['a handshake without any scope', { method: 'initialize' }, [], false],
    ['an unknown tool by a reader, for the bank to say so (G12)', call('delete_everything'), ['mcp:read'], true],
    ['an unknown tool by a writer', call('get_stuff.delete_all'), ['mcp:write'], true],
    ['an unknown tool by the verifier', call('delete_everything'), ['mcp:verify'], false],
    ['a call without a name by a reader, which is no call', call(undefined), ['mcp:read'], true],
    ['a call of a list by a reader, which is no call', call(['create_note']), ['mcp:read'], true],
    ['a batch with one message too many', [{ method: 'tools/list' }, call('delete_note')], ['mcp:read'], false],
    ['a batch of readers', [call('get_recording'), call('list_vaults')], ['mcp:read'], true],
    ['what is no request', 'hello', [], true],
    ['nothing', null, [], true],
  ])('of a gateway before `access` is as its scopes say: %s', (_sentence, body, scopes, allowed) => {
    const check = () => checkAccess(body, { scopes, vaults: null }, tools);
    if (allowed) expect(check).not.toThrow();
    else expect(check).toThrow(expect.objectContaining({ status: 403, code: 'insufficient_scope' }));
  });

  it('G12: refuses a reader a tool that writes, whatever it is called', () => {
    const writing = new Map([['list_vaults', { access: 'write' as const }]]);
    const check = () => checkAccess(call('list_vaults'), { scopes: ['mcp:read'], vaults: null }, writing);
    expect(check).toThrow(expect.objectContaining({ status: 403 }));
  });

  it('names what the caller holds and lacks (P4), and the request that is refused', () => {
    const check = () => checkAccess(call('create_note'), { scopes: ['mcp:read', 'mcp:verify'], vaults: null }, tools);
    expect(check).toThrow(expect.objectContaining({ scopes: ['mcp:read', 'mcp:write'], requestId: 1 }));
  });
});
