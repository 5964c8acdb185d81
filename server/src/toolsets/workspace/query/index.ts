import { messageOf } from '@bankhouse/core';
import { codeOf } from '../../../database/errors.ts';
import { statement } from '../../../database/statement.ts';
import type { Transaction } from '../../../database/transaction.ts';
import { ToolError } from '../../../mcp/tool-error.ts';
import { type CallContext, defineTool } from '../../../mcp/toolset.ts';
import { morePages } from '../../shared/page.ts';
import { groupRows, readRows } from '../api.ts';
import { checkTimeZone, planGroups } from './aggregate.ts';
import { QUERYABLES, type Queryable } from './fields.ts';
import { asMeantQuery } from './meant.ts';
import { planRows } from './rows.ts';
import { MAX_ROWS, OPERATOR_GUIDE, type QueryInput, queryInput, queryOutput } from './schema.ts';
import { wrong } from './values.ts';

const STATEMENT_SECONDS = 2;

/** For the rest of the transaction; shorter than the pool's own, since nothing but its caller bounds what a query reads. */
const SET_TIME_LIMIT = statement({
  name: 'set_query_time_limit',
  text: `select set_config('statement_timeout', '${STATEMENT_SECONDS * 1000}', true)`,
});

/** Typed filters, sorts and aggregates over one kind of rows at a time (R3.10). */
export const queryTool = defineTool({
  name: 'query',
  title: 'Query rows',
  description: `Finds rows of one kind by a filter tree with and, or, not over typed fields, sorted and in pages; or counts and computes: groups by fields and periods with count, sum, avg, min, max. Use it for "how many", "which ones with", "per week"; use search to find words anywhere, ranked.\n${OPERATOR_GUIDE}`,
  access: 'read',
  input: queryInput,
  output: queryOutput,
  async run(given, context) {
    const queryable = QUERYABLES.get(given.kind);
    if (queryable === undefined) throw new TypeError(given.kind);
    const input = asMeantQuery(given, queryable.fields);
    const grouped = (input.groupBy?.length ?? 0) > 0 || (input.aggregate?.length ?? 0) > 0;
    return grouped ? runGroups(queryable, input, context) : runRows(queryable, input, context);
  },
});

async function runRows(queryable: Queryable, input: QueryInput, { tx, caller }: CallContext) {
  if (input.limit > MAX_ROWS) {
    throw wrong('limit', `A page has at most ${MAX_ROWS} rows.`, 'Send a smaller limit, then nextCursor as cursor.');
  }
  if (input.having !== undefined) {
    throw wrong('having', 'Without groupBy or aggregate there are no groups.', 'Put the condition into filter.');
  }
  const plan = planRows(
    queryable,
    {
      filter: input.filter,
      archived: input.archived,
      select: input.select,
      sort: input.sort,
      limit: input.limit,
      cursor: input.cursor,
    },
    caller.assertion.iss,
  );
  const { rows, nextCursor } = plan.page(await bounded(tx, () => readRows(tx, queryable.kind, plan.ask)));
  return {
    structured: { rows, ...(nextCursor === undefined ? {} : { nextCursor }) },
    text: textOf(rows, morePages(nextCursor)),
  };
}

async function runGroups(queryable: Queryable, input: QueryInput, { tx, caller }: CallContext) {
  if (input.cursor !== undefined || input.select !== undefined) {
    const field = input.cursor === undefined ? 'select' : 'cursor';
    throw wrong(field, 'Groups have one page, of the columns of groupBy and aggregate.', `Leave ${field} out.`);
  }
  const timeZone = checkTimeZone(input.timeZone);
  const plan = planGroups(
    queryable,
    {
      filter: input.filter,
      archived: input.archived,
      groupBy: input.groupBy ?? [],
      aggregate: input.aggregate ?? [],
      having: input.having,
      sort: input.sort,
      timeZone,
      limit: input.limit,
    },
    caller.assertion.iss,
  );
  const { rows, truncated } = plan.page(await bounded(tx, () => groupRows(tx, queryable.kind, plan.ask)));
  return {
    structured: { rows, truncated },
    text: textOf(
      rows,
      truncated
        ? `\nThere are more than these ${rows.length} groups: filter, use having, or sort so that those you need come first.`
        : '',
    ),
  };
}

/**
 * What `ask` asks for, with a time limit in front of it.
 *
 * @throws ToolError `too_slow` after the time limit; `invalid_argument` for a time zone that Node knows and Postgres doesn't
 */
async function bounded<T>(tx: Transaction, ask: () => Promise<T>): Promise<T> {
  const limited = tx.rows(SET_TIME_LIMIT);
  try {
    const [, found] = await Promise.all([limited, ask()]);
    return found;
  } catch (error) {
    if (codeOf(error) === '57014') {
      throw new ToolError(
        'too_slow',
        `The query took longer than ${STATEMENT_SECONDS} s.`,
        'Add a condition that leaves fewer rows, such as a period of createdAt, a vault or a status.',
        { cause: error },
      );
    }
    if (codeOf(error) === '22023' && /time zone/.test(messageOf(error))) {
      throw wrong(
        'timeZone',
        "The database doesn't know this time zone.",
        'Send a more common name of the zone, or UTC.',
      );
    }
    throw error;
  }
}

function textOf(rows: readonly Record<string, unknown>[], more: string): string {
  if (rows.length === 0) return 'Nothing fits.';
  return `${rows.length} rows:\n${rows.map((row) => JSON.stringify(row)).join('\n')}${more}`;
}
