/** The plans of what the bank's tools really send to Postgres, those inside of functions too. */
import type { Assertion } from '@bankhouse/core';
import type { Tool, Toolset, Transaction } from '@bankhouse/server';
import pg from 'pg';
import { assertionFor, type TestBank, type TestPostgres, withClient } from './postgres.ts';

/** From its next connection on, a role is sent the plan of every statement, nested ones first. */
export function explainTo(postgres: TestPostgres, role: string): Promise<void> {
  return withClient(postgres.superuserUrl, async (sql) => {
    for (const [name, value] of SETTINGS) {
      await sql.query(`alter role ${pg.escapeIdentifier(role)} set ${name} = ${pg.escapeLiteral(value)}`);
    }
  });
}

const SETTINGS = [
  ['session_preload_libraries', 'auto_explain'],
  ['auto_explain.log_min_duration', '0'],
  // As loud as functions let it be: those of schema api send their caller nothing below a warning.
  ['auto_explain.log_level', 'warning'],
  ['auto_explain.log_nested_statements', 'on'],
  ['auto_explain.log_analyze', 'on'],
  ['auto_explain.log_buffers', 'on'],
  ['auto_explain.log_format', 'json'],
] as const;

/** A node of EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON). */
export interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Parent Relationship'?: string;
  readonly 'Subplan Name'?: string;
  readonly 'Actual Loops'?: number;
  readonly 'Actual Rows'?: number;
  readonly Plans?: readonly PlanNode[];
  readonly [property: string]: unknown;
}

export interface Explained {
  readonly milliseconds: number;
  readonly query: string;
  readonly plan: PlanNode;
}

export interface ToolRun {
  /** What each statement of the tool was, nested ones before those that called them. */
  readonly plans: readonly Explained[];
  /** From the first statement of the tool to its answer, the median. */
  readonly milliseconds: number;
}

/**
 * Runs a tool as the bank server does: one transaction, the bank's own role, this assertion.
 *
 * @param turns how often, on one connection as in a pool; the last turn's plans are given, and the median of their times
 */
export async function explainTool(
  bank: TestBank,
  toolsets: readonly Toolset[],
  name: string,
  args: Record<string, unknown>,
  changes: Partial<Assertion> = {},
  turns = 1,
): Promise<ToolRun> {
  const tool: Tool | undefined = toolsets.flatMap((toolset) => toolset.tools).find((one) => one.name === name);
  if (tool?.place !== 'local') throw new Error(`There is no tool ${name} of the bank's own.`);
  const client = new pg.Client({ connectionString: bank.url });
  const plans: Explained[] = [];
  client.on('notice', ({ message }) => {
    const explained = parsePlan(message ?? '');
    if (explained !== undefined) plans.push(explained);
  });
  await client.connect();
  try {
    const assertion = assertionFor(bank.id, changes);
    const databaseAssertion = bank.seal(changes);
    const caller = { assertion, databaseAssertion };
    const tx: Transaction = {
      rows: async ({ name: label, text }, values = []) => {
        const named = label === undefined ? {} : { name: label };
        return (await client.query({ ...named, text, values: [...values] })).rows;
      },
    };
    const times: number[] = [];
    for (let turn = 0; turn < turns; turn++) {
      await client.query(tool.access === 'read' ? 'begin read only' : 'begin read write');
      await client.query("select set_config('bankhouse.assertion', $1, true)", [databaseAssertion]);
      plans.length = 0;
      const began = performance.now();
      await tool.run(tool.input.parse(args), { bank: bank.id, bankName: bank.id, caller, tx });
      times.push(performance.now() - began);
      await client.query('rollback');
    }
    times.sort((a, b) => a - b);
    return { plans, milliseconds: times[Math.floor(times.length / 2)] ?? Number.NaN };
  } finally {
    await client.end();
  }
}

function parsePlan(message: string): Explained | undefined {
  const found = /^duration: ([\d.]+) ms {2}plan:\n([\s\S]*)$/.exec(message);
  if (found === null) return undefined;
  const { 'Query Text': query, Plan: plan } = JSON.parse(found[2] ?? '') as { 'Query Text': string; Plan: PlanNode };
  return { milliseconds: Number(found[1]), query, plan };
}

/** Every node, with whether it is in an InitPlan. */
export function* nodesOf(plan: PlanNode, inInitPlan = false): Generator<{ node: PlanNode; inInitPlan: boolean }> {
  const within = inInitPlan || plan['Parent Relationship'] === 'InitPlan';
  yield { node: plan, inInitPlan: within };
  for (const child of plan.Plans ?? []) yield* nodesOf(child, within);
}
