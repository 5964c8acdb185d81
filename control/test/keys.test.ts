import { describe, expect, it } from 'vitest';
import { createFailureLimit, sourceOf } from '../src/http/failure-limit.ts';
import { createKeyCheck, digestOf } from '../src/http/keys.ts';

describe('a bearer key', () => {
  const check = createKeyCheck({ admin: 'a'.repeat(32), verifier: 'v'.repeat(32) });

  it.each<[string, string, string | undefined]>([
    ['the admin key', 'a'.repeat(32), 'admin'],
    ['the verifier key', 'v'.repeat(32), 'verifier'],
    ['a shorter one', 'a'.repeat(31), undefined],
    ['a longer one', 'a'.repeat(33), undefined],
    ['nothing', '', undefined],
  ])('%s', (_sentence, credential, expected) => {
    expect(check(digestOf(credential))).toBe(expected);
  });
});

describe('wrong credentials (G10)', () => {
  const start = () => {
    let now = 0;
    const limit = createFailureLimit({ maxByCredential: 2, maxBySource: 4, windowMs: 60_000, now: () => now });
    const begin = (credential: string, source?: string) => limit.begin(credential, source);
    return {
      pass: (ms: number) => (now += ms),
      begin,
      /** Seconds to wait; 0: it was looked at, and was wrong. */
      wrong(credential: string, source?: string) {
        const attempt = begin(credential, source);
        if ('waitSeconds' in attempt) return attempt.waitSeconds;
        attempt.wrong();
        return 0;
      },
      right(credential: string, source?: string) {
        const attempt = begin(credential, source);
        if ('waitSeconds' in attempt) return attempt.waitSeconds;
        attempt.right();
        return 0;
      },
    };
  };

  it('are looked at up to the limit of one, and told to wait above it', () => {
    const { wrong } = start();
    expect([wrong('x', 'a'), wrong('x', 'a'), wrong('x', 'a')]).toEqual([0, 0, 60]);
  });

  it('are counted before they are looked at, so that many at once are no more', () => {
    const { begin } = start();
    const attempts = Array.from({ length: 10 }, () => begin('x', 'a'));
    expect(attempts.filter((attempt) => 'right' in attempt)).toHaveLength(2);
  });

  it('of one client, whichever they are, are limited too', () => {
    const { wrong } = start();
    expect(['1', '2', '3', '4', '5'].map((credential) => wrong(credential, 'a'))).toEqual([0, 0, 0, 0, 60]);
  });

  it('do not slow another client', () => {
    const { wrong } = start();
    for (let i = 0; i < 9; i++) wrong(`guess ${i}`, 'a');
    expect(wrong('expired', 'b')).toBe(0);
  });

  it('through a proxy that nobody named slow no other credential', () => {
    const { wrong } = start();
    for (let i = 0; i < 9; i++) wrong('x');
    expect([wrong('x'), wrong('expired')]).toEqual([60, 0]);
  });

  it('do not lock out what was right lately, also at their own address', () => {
    const { right, wrong } = start();
    right('good', 'a');
    for (let i = 0; i < 9; i++) wrong(`guess ${i}`, 'a');
    expect([right('good', 'a'), right('good', 'a'), wrong('guess', 'a')]).toEqual([0, 0, 60]);
  });

  it('are limited once what was right is not any more', () => {
    const { right, wrong } = start();
    right('good', 'a');
    expect([wrong('good', 'a'), wrong('good', 'a'), wrong('good', 'a'), wrong('good', 'a')]).toEqual([0, 0, 0, 60]);
  });

  it('are not counted for what is right', () => {
    const { right } = start();
    expect(Array.from({ length: 20 }, (_, i) => right(`good ${i}`, 'a'))).toEqual(Array(20).fill(0));
  });

  it('are forgotten after the window', () => {
    const { wrong, pass } = start();
    for (let i = 0; i < 5; i++) wrong('x', 'a');
    pass(60_000);
    expect(wrong('x', 'a')).toBe(0);
  });
});

describe('the client that is counted', () => {
  it.each<[string, string, boolean, string | undefined]>([
    ['is its IPv4 address', '192.0.2.7', false, '192.0.2.7'],
    ['is that also where the socket is of IPv6', '::ffff:192.0.2.7', false, '192.0.2.7'],
    ['is the network of an IPv6 address', '2001:db8:1:2:3:4:5:6', false, '2001:db8:1:2'],
    ['is that however it is written', '2001:0db8::3:4', false, '2001:db8:0:0'],
    ['is nobody where an unknown proxy speaks for it', '10.0.0.1', true, undefined],
    ['is bounded where a proxy says nonsense', 'x'.repeat(1000), false, 'x'.repeat(64)],
  ])('%s', (_sentence, ip, isForwarded, expected) => {
    expect(sourceOf(ip, isForwarded)).toBe(expected);
  });
});
