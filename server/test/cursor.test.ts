import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ToolError } from '../src/mcp/tool-error.ts';
import { cursorsOf } from '../src/paging/cursor.ts';

const cursors = cursorsOf('things', z.tuple([z.string(), z.int()]));
const filter = ['2026-01-01', null];
const good = cursors.encode(['a', 7], filter);
const raw = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('a cursor', () => {
  it('gives back its position under the same filter', () => {
    expect(cursors.decode(good, filter)).toEqual(['a', 7]);
  });

  it.each<[string, string, unknown]>([
    ['an empty text', '', filter],
    ['no base64url', '*** ###', filter],
    ['base64url of no JSON', Buffer.from('{').toString('base64url'), filter],
    ['JSON of another form', raw({ a: 1 }), filter],
    ['another version', raw([2, 'things', 'x', ['a', 7]]), filter],
    ['a cursor of another list', cursorsOf('others', z.tuple([z.string(), z.int()])).encode(['a', 7], filter), filter],
    ['a cursor under another filter', good, ['2026-01-02', null]],
    ['a position of another form', cursorsOf('things', z.tuple([z.string()])).encode(['a'], filter), filter],
    ['one that was cut off', good.slice(0, -4), filter],
    ['one that is far too long', 'a'.repeat(5000), filter],
  ])('is refused: %s', (_sentence, cursor, under) => {
    const decode = () => cursors.decode(cursor, under);
    expect(decode).toThrow(ToolError);
    expect(decode).toThrow(expect.objectContaining({ code: 'invalid_cursor', field: 'cursor' }));
  });
});
