import { describe, expect, it } from 'vitest';
import {
  type Access,
  BUILT_IN_CATALOGUE,
  bankResourcesAt,
  type CatalogueTool,
  decide,
  decideAll,
  isKnown,
  LISTEN_OPERATION,
  meantTool,
  type Operation,
  SCOPES,
  SESSION_OPERATION,
} from '../src/index.ts';

const digest = `sha256:${'0'.repeat(64)}`;
const tools = new Map<string, CatalogueTool>([
  ['list_things', { access: 'read', digest }],
  ['create_thing', { access: 'write', digest }],
  ['amazon.get_order', { access: 'read', digest }],
  ['get_stuff.delete_all', { access: 'write', digest }],
  ['call_any', { access: 'either', digest }],
]);
const resource = { catalogue: { digest: undefined, tools } };
const method = (name: string): Operation => ({ method: name, tool: undefined });
const call = (tool: string | undefined): Operation => ({ method: 'tools/call', tool });
const through = (...named: string[]): Operation => ({ method: 'tools/call', tool: 'call_any', named });
const granted = (scopes: string) => ({ scopes: scopes.split(' ').filter((scope) => scope !== ''), vaults: null });

describe('a decision', () => {
  it.each<[sentence: string, operation: Operation, opens: readonly string[], access: Access]>([
    ['a handshake: any scope', method('server/discover'), SCOPES, 'none'],
    ['the legacy handshake: any scope', method('initialize'), SCOPES, 'none'],
    ['what has no method and doesn’t listen, as a DELETE: any scope', SESSION_OPERATION, SCOPES, 'none'],
    ['a list of tools: any scope', method('tools/list'), SCOPES, 'none'],
    ['a list of resources: read, since their names are data', method('resources/list'), ['mcp:read'], 'read'],
    ['a resource: read', method('resources/read'), ['mcp:read'], 'read'],
    ['what changes: read', method('subscriptions/listen'), ['mcp:read'], 'read'],
    ['what changes, as older revisions ask: read', method('resources/subscribe'), ['mcp:read'], 'read'],
    ['a method that nobody knows: read', method('made/up'), ['mcp:read'], 'read'],
    ['a method that differs in case from a handshake: read', method('Initialize'), ['mcp:read'], 'read'],
    ['a method that an object has by nature: read', method('constructor'), ['mcp:read'], 'read'],
    ['a reading tool: read', call('list_things'), ['mcp:read'], 'read'],
    ['a writing tool: write', call('create_thing'), ['mcp:write'], 'write'],
    ['a reading tool whose name has no verb in front: read', call('amazon.get_order'), ['mcp:read'], 'read'],
    [
      'G12: a writing tool whose name begins like a reading one: write',
      call('get_stuff.delete_all'),
      ['mcp:write'],
      'write',
    ],
    [
      'G12: an unknown tool that reads by its name: for the bank to answer',
      call('get_stuff.drop'),
      ['mcp:read', 'mcp:write'],
      'read',
    ],
    [
      'G12: an unknown tool that writes by its name: for the bank to answer',
      call('delete_thing'),
      ['mcp:read', 'mcp:write'],
      'read',
    ],
    ['a known tool in another case: an unknown one', call('Create_Thing'), ['mcp:read', 'mcp:write'], 'read'],
    ['a known tool with a blank behind: an unknown one', call('create_thing '), ['mcp:read', 'mcp:write'], 'read'],
    ['a tool that every object has: an unknown one', call('__proto__'), ['mcp:read', 'mcp:write'], 'read'],
    ['a tool without a name: an unknown one', call(undefined), ['mcp:read', 'mcp:write'], 'read'],
    ['a reading tool through one that forwards: read', through('list_things'), ['mcp:read'], 'read'],
    ['a writing tool through one that forwards: write', through('create_thing'), ['mcp:write'], 'write'],
    ['a writing tool through it twice: write', through('call_any', 'create_thing'), ['mcp:write'], 'write'],
    ['what a tool that forwards nothing names: nothing', through('list_things', 'create_thing'), ['mcp:read'], 'read'],
    [
      'what a reading tool names, as a row of its own: nothing',
      { ...call('list_things'), named: ['create_thing'] },
      ['mcp:read'],
      'read',
    ],
    [
      'an unknown tool through one that forwards: for the bank to answer',
      through('delete_thing'),
      ['mcp:read', 'mcp:write'],
      'read',
    ],
  ])('%s', (_sentence, operation, opens, access) => {
    for (const scope of SCOPES) {
      const decision = decide(resource, operation, granted(scope));
      expect([scope, decision.allowed, decision.access]).toEqual([scope, opens.includes(scope), access]);
    }
    expect(decide(resource, operation, granted('openid mcp:everything mcp:readonly')).allowed).toBe(false);
    expect(decide(resource, operation, granted('')).allowed).toBe(false);
  });

  it.each<[scopes: string, allowed: boolean, access: Access]>([
    ['mcp:read', true, 'read'],
    ['mcp:write', true, 'none'],
    ['mcp:read mcp:write', true, 'read'],
    ['mcp:verify', true, 'none'],
    ['openid', false, 'none'],
  ])('of what listens without a method, a GET, opens what %s may read', (scopes, allowed, access) => {
    expect(decide(resource, LISTEN_OPERATION, granted(scopes))).toMatchObject({ allowed, access });
  });

  it.each<[scopes: string, allowed: boolean, access: Access]>([
    ['mcp:read', true, 'read'],
    ['mcp:write', true, 'write'],
    ['mcp:read mcp:write', true, 'write'],
    ['mcp:verify', false, 'read'],
  ])(
    'of a tool whose arguments name another, nobody knows which, opens as much as %s does',
    (scopes, allowed, access) => {
      expect(decide(resource, call('call_any'), granted(scopes))).toMatchObject({ allowed, access });
      expect(decide(resource, through('call_any', 'call_any'), granted(scopes))).toMatchObject({ allowed, access });
    },
  );

  it.each<[sentence: string, operation: Operation, meant: string | undefined, known: boolean]>([
    ['itself', call('list_things'), 'list_things', true],
    ['the one that is named', through('create_thing'), 'create_thing', true],
    ['the one that is named last', through('call_any', 'list_things'), 'list_things', true],
    ['one that nobody knows', through('delete_thing'), 'delete_thing', false],
    ['itself, where it names none', call('call_any'), 'call_any', true],
    ['none, where it is no call', method('tools/list'), undefined, true],
  ])('of a call that comes to %s knows which', (_sentence, operation, meant, known) => {
    expect([meantTool(tools, operation), isKnown(tools, [operation])]).toEqual([meant, known]);
  });

  it.each<[sentence: string, held: string, operation: Operation, needed: string[]]>([
    ['what it holds and lacks', 'mcp:read', call('create_thing'), ['mcp:read', 'mcp:write']],
    ['what it holds and lacks, the other way', 'mcp:write', call('list_things'), ['mcp:read', 'mcp:write']],
    ['not the scope of the operator', 'mcp:verify', call('create_thing'), ['mcp:write']],
    ['not the scopes of others', 'openid', method('resources/list'), ['mcp:read']],
    ['the least that opens a handshake', '', method('initialize'), ['mcp:read']],
    ['the least that may ask for an unknown tool', 'mcp:verify', call('delete_thing'), ['mcp:read']],
    ['nothing, where it is allowed', 'mcp:read mcp:verify', call('list_things'), []],
  ])('P4: tells a caller %s', (_sentence, held, operation, needed) => {
    expect(decide(resource, operation, granted(held)).needed).toEqual(needed);
  });
});

