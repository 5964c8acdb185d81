import { z } from 'zod';
import type { Statement } from '../../database/transaction.ts';
import { ENTITIES, type EntityDefinition } from '../../entities/index.ts';
import { type Completer, LISTED_A_PAGE, MAX_LISTED, type ResourceProvider } from '../../mcp/toolset.ts';
import { cursorsOf } from '../../paging/cursor.ts';
import { isUuid } from '../shared/ids.ts';
import { parseResourceUri, type ResourceKind, resourceUri } from '../shared/uris.ts';
import { isWhen } from '../shared/when.ts';
import { fitsWords } from '../shared/words.ts';
import { entryMarkdown, lineOf, selectChildren } from './markdown.ts';
import { label, noun, nouns, selectList, toEntry } from './rows.ts';
import type { Values } from './schemas.ts';

const PAGE = 50;
const MIME_TYPE = 'text/markdown';
/** Rows whose label is looked at to complete an id. */
const LOOKED_AT = 500;
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
  const statements = statementsOf(definition);
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
    complete: { id: completeId(statements.labels) },
    async list(cursor, { tx, bank }) {
      const [listed, ...after] = cursor === undefined ? [0] : cursors.decode(cursor, null);
      const rows = await tx.rows<Values>(after.length === 0 ? statements.newest : statements.after, [
        LISTED_A_PAGE + 1,
        ...after,
      ]);
      const page = rows.slice(0, LISTED_A_PAGE);
      const soFar = listed + page.length;
      const last = page.at(-1);
      return {
        resources: page.map((row) => ({
          uri: resourceUri(bank, kind, String(row.id)),
          name: String(row.id),
          title: label(definition, row),
          description: `${capital(noun(definition))}, ${row.status}.`,
          mimeType: MIME_TYPE,
        })),
        ...(rows.length > page.length && soFar < MAX_LISTED && last !== undefined
          ? { nextCursor: cursors.encode([soFar, String(last.createdAt), String(last.id)], null) }
          : {}),
      };
    },
    async read(uri, { tx, bank }) {
      const target = parseResourceUri(uri, bank);
      if (target?.kind !== kind) return undefined;
      if (target.id === undefined) {
        const rows = await tx.rows<Values>(statements.newest, [PAGE]);
        const lines = rows.map((row) => lineOf(definition, toEntry(definition, row), bank));
        const end = rows.length < PAGE ? '' : `\n(The newest ${PAGE}: list_${plural} gives all.)\n`;
        return {
          uri,
          mimeType: MIME_TYPE,
          text: `# ${titleOf(definition)}\n\n${lines.join('\n') || '(none)'}\n${end}`,
        };
      }
      // Asked at once: what belongs to it is there or not by the same policies.
      const [[row], sections] = await Promise.all([
        tx.rows<Values>(statements.one, [target.id]),
        children(tx, target.id, bank),
      ]);
      if (row === undefined) return undefined;
      return { uri, mimeType: MIME_TYPE, text: entryMarkdown(definition, toEntry(definition, row), sections, bank) };
    },
  };
}

function statementsOf(definition: EntityDefinition): Record<'newest' | 'after' | 'one' | 'labels', Statement> {
  const { plural } = definition;
  const newestFirst = 'order by created_at desc, id desc limit $1';
  const cut = selectList(definition, { cut: true });
  const field = definition.fields.find(({ name }) => name === definition.label);
  return {
    newest: {
      name: `resources_${plural}`,
      text: `select ${cut} from bank.${plural} where archived_at is null ${newestFirst}`,
    },
    after: {
      name: `resources_${plural}_after`,
      text: `select ${cut} from bank.${plural} where archived_at is null and (created_at, id) < ($2::timestamptz, $3::uuid) ${newestFirst}`,
    },
    one: {
      name: `resource_${definition.name}`,
      text: `select ${selectList(definition, { cut: false })} from bank.${plural} where id = $1`,
    },
    labels: {
      name: `labels_${plural}`,
      text: `select id, left(${field?.column}, 200) as label from bank.${plural} where archived_at is null
        order by updated_at desc, id desc limit $1`,
    },
  };
}

/** Ids, by their beginning or by words of the label, those that changed last first. */
function completeId(labels: Statement): Completer {
  return async (typed, { tx }) => {
    const words = typed.trim();
    const rows = await tx.rows<{ id: string; label: string }>(labels, [LOOKED_AT]);
    const fitting = rows.filter((row) => row.id.startsWith(words) || fitsWords(words, row.label));
    return { values: fitting.slice(0, PROPOSED).map((row) => row.id), more: fitting.length > PROPOSED };
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
