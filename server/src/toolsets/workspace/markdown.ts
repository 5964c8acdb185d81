import { ENTITIES, type EntityDefinition, type Field } from '../../entities/index.ts';
import type { CallContext } from '../../mcp/toolset.ts';
import { type ResourceKind, resourceUri } from '../shared/uris.ts';
import { type Condition, readRows } from './api.ts';
import { fieldNames, label, longText, noun, nouns, toEntry } from './rows.ts';
import type { Values } from './schemas.ts';

/** Of what belongs to an entry, this many are shown, and this many characters of all of them together. */
const CHILDREN = 200;
const CHILDREN_CHARACTERS = 60_000;

/** What belongs to an entry, as a part of its text. */
export type Section = string;

/** `- Call Ann back [open], vault sales, 2026-05-01: bankhouse://…` */
export function lineOf(definition: EntityDefinition, entry: Values, bank: string): string {
  const facts = [
    `${label(definition, entry)} [${entry.status}]`,
    ...(entry.vaultId === null ? [] : [`vault ${entry.vaultId}`]),
    ...(typeof entry.dueAt === 'string' ? [`due ${day(entry.dueAt)}`] : []),
    `changed ${day(entry.updatedAt)}`,
  ];
  return `- ${facts.join(', ')}: ${resourceUri(bank, definition.plural as ResourceKind, String(entry.id))}`;
}

/** An entry to be read: what it is, what is known of it, its text, and what belongs to it. */
export function entryMarkdown(
  definition: EntityDefinition,
  entry: Values,
  sections: readonly Section[],
  bank: string,
): string {
  const long = longText(definition);
  const heading = definition.label === long?.name ? definition.title : label(definition, entry);
  const text = long === undefined ? '' : String(entry[long.name]) || '(no text)';
  const facts = factsOf(definition, entry, bank).map((fact) => `- ${fact}`);
  return `${[`# ${heading}`, facts.join('\n'), text, ...sections].filter((block) => block !== '').join('\n\n')}\n`;
}

function factsOf(definition: EntityDefinition, entry: Values, bank: string): string[] {
  const told = definition.fields.filter(
    (field) =>
      field.type !== 'longText' && field.name !== definition.label && !['parentKind', 'parentId'].includes(field.name),
  );
  return [
    `${definition.title} \`${entry.id}\`, ${entry.status}, version ${entry.version}`,
    ...(typeof entry.parentKind === 'string'
      ? [`About: ${resourceUri(bank, `${entry.parentKind}s` as ResourceKind, String(entry.parentId))}`]
      : []),
    ...told.flatMap((field) => factOf(field, entry[field.name], bank)),
    `Made ${entry.createdAt} by ${entry.createdBy}, changed ${entry.updatedAt} by ${entry.updatedBy}`,
    ...(entry.archivedAt === null ? [] : [`Archived ${entry.archivedAt}`]),
  ];
}

function factOf(field: Field, value: unknown, bank: string): string[] {
  if (value === null || value === undefined || value === false) return [];
  const name = words(field.name);
  if (Array.isArray(value)) return value.length === 0 ? [] : [`${name}: ${value.join(', ')}`];
  if (value === true) return [name];
  const kind = linkedKind(field);
  return [`${name}: ${kind === undefined ? value : resourceUri(bank, kind, String(value))}`];
}

function linkedKind(field: Field): ResourceKind | undefined {
  if (field.type === 'recordingId') return 'recordings';
  if (field.type === 'vaultId') return 'vaults';
  const to = ENTITIES.find(({ name }) => name === field.refersTo);
  return to?.plural as ResourceKind | undefined;
}

/** `recordingId` → `Recording`, `dueAt` → `Due` */
function words(name: string): string {
  const spaced = name.replace(/(Id|At)$/, '').replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

/** Reads what belongs to an entry of this kind, the newest of it, in the order in which it was written. */
export function selectChildren(parent: EntityDefinition): (context: CallContext, id: string) => Promise<Section[]> {
  const kinds = parent.children
    .flatMap((name) => ENTITIES.filter((child) => child.name === name))
    .map((child) => ({ child, fields: fieldNames(child) }));
  return ({ tx, bank, caller }, id) =>
    Promise.all(
      kinds.map(async ({ child, fields }) => {
        const found = await readRows(tx, child.name, {
          fields,
          filter: ofParent(parent, child, id),
          archived: 'exclude',
          sort: [{ field: 'createdAt', direction: 'desc' }],
          limit: CHILDREN + 1,
        });
        const entries = found.map(({ row }) => toEntry(child, row, caller.assertion.iss));
        return section(child, entries, bank);
      }),
    );
}

function ofParent(parent: EntityDefinition, child: EntityDefinition, id: string): Condition {
  if (child.parent?.entity === parent.name) return { field: child.parent.field, op: 'eq', value: id };
  return {
    and: [
      { field: 'parentKind', op: 'eq', value: parent.name },
      { field: 'parentId', op: 'eq', value: id },
    ],
  };
}

/** @param newest newest first, one more than are shown where there are more */
function section(definition: EntityDefinition, newest: readonly Values[], bank: string): Section {
  if (newest.length === 0) return '';
  const parts: string[] = [];
  let length = 0;
  for (const entry of newest.slice(0, CHILDREN)) {
    const text = `**${whoSaid(entry)}**, ${entry.createdAt} (${noun(definition)} ${entry.status}, ${resourceUri(bank, definition.plural as ResourceKind, String(entry.id))})\n\n${textOf(definition, entry)}`;
    length += text.length;
    if (length > CHILDREN_CHARACTERS && parts.length > 0) break;
    parts.push(text);
  }
  const left = newest.length > parts.length ? `(Earlier ones: list_${definition.plural} gives all.)\n\n` : '';
  const title = nouns(definition);
  return `## ${title.charAt(0).toUpperCase()}${title.slice(1)}\n\n${left}${parts.reverse().join('\n\n')}`;
}

function whoSaid(entry: Values): string {
  const role = typeof entry.role === 'string' && entry.role !== 'user' ? ` (${entry.role})` : '';
  return `${entry.author ?? entry.createdBy}${role}`;
}

function textOf(definition: EntityDefinition, entry: Values): string {
  const long = longText(definition);
  const text = long === undefined ? '' : String(entry[long.name]);
  return text === '' ? '(no text)' : text;
}

function day(instant: unknown): string {
  return String(instant).slice(0, 10);
}
