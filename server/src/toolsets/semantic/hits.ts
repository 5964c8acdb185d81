import { z } from 'zod';
import type { CallContext } from '../../mcp/toolset.ts';
import { formatPosition } from '../recordings/text.ts';
import { ANSWER_CHARACTERS, fitting } from '../shared/budget.ts';
import { resourceUri } from '../shared/uris.ts';
import { toInstant } from '../shared/when.ts';
import { cut, oneLine } from '../shared/words.ts';
import { type Filter, KINDS, type Kind } from './indexing.ts';
import { NEAREST } from './sql.ts';

const PASSAGE_CHARACTERS = 600;
/** Of an answer, around its hits. */
const AROUND = 2000;

export const SCORE =
  'Cosine similarity, 1 for the same meaning, about 0 for nothing in common; compare scores of one answer, since what is near differs between models.';

export const hitSchema = z.object({
  kind: z.enum(KINDS),
  id: z.string(),
  title: z.string().nullable().meta({ description: 'Null for comments and chat messages, which have none.' }),
  passage: z.string().meta({ description: 'The part of its text that is closest.' }),
  score: z.number().meta({ description: SCORE }),
  startSeconds: z
    .number()
    .nullable()
    .meta({ description: 'Of a recording: where the passage begins; null for title and summary.' }),
  endSeconds: z.number().nullable(),
  at: z.string().meta({ description: 'When the recording began, or the entry was made (RFC 3339, UTC).' }),
  vaultIds: z.array(z.string()),
  status: z.string().nullable(),
  parent: z
    .object({ kind: z.string(), id: z.string() })
    .nullable()
    .meta({ description: 'What it belongs to: the chat of a message, what a comment is on, the recording of a note.' }),
  resourceUri: z.string(),
});
export type Hit = z.infer<typeof hitSchema>;

export const completeSchema = z.boolean().meta({
  description: 'false: newest entries are not searchable yet; the next calls go on embedding them.',
});

/** A row of NEAREST. */
export interface NearRow {
  kind: Kind;
  id: string;
  title: string | null;
  at: string;
  vaultIds: string[];
  status: string | null;
  tags: string[] | null;
  parentKind: string | null;
  parentId: string | null;
  startSeconds: number | null;
  endSeconds: number | null;
  body: string;
  score: number;
}

export interface Search {
  /** `{…}` */
  readonly vector: string;
  readonly model: string;
  readonly filter: Filter;
  /** Left out. */
  readonly except?: { readonly kind: Kind; readonly id: string } | undefined;
  /** `open`: no tasks that are over; `tagged`: nothing without tags. */
  readonly only?: 'open' | 'tagged';
  readonly minScore?: number | undefined;
  readonly limit: number;
}

export function nearest({ tx }: CallContext, search: Search): Promise<NearRow[]> {
  const { vector, model, filter, except, only, minScore, limit } = search;
  return tx.rows<NearRow>(NEAREST, [
    vector,
    model,
    filter.kinds,
    filter.vault,
    filter.from,
    filter.to,
    except?.kind ?? null,
    except?.id ?? null,
    only ?? null,
    minScore ?? null,
    limit,
  ]);
}

export function toHit(row: NearRow, bank: string): Hit {
  const { kind, id, parentKind, parentId } = row;
  return {
    kind,
    id,
    title: row.title,
    passage: cut(row.body, PASSAGE_CHARACTERS),
    score: rounded(row.score),
    startSeconds: row.startSeconds,
    endSeconds: row.endSeconds,
    at: toInstant(row.at),
    vaultIds: row.vaultIds,
    status: row.status,
    parent: parentKind === null || parentId === null ? null : { kind: parentKind, id: parentId },
    resourceUri: resourceUri(bank, `${kind}s`, id),
  };
}

/** Digits that say something; the two ways to compute a score differ behind them. */
export function rounded(score: number): number {
  return Math.round(score * 10_000) / 10_000;
}

export function hitLine(hit: Hit): string {
  const where =
    hit.startSeconds === null ? '' : `, at ${formatPosition(hit.startSeconds)} (second ${hit.startSeconds})`;
  const title = hit.title === null ? '' : ` "${oneLine(hit.title)}"`;
  const vaults = hit.vaultIds.length === 0 ? '' : ` [${hit.vaultIds.join(', ')}]`;
  return `- ${hit.score.toFixed(2)} ${hit.kind.replaceAll('_', ' ')}${title}${where}, ${hit.at.slice(0, 10)}${vaults}, id ${hit.id}\n  ${oneLine(hit.passage)}`;
}

/** As many hits as fit into this part of an answer, which has no second page, and in words how many don't. */
export function fittingHits(hits: readonly Hit[], parts = 1): { shown: Hit[]; left: string } {
  const around = ANSWER_CHARACTERS - Math.floor((ANSWER_CHARACTERS - AROUND) / parts);
  const shown = hits.slice(0, fitting(hits, hits.map(hitLine), around));
  const rest = hits.length - shown.length;
  return {
    shown,
    left: rest === 0 ? '' : `\n(${rest} more don't fit into an answer: narrow it by kinds, a vault or a period.)`,
  };
}

export function incomplete(complete: boolean): string {
  return complete ? '' : '\nNot everything is searchable yet: some entries have no embedding so far.';
}
