import { z } from 'zod';
import { defineTool } from '../../mcp/toolset.ts';
import { cursorsOf } from '../../paging/cursor.ts';
import { fitting } from '../shared/budget.ts';
import { morePages, nextCursor, pageShape } from '../shared/page.ts';
import { requireVault } from '../shared/vaults.ts';
import { isWhen } from '../shared/when.ts';
import { briefSchema, filterShape, filterValues, type RecordingRow, toBrief } from './schemas.ts';
import { COUNT_RECORDINGS, LIST_RECORDINGS } from './sql.ts';
import { briefLine } from './text.ts';

/** Where a page ended: the last entry's start with microseconds, and its id. */
export const listCursors = cursorsOf('recordings', z.tuple([z.string().max(40).refine(isWhen), z.string().max(64)]));

export const listRecordings = defineTool({
  name: 'list_recordings',
  title: 'List recordings',
  description:
    'Lists recordings, newest first, in pages. Filters: a period (from, to), a participant, a vault. Use it to look through calls by time or person; use search_recordings to find calls by what was said.',
  coveredBy: 'list_entries',
  access: 'read',
  input: z.strictObject({
    ...filterShape,
    ...pageShape,
    includeTotal: z
      .boolean()
      .default(false)
      .meta({ description: 'Also count all recordings that the filters let through.' }),
  }),
  output: z.object({
    recordings: z.array(briefSchema),
    nextCursor,
    total: z.int().optional().meta({ description: 'With includeTotal: recordings on all pages together.' }),
  }),
  async run({ cursor, limit, includeTotal, ...filters }, { tx }) {
    const values = filterValues(filters);
    const after = cursor === undefined ? [null, null] : listCursors.decode(cursor, values);
    const counting = includeTotal ? tx.rows<{ total: number }>(COUNT_RECORDINGS, values) : undefined;
    const [rows, counted] = await Promise.all([
      tx.rows<RecordingRow>(LIST_RECORDINGS, [...values, ...after, limit + 1]),
      counting,
    ]);
    if (rows.length === 0) await requireVault(tx, filters.vaultId);
    const found = rows.slice(0, limit).map(toBrief);
    const all = found.map((brief) => `- ${briefLine(brief)}`);
    const count = fitting(found, all);
    const recordings = found.slice(0, count);
    const page = rows.slice(0, count);
    const last = page.at(-1);
    const next =
      rows.length > count && last !== undefined ? listCursors.encode([last.started_at, last.id], values) : undefined;
    const total = counted?.[0]?.total;
    return {
      structured: {
        recordings,
        ...(next === undefined ? {} : { nextCursor: next }),
        ...(total === undefined ? {} : { total }),
      },
      text:
        recordings.length === 0
          ? 'No recordings.'
          : `${recordings.length} recordings${total === undefined ? '' : ` of ${total}`}:\n${all.slice(0, count).join('\n')}${morePages(next)}`,
    };
  },
});
