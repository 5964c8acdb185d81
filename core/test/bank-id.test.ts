import { describe, expect, it } from 'vitest';
import { bankMetadataUrl, bankUrl, isBankId, parseBankTarget } from '../src/index.ts';

describe('a bank id', () => {
  it.each([
    ['one letter', 'a', true],
    ['letters, digits and inner hyphens', 'acme-2-eu', true],
    ['40 characters', 'a'.repeat(40), true],
    ['41 characters', 'a'.repeat(41), false],
    ['nothing', '', false],
    ['a leading hyphen', '-acme', false],
    ['a trailing hyphen', 'acme-', false],
    ['an upper-case letter', 'Acme', false],
    ['an underscore', 'ac_me', false],
    ['a dot', 'ac.me', false],
    ['a trailing newline', 'acme\n', false],
    ['a letter that only looks like an a', '\u0430cme', false],
  ])('%s: %j is valid = %s', (_sentence, id, valid) => {
    expect(isBankId(id)).toBe(valid);
  });
});

describe('a request target', () => {
  it.each([
    ['the endpoint', '/mcp/bank-acme', { kind: 'mcp', id: 'acme' }],
    ['the endpoint with a query', '/mcp/bank-acme?x=/../y', { kind: 'mcp', id: 'acme' }],
    ['the metadata', '/.well-known/oauth-protected-resource/mcp/bank-acme', { kind: 'metadata', id: 'acme' }],
    ['a trailing slash', '/mcp/bank-acme/', undefined],
    ['a doubled slash', '/mcp//bank-acme', undefined],
    ['a leading doubled slash', '//mcp/bank-acme', undefined],
    ['an encoded slash', '/mcp%2Fbank-acme', undefined],
    ['an encoded letter', '/mcp/bank-%61cme', undefined],
    ['a dot segment', '/mcp/./bank-acme', undefined],
    ['a climbing segment', '/mcp/bank-acme/../bank-globex', undefined],
    ['an absolute form', 'http://other/mcp/bank-acme', undefined],
    ['a backslash', '/mcp\\bank-acme', undefined],
    ['a path parameter', '/mcp/bank-acme;v=1', undefined],
    ['no id', '/mcp/bank-', undefined],
    ['another path', '/mcp', undefined],
    ['a well-known suffix behind the path', '/mcp/bank-acme/.well-known/oauth-protected-resource', undefined],
  ])('%s: %j', (_sentence, target, expected) => {
    expect(parseBankTarget(target)).toEqual(expected);
  });
});

describe('a bank URL', () => {
  it('is the front door with the path, and has its metadata in front of the path (R1.1, R1.8)', () => {
    expect(bankUrl('https://mcp.example.com', 'acme')).toBe('https://mcp.example.com/mcp/bank-acme');
    expect(bankMetadataUrl('https://mcp.example.com', 'acme')).toBe(
      'https://mcp.example.com/.well-known/oauth-protected-resource/mcp/bank-acme',
    );
  });
});
