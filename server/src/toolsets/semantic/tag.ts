import { z } from 'zod';
import { fromLiteral, similarity } from '../../embeddings/index.ts';
import { ENTITIES } from '../../entities/index.ts';
import { ToolError } from '../../mcp/tool-error.ts';
import { defineTool, type LocalTool } from '../../mcp/toolset.ts';
import { isUuid } from '../shared/ids.ts';
import { readRow } from '../workspace/api.ts';
import { ENTITY_TOOLS } from '../workspace/entity-tools.ts';
import { isStorable } from '../workspace/schemas.ts';
import { completeSchema, incomplete, type NearRow, nearest, rounded, SCORE } from './hits.ts';
import type { Filter, Indexer } from './indexing.ts';

const TAGGED = ['note', 'task', 'chat'] as const;
type Tagged = (typeof TAGGED)[number];

const TAGS = ENTITIES.flatMap(({ fields }) => fields).find(({ name }) => name === 'tags');
const MAX_TAGS = TAGS?.max ?? 20;
const MAX_TAG = TAGS?.entryMax ?? 50;
/** Nearest entries whose tags are looked at. */
const NEIGHBOURS = 20;
const LEAST_SCORE = 0.3;
const FILTER: Filter = { kinds: TAGGED, vault: null, from: null, to: null };

const suggestionSchema = z.object({
  tag: z.string(),
  score: z
    .number()
    .meta({ description: `Of the nearest entry that has the tag, or of a candidate's own words. ${SCORE}` }),
  entries: z.int().meta({ description: `How many of the ${NEIGHBOURS} nearest entries with tags have it.` }),
  because: z.string(),
});
type Suggestion = z.infer<typeof suggestionSchema>;

export function tag(indexer: Indexer): LocalTool {
  return defineTool({
    name: 'tag',
    title: 'Suggest or set tags',
    description:
      'Suggests tags for a note, task or chat: tags that entries of a similar meaning have, and those of your candidates whose words are close to it. With apply it also adds them, and takes none away; suggesting changes nothing.',
    access: 'write',
    annotations: { destructiveHint: false },
    input: z.strictObject({
      kind: z.enum(TAGGED),
      id: z.string().max(36).toLowerCase().refine(isUuid, { message: 'it must be an id as the lists give it' }),
      candidates: z
        .array(
          z
            .string()
            .trim()
            .min(1)
            .max(MAX_TAG)
            .refine(isStorable, { message: 'it must not contain NUL characters or unpaired surrogates' }),
        )
        .max(50)
        .default([])
        .meta({ description: 'Tags to consider beside those that are in use.' }),
      limit: z
        .int()
        .min(1)
        .max(MAX_TAGS)
        .default(5)
        .meta({ description: `Tags, 1 to ${MAX_TAGS}.` }),
      minScore: z.number().min(-1).max(1).default(LEAST_SCORE).meta({ description: 'Leave out what scores lower.' }),
      apply: z.boolean().default(false).meta({ description: 'Add the tags, as patch_* would; needs version.' }),
      version: z
        .int()
        .min(1)
        .max(2_147_483_647)
        .optional()
        .meta({ description: 'The version that you read; needed for apply.' }),
    }),
    output: z.object({
      kind: z.enum(TAGGED),
      id: z.string(),
      suggestions: z.array(suggestionSchema).meta({ description: 'Best first; without those that it has already.' }),
      applied: z.boolean(),
      tags: z.array(z.string()).meta({ description: 'What it has now.' }),
      version: z.int(),
      complete: completeSchema,
    }),
    async prepare({ kind, id, candidates, apply, version }, context) {
      if (apply && version === undefined) {
        throw new ToolError(
          'invalid_argument',
          "apply needs the version of the entry, so that nobody's change is overwritten.",
          `Send the version that get_${kind} gives, or leave apply out.`,
          { field: 'version' },
        );
      }
      const literal = await indexer.vectorOf(kind, id, context);
      const vector = fromLiteral(literal);
      const unique = [...new Map(candidates.map((candidate) => [candidate.toLowerCase(), candidate])).values()];
      const vectors = unique.length === 0 ? [] : await indexer.embed(unique, context);
      const complete = await indexer.embedMissing(FILTER, vector.length, context);
      const scored = unique.map((name, index) => ({
        name,
        score: similarity(vector, vectors[index] ?? new Float32Array()),
      }));
      return { vector: literal, candidates: scored, complete };
    },
    async run({ kind, id, limit, minScore, apply, version }, context, { vector, candidates, complete }) {
      const [row, neighbours] = await Promise.all([
        readRow(context.tx, kind, id, ['tags', 'version']),
        nearest(context, {
          vector,
          model: indexer.model,
          filter: FILTER,
          except: { kind, id },
          only: 'tagged',
          minScore,
          limit: NEIGHBOURS,
        }),
      ]);
      if (row === undefined) {
        throw new ToolError(
          'not_found',
          `There is no ${kind} "${id}" that you may see.`,
          `list_${kind}s gives the ids.`,
          {
            field: 'id',
          },
        );
      }
      const current = row as { tags: string[]; version: number };
      const suggestions = suggestionsOf(neighbours, candidates, current.tags, minScore).slice(0, limit);
      const room = MAX_TAGS - current.tags.length;
      const added = apply ? suggestions.slice(0, room).map(({ tag: name }) => name) : [];
      const tags = [...current.tags, ...added];
      const changed = added.length === 0 ? undefined : await patch(kind).run({ id, version, tags }, context);
      const receipt = changed?.structured as { version: number } | undefined;
      return {
        structured: {
          kind,
          id,
          suggestions,
          applied: receipt !== undefined,
          tags,
          version: receipt?.version ?? current.version,
          complete,
        },
        text: `${textOf(suggestions, added)}${changed === undefined ? '' : ` ${changed.text}`}${incomplete(complete)}`,
      };
    },
  });
}

