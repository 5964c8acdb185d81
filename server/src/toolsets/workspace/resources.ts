import { z } from 'zod';
import type { Transaction } from '../../database/transaction.ts';
import { ENTITIES, type EntityDefinition } from '../../entities/index.ts';
import { type Completer, LISTED_A_PAGE, MAX_LISTED, type ResourceProvider } from '../../mcp/toolset.ts';
import { cursorsOf } from '../../paging/cursor.ts';
import { isUuid } from '../shared/ids.ts';
import { parseResourceUri, type ResourceKind, resourceUri } from '../shared/uris.ts';
import { isWhen } from '../shared/when.ts';
import { fitsWords } from '../shared/words.ts';
import { type FoundRow, type Position, readRow, readRows } from './api.ts';
import { entryMarkdown, lineOf, selectChildren } from './markdown.ts';
import { fieldNames, label, noun, nouns, SHOWN_CHARACTERS, toEntry } from './rows.ts';

const PAGE = 50;
const MIME_TYPE = 'text/markdown';
/** Rows whose label is looked at to complete an id. */
const LOOKED_AT = 500;
const LABEL_CHARACTERS = 200;
const PROPOSED = 20;

/** `bankhouse://<bank>/notes` and so on, in front of resources/list: it shows at once what there is. */
const listResources: ResourceProvider = {
  inFront: true,
  templates: [],
  async list(_cursor, { bank }) {
    return {
      resources: ENTITIES.map((definition) => ({
        uri: resourceUri(bank, kindOf(definition)),
        name: definition.plural,
        title: titleOf(definition),
        description: `The newest ${nouns(definition)} that are not archived.`,
        mimeType: MIME_TYPE,
      })),
    };
  },
  // Read by the providers of the entities.
  read: () => Promise.resolve(undefined),
};

/** Everything of the five entities as Markdown, made from their definitions: the lists, then each kind in pages, newest first. */
export const workspaceResources: readonly ResourceProvider[] = [listResources, ...ENTITIES.map(entityResources)];

function entityResources(definition: EntityDefinition): ResourceProvider {
  const { plural, name } = definition;
  const kind = kindOf(definition);
  const fields = fieldNames(definition);
  const children = selectChildren(definition);
  const cursors = cursorsOf(
    `resources/${plural}`,
    z.tuple([z.int().min(0), z.string().max(40).refine(isWhen), z.string().refine(isUuid)]),
  );
  return {
    templates: [
      {
        uriTemplate: `bankhouse://{bank}/${plural}/{id}`,
        name,
        title: definition.title,
        description: `${definition.description}.`,
        mimeType: MIME_TYPE,
      },
    ],
    complete: { id: completeId(definition) },
    async list(cursor, { tx, bank }) {
      const [listed, at, id] = cursor === undefined ? [0] : cursors.decode(cursor, null);
      const after = at === undefined || id === undefined ? undefined : { values: [at], id };
      const found = await newest(tx, definition, LISTED_A_PAGE + 1, after);
      const page = found.slice(0, LISTED_A_PAGE);
      const soFar = listed + page.length;
      const last = page.at(-1);
      return {
        resources: page.map(({ row, id: rowId }) => ({
          uri: resourceUri(bank, kind, rowId),
          name: rowId,
          title: label(definition, row),
          description: `${capital(noun(definition))}, ${row.status}.`,
          mimeType: MIME_TYPE,
        })),
        ...(found.length > page.length && soFar < MAX_LISTED && last !== undefined
          ? { nextCursor: cursors.encode([soFar, String(last.keys[0]), last.id], null) }
          : {}),
      };
    },
    async read(uri, context) {
      const { tx, bank, caller } = context;
      const { iss } = caller.assertion;
      const target = parseResourceUri(uri, bank);
      if (target?.kind !== kind) return undefined;
      if (target.id === undefined) {
        const found = await newest(tx, definition, PAGE);
        const lines = found.map(({ row }) => lineOf(definition, toEntry(definition, row, iss), bank));
        const end = found.length < PAGE ? '' : `\n(The newest ${PAGE}: list_${plural} gives all.)\n`;
        return {
          uri,
          mimeType: MIME_TYPE,
          text: `# ${titleOf(definition)}\n\n${lines.join('\n') || '(none)'}\n${end}`,
        };
      }
      // Asked at once: what belongs to it is there or not by the same policies.
      const [row, sections] = await Promise.all([readRow(tx, name, target.id, fields), children(context, target.id)]);
      if (row === undefined) return undefined;
      const entry = toEntry(definition, row, iss);
      return { uri, mimeType: MIME_TYPE, text: entryMarkdown(definition, entry, sections, bank) };
    },
  };
}

/** Entries as lists show them, those that are archived left out. */
function newest(tx: Transaction, definition: EntityDefinition, limit: number, after?: Position): Promise<FoundRow[]> {
  return readRows(tx, definition.name, {
    fields: fieldNames(definition),
    cut: SHOWN_CHARACTERS,
    archived: 'exclude',
    sort: [{ field: 'createdAt', direction: 'desc' }],
    after,
    limit,
  });
}

/** Ids, by their beginning or by words of the label, those that changed last first. */
function completeId(definition: EntityDefinition): Completer {
  return async (typed, { tx }) => {
    const words = typed.trim();
    const found = await readRows(tx, definition.name, {
      fields: [definition.label],
      cut: LABEL_CHARACTERS,
      archived: 'exclude',
      sort: [{ field: 'updatedAt', direction: 'desc' }],
      limit: LOOKED_AT,
    });
    const fitting = found.filter(
      ({ id, row }) => id.startsWith(words) || fitsWords(words, String(row[definition.label])),
    );
    return { values: fitting.slice(0, PROPOSED).map(({ id }) => id), more: fitting.length > PROPOSED };
  };
}

function kindOf(definition: EntityDefinition): ResourceKind {
  return definition.plural as ResourceKind;
}

function titleOf(definition: EntityDefinition): string {
  return capital(nouns(definition));
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
