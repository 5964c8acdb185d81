/** What somebody says who knows a secret, and what says somebody who doesn't: of the same shape, and there is no such thing. */
import type { Secret } from './planted.ts';

export type Shape = 'text' | 'number' | 'instant' | 'bytes' | 'vector';

export interface Guesses {
  readonly shape: Shape;
  readonly right: string;
  readonly wrong: readonly [string, string];
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * None for what can't be guessed: an id of 122 random bits is not found by trying, and who knows one was told it. None either for what has
 * one of a few values that everybody knows.
 */
export function guessesOf({ type, value }: Secret): Guesses[] {
  const base = type.replace('[]', '');
  if (UUID.test(value) || base === 'uuid' || base === 'boolean') return [];
  if (base === 'jsonb' || base === 'json') return leavesOf(JSON.parse(value)).flatMap((text) => ofText(text));
  if (base === 'tsvector')
    return [...value.matchAll(/'([^']+)'/g)].slice(0, 2).flatMap(([, word = '']) => ofText(word));
  if (base === 'bytea') return [{ shape: 'bytes', right: value, wrong: [otherBytes(value, 1), otherBytes(value, 2)] }];
  if (type === 'real[]') return [];
  const single = type.endsWith('[]') ? (value.slice(1, -1).split(',')[0] ?? '').replaceAll('"', '') : value;
  if (single === '' || UUID.test(single)) return [];
  switch (base) {
    case 'timestamp with time zone': {
      const moved = (seconds: number) =>
        new Date(Date.parse(single) + seconds * 1000)
          .toISOString()
          .replace(/\.\d+Z$/, `${/\.\d+Z$/.exec(single)?.[0] ?? '.000000Z'}`);
      return [{ shape: 'instant', right: single, wrong: [moved(1), moved(-1)] }];
    }
    case 'integer':
    case 'bigint':
    case 'xid8': {
      const number = Number(single);
      // Small ones are counters, which say how much there is.
      return number < 10_000
        ? []
        : [{ shape: 'number', right: single, wrong: [String(number + 20_000), String(number - 20_000)] }];
    }
    default:
      return ofText(single);
  }
}

function ofText(text: string): Guesses[] {
  const legacy = /^fathom-(\d+)$/.exec(text);
  if (legacy !== null) {
    const number = Number(legacy[1]);
    return [{ shape: 'text', right: text, wrong: [`fathom-${number + 20_000}`, `fathom-${number - 20_000}`] }];
  }
  // What is no word of planted.ts is known to everybody: kinds, states.
  return shift(text, 1) === text ? [] : [{ shape: 'text', right: text, wrong: [shift(text, 1), shift(text, 2)] }];
}

/** Other words that begin alike, so that no other row's stands between them in any order. */
function shift(text: string, by: number): string {
  return text.replace(/([bcdfghjklm]{4})v/g, by === 1 ? '$1w' : '$1x');
}

const otherBytes = (text: string, by: number) =>
  text.replace(/[0-9a-f](?=[0-9a-f]*$)/g, (digit) => ((Number.parseInt(digit, 16) + by) % 16).toString(16));

function leavesOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.flatMap(leavesOf);
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(leavesOf);
  return [];
}
