import { describe, expect, it } from 'vitest';
import { decideGrant, type Minter, type TokenRequest } from '../src/issuer/grant.ts';

const NOW = 1_800_000_000;
const bank = { id: 'acme', vaults: [{ id: 'sales', displayName: 'Sales' }], notBefore: null };
const decide = (request: Partial<TokenRequest>, minter: Minter = 'admin', notBefore: number | null = null) =>
  decideGrant(
    { bank: 'acme', ...request },
    minter,
    { ...bank, notBefore },
    { frontDoor: 'https://mcp.example.com', now: NOW },
  );

describe('what a token may say (R1.3)', () => {
  it.each<[string, Partial<TokenRequest>, Minter, Record<string, unknown>]>([
    [
      'by default: read and write, every vault, a day',
      {},
      'admin',
      { scope: 'mcp:read mcp:write', exp: NOW + 86_400, sub: 'bankhouse-admin' },
    ],
    ['only some vaults', { vaults: ['sales'] }, 'admin', { vault_ids: ['sales'] }],
    ['no vault at all', { vaults: [] }, 'admin', { vault_ids: [] }],
    ['read-only', { scope: 'mcp:read' }, 'admin', { scope: 'mcp:read' }],
    ['a scope twice is once', { scope: 'mcp:read  mcp:read' }, 'admin', { scope: 'mcp:read' }],
    ['a subject', { subject: 'alice' }, 'admin', { sub: 'alice' }],
    [
      'the verifier: handshake, no vault, five minutes',
      {},
      'verifier',
      { scope: 'mcp:verify', vault_ids: [], exp: NOW + 300, sub: 'bankhouse-operator' },
    ],
    ['the verifier: less time', { ttlSeconds: 60 }, 'verifier', { exp: NOW + 60 }],
  ])('%s', (_sentence, request, minter, expected) => {
    expect(decide(request, minter)).toMatchObject({
      aud: 'https://mcp.example.com/mcp/bank-acme',
      iat: NOW,
      ...expected,
    });
  });

  it('has no vault_ids when it is not limited to vaults', () => {
    expect(decide({})).not.toHaveProperty('vault_ids');
  });

  it('is not older than the epoch that a revocation has just set', () => {
    expect(decide({}, 'admin', NOW + 1)).toMatchObject({ iat: NOW + 1, exp: NOW + 1 + 86_400 });
  });

  it.each<[string, Partial<TokenRequest>, Minter, string]>([
    ['a vault that the bank has not', { vaults: ['sales', 'attic'] }, 'admin', 'vault_unknown'],
    ['more than a handshake for the verifier', { scope: 'mcp:write' }, 'verifier', 'verifier_only'],
    ['a vault for the verifier', { vaults: ['sales'] }, 'verifier', 'verifier_only'],
    ['an hour for the verifier', { ttlSeconds: 3600 }, 'verifier', 'verifier_only'],
  ])('refuses %s', (_sentence, request, minter, code) => {
    expect(() => decide(request, minter)).toThrow(expect.objectContaining({ code }));
  });
});
