/** Where two databases differ in a table, from the sums of the parts of its keys. */
import { describe, expect, it } from 'vitest';
import { partsThatDiffer } from '../src/moving/keys.ts';

const part = (number: number, keys: number, hashes: string) => ({ part: number, keys: String(keys), hashes });

describe('parts differ', () => {
  it.each([
    ['not, where both are empty', [], [], []],
    ['not, in whatever order they come', [part(1, 2, '5'), part(3, 1, '-7')], [part(3, 1, '-7'), part(1, 2, '5')], []],
    ['where a key is only at the source', [part(1, 2, '5')], [part(1, 1, '4')], [1]],
    ['where a key was exchanged for another', [part(1, 1, '5')], [part(1, 1, '6')], [1]],
    ['where the source has none any more', [], [part(4, 1, '6')], [4]],
    ['where the target has none yet', [part(4, 1, '6')], [], [4]],
    ['in several, told in order', [part(9, 1, '1'), part(2, 1, '1')], [part(5, 1, '1')], [2, 5, 9]],
  ])('%s', (_, left, arrived, expected) => {
    expect(partsThatDiffer(left, arrived)).toEqual(expected);
  });
});
