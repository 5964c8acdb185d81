import { describe, expect, test } from 'vitest';
import { lines } from '../src/reflector/lines.ts';

async function* parts(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text, 'latin1');
}

async function read(...texts: string[]): Promise<string[]> {
  const read: string[] = [];
  for await (const line of lines(parts(...texts))) read.push(line);
  return read;
}

describe('lines of a stream', () => {
  test.each([
    { sentence: 'several lines in one part', texts: ['a\nb\n'], expected: ['a', 'b'] },
    { sentence: 'one line in several parts', texts: ['a', 'b', 'c\n'], expected: ['abc'] },
    { sentence: 'a letter cut in two', texts: ['\xc3', '\xa4\n'], expected: ['ä'] },
    { sentence: 'no line at all', texts: [], expected: [] },
  ])('$sentence', async ({ texts, expected }) => {
    expect(await read(...texts)).toEqual(expected);
  });

  test('a last line without its newline was cut off', async () => {
    await expect(read('a\nb')).rejects.toThrow('ended inside a line');
  });
});
