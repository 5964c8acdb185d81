import { describe, expect, test } from 'vitest';
import { BankhouseError, bankSpecSchema, parseDuration } from '../src/index.ts';

const HOUR = 3_600_000;

describe('a duration is read as Go reads it', () => {
  test.each([
    ['168h', 168 * HOUR],
    ['1h30m', 1.5 * HOUR],
    ['500ms', 500],
    ['1.5h', 1.5 * HOUR],
    ['168h0m0s', 168 * HOUR],
    ['0s', 0],
    ['1m1m', 120_000],
    ['1500us', 2],
    ['1500µs', 2],
    ['999ns', 0],
    ['99999h', 99_999 * HOUR],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each([
    '',
    '90d',
    '1w',
    '15',
    'h',
    '-1h',
    '+1h',
    '1 h',
    '1h ',
    '.5h',
    '1.h',
    '1H',
    '1h30',
    '100000h',
    '1h'.repeat(17),
  ])('"%s" is none', (text) => {
    expect(() => parseDuration(text)).toThrow(BankhouseError);
  });
});

describe('a field of this kind has bounds', () => {
  test.each([
    ['0s', true],
    ['87600h', true],
    ['87600h0m1s', false],
    ['7d', false],
  ])('deleteAfter %s: %s', (deleteAfter, taken) => {
    expect(bankSpecSchema.safeParse({ deleteAfter }).success).toBe(taken);
  });
});
