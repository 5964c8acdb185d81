import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { weekArgument, weekOf } from '../src/toolsets/workspace/prompts/week.ts';

const NOW = Date.parse('2026-11-21T14:30:00Z');

describe('a week of a digest', () => {
  it.each<[string, string, string, string]>([
    ['2026-W47', '2026-11-16', '2026-11-23', '2026-W47 (2026-11-16 to 2026-11-22)'],
    ['2026-11-22', '2026-11-16', '2026-11-23', '2026-W47 (2026-11-16 to 2026-11-22)'],
    ['2026-01-01', '2025-12-29', '2026-01-05', '2026-W01 (2025-12-29 to 2026-01-04)'],
    ['2027-01-03', '2026-12-28', '2027-01-04', '2026-W53 (2026-12-28 to 2027-01-03)'],
    ['2020-W53', '2020-12-28', '2021-01-04', '2020-W53 (2020-12-28 to 2021-01-03)'],
  ])('%s is from %s up to %s', (text, from, to, name) => {
    expect(weekOf(text, NOW)).toEqual({ name, from: `${from}T00:00:00.000Z`, to: `${to}T00:00:00.000Z` });
  });

  it('that is not given is the seven days up to now, with room for clocks that differ', () => {
    expect(weekOf(undefined, NOW)).toEqual({
      name: 'the seven days up to 2026-11-21',
      from: '2026-11-14T14:30:00.000Z',
      to: '2026-11-22T14:30:00.000Z',
    });
  });

  it.each(['2026-W54', '2026-W00', '2025-W53', '2026-W7', '2026-02-30', 'last week', '2026-W47 '.repeat(2)])(
    '%s is none',
    (text) => expect(weekArgument.safeParse(text).success).toBe(false),
  );

  it('is the same for every day in it, and the next one begins where it ends', () => {
    const days = fc.date({ min: new Date('1990-01-01'), max: new Date('2100-01-01'), noInvalidDate: true });
    fc.assert(
      fc.property(days, (date) => {
        const week = weekOf(date.toISOString().slice(0, 10), NOW);
        expect(Date.parse(week.to) - Date.parse(week.from)).toBe(7 * 86_400_000);
        expect(new Date(week.from).getUTCDay()).toBe(1);
        expect(date >= new Date(week.from) && date < new Date(week.to)).toBe(true);
        expect(weekOf(week.name.slice(0, 8), NOW)).toEqual(week);
        expect(weekOf(week.to.slice(0, 10), NOW).from).toBe(week.to);
      }),
    );
  });
});
