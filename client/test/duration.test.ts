import { describe, expect, it } from 'vitest';
import { parseDuration } from '../src/cli/duration.ts';

describe('a duration', () => {
  it.each<[string, number]>([
    ['90s', 90],
    ['30m', 1800],
    ['24h', 86_400],
    ['2d', 172_800],
    ['1h30m', 5400],
  ])('%s is %d seconds', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  it.each(['tomorrow', '', '24', 'h', '-1h', '1.5h', '1h 30m', '24H', '1h30'])(
    '"%s" is none, and says what is',
    (text) => {
      expect(() => parseDuration(text)).toThrow(/is no duration; .*24h/);
    },
  );
});
