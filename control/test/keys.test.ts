import { describe, expect, it } from 'vitest';
import { createFailureLimit, createKeyCheck } from '../src/http/keys.ts';

describe('a bearer key', () => {
  const check = createKeyCheck({ admin: 'a'.repeat(32), verifier: 'v'.repeat(32) });

  it.each<[string, string, string | undefined]>([
    ['the admin key', 'a'.repeat(32), 'admin'],
    ['the verifier key', 'v'.repeat(32), 'verifier'],
    ['a shorter one', 'a'.repeat(31), undefined],
    ['a longer one', 'a'.repeat(33), undefined],
    ['nothing', '', undefined],
  ])('%s', (_sentence, credential, expected) => {
    expect(check(credential)).toBe(expected);
  });
});

describe('wrong credentials from one source', () => {
  const start = () => {
    let now = 0;
    const limit = createFailureLimit({ max: 2, windowMs: 60_000, now: () => now });
    return { limit, pass: (ms: number) => (now += ms) };
  };

  it('are refused up to the limit, and told to wait above it', () => {
    const { limit } = start();
    expect([limit.add('a'), limit.add('a'), limit.add('a')]).toEqual([undefined, undefined, 60]);
  });

  it('do not slow another source', () => {
    const { limit } = start();
    for (let i = 0; i < 5; i++) limit.add('a');
    expect(limit.add('b')).toBeUndefined();
  });

  it('are forgotten after the window', () => {
    const { limit, pass } = start();
    for (let i = 0; i < 5; i++) limit.add('a');
    pass(60_000);
    expect(limit.add('a')).toBeUndefined();
  });
});
