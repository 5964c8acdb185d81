import { z } from 'zod';
import type { Transaction } from '../../database/transaction.ts';
import { ToolError } from '../../mcp/tool-error.ts';
import { defineTool } from '../../mcp/toolset.ts';
import { cursorsOf } from '../../paging/cursor.ts';
import { ANSWER_CHARACTERS, fitting, partOf } from '../shared/budget.ts';
import { morePages, nextCursor, pageShape } from '../shared/page.ts';
import { recordingId } from './schemas.ts';
import { GET_RECORDING, GET_TRANSCRIPT, recordingNotFound } from './sql.ts';
import { formatPosition } from './text.ts';

/** As much speech as is looked at for a page; at least one segment. */
const MAX_CHARACTERS = ANSWER_CHARACTERS;
/** Of a segment beside its text, as JSON. */
const AROUND_SEGMENT = 500;

const segmentSchema = z.object({
  seq: z.int(),
  startSeconds: z.number(),
  endSeconds: z.number(),
  speaker: z.string().nullable(),
  text: z.string(),
});
export type Segment = z.infer<typeof segmentSchema>;

const sequence = z
  .int()
  .min(-1)
  .max(2 ** 31 - 1);
/** After which segment a page begins, and how much of the next one was given before: one alone can be longer than an answer. */
const cursors = cursorsOf('transcript', z.tuple([sequence, z.int().min(0)]));
const second = z.number().min(0).max(1_000_000);

/** Segments after `after` (null: from the beginning) and whether there are more. */
export async function fetchTranscript(
  tx: Transaction,
  range: { id: string; from: number | null; to: number | null; after: number | null; limit: number },
): Promise<{ segments: Segment[]; more: boolean }> {
  const rows = await tx.rows<{
    seq: number;
    start_seconds: number;
    end_seconds: number;
    speaker: string | null;
    text: string;
  }>(GET_TRANSCRIPT, [range.id, range.from, range.to, range.after ?? -1, range.limit + 1]);
  const segments: Segment[] = [];
  let characters = 0;
  for (const row of rows.slice(0, range.limit)) {
    characters += row.text.length;
    if (characters > MAX_CHARACTERS && segments.length > 0) break;
    segments.push({
      seq: row.seq,
      startSeconds: row.start_seconds,
      endSeconds: row.end_seconds,
      speaker: row.speaker,
      text: row.text,
    });
  }
  return { segments, more: segments.length < rows.length };
}

export function transcriptLine(segment: Segment): string {
  return `[${formatPosition(segment.startSeconds)}] ${segment.speaker ?? 'Unknown'}: ${segment.text}`;
}

export const getTranscript = defineTool({
  name: 'get_transcript',
  title: 'Get a transcript',
  description:
    'Gives what was said in a recording, with speakers and times, in pages. With fromSeconds and toSeconds it gives that part only, such as the minutes around a hit of a search.',
  access: 'read',
  input: z.strictObject({
    id: recordingId,
    fromSeconds: second.optional().meta({ description: 'Only what is said after this many seconds.' }),
    toSeconds: second.optional().meta({ description: 'Only what is said before this many seconds.' }),
    cursor: pageShape.cursor,
    limit: z.int().min(1).max(500).default(200).meta({ description: 'Segments a page, 1 to 500.' }),
  }),
  output: z.object({ id: z.string(), segments: z.array(segmentSchema), nextCursor }),
  async run({ id, fromSeconds, toSeconds, cursor, limit }, { tx }) {
    if (fromSeconds !== undefined && toSeconds !== undefined && fromSeconds >= toSeconds) {
      throw new ToolError(
        'invalid_range',
        `fromSeconds (${fromSeconds}) is not before toSeconds (${toSeconds}).`,
        'Send a fromSeconds that is smaller than toSeconds.',
        { field: 'fromSeconds' },
      );
    }
    const filter = [id, fromSeconds ?? null, toSeconds ?? null];
    const [after, skipped] = cursor === undefined ? [-1, 0] : cursors.decode(cursor, filter);
    const { segments: found, more } = await fetchTranscript(tx, {
      id,
      from: fromSeconds ?? null,
      to: toSeconds ?? null,
      after,
      limit,
    });
    if (found.length === 0 && (await tx.rows(GET_RECORDING, [id])).length === 0) throw recordingNotFound(id);
    const { segments, end } = pageOf(found, { after, skipped });
    const next =
      more || end !== undefined ? cursors.encode(end ?? [segments.at(-1)?.seq ?? after, 0], filter) : undefined;
    return {
      structured: { id, segments, ...(next === undefined ? {} : { nextCursor: next }) },
      text:
        segments.length === 0
          ? 'Nothing is transcribed there.'
          : `${segments.map(transcriptLine).join('\n')}${morePages(next)}`,
    };
  },
});

/** As many segments as fit into an answer, and where the next page begins if some don't. */
function pageOf(
  found: readonly Segment[],
  { after, skipped }: { after: number; skipped: number },
): { segments: Segment[]; end?: [after: number, skipped: number] } {
  const all = found.map((segment, index) =>
    index === 0 ? { ...segment, text: segment.text.slice(skipped) } : segment,
  );
  const [first] = all;
  if (first === undefined) return { segments: [] };
  const part = partOf(first.text, 0, AROUND_SEGMENT);
  if (part.next !== undefined) return { segments: [{ ...first, text: part.text }], end: [after, skipped + part.next] };
  const count = fitting(all, all.map(transcriptLine));
  const segments = all.slice(0, count);
  return count === all.length ? { segments } : { segments, end: [segments.at(-1)?.seq ?? after, 0] };
}
