import { z } from 'zod';
import { ENTITIES, type EntityDefinition } from '../../entities/index.ts';
import { inputSchemaOf } from '../../mcp/listing.ts';
import { defineForwarding, type ForwardingTool, type LocalTool, type ObjectSchema } from '../../mcp/toolset.ts';
import { getRecording } from '../recordings/get-recording.ts';
import { listRecordings } from '../recordings/list-recordings.ts';
import type { Kind } from '../shared/kinds.ts';
import { ENTITY_TOOLS } from './entity-tools.ts';

/** An operation on entries of any kind: the eight tools of which the forty are made, with `kind` as an argument. */
interface Operation {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** Name of the tool of one kind. */
  of(entity: EntityDefinition): string;
  /** The same for calls. */
  readonly ofRecording?: LocalTool;
  /** Arguments to list, where those of all kinds are too many; the others are taken all the same. */
  readonly listed?: readonly string[];
  /** Whether it says which kinds there are; once or twice is enough. */
  readonly named?: boolean;
  /** Arguments that need words besides their name. */
  readonly described?: readonly string[];
}

const verb =
  (word: string) =>
  ({ name }: EntityDefinition): string =>
    `${word}_${name}`;

const NEEDED = ENTITIES.map(({ name, fields }) => {
  const required = fields.filter((field) => field.required === true).map((field) => field.name);
  return `${name} ${required.join(', ')}`;
}).join('; ');

const WAYS = ENTITIES.map(({ name, actions }) => `${name} ${Object.keys(actions).join(', ')}`).join('; ');

const OPERATIONS: readonly Operation[] = [
  {
    name: 'list_entries',
    named: true,
    title: 'List entries',
    description:
      'Lists entries of a kind in pages, newest first, long texts cut. from, to, participant: of recordings alone; for other conditions use query.',
    of: ({ plural }) => `list_${plural}`,
    ofRecording: listRecordings,
    listed: ['status', 'tag', 'vaultId', 'archived', 'sort', 'cursor', 'limit', 'from', 'to', 'participant'],
    described: ['cursor', 'limit'],
  },
  {
    name: 'get_entry',
    named: true,
    title: 'Get an entry',
    description: 'Gives one entry with the version that changes of it need. A long text comes in parts.',
    of: verb('get'),
    ofRecording: getRecording,
    described: ['fromCharacter'],
  },
  {
    name: 'create_entry',
    named: true,
    title: 'Create an entry',
    description: `Makes an entry. query says which fields each kind has; needed are: ${NEEDED}.`,
    of: verb('create'),
    described: ['dueAt', 'idempotencyKey'],
  },
  {
    name: 'update_entry',
    title: 'Replace an entry',
    description:
      'Replaces the content of an entry, fields as in create_entry: what is left out gets its default, but vaultId stays.',
    of: verb('update'),
    listed: ['id', 'version'],
  },
  {
    name: 'patch_entry',
    title: 'Change an entry',
    description: 'Changes the given fields of an entry and leaves the others; null empties one.',
    of: verb('patch'),
    described: ['version'],
  },
  {
    name: 'delete_entry',
    title: 'Delete an entry',
    description: 'Deletes an entry for good, with what belongs to it. archive_entry only hides it.',
    of: verb('delete'),
  },
  {
    name: 'archive_entry',
    title: 'Archive an entry',
    description: 'Takes an entry out of lists, or back into them with archived: false.',
    of: verb('archive'),
  },
  {
    name: 'process_entry',
    title: 'Process an entry',
    description: `Moves an entry on in its states: ${WAYS}.`,
    of: verb('process'),
  },
];

const TOOLS = new Map(ENTITY_TOOLS.map((tool) => [tool.name, tool]));

/** @param options.recordings whether calls are entries, too, for the tools that read */
export function entryTools(options: { recordings: boolean }): readonly ForwardingTool[] {
  return OPERATIONS.map((operation) => entryTool(operation, options));
}

function entryTool(operation: Operation, options: { recordings: boolean }): ForwardingTool {
  const { name, title, description, ofRecording } = operation;
  const tools = new Map<Kind, LocalTool>();
  for (const entity of ENTITIES) {
    const tool = TOOLS.get(operation.of(entity));
    if (tool !== undefined) tools.set(entity.name, tool);
  }
  if (options.recordings && ofRecording !== undefined) tools.set('recording', ofRecording);
  const all = [...tools.values()];
  const kind = z.enum([...tools.keys()]);
  return defineForwarding({
    name,
    title,
    description,
    access: all.every(({ access }) => access === 'read') ? 'read' : 'write',
    annotations: hintsOf(all),
    listedIn: ['compact'],
    input: z.looseObject({ kind }),
    inputSchema: () => mergedSchema(kind.options, all.map(inputSchemaOf), operation),
    forward: ({ kind: asked, ...args }) => ({ tool: tools.get(asked)?.name ?? '', args }),
  });
}

/** What one of them can do, the tool for all can. */
function hintsOf(tools: readonly LocalTool[]) {
  const hints = tools.map(({ annotations = {} }) => annotations);
  return {
    destructiveHint: hints.some(({ destructiveHint }) => destructiveHint === true),
    idempotentHint: hints.every(({ idempotentHint }) => idempotentHint === true),
  };
}

type Property = Readonly<Record<string, unknown>>;

/** Every argument that any of them takes, and those required that all require. */
function mergedSchema(
  kinds: readonly Kind[],
  schemas: readonly ObjectSchema[],
  { listed, described = [], named = false }: Operation,
): ObjectSchema {
  const properties = new Map<string, Property[]>();
  for (const schema of schemas) {
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      if (listed?.includes(name) === false) continue;
      properties.set(name, [...(properties.get(name) ?? []), property as Property]);
    }
  }
  const required = [...properties.keys()].filter((name) => schemas.every((schema) => schema.required?.includes(name)));
  return {
    type: 'object',
    properties: {
      kind: named ? { type: 'string', enum: [...kinds] } : { type: 'string' },
      ...Object.fromEntries(
        [...properties].map(([name, all]) => [name, mergedProperty(all, { described: described.includes(name) })]),
      ),
    },
    required: ['kind', ...required],
  };
}

/** What differs is left out, but for lists of values, which become one. */
function mergedProperty(all: readonly Property[], { described }: { described: boolean }): Property {
  const [first = {}, ...others] = all;
  const same = Object.entries(first).filter(
    ([name, value]) =>
      (described || name !== 'description') &&
      others.every((other) => JSON.stringify(other[name]) === JSON.stringify(value)),
  );
  const values = all.flatMap((property) => (Array.isArray(property.enum) ? property.enum : []));
  return { ...Object.fromEntries(same), ...(values.length === 0 ? {} : { enum: [...new Set(values)] }) };
}
