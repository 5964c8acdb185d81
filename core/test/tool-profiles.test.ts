import { describe, expect, it } from 'vitest';
import { TOOL_PROFILE_UNKNOWN, TOOL_PROFILES, toolProfileOf } from '../src/index.ts';

describe('the tool profile of a URL', () => {
  it.each<[string, ReturnType<typeof toolProfileOf>]>([
    ['/mcp/bank-acme', undefined],
    ['/mcp/bank-acme?', undefined],
    ['/mcp/bank-acme?access_token=tools=search', undefined],
    ['/mcp/bank-acme?TOOLS=full', undefined],
    ['/mcp/bank-acme?tools=full', 'full'],
    ['/mcp/bank-acme?x=1&tools=compact', 'compact'],
    ['/mcp/bank-acme?tools=%73earch', 'search'],
    ['/mcp/bank-acme?tools=', 'unknown'],
    ['/mcp/bank-acme?tools', 'unknown'],
    ['/mcp/bank-acme?tools=Full', 'unknown'],
    ['/mcp/bank-acme?tools=full,search', 'unknown'],
    ['/mcp/bank-acme?tools=full&tools=full', 'unknown'],
    ['/mcp/bank-acme?tools=constructor', 'unknown'],
  ])('%s is %s', (target, expected) => {
    expect(toolProfileOf(target)).toBe(expected);
  });

  it('that is unknown is answered with those that there are', () => {
    for (const profile of TOOL_PROFILES) expect(TOOL_PROFILE_UNKNOWN).toContain(profile);
  });
});
