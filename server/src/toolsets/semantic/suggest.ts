import { z } from 'zod';
import { fromLiteral, toLiteral } from '../../embeddings/index.ts';
import { ToolError } from '../../mcp/tool-error.ts';
import { defineTool, type LocalTool } from '../../mcp/toolset.ts';
import { isRecordingId, isUuid } from '../shared/ids.ts';
import { requireVault } from '../shared/vaults.ts';
import { completeSchema, fittingHits, type Hit, hitLine, hitSchema, incomplete, nearest, toHit } from './hits.ts';
import { type Filter, type Indexer, KINDS, type Kind } from './indexing.ts';
import { minScoreSchema, searchText, vaultSchema } from './semantic-search.ts';

/** From here on two texts say the same, whatever the model. */
const DUPLICATE_SCORE = 0.93;
const LOOKED_AT: readonly Kind[] = ['recording', 'note', 'task'];
/** Of what a text alone could be a duplicate. */
const WRITTEN: readonly Kind[] = ['note', 'task'];

/** Of an answer. */
const GROUPS = 4;

const group = (description: string) => z.array(hitSchema).meta({ description });

export function suggest(indexer: Indexer): LocalTool {
  return defineTool({
    name: 'suggest',
    title: 'Suggest what is related',
    description:
      'Gives what is related to an entry (kind and id) or to a text: recordings, notes, tasks still open, and entries that say the same, to look at before another one is written. To find an answer to a question, use semantic_search.',
    access: 'read',
    input: z.strictObject({
      kind: z.enum(KINDS).optional().meta({ description: 'Of the entry; send it with id.' }),
      id: z.string().max(64).optional().meta({ description: 'Of the entry, or of the recording.' }),
      text: searchText.optional().meta({ description: 'Instead of kind and id: a text, such as a draft.' }),
      vaultId: vaultSchema,
      limit: z.int().min(1).max(20).default(5).meta({ description: 'Entries of each group, 1 to 20.' }),
      minScore: minScoreSchema,
    }),
    output: z.object({
      recordings: group('About the same.'),
      notes: group('About the same.'),
      openTasks: group('About the same, open or in progress.'),
      possibleDuplicates: group(
        `Of the same kind (for a text: notes and tasks) with a score of ${DUPLICATE_SCORE} or more. They are in their own groups too.`,
      ),
      model: z.string(),
      complete: completeSchema,
    }),
    async prepare({ kind, id, text, vaultId }, context) {
      const item = itemOf(kind, id, text);
      const vector =
        item === undefined
          ? toLiteral((await indexer.embed([text ?? ''], context))[0] ?? new Float32Array())
          : await indexer.vectorOf(item.kind, item.id, context);
      const duplicates = item === undefined ? WRITTEN : [item.kind];
      const kinds = [...new Set([...LOOKED_AT, ...duplicates])];
      const filter: Filter = { kinds, vault: vaultId ?? null, from: null, to: null };
      const complete = await indexer.embedMissing(filter, fromLiteral(vector).length, context);
      return { vector, item, duplicates, filter, complete };
    },
    async run({ vaultId, limit, minScore }, context, { vector, item, duplicates, filter, complete }) {
      const look = async (kinds: readonly Kind[], least = minScore) => {
        const search = {
          vector,
          model: indexer.model,
          filter: { ...filter, kinds },
          except: item,
          minScore: least,
          limit,
        };
        const rows = await nearest(
          context,
          kinds[0] === 'task' && kinds.length === 1 ? { ...search, only: 'open' } : search,
        );
        return fittingHits(
          rows.map((row) => toHit(row, context.bank)),
          GROUPS,
        );
      };
      const looked = await Promise.all([
        look(['recording']),
        look(['note']),
        look(['task']),
        look(duplicates, Math.max(DUPLICATE_SCORE, minScore ?? 0)),
      ]);
      const [recordings, notes, openTasks, possibleDuplicates] = looked.map(({ shown }) => shown) as [
        Hit[],
        Hit[],
        Hit[],
        Hit[],
      ];
      const groups = [
        ['Possible duplicates', looked[3]],
        ['Recordings', looked[0]],
        ['Notes', looked[1]],
        ['Open tasks', looked[2]],
      ] as const;
      const found = groups.filter(([, { shown }]) => shown.length > 0);
      if (found.length === 0) await requireVault(context.tx, vaultId);
      const lines = found.map(([title, { shown, left }]) => `${title}:\n${shown.map(hitLine).join('\n')}${left}`);
      return {
        structured: { recordings, notes, openTasks, possibleDuplicates, model: indexer.model, complete },
        text: `${lines.length === 0 ? 'Nothing related found.' : lines.join('\n')}${incomplete(complete)}`,
      };
    },
  });
}

function itemOf(kind: Kind | undefined, id: string | undefined, text: string | undefined) {
  if ((kind === undefined) !== (id === undefined) || (id === undefined) === (text === undefined)) {
    throw new ToolError(
      'invalid_argument',
      'It takes either an entry, by kind and id, or a text.',
      'Send kind and id together, or text alone.',
      { field: text === undefined ? (kind === undefined ? 'kind' : 'id') : 'text' },
    );
  }
  if (kind === undefined || id === undefined) return undefined;
  if (!(kind === 'recording' ? isRecordingId(id) : isUuid(id))) {
    throw new ToolError(
      'invalid_argument',
      `"${id}" is no id of a ${kind.replaceAll('_', ' ')}.`,
      'The lists give the ids.',
      {
        field: 'id',
      },
    );
  }
  return { kind, id };
}
