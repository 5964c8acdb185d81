import { z } from 'zod';
import type { Statement, Transaction } from '../../../database/transaction.ts';
import { COMMON_FIELDS, type EntityDefinition } from '../../../entities/index.ts';
import { defineTool, type Tool } from '../../../mcp/toolset.ts';
import { cursorsOf } from '../../../paging/cursor.ts';
import { isUuid } from '../../shared/ids.ts';
import { morePages, nextCursor, pageShape } from '../../shared/page.ts';
import { requireVault } from '../../shared/vaults.ts';
import { isWhen } from '../../shared/when.ts';
import { type Filter, filtersOf } from '../filters.ts';
import { entryLine, longText, nouns, SHOWN_CHARACTERS, selectList, toEntry } from '../rows.ts';
import { rowShape, type Values } from '../schemas.ts';

/** An order that pages can follow: unique by the id, and an index has it. */
interface Order {
  readonly field: string;
  readonly column: string;
  readonly direction: 'asc' | 'desc';
  /** An index has it for each vault, too. */
  readonly byVault: boolean;
}

interface Asked {
  /** ` and …` */
  readonly where: string;
  readonly order: Order;
  /** How many parameters `where` has. */
  readonly filters: number;
  readonly after: boolean;
  /**
   * The vaults that a token is limited to come as a parameter: then as many entries of each are read as the page has, and not all
   * that the policies hide from it. What is seen is the policies' matter all the same.
   */
  readonly byVault: boolean;
}

const ARCHIVED = { exclude: ' and archived_at is null', only: ' and archived_at is not null', include: '' };
/** Statements with a name that one list keeps; callers can make more combinations than connections should remember. */
const MAX_NAMED = 24;

export function listTool(definition: EntityDefinition): Tool {
  const { plural } = definition;
  const filters = filtersOf(definition);
  const orders = ordersOf(definition);
  const statements = statementsOf(definition);
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
    description: `Lists ${nouns(definition)} in pages.${cut} search finds by words, query by any condition.`,
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
      const after = cursor === undefined ? undefined : cursors.decode(cursor, asked);
      const { where, values } = conditionsOf(used, given);
      const vaults = order.byVault && given.vaultId === undefined ? caller.assertion.vaults : null;
      const rows = await tx.rows<Values>(
        statements({
          where: where + ARCHIVED[archived],
          order,
          filters: values.length,
          after: after !== undefined,
          byVault: vaults !== null,
        }),
        [...values, limit + 1, ...(after ?? []), ...(vaults === null ? [] : [[...new Set(vaults)]])],
      );
      if (rows.length === 0) await requireKnownVault(tx, given.vaultId);
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      const next =
        rows.length > limit && last !== undefined
          ? cursors.encode([String(last[order.field]), String(last.id)], asked)
          : undefined;
      const entries = page.map((row) => toEntry(definition, row));
      const lines = entries.map((one) => `- ${entryLine(definition, one)}`);
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
  if (typeof vault === 'string') await requireVault(tx, vault, 'vaultId');
}

function ordersOf(definition: EntityDefinition): Readonly<Record<string, Order>> {
  const dated = definition.fields.filter((field) => field.type === 'instant' && field.writable === 'always');
  return {
    newest: { field: 'createdAt', column: 'created_at', direction: 'desc', byVault: true },
    oldest: { field: 'createdAt', column: 'created_at', direction: 'asc', byVault: true },
    updated: { field: 'updatedAt', column: 'updated_at', direction: 'desc', byVault: false },
    ...Object.fromEntries(
      dated.map(({ name, column }): [string, Order] => [
        name.replace(/At$/, ''),
        { field: name, column, direction: 'asc', byVault: false },
      ]),
    ),
  };
}

function sortOf(definition: EntityDefinition, orders: Readonly<Record<string, Order>>) {
  const sort = z.enum(Object.keys(orders)).default('newest');
  const dated = Object.entries(orders).filter(([, order]) => !COMMON_FIELDS.some(({ name }) => name === order.field));
  const said = dated.map(([name, { field }]) => `${name}: soonest first, only ${nouns(definition)} with ${field}.`);
  return said.length === 0 ? sort : sort.meta({ description: said.join(' ') });
}

function conditionsOf(used: readonly Filter[], given: Values): { where: string; values: unknown[] } {
  const values: unknown[] = [];
  const conditions = used.map((filter) =>
    filter.condition(given[filter.name], (value) => {
      values.push(value);
      return `$${values.length}`;
    }),
  );
  return { where: conditions.map((condition) => ` and ${condition}`).join(''), values };
}

/** Statements by their text, the first few with a name. */
function statementsOf(definition: EntityDefinition) {
  const { plural } = definition;
  const columns = selectList(definition, { cut: true });
  const known = new Map<string, Statement>();
  return ({ where, order, filters, after, byVault }: Asked): Statement => {
    const { field, column, direction } = order;
    const limit = filters + 1;
    const position = after
      ? ` and (${column}, id) ${direction === 'asc' ? '>' : '<'} ($${limit + 1}::timestamptz, $${limit + 2}::uuid)`
      : '';
    const page = `select ${columns} from bank.${plural}
      where ${byVault ? 'vault_id = v' : `${column} is not null`}${where}${position}
      order by ${column} ${direction}, id ${direction} limit $${limit}`;
    const text = byVault
      ? `select t.* from unnest($${limit + (after ? 3 : 1)}::text[]) v cross join lateral (${page}) t
        order by t."${field}" collate "C" ${direction}, t.id ${direction} limit $${limit}`
      : page;
    const found = known.get(text);
    if (found !== undefined) return found;
    if (known.size >= MAX_NAMED) return { text };
    const statement = { name: `list_${plural}`, text };
    known.set(text, statement);
    return statement;
  };
}
