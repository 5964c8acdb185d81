import { z } from 'zod';
import type { Completer } from '../../../mcp/toolset.ts';
import { isDay, isWhen } from '../../shared/when.ts';

const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;
const WEEK = /^(\d{4})-W(\d{2})$/;
const PROPOSED = 26;

/** A period [from, to) in UTC, as RFC 3339, and its name for people. */
export interface Week {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

/** `2026-W47` or a day; checked by `weekOf`, which knows what it means. */
export const weekArgument = z
  .string()
  .trim()
  .refine((text) => mondayOf(text) !== undefined, {
    message: 'it must be a week such as 2026-W47, or a day in it such as 2026-11-18',
  })
  .optional()
  .meta({
    title: 'Week',
    description:
      'A week such as 2026-W47, or a day in it such as 2026-11-18. Leave it out for the seven days up to now.',
  });

/**
 * Up to now is a day beyond it: clocks differ, and what was written a moment ago is meant too.
 *
 * @param now milliseconds since 1970
 */
export function weekOf(text: string | undefined, now: number): Week {
  const monday = text === undefined ? undefined : mondayOf(text);
  if (monday === undefined) {
    return { name: `the seven days up to ${day(now)}`, from: instant(now - WEEK_MS), to: instant(now + DAY_MS) };
  }
  return {
    name: `${nameOf(monday)} (${day(monday)} to ${day(monday + 6 * DAY_MS)})`,
    from: instant(monday),
    to: instant(monday + WEEK_MS),
  };
}

/** The weeks up to the present one, by their beginning. */
export const completeWeek: Completer = (typed, { caller }) => {
  const thisWeek = mondayOf(day(caller.assertion.iat * 1000)) ?? 0;
  const names = Array.from({ length: PROPOSED }, (_, back) => nameOf(thisWeek - back * WEEK_MS));
  return { values: names.filter((name) => name.startsWith(typed.trim().toUpperCase())) };
};

/** Monday's midnight of the week that is named or that the day is in (ISO 8601), in milliseconds; undefined for anything else. */
function mondayOf(text: string): number | undefined {
  if (isDay(text)) {
    if (!isWhen(text)) return undefined;
    const midnight = Date.parse(`${text}T00:00:00Z`);
    return midnight - ((new Date(midnight).getUTCDay() + 6) % 7) * DAY_MS;
  }
  const [, year, number] = WEEK.exec(text) ?? [];
  if (year === undefined || number === undefined) return undefined;
  // January 4 is always in week 1.
  const first = mondayOf(`${year}-01-04`);
  const monday = first === undefined ? undefined : first + (Number(number) - 1) * WEEK_MS;
  return monday !== undefined && nameOf(monday) === text ? monday : undefined;
}

function nameOf(monday: number): string {
  const year = new Date(monday + 3 * DAY_MS).getUTCFullYear();
  const first = mondayOf(`${year}-01-04`) ?? monday;
  return `${year}-W${String(Math.round((monday - first) / WEEK_MS) + 1).padStart(2, '0')}`;
}

function day(ms: number): string {
  return instant(ms).slice(0, 10);
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
