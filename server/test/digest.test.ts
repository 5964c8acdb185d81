/** D10: what makes two calls with one idempotency key the same. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../src/toolsets/workspace/digest.ts';

/** The same value, with the keys of every object in the opposite order. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, entry]) => [key, turned(entry)]),
  );
}

describe('a digest', () => {
  it('is the same in whatever order keys came, at any depth', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(digestOf(turned(value))).toEqual(digestOf(value));
      }),
    );
  });

  it('is another one for another value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        fc.pre(JSON.stringify(turned(a)) !== JSON.stringify(turned(b)));
        const same = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
        expect(digestOf(a).equals(digestOf(b))).toBe(same);
      }),
    );
  });

  it.each<[string, unknown, unknown]>([
    ['an argument that is undefined is one that is left out', { a: 1, b: undefined }, { a: 1 }],
    ['keys that are numbers', { 2: 'b', 1: 'a' }, { 1: 'a', 2: 'b' }],
  ])('%s', (_sentence, a, b) => {
    expect(digestOf(a)).toEqual(digestOf(b));
  });

  it.each<[string, unknown, unknown]>([
    ['the order of a list', [1, 2], [2, 1]],
    ['null and nothing', { a: null }, {}],
    ['a number and its text', { a: 1 }, { a: '1' }],
    ['what would be the same without a separator', { a: ['x', 'y'] }, { a: ['x,y'] }],
  ])('tells %s apart', (_sentence, a, b) => {
    expect(digestOf(a)).not.toEqual(digestOf(b));
  });
});

/** The same value with an object as the list of its entries by name, which no list of the value's own can be taken for. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return { entries: entries.map(([key, entry]) => [key, sorted(entry)]) };
}
