import { describe, expect, it } from 'vitest';
import { LINE_MAX_CHARACTERS, parseLine } from '../src/recordings/format.ts';

const CALL = {
  title: 'Demo',
  startedAt: '2026-05-01T09:30:00Z',
  durationSeconds: 60,
  vaults: ['sales'],
  transcript: [{ start: 0, end: 5, speaker: 'Ann', text: 'Hello' }],
};
const line = (changes: Record<string, unknown> = {}) => JSON.stringify({ ...CALL, ...changes });

describe('a line of a recordings file', () => {
  it('is a new recording unless it says otherwise', () => {
    expect(parseLine(line())).toMatchObject({
      ok: true,
      call: { source: 'recording', language: 'en', participants: [] },
    });
  });

  it.each<[string, string, RegExp]>([
    ['not JSON', '{"title": ', /^the line is not JSON; each line must be one JSON object$/],
    ['a list', '[]', /^the object: .*expected object/],
    ['too long', `"${'x'.repeat(LINE_MAX_CHARACTERS)}"`, /^the line has \d+ characters; at most \d+ are read$/],
    ['without a title', line({ title: undefined }), /^title: .*expected string/],
    ['a date without a zone', line({ startedAt: '2026-05-01T09:30:00' }), /^startedAt: /],
    ['a negative duration', line({ durationSeconds: -1 }), /^durationSeconds: /],
    ['a vault id with a space', line({ vaults: ['big deals'] }), /^vaults\[0\]: must be the id of a vault$/],
    ['no vault', line({ vaults: [] }), /^vaults: must name at least one vault$/],
    ['a vault twice', line({ vaults: ['sales', 'sales'] }), /^vaults: names a vault twice$/],
    ['a field that nobody knows', line({ transcrpt: [] }), /transcrpt/],
    [
      'a segment without text',
      line({ transcript: [{ start: 0, end: 1, speaker: 'Ann' }] }),
      /^transcript\[0\]\.text: /,
    ],
    [
      'migrated from nowhere',
      line({ source: 'migrated' }),
      /^legacyId: is needed where source is "legacy" or "migrated"$/,
    ],
    [
      'a legacy call in two vaults',
      line({ source: 'legacy', legacyId: 1, vaults: ['a', 'b'] }),
      /^vaults: may name at most one/,
    ],
  ])('%s: is refused with the field and what it must be', (_sentence, text, message) => {
    const parsed = parseLine(text);
    expect(parsed.ok ? [] : parsed.problems).toEqual(expect.arrayContaining([expect.stringMatching(message)]));
  });
});
