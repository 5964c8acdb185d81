import { describe, expect, it } from 'vitest';
import { type Assertion, AssertionError, deriveSealKey, openAssertion, sealAssertion } from '../src/index.ts';

const ROOT = Buffer.alloc(32, 7);
const NOW = 1_800_000_000;
const UID = '8f14e45f-ceea-467f-a0e6-6f2b3c1d0a11';
const KEY = deriveSealKey(ROOT, 'pod', 'acme', UID, 1);
const KEYS = new Map([[1, KEY]]);

function assertion(changes: Partial<Assertion> = {}): Assertion {
  return {
    bank: 'acme',
    sub: 'ann',
    iss: 'https://i',
    access: 'read',
    scopes: ['mcp:read'],
    vaults: null,
    jti: 'j1',
    exp: NOW + 3600,
    iat: NOW,
    rid: 'r1',
    ...changes,
  };
}

/** Also what no type allows. */
const withExp = (exp: unknown) => assertion({ exp } as Partial<Assertion>);
const withAccess = (access: unknown) => assertion({ access } as Partial<Assertion>);

function codeOf(sealed: string | undefined, now = NOW, keys: ReadonlyMap<number, Uint8Array> = KEYS): string {
  try {
    openAssertion(sealed, { bank: 'acme', keys, now });
    return 'opened';
  } catch (error) {
    if (error instanceof AssertionError) return error.code;
    throw error;
  }
}

describe('a sealed assertion (R3.2)', () => {
  it('opens to what was sealed', () => {
    const wanted = assertion({ vaults: ['sales', 'support'] });
    expect(openAssertion(sealAssertion(wanted, KEY, 1), { bank: 'acme', keys: KEYS, now: NOW })).toEqual(wanted);
  });

  const sealed = sealAssertion(assertion(), KEY, 1);
  const [, payload = '', mac = ''] = sealed.split('.');
  const richer = Buffer.from(JSON.stringify(assertion({ sub: 'root' }))).toString('base64url');

  it.each<[string, string | undefined, string]>([
    ['as sealed', sealed, 'opened'],
    ['none', undefined, 'assertion_absent'],
    ['an empty one', '', 'assertion_absent'],
    ['garbage', 'hello', 'assertion_malformed'],
    ['two parts', `1.${payload}`, 'assertion_malformed'],
    ['a fourth part', `${sealed}.x`, 'assertion_malformed'],
    ['more than 8 KiB', `1.${'A'.repeat(9000)}.${mac}`, 'assertion_malformed'],
    ['a short mac', `1.${payload}.${mac.slice(1)}`, 'assertion_malformed'],
    ['a changed payload', `1.${richer}.${mac}`, 'assertion_forged'],
    ['a changed generation', `2.${payload}.${mac}`, 'assertion_forged'],
    [
      "another bank's key",
      sealAssertion(assertion(), deriveSealKey(ROOT, 'pod', 'globex', UID, 1), 1),
      'assertion_forged',
    ],
    [
      "the database's key",
      sealAssertion(assertion(), deriveSealKey(ROOT, 'database', 'acme', UID, 1), 1),
      'assertion_forged',
    ],
    [
      'an older generation that is no longer held',
      sealAssertion(assertion(), deriveSealKey(ROOT, 'pod', 'acme', UID, 0), 0),
      'assertion_forged',
    ],
    ['another bank in the payload', sealAssertion(assertion({ bank: 'globex' }), KEY, 1), 'assertion_forged'],
    ['a payload that is not an assertion', sealAssertion({} as Assertion, KEY, 1), 'assertion_malformed'],
    ['without the expiry of a token', sealAssertion(assertion({ exp: undefined }), KEY, 1), 'assertion_malformed'],
    ['without expiry and access', sealAssertion(assertion({ exp: undefined, access: undefined }), KEY, 1), 'opened'],
    ['an access that nobody knows', sealAssertion(withAccess('all'), KEY, 1), 'assertion_malformed'],
    ['an expiry of null', sealAssertion(withExp(null), KEY, 1), 'assertion_malformed'],
    ['an expiry that is a text', sealAssertion(withExp(String(NOW)), KEY, 1), 'assertion_malformed'],
    ['an expiry that is no whole number', sealAssertion(withExp(NOW + 0.5), KEY, 1), 'assertion_malformed'],
    ['made 60 s ago (G7)', sealAssertion(assertion({ iat: NOW - 60 }), KEY, 1), 'opened'],
    ['made 61 s ago (G7)', sealAssertion(assertion({ iat: NOW - 61 }), KEY, 1), 'assertion_expired'],
    [
      'made 61 s ago, without access',
      sealAssertion(assertion({ iat: NOW - 61, access: undefined }), KEY, 1),
      'assertion_expired',
    ],
    ['of a token expired for 5 s', sealAssertion(assertion({ exp: NOW - 5 }), KEY, 1), 'opened'],
    ['of a token expired for 6 s (G7)', sealAssertion(assertion({ exp: NOW - 6 }), KEY, 1), 'assertion_expired'],
    ['made 5 s ahead', sealAssertion(assertion({ iat: NOW + 5 }), KEY, 1), 'opened'],
    ['made 6 s ahead', sealAssertion(assertion({ iat: NOW + 6 }), KEY, 1), 'assertion_expired'],
  ])('%s → %3$s', (_sentence, value, code) => {
    expect(codeOf(value)).toBe(code);
  });

  it('opens under either of two generations during a rotation', () => {
    const next = deriveSealKey(ROOT, 'pod', 'acme', UID, 2);
    const both = new Map([...KEYS, [2, next]]);
    expect(codeOf(sealAssertion(assertion(), next, 2), NOW, both)).toBe('opened');
    expect(codeOf(sealed, NOW, both)).toBe('opened');
  });
});

describe('a seal key', () => {
  it('differs by target, bank, incarnation and generation', () => {
    const keys = [
      deriveSealKey(ROOT, 'pod', 'acme', UID, 1),
      deriveSealKey(ROOT, 'database', 'acme', UID, 1),
      deriveSealKey(ROOT, 'pod', 'globex', UID, 1),
      deriveSealKey(ROOT, 'pod', 'acme', '2b0c8f1d-52a1-4c5e-9f7d-0f5f0f4a7c22', 1),
      deriveSealKey(ROOT, 'pod', 'acme', UID, 2),
    ].map((key) => key.toString('hex'));
    expect(new Set(keys).size).toBe(5);
  });

  it('is not derived from a root of less than 32 bytes', () => {
    expect(() => deriveSealKey(Buffer.alloc(31), 'pod', 'acme', UID, 1)).toThrow(/at least 32 bytes/);
  });
});
