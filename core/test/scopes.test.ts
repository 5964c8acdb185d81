import { describe, expect, it } from 'vitest';
import { requiredScopes, SCOPES, scopesOf } from '../src/index.ts';

describe('the scopes that a call needs', () => {
  it.each([
    ['a handshake: any', 'server/discover', undefined, SCOPES],
    ['the legacy handshake: any', 'initialize', undefined, SCOPES],
    ['a list of tools: any', 'tools/list', undefined, SCOPES],
    ['a list of resources: read, since their names are data', 'resources/list', undefined, ['mcp:read']],
    ['a resource: read', 'resources/read', undefined, ['mcp:read']],
    ['what changes: read', 'subscriptions/listen', undefined, ['mcp:read']],
    ['what changes, as older revisions ask: read', 'resources/subscribe', undefined, ['mcp:read']],
    ['a reading tool: read', 'tools/call', 'list_recordings', ['mcp:read']],
    ['a writing tool: write', 'tools/call', 'create_note', ['mcp:write']],
    ['a tool that only starts like a reading one: write', 'tools/call', 'listen', ['mcp:write']],
    ['the tool that finds tools: read', 'tools/call', 'find_tools', ['mcp:read']],
    [
      'the tool that calls another: read, and that one is looked at by the bank',
      'tools/call',
      'call_tool',
      ['mcp:read'],
    ],
    ['a tool that is only named like it: write', 'tools/call', 'call_toolbox', ['mcp:write']],
    ['a third-party tool: write', 'tools/call', 'amazon.get_order', ['mcp:write']],
    ['a tool without a name: write', 'tools/call', undefined, ['mcp:write']],
    ['a method that nobody knows: read', 'made/up', undefined, ['mcp:read']],
  ])('%s', (_sentence, method, tool, expected) => {
    expect(requiredScopes(method, tool)).toEqual(expected);
  });

  it('are read from a space-separated claim', () => {
    expect(scopesOf({ scope: ' mcp:read  mcp:write ' })).toEqual(['mcp:read', 'mcp:write']);
  });
});
