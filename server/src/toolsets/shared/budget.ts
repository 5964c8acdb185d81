import { z } from 'zod';

/**
 * No answer is longer, neither its text nor its structured content, in characters: clients refuse what is more than about 25,000 tokens,
 * and what they show a model is one or the other. What doesn't fit is behind a cursor or a range.
 */
export const ANSWER_CHARACTERS = 30_000;
/** For what is around the entries: a first line, names, a cursor. */
const AROUND = 2000;

/**
 * How many entries fit into an answer, as JSON and as lines of text; at least one where there is any.
 *
 * @param around characters for what else is in the answer
 */
export function fitting(entries: readonly unknown[], lines: readonly string[], around = AROUND): number {
  let json = around;
  let text = around;
  const over = entries.findIndex((entry, index) => {
    json += JSON.stringify(entry).length + 1;
    text += (lines[index]?.length ?? 0) + 1;
    return json > ANSWER_CHARACTERS || text > ANSWER_CHARACTERS;
  });
  return over < 0 ? entries.length : Math.max(over, 1);
}

/** Arguments and answer of a tool that gives a long text in parts. */
export const fromCharacter = z
  .int()
  .min(0)
  .max(10_000_000)
  .default(0)
  .meta({ description: 'nextCharacter of the part before.' });
export const nextCharacter = z
  .int()
  .optional()
  .meta({ description: 'Send it as fromCharacter for the next part. Absent: the text ends here.' });

export interface Part {
  readonly text: string;
  /** Where the next part begins; undefined at the end. */
  readonly next: number | undefined;
}

/** As much of a text, from a place on, as fits beside so many other characters, as JSON too; no pair of surrogates is cut. */
export function partOf(whole: string, from: number, beside: number): Part {
  const room = Math.max(ANSWER_CHARACTERS - AROUND - beside, AROUND);
  let text = whole.slice(from, from + room);
  for (let length = JSON.stringify(text).length; length > room; length = JSON.stringify(text).length) {
    text = text.slice(0, Math.floor((text.length * room) / length) - 1);
  }
  if (from + text.length < whole.length) text = text.replace(/[\uD800-\uDBFF]$/, '');
  const end = from + text.length;
  return { text, next: end < whole.length ? end : undefined };
}

/** The end of a part's text, for a model that is shown no more than text. */
export function moreText({ next }: Part, whole: string): string {
  return next === undefined
    ? ''
    : `\n(It goes on, ${next} of ${whole.length} characters so far: send fromCharacter ${next}.)`;
}
