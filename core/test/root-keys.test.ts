import { describe, expect, it } from 'vitest';
import { generationUpTo, newestGeneration, rootKeysSchema } from '../src/index.ts';

const [A, B] = [Buffer.alloc(32, 1).toString('base64'), Buffer.alloc(48, 2).toString('base64')];
const generations = (text: string) => [...rootKeysSchema.parse(text).keys()];

describe('G7: root keys', () => {
  it.each<[string, string, number[]]>([
    ['one, as it always was', A, [1]],
    ['one of a later generation', `7:${A}`, [7]],
    ['two lines, the new one first', `2:${B}\n1:${A}\n`, [2, 1]],
    ['two with a blank between, of which one names none', `${A} 2:${B}`, [1, 2]],
    ['one in base64url', Buffer.alloc(33, 255).toString('base64url'), [1]],
    ['two, broken into lines', `1:${A.slice(0, 9)}\n${A.slice(9)}\n2:${B}`, [1, 2]],
  ])('are read: %s', (_sentence, text, expected) => {
    expect(generations(text)).toEqual(expected);
  });

  it('are the same bytes with and without a generation, whole or broken into lines', () => {
    const bytes = [A, `1:${A}`, `${A.slice(0, 9)}\n${A.slice(9)}\n`].map((text) => rootKeysSchema.parse(text).get(1));
    expect(bytes).toEqual([Buffer.alloc(32, 1), Buffer.alloc(32, 1), Buffer.alloc(32, 1)]);
  });

  it.each<[string, string, RegExp]>([
    ['a short one', 'c2hvcnQ=', /at least 32 bytes/],
    ['a short one among two', `1:${A} 2:c2hvcnQ=`, /at least 32 bytes/],
    ['none', '', /at least 32 bytes/],
    ['what is no base64', `1:${'!'.repeat(44)}`, /at least 32 bytes/],
    ['a generation that is no number', `new:${A}`, /at least 32 bytes/],
    ['one generation twice', `1:${A} 1:${B}`, /each generation once/],
    ['three', `1:${A} 2:${B} 3:${A}`, /two during a rotation/],
  ])('are refused, without a word of them: %s', (_sentence, text, message) => {
    const told = JSON.stringify(rootKeysSchema.safeParse(text).error?.issues);
    expect(told).toMatch(message);
    expect(told).not.toContain(A);
  });

  it('have a newest, and a newest up to a limit', () => {
    const roots = rootKeysSchema.parse(`4:${A} 3:${B}`);
    expect(newestGeneration(roots)).toBe(4);
    expect([5, 4, 3, 2].map((limit) => generationUpTo(roots, limit))).toEqual([4, 4, 3, undefined]);
  });
});
