/** Days and instants as tools take and give them: `2026-05-01`, RFC 3339 with up to microseconds. */

const DAY = /^\d{4}-\d{2}-\d{2}$/;
/** Offsets as far as Postgres takes them. */
const INSTANT = /^(\d{4}-\d{2}-\d{2})T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-](0\d|1[0-5]):[0-5]\d)$/;

export function isDay(value: string): boolean {
  return DAY.test(value);
}

/** Whether the text is a day or an instant that exists: 2026-02-30 does not. */
export function isWhen(value: string): boolean {
  const day = DAY.test(value) ? value : INSTANT.exec(value)?.[1];
  if (day === undefined || day < '0001' || day > '9999-12-30' || Number.isNaN(Date.parse(value))) return false;
  const midnight = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(day);
}

/** A day as its first instant, UTC; an instant as it is. */
export function toStart(when: string): string {
  return DAY.test(when) ? `${when}T00:00:00Z` : when;
}

/** The database's `2026-05-01T09:30:00.000000Z` without a fraction that says nothing. */
export function toInstant(text: string): string {
  return text.replace(/(\.\d*?)0+Z$/, (_, fraction: string) => (fraction === '.' ? 'Z' : `${fraction}Z`));
}

/** timestamptz as text with microseconds: a JavaScript date would round, and a cursor must be exact. */
export function instantSql(expression: string): string {
  return `to_char(${expression} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
}
