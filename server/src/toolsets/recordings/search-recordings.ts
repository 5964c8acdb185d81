import { z } from 'zod';
import { defineTool } from '../../mcp/toolset.ts';
import { cursorsOf } from '../../paging/cursor.ts';
import { fitting } from '../shared/budget.ts';
import { morePages, nextCursor, pageShape } from '../shared/page.ts';
import { languageFilter } from '../shared/search-language.ts';
import { requireVault } from '../shared/vaults.ts';
import { briefShape, filterShape, filterValues, type RecordingRow, toBrief } from './schemas.ts';
import { SEARCH_RECORDINGS } from './sql.ts';
import { briefLine, formatPosition } from './text.ts';

/** Ranked results have no position of their own but their number; nobody reads further than this. */
const MAX_OFFSET = 10_000;
const cursors = cursorsOf('search', z.tuple([z.int().min(1).max(MAX_OFFSET)]));

interface HitRow extends RecordingRow {
  rank: number;
  start_seconds: number | null;
  snippet: string | null;
  more: boolean;
}

const hitSchema = z.object({
  ...briefShape,
  rank: z.number().meta({ description: 'Higher is better; comparable within one search only.' }),
  startSeconds: z.number().nullable().meta({ description: 'Where in the recording the snippet was said.' }),
  snippet: z.string().nullable().meta({ description: 'What was said, hits marked **so**.' }),
});

export const searchRecordings = defineTool({
  name: 'search_recordings',
  title: 'Search recordings',
  description:
    'Full-text search over titles, summaries and transcripts; best matches first, with a snippet whose hits are marked **so** and the second where it was said. Then get_transcript around startSeconds for the context.',
  coveredBy: 'search',
  access: 'read',
  input: z.strictObject({
    query: z
      .string()
      .trim()
      .min(1)
      .max(500)
      .meta({
        description: 'Words that must all occur; "a phrase"; a or b; -without.',
        examples: ['renewal "price list"'],
      }),
    ...filterShape,
    language: languageFilter,
    ...pageShape,
    limit: pageShape.limit.unwrap().default(10).meta({ description: '1 to 100.' }),
  }),
  output: z.object({ results: z.array(hitSchema), nextCursor }),
  async run({ query, cursor, limit, language, ...filters }, { tx }) {
    const values = filterValues(filters);
    const filter = [query, ...values, language];
    const [offset] = cursor === undefined ? [0] : cursors.decode(cursor, filter);
    const rows = await tx.rows<HitRow>(SEARCH_RECORDINGS, [query, ...values, limit, offset, language ?? null]);
    if (rows.length === 0) await requireVault(tx, filters.vaultId);
    const found = rows.map((row) => ({
      ...toBrief(row),
      rank: row.rank,
      startSeconds: row.start_seconds,
      snippet: row.snippet,
    }));
    const lines = found.map(hitLine);
    const count = fitting(found, lines);
    const results = found.slice(0, count);
    const reached = offset + (count < found.length ? count : limit);
    const next =
      (rows[0]?.more === true || count < found.length) && reached <= MAX_OFFSET
        ? cursors.encode([reached], filter)
        : undefined;
    return {
      structured: { results, ...(next === undefined ? {} : { nextCursor: next }) },
      text:
        results.length === 0
          ? 'Nothing found. Fewer or other words may match.'
          : `${results.length} results:\n${lines.slice(0, count).join('\n')}${morePages(next)}`,
    };
  },
});

function hitLine(hit: z.infer<typeof hitSchema>): string {
  const at = hit.startSeconds === null ? '' : `at ${formatPosition(hit.startSeconds)} (second ${hit.startSeconds}): `;
  return `- ${briefLine(hit)}${hit.snippet === null ? '' : `\n  ${at}${hit.snippet}`}`;
}