describe('a decision of many', () => {
  const read = call('list_things');
  const write = call('create_thing');

  it.each<[sentence: string, held: string, operations: Operation[], expected: object]>([
    [
      'all allowed, one of them to write',
      'mcp:read mcp:write',
      [read, write, read],
      { allowed: true, needed: [], access: 'write' },
    ],
    ['all to read', 'mcp:read mcp:write', [read, method('ping')], { allowed: true, needed: [], access: 'read' }],
    [
      'one refused',
      'mcp:read',
      [read, write, read],
      { allowed: false, needed: ['mcp:read', 'mcp:write'], access: 'write' },
    ],
    [
      'two refused for different reasons',
      '',
      [read, write],
      { allowed: false, needed: ['mcp:read', 'mcp:write'], access: 'write' },
    ],
    [
      'one unknown, the others allowed',
      'mcp:read',
      [read, call('delete_thing')],
      { allowed: true, needed: [], access: 'read' },
    ],
  ])('%s', (_sentence, held, operations, expected) => {
    expect(decideAll(resource, operations, granted(held))).toEqual(expected);
  });
});

describe('a bank as a resource', () => {
  it('names its audience, its metadata and the host that is asked', () => {
    expect(bankResourcesAt('https://mcp.example.com:8443', () => BUILT_IN_CATALOGUE)('acme')).toMatchObject({
      kind: 'bank',
      bank: 'acme',
      audience: 'https://mcp.example.com:8443/mcp/bank-acme',
      metadata: 'https://mcp.example.com:8443/.well-known/oauth-protected-resource/mcp/bank-acme',
      host: 'mcp.example.com:8443',
    });
  });

  it('is judged by the catalogue that is known of it', () => {
    const catalogues = new Map([['acme', BUILT_IN_CATALOGUE]]);
    const acme = bankResourcesAt('https://mcp.example.com', (id) => catalogues.get(id) ?? resource.catalogue)('acme');
    expect(decide(acme, call('delete_note'), granted('mcp:read'))).toMatchObject({ allowed: false, access: 'write' });
    expect(decide(acme, call('list_notes'), granted('mcp:read')).allowed).toBe(true);
  });
});