/** Best first. A tag that is near for two reasons counts by the better one; letter case makes no other tag. */
export function suggestionsOf(
  neighbours: readonly Pick<NearRow, 'kind' | 'title' | 'tags' | 'score'>[],
  candidates: readonly { name: string; score: number }[],
  present: readonly string[],
  minScore: number,
): Suggestion[] {
  const known = new Set(present.map((name) => name.toLowerCase()));
  const found = new Map<string, Suggestion>();
  for (const { kind, title, tags, score } of neighbours) {
    for (const name of new Map((tags ?? []).map((each) => [each.toLowerCase(), each])).values()) {
      const before = found.get(name.toLowerCase());
      found.set(
        name.toLowerCase(),
        before === undefined
          ? { tag: name, score: rounded(score), entries: 1, because: `the ${kind} "${title}" has it` }
          : { ...before, entries: before.entries + 1 },
      );
    }
  }
  for (const { name, score } of candidates) {
    const before = found.get(name.toLowerCase());
    if (score < minScore || (before !== undefined && before.score >= score)) continue;
    const entries = before?.entries ?? 0;
    found.set(name.toLowerCase(), {
      tag: before?.tag ?? name,
      score: rounded(score),
      entries,
      because: 'its words are close',
    });
  }
  return [...found]
    .filter(([key]) => !known.has(key))
    .map(([, suggestion]) => suggestion)
    .sort((a, b) => b.score - a.score || b.entries - a.entries || (a.tag < b.tag ? -1 : 1));
}

/** The tool that changes such an entry: tags are set as everybody sets them. */
function patch(kind: Tagged): LocalTool {
  const found = ENTITY_TOOLS.find(({ name }) => name === `patch_${kind}`);
  if (found === undefined) throw new Error(`There is no patch_${kind}.`);
  return found;
}

function textOf(suggestions: readonly Suggestion[], added: readonly string[]): string {
  if (suggestions.length === 0) return 'No tag suggests itself. Send candidates, or a lower minScore.';
  const lines = suggestions.map(({ tag: name, score, because }) => `- ${name} (${score.toFixed(2)}: ${because})`);
  const done = added.length === 0 ? 'Nothing was changed.' : `Added: ${added.join(', ')}.`;
  return `${suggestions.length} tags; the number is a cosine similarity:\n${lines.join('\n')}\n${done}`;
}
