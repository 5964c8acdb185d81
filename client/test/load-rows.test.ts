import { describe, expect, it } from 'vitest';
import { numbered, readLines } from '../src/load/index.ts';
import { toRow } from '../src/load/rows.ts';
import { callSchema } from '../src/recordings/format.ts';

const call = (changes: Record<string, unknown> = {}) =>
  callSchema.parse({
    title: 'Demo',
    startedAt: '2026-05-01T09:30:00Z',
    durationSeconds: 90,
    vaults: ['sales'],
    participants: ['ann@acme.example', 'Bob'],
    transcript: [{ start: 3725.4, end: 3730, speaker: 'Ann', text: 'Hello' }],
    ...changes,
  });

describe('a row of a call', () => {
  it.each([
    ['a new one is in the new table only', call(), false, true],
    ['a legacy one in the old table only', call({ source: 'legacy', legacyId: 5 }), true, false],
    ['a migrated one in both', call({ source: 'migrated', legacyId: 5 }), true, true],
  ])('%s', (_sentence, given, legacy, current) => {
    const row = toRow('acme', given);
    expect([row.legacy_transcript !== null, row.transcript !== null]).toEqual([legacy, current]);
  });

  it("has Fathom's form in the old table", () => {
    const row = toRow('acme', call({ source: 'legacy', legacyId: 5 }));
    expect(row.legacy_transcript).toEqual([{ speaker: { display_name: 'Ann' }, text: 'Hello', timestamp: '01:02:05' }]);
    expect(row.invitees).toEqual([
      { name: 'ann', email: 'ann@acme.example' },
      { name: 'Bob', email: '' },
    ]);
    expect(row.ended_at).toBe('2026-05-01T09:31:30.000Z');
  });

  it('gets the same id at every import, and another in another bank', () => {
    expect(toRow('acme', call()).id).toBe(toRow('acme', call()).id);
    expect(toRow('acme', call()).id).not.toBe(toRow('globex', call()).id);
  });
});

describe('lines', () => {
  async function read(...chunks: string[]) {
    const lines = [];
    for await (const { line, parsed } of readLines(
      (async function* () {
        yield* chunks.map((c) => Buffer.from(c));
      })(),
    )) {
      lines.push([line, parsed.ok]);
    }
    return lines;
  }
  const text = JSON.stringify(call());

  it.each([
    [
      'are cut at newlines, wherever the parts are cut',
      [text.slice(0, 9), `${text.slice(9)}\n${text}`],
      [
        [1, true],
        [2, true],
      ],
    ],
    ['keep their numbers across blank ones', [`\n\n${text}\n`], [[3, true]]],
    [
      'go on after a bad one',
      [`{\n${text}\n`],
      [
        [1, false],
        [2, true],
      ],
    ],
    [
      'may end with carriage returns',
      [`${text}\r\n${text}\r\n`],
      [
        [1, true],
        [2, true],
      ],
    ],
    ['may be none', [], []],
  ])('%s', async (_sentence, chunks, expected) => {
    expect(await read(...chunks)).toEqual(expected);
  });

  it('are numbered from 1 when a program made the calls', () => {
    expect([...numbered([call(), call()])].map(({ line }) => line)).toEqual([1, 2]);
  });
});
