import { z } from 'zod';
import type { Transaction } from '../../../database/transaction.ts';
import { defineTool } from '../../../mcp/toolset.ts';
import { cursorsOf } from '../../../paging/cursor.ts';
import { filterShape, filterValues } from '../../recordings/schemas.ts';
import { fitting } from '../../shared/budget.ts';
import { ENTITY_KINDS, KINDS, type Kind, kindsFilter, type PluralKind, pluralOf } from '../../shared/kinds.ts';
import { morePages, nextCursor, pageShape } from '../../shared/page.ts';
import { languageFilter } from '../../shared/search-language.ts';
import { resourceUri } from '../../shared/uris.ts';
import { requireVault } from '../../shared/vaults.ts';
import { isWhen, toInstant } from '../../shared/when.ts';
import { isStorable } from '../schemas.ts';
import { mergeStreams, type Stream } from './merge.ts';
import {
  DESCRIBE_MATCHES,
  type DescribedRow,
  MATCH_ENTITIES,
  MATCH_RECORDINGS,
  type MatchRow,
  NOW,
  type RecordingMatch,
} from './sql.ts';

/** Matches that pages can reach, of all kinds together; nobody reads further. */
const MAX_OFFSET = 10_000;
const MAX_LIMIT = 50;

/** How much of each kind is used up, in the order of KINDS, and when the first page was made: later rows are left out. */
const cursors = cursorsOf(
  'workspace-search',
  z.tuple([z.array(z.int().min(0).max(MAX_OFFSET)).length(KINDS.length), z.string().max(40).refine(isWhen)]),
);

const input = z.strictObject({
  query: z
    .string()
    .trim()
    .min(1)
    .max(500)
    .refine(isStorable, { message: 'it must not contain NUL characters or unpaired surrogates' })
    .meta({
      description: 'Words that must all occur; "a phrase"; a or b; -without.',
      examples: ['renewal "price list" -draft'],
    }),
  kinds: kindsFilter,
  vaultId: filterShape.vaultId.meta({
    description: 'Only what is in this vault.',
  }),
  from: filterShape.from.meta({
    description:
      'Only what was made, or recordings that began, at this instant or later. A plain date: its midnight, UTC.',
  }),
  to: filterShape.to.meta({
    description: 'Only what was made, or began, before it. A plain date includes that day, UTC.',
  }),
  archived: z
    .enum(['exclude', 'include', 'only'])
    .default('exclude')
    .meta({ description: 'Whether archived rows count. Recordings are never archived.' }),
  language: languageFilter,
  cursor: pageShape.cursor,
  limit: z
    .int()
    .min(1)
    .max(MAX_LIMIT)
    .default(10)
    .meta({ description: `Results a page, 1 to ${MAX_LIMIT}.` }),
});
type Input = z.infer<typeof input>;

const hitSchema = z.object({
  kind: z.enum(KINDS),
  id: z.string(),
  title: z.string().nullable(),
  snippet: z.string().nullable().meta({ description: 'The words around the hits, which are marked **so**.' }),
  rank: z.number().meta({ description: 'Higher is better; comparable within one search only.' }),
  at: z.string().meta({ description: 'When it was made, or the recording began. Instant, UTC.' }),
  vaultIds: z.array(z.string()),
  status: z.string().nullable(),
  archived: z.boolean(),
  language: z.string().nullable(),
  parent: z
    .object({ kind: z.string(), id: z.string() })
    .nullable()
    .meta({ description: 'Of a comment or message: what it belongs to.' }),
  startSeconds: z.number().nullable().meta({ description: 'Of a recording: where the snippet was said.' }),
  uri: z.string().meta({ description: 'It as an MCP resource.' }),
});
type Hit = z.infer<typeof hitSchema>;

/** What a stream holds: an entity that has yet to be read, or a recording that search_recordings has told all about. */
type Match = { kind: Kind; id: string; rank: number; recording?: RecordingMatch };

/** Full text over everything that a bank holds (R3.10). */
export const searchTool = defineTool({
  name: 'search',
  title: 'Search everything',
  description:
    'Full-text search over notes, tasks, comments, chats, chat messages and recordings at once, each in its own language; best matches first, newest before older ones, with a snippet whose hits are marked **so**. Use query for conditions on fields.',
  access: 'read',
  input,
  output: z.object({ results: z.array(hitSchema), nextCursor }),
  async run({ cursor, limit, ...asked }, { tx, bank }) {
    const kinds = KINDS.filter((kind) => asked.kinds?.includes(kind) ?? true);
    const identity = [asked.query, kinds, asked.vaultId, asked.from, asked.to, asked.archived, asked.language];
    const [offsets, asOf] =
      cursor === undefined ? [KINDS.map(() => 0), await now(tx)] : cursors.decode(cursor, identity);
    const streams = await readStreams(tx, { asked, kinds, offsets, asOf, limit });
    const inLanguage = ({ recording }: Match) =>
      recording === undefined || asked.language === undefined || languageOf(recording) === asked.language;
    const merged = mergeStreams(streams, limit, inLanguage);
    const described = await describe(tx, bank, merged.page, asked.query);
    const lines = described.map(hitLine);
    const count = fitting(described, lines);
    const results = described.slice(0, count);
    // A shorter page takes as many as it shows; where a page ends makes no difference to what comes next.
    const shown = count < described.length ? merged.page.findIndex(({ id }) => id === results.at(-1)?.id) + 1 : limit;
    const { taken, more } = shown === limit ? merged : mergeStreams(streams, shown, inLanguage);
    if (results.length === 0) await requireVault(tx, asked.vaultId);
    const reached = offsets.map((offset, at) => offset + (taken[at] ?? 0));
    const next =
      more && sum(reached) <= MAX_OFFSET - limit && sum(taken) > 0
        ? cursors.encode([reached, asOf], identity)
        : undefined;
    return {
      structured: { results, ...(next === undefined ? {} : { nextCursor: next }) },
      text:
        results.length === 0 && next === undefined
          ? 'Nothing found. Fewer or other words may match.'
          : `${results.length} results:\n${lines.slice(0, count).join('\n')}${morePages(next)}`,
    };
  },
});

