/**
 * R1.6, R3.1: in the plans of what the tools send, the policies' functions are InitPlans, evaluated once a statement, and never a
 * call per row. test/load/explain.ts writes the same plans at 100,000 recordings into docs/benchmarks.md.
 */
import { toolsetsNamed } from '@bankhouse/server';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { explainTo, explainTool, nodesOf, type PlanNode } from '../../harness/plans.ts';
import { createBank, startPostgres, type TestBank, type TestPostgres, withClient } from '../../harness/postgres.ts';

const VAULTS = ['hr', 'sales', 'support'];
const ROWS = 3000;
const toolsets = toolsetsNamed(['recordings', 'workspace']);

let postgres: TestPostgres;
let bank: TestBank;
beforeAll(async () => {
  postgres = await startPostgres();
  for (const id of ['acme', 'globex']) {
    const made = await createBank(postgres, id, { vaults: VAULTS.map((vault) => ({ id: vault, displayName: vault })) });
    if (id === 'acme') bank = made;
    await withClient(postgres.ownerUrl, async (sql) => {
      await sql.query('begin; set local role bankhouse_data');
      for (const text of seed(id)) await sql.query(text);
      await sql.query('commit');
      await sql.query('vacuum (analyze)');
    });
  }
  await explainTo(postgres, bank.role);
});
afterAll(() => postgres?.stop());

/** Rows of every table, spread over the vaults and none. */
function seed(id: string): string[] {
  const vault = `(array['${VAULTS.join("', '")}'])[n % ${VAULTS.length + 1} + 1]`;
  const common = `select '${id}', md5('${id}' || n)::uuid, ${vault}, 'seed', 'seed'`;
  const rows = `from generate_series(1, ${ROWS}) n`;
  const columns = 'bank_id, id, vault_id, created_by, updated_by';
  return [
    `insert into bank.fathom_calls (bank_id, id, vault_id, title, recording_start_time, recording_end_time)
       select '${id}', n, ${vault}, 'call about pricing ' || n, '2026-01-01'::timestamptz + n * interval '1 hour',
              '2026-01-01'::timestamptz + (n + 1) * interval '1 hour' ${rows}`,
    `insert into bank.recordings (bank_id, id, title, started_at, duration_seconds)
       select '${id}', md5('${id}' || n)::uuid, 'call about pricing ' || n, '2026-01-01'::timestamptz + n * interval '1 hour', 60 ${rows}`,
    `insert into bank.vault_entries (bank_id, vault_id, recording_id)
       select '${id}', (array['${VAULTS.join("', '")}'])[n % ${VAULTS.length} + 1], md5('${id}' || n)::uuid ${rows}`,
    ...['notes', 'tasks', 'chats'].map(
      (table) => `insert into bank.${table} (${columns}, title) ${common}, 'about pricing ' || n ${rows}`,
    ),
    `insert into bank.chat_messages (${columns}, chat_id, body) ${common}, md5('${id}' || n)::uuid, 'about pricing ' || n ${rows}`,
    `insert into bank.comments (${columns}, parent_type, parent_id, body)
       ${common}, 'note', md5('${id}' || n)::uuid::text, 'about pricing ' || n ${rows}`,
  ];
}

const ENTITY_LISTS = ['notes', 'tasks', 'comments', 'chats', 'chat_messages'];
const CALLS: [string, string, Record<string, unknown>][] = [
  ['list_vaults', 'list_vaults', {}],
  ['list_recordings', 'list_recordings', {}],
  ['list_recordings of a vault', 'list_recordings', { vaultId: 'sales' }],
  ['search_recordings', 'search_recordings', { query: 'pricing' }],
  ...ENTITY_LISTS.flatMap((plural): [string, string, Record<string, unknown>][] => [
    [`list_${plural}`, `list_${plural}`, {}],
    [`list_${plural} of a vault`, `list_${plural}`, { vaultId: 'sales' }],
    [`list_${plural} by the last change`, `list_${plural}`, { sort: 'updated', archived: 'include' }],
  ]),
  ['search over everything', 'search', { query: 'pricing' }],
  ['search in a vault', 'search', { query: 'pricing', vaultId: 'sales' }],
];
const TOKENS: [string, string[] | null][] = [
  ['all vaults', null],
  ['one vault', ['sales']],
  ['two vaults', ['hr', 'sales']],
];

/** What policies ask, which becomes part of the statement; in a filter or a condition it would be asked once a row. */
const POLICY_CALL =
  /bankhouse\.scope|\b(me|all_vaults|vault_scope|may_write|subject|enter|open_assertion|vaults_to_search)\(/;

/** Texts of a node that say where such a function is called outside of an InitPlan. */
function perRow(plan: PlanNode): string[] {
  return [...nodesOf(plan)]
    .filter(({ inInitPlan }) => !inInitPlan)
    .flatMap(({ node }) =>
      Object.entries(node)
        .filter(([name, value]) => /Cond|Filter|Key|Output|Call/.test(name) && POLICY_CALL.test(JSON.stringify(value)))
        .map(([name, value]) => `${node['Node Type']} ${name}: ${JSON.stringify(value)}`),
    );
}

const CASES = CALLS.flatMap(([name, tool, args]) =>
  TOKENS.map(([token, vaults]) => [`${name}, with ${token}`, tool, args, vaults] as const),
);

it.each(CASES)('%s: the policies cost InitPlans', async (_name, tool, args, vaults) => {
  const { plans } = await explainTool(bank, toolsets, tool, args, { vaults, scopes: ['mcp:read'] });
  expect(plans.length).toBeGreaterThan(0);
  expect(plans.flatMap(({ plan }) => perRow(plan))).toEqual([]);
  const again = plans.flatMap(({ plan }) =>
    [...nodesOf(plan)].filter(
      ({ node }) => node['Parent Relationship'] === 'InitPlan' && (node['Actual Loops'] ?? 0) > 1,
    ),
  );
  expect(again.map(({ node }) => node['Subplan Name'])).toEqual([]);
});

/** Tables under policy, from the catalog: each must be read with InitPlans, whatever reads it. */
it('every table under policy is read with InitPlans', async () => {
  const tables = await withClient(postgres.superuserUrl, async (sql) => {
    const { rows } = await sql.query<{ name: string }>(
      `select distinct format('%I.%I', schemaname, tablename) as name from pg_policies where 'bankhouse_api' = any (roles) order by 1`,
    );
    return rows.map(({ name }) => name);
  });
  expect(tables.length).toBeGreaterThan(8);
  await bank.asBank(bank.seal({ vaults: ['sales'] }), async (sql) => {
    for (const name of tables) {
      const { rows } = await sql.query(`explain (format json) select from ${name}`);
      const { Plan: plan } = rows[0]['QUERY PLAN'][0] as { Plan: PlanNode };
      const initPlans = [...nodesOf(plan)].filter(({ node }) => node['Parent Relationship'] === 'InitPlan').length;
      expect([name, perRow(plan), initPlans > 0]).toEqual([name, [], true]);
    }
  });
});

it('the test sees a call per row where there is one', async () => {
  await bank.asBank(bank.seal(), async (sql) => {
    const { rows } = await sql.query('explain (format json) select * from bank.notes where bank_id = bank.me()');
    expect(perRow((rows[0]['QUERY PLAN'][0] as { Plan: PlanNode }).Plan)).not.toEqual([]);
  });
});
