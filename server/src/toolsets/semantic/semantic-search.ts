import { VAULT_ID_PATTERN } from '@bankhouse/core';
import { z } from 'zod';
import { toLiteral } from '../../embeddings/index.ts';
import { defineTool, type LocalTool } from '../../mcp/toolset.ts';
import { filterValues } from '../recordings/schemas.ts';
import { kindsFilter } from '../shared/kinds.ts';
import { requireVault } from '../shared/vaults.ts';
import { isWhen } from '../shared/when.ts';
import { completeSchema, fittingHits, hitLine, hitSchema, incomplete, nearest, toHit } from './hits.ts';
import { type Filter, type Indexer, KINDS } from './indexing.ts';

const when = (description: string) =>
  z
    .string()
    .max(40)
    .refine(isWhen, { message: 'it must be a date such as 2026-05-01 or an instant such as 2026-05-01T09:30:00Z' })
    .optional()
    .meta({ description });

export const vaultSchema = z
  .string()
  .regex(VAULT_ID_PATTERN, { message: 'it must be a vault id, as list_vaults gives it' })
  .optional()
  .meta({ description: 'Only what is in this vault.' });

export const minScoreSchema = z
  .number()
  .min(-1)
  .max(1)
  .optional()
  .meta({ description: 'Leave out what scores lower: a cosine similarity, 1 for the same meaning.' });

/** What a text to search by must be: no endpoint takes a blank one. */
export const searchText = z.string().trim().min(1).max(4000);

export function semanticSearch(indexer: Indexer): LocalTool {
  return defineTool({
    name: 'semantic_search',
    title: 'Search by meaning',
    description:
      'Finds what means the same as a text, in other words or another language: passages of recordings, notes, tasks, comments, chats and their messages, closest first, one passage of each. For names, numbers and exact words use search.',
    access: 'read',
    input: z.strictObject({
      query: searchText.meta({
        description: 'A question, a sentence or keywords.',
        examples: ['complaints about late delivery'],
      }),
      kinds: kindsFilter,
      vaultId: vaultSchema,
      from: when('Only recordings that began, and entries that were made, at this instant or later.'),
      to: when('Only such from before this instant; a plain date includes that whole day, UTC.'),
      limit: z.int().min(1).max(50).default(10).meta({ description: 'Results, 1 to 50.' }),
      minScore: minScoreSchema,
    }),
    output: z.object({ results: z.array(hitSchema), model: z.string(), complete: completeSchema }),
    async prepare({ query, kinds, vaultId, from, to }, context) {
      const [start, end, , inVault] = filterValues({ from, to, vaultId });
      const wanted = KINDS.filter((kind) => kinds?.includes(kind) ?? true);
      const filter: Filter = { kinds: wanted, vault: inVault, from: start, to: end };
      const [vector = new Float32Array()] = await indexer.embed([query], context);
      const complete = await indexer.embedMissing(filter, vector.length, context);
      return { vector: toLiteral(vector), filter, complete };
    },
    async run({ vaultId, limit, minScore }, context, { vector, filter, complete }) {
      const rows = await nearest(context, { vector, model: indexer.model, filter, minScore, limit });
      if (rows.length === 0) await requireVault(context.tx, vaultId);
      const { shown: results, left } = fittingHits(rows.map((row) => toHit(row, context.bank)));
      const text =
        results.length === 0
          ? 'Nothing found. Leave out minScore or filters, or use search for exact words.'
          : `${results.length} results; the number is a cosine similarity, 1 for the same meaning:\n${results.map(hitLine).join('\n')}${left}`;
      return { structured: { results, model: indexer.model, complete }, text: `${text}${incomplete(complete)}` };
    },
  });
}