async function now(tx: Transaction): Promise<string> {
  const [row] = await tx.rows<{ now: string }>(NOW);
  return row?.now ?? '';
}

/** One stream for each of KINDS; empty where nothing of the kind is asked for. */
async function readStreams(
  tx: Transaction,
  {
    asked,
    kinds,
    offsets,
    asOf,
    limit,
  }: {
    asked: Omit<Input, 'cursor' | 'limit'>;
    kinds: readonly Kind[];
    offsets: readonly number[];
    asOf: string;
    limit: number;
  },
): Promise<Stream<Match>[]> {
  const [from, to] = filterValues(asked);
  const until = to === null || Date.parse(asOf) < Date.parse(to) ? asOf : to;
  const entities = ENTITY_KINDS.filter((kind) => kinds.includes(kind));
  const vault = asked.vaultId ?? null;
  const [matches, recordings] = await Promise.all([
    entities.length === 0
      ? []
      : tx.rows<MatchRow>(MATCH_ENTITIES, [
          asked.query,
          entities.map(pluralOf),
          entities.map((kind) => offsets[KINDS.indexOf(kind)]),
          limit + 1,
          vault,
          from,
          until,
          asked.archived,
          asked.language ?? null,
        ]),
    kinds.includes('recording') && asked.archived !== 'only'
      ? tx.rows<RecordingMatch>(MATCH_RECORDINGS, [
          asked.query,
          from,
          to,
          vault,
          limit + 1,
          offsets[KINDS.indexOf('recording')],
          asked.language ?? null,
        ])
      : [],
  ]);
  const found: Match[] = [
    ...matches.map(({ kind, id, rank }) => ({ kind: singularOf(kind), id, rank })),
    ...recordings.map((recording) => ({
      kind: 'recording' as const,
      id: recording.id,
      rank: recording.rank,
      recording,
    })),
  ];
  return KINDS.map((kind) => {
    const rows = found.filter((match) => match.kind === kind);
    return { rows, more: rows.length > limit };
  });
}

/** The page's rows as the caller may see them; what was deleted in between is left out. */
async function describe(tx: Transaction, bank: string, page: readonly Match[], query: string): Promise<Hit[]> {
  const entities = page.filter((match) => match.recording === undefined);
  const rows =
    entities.length === 0
      ? []
      : await tx.rows<DescribedRow>(DESCRIBE_MATCHES, [
          entities.map((match) => pluralOf(match.kind)),
          entities.map((match) => match.id),
          query,
        ]);
  const told = new Map(rows.map((row) => [`${singularOf(row.kind)} ${row.id}`, row]));
  return page.flatMap((match): Hit[] => {
    const common = {
      kind: match.kind,
      id: match.id,
      rank: match.rank,
      uri: resourceUri(bank, pluralOf(match.kind), match.id),
    };
    if (match.recording !== undefined) return [{ ...common, ...recordingPart(match.recording) }];
    const row = told.get(`${match.kind} ${match.id}`);
    return row === undefined ? [] : [{ ...common, ...entityPart(row) }];
  });
}

function singularOf(plural: PluralKind): Kind {
  return plural.slice(0, -1) as Kind;
}

function entityPart(row: DescribedRow): Omit<Hit, 'kind' | 'id' | 'rank' | 'uri'> {
  return {
    title: row.title,
    snippet: row.snippet,
    at: toInstant(row.created_at),
    vaultIds: row.vault_id === null ? [] : [row.vault_id],
    status: row.status,
    archived: row.archived,
    language: row.language,
    parent:
      row.parent_kind === null || row.parent_id === null
        ? null
        : { kind: singularOf(row.parent_kind), id: row.parent_id },
    startSeconds: null,
  };
}

function recordingPart(row: RecordingMatch): Omit<Hit, 'kind' | 'id' | 'rank' | 'uri'> {
  return {
    title: row.title,
    snippet: row.snippet,
    at: toInstant(row.started_at),
    vaultIds: row.vault_ids ?? [],
    status: null,
    archived: false,
    language: row.language,
    parent: null,
    startSeconds: row.start_seconds,
  };
}

/** What is in no known language is read as English. */
function languageOf({ language }: RecordingMatch): string {
  return (language ?? 'en').split('-')[0]?.toLowerCase() ?? 'en';
}

function hitLine(hit: Hit): string {
  const about = [
    `${hit.kind}: ${hit.title ?? '(no title)'}`,
    ...(hit.status === null ? [] : [hit.status]),
    ...(hit.archived ? ['archived'] : []),
    hit.at.slice(0, 10),
    ...(hit.parent === null ? [] : [`in ${hit.parent.kind} ${hit.parent.id}`]),
    `id ${hit.id}`,
  ].join(', ');
  return hit.snippet === null ? `- ${about}` : `- ${about}\n  ${hit.snippet.replace(/\s+/g, ' ')}`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
