import { expect, it } from 'vitest';
import { scopesOf } from '../src/index.ts';

it('scopes are read from a space-separated claim', () => {
  expect(scopesOf({ scope: ' mcp:read  mcp:write ' })).toEqual(['mcp:read', 'mcp:write']);
});
