import { z } from 'zod';
import type { Transaction } from '../../../database/transaction.ts';
import { COMMON_FIELDS, type EntityDefinition } from '../../../entities/index.ts';
import { defineTool, type LocalTool } from '../../../mcp/toolset.ts';
import { cursorsOf } from '../../../paging/cursor.ts';
import { fitting } from '../../shared/budget.ts';
import { isUuid } from '../../shared/ids.ts';
import { morePages, nextCursor, pageShape } from '../../shared/page.ts';
import { requireVault } from '../../shared/vaults.ts';
import { isWhen } from '../../shared/when.ts';
import { type Condition, readRows, type SortKey } from '../api.ts';
import { filtersOf } from '../filters.ts';
import { fieldNames, listLine, longText, nouns, SHOWN_CHARACTERS, toEntry } from '../rows.ts';
import { rowShape, type Values } from '../schemas.ts';

export function listTool(definition: EntityDefinition): LocalTool {
  const { name, plural } = definition;
  const fields = fieldNames(definition);
  const filters = filtersOf(definition);
  const orders = ordersOf(definition);
  const cursors = cursorsOf(`list_${plural}`, z.tuple([z.string().max(40).refine(isWhen), z.string().refine(isUuid)]));
  const long = longText(definition);
  const entry = z.object({ ...rowShape(definition), ...(long === undefined ? {} : { truncated: z.boolean() }) });
  const cut =
    long === undefined
      ? ''
      : ` ${long.name} is cut at ${SHOWN_CHARACTERS} characters (truncated): get_${definition.name} gives all.`;
  return defineTool({
    name: `list_${plural}`,
    title: `List ${nouns(definition)}`,
    description: `Lists ${nouns(definition)} in pages.${cut}`,
    coveredBy: 'list_entries',
    access: 'read',
    input: z.strictObject({
      ...Object.fromEntries(filters.map((filter) => [filter.name, filter.schema])),
      archived: z.enum(['exclude', 'only', 'include']).default('exclude'),
      sort: sortOf(definition, orders),
      ...pageShape,
    }),
    output: z.object({ [plural]: z.array(entry), nextCursor }),
    async run({ archived, sort, cursor, limit, ...args }, { tx, caller }) {
      const given: Values = args;
      const order = orders[sort];
      if (order === undefined) throw new Error(`no order ${sort}`);
      const used = filters.filter((filter) => given[filter.name] !== undefined);
      const asked = [sort, archived, ...used.map((filter) => [filter.name, given[filter.name]])];
      const [value, id] = cursor === undefined ? [] : cursors.decode(cursor, asked);
      const { iss } = caller.assertion;
      const conditions = [
        // What has no such date is not in the order that goes by it.
        ...(isDated(order) ? [{ field: order.field, op: 'isNull', value: false }] : []),
        ...used.map((filter): Condition => filter.condition(given[filter.name], iss)),
      ];
      const found = await readRows(tx, name, {
        fields,
        cut: SHOWN_CHARACTERS,
        filter: conditions.length === 0 ? undefined : { and: conditions },
        archived,
        sort: [order],
        after: value === undefined || id === undefined ? undefined : { values: [value], id },
        limit: limit + 1,
      });
      if (found.length === 0) await requireKnownVault(tx, given.vaultId);
      const all = found.slice(0, limit).map(({ row }) => toEntry(definition, row, iss));
      const allLines = all.map((one) => listLine(definition, one));
      const count = fitting(all, allLines);
      const [entries, lines] = [all.slice(0, count), allLines.slice(0, count)];
      const last = found[count - 1];
      const next =
        found.length > count && last !== undefined ? cursors.encode([String(last.keys[0]), last.id], asked) : undefined;
      return {
        structured: { [plural]: entries, ...(next === undefined ? {} : { nextCursor: next }) },
        text:
          entries.length === 0
            ? `No ${nouns(definition)}.`
            : `${entries.length} ${nouns(definition)}:\n${lines.join('\n')}${morePages(next)}`,
      };
    },
  });
}

/** An empty page of a vault that isn't there would mislead. */
async function requireKnownVault(tx: Transaction, vault: unknown): Promise<void> {
  if (typeof vault === 'string') await requireVault(tx, vault);
}

/** Orders that pages can follow, and that an index has. */
function ordersOf(definition: EntityDefinition): Readonly<Record<string, SortKey>> {
  const dated = definition.fields.filter((field) => field.type === 'instant' && field.writable === 'always');
  return {
    newest: { field: 'createdAt', direction: 'desc' },
    oldest: { field: 'createdAt', direction: 'asc' },
    updated: { field: 'updatedAt', direction: 'desc' },
    ...Object.fromEntries(
      dated.map(({ name }): [string, SortKey] => [name.replace(/At$/, ''), { field: name, direction: 'asc' }]),
    ),
  };
}

/** By a date of the entity's own, which a row need not have. */
function isDated({ field }: SortKey): boolean {
  return !COMMON_FIELDS.some(({ name }) => name === field);
}

function sortOf(definition: EntityDefinition, orders: Readonly<Record<string, SortKey>>) {
  const sort = z.enum(Object.keys(orders)).default('newest');
  const dated = Object.entries(orders).filter(([, order]) => isDated(order));
  const said = dated.map(([name, { field }]) => `${name}: soonest first, only ${nouns(definition)} with ${field}.`);
  return said.length === 0 ? sort : sort.meta({ description: said.join(' ') });
}
