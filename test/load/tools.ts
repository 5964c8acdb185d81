/** What tools cost in the bank server's code and Postgres, without HTTP: p50 and p95 in ms, and Postgres' CPU a call. `node test/load/tools.ts` */
import { readFileSync } from 'node:fs';
import { type Tool, type Transaction, toolsetsNamed } from '@bankhouse/server';
import pg from 'pg';
import { assertionFor, createBank, startPostgres, withClient } from '../harness/postgres.ts';

const ROWS = 3000;
const TURNS = Number(process.argv[2] ?? 150);
const CASES: [string, string, Record<string, unknown>][] = [
  ['list_recordings', 'list_recordings', {}],
  ['search_recordings', 'search_recordings', { query: 'pricing' }],
  ['list_notes', 'list_notes', {}],
  ['list_notes of a vault', 'list_notes', { vaultId: 'sales' }],
  [
    'query with a filter',
    'query',
    {
      kind: 'note',
      filter: {
        and: [
          { field: 'status', op: 'eq', value: 'draft' },
          { field: 'title', op: 'contains', value: 'pricing 1' },
        ],
      },
    },
  ],
  ['query with groups', 'query', { kind: 'note', groupBy: [{ field: 'vaultId' }], aggregate: [{ function: 'count' }] }],
  ['search', 'search', { query: 'pricing' }],
  ['create_note', 'create_note', { title: 'About pricing', vaultId: 'sales' }],
];
const postgres = await startPostgres();
const vaults = ['hr', 'sales', 'support'];
const bank = await createBank(postgres, 'acme', { vaults: vaults.map((id) => ({ id, displayName: id })) });
const vault = `(array['${vaults.join("', '")}'])[n % 3 + 1]`;
await withClient(postgres.ownerUrl, async (sql) => {
  await sql.query('begin; set local role bankhouse_data');
  await sql.query(
    `insert into bank.recordings (bank_id, id, title, started_at, duration_seconds) select 'acme', md5('r' || n)::uuid, 'call about pricing ' || n, '2026-01-01'::timestamptz + n * interval '1 hour', 60 from generate_series(1, ${ROWS}) n`,
  );
  await sql.query(
    `insert into bank.vault_entries (bank_id, vault_id, recording_id) select 'acme', ${vault}, md5('r' || n)::uuid from generate_series(1, ${ROWS}) n`,
  );
  await sql.query(
    `insert into bank.notes (bank_id, id, vault_id, created_by, updated_by, title, body, created_at) select 'acme', md5('n' || n)::uuid, ${vault}, 'seed', 'seed', 'about pricing ' || n, repeat('word ', 60), '2026-01-01'::timestamptz + n * interval '1 minute' from generate_series(1, ${ROWS}) n`,
  );
  await sql.query('commit');
  await sql.query('vacuum (analyze)');
});
const tools: Tool[] = toolsetsNamed(['recordings', 'workspace']).flatMap((toolset) => [...toolset.tools]);
for (const [tokenName, allowed] of [
  ['all vaults', null],
  ['one vault', ['sales']],
] as const) {
  for (const [name, toolName, args] of CASES) {
    const tool = tools.find((one) => one.name === toolName);
    if (tool?.place !== 'local') throw new Error(toolName);
    const client = new pg.Client({ connectionString: bank.url });
    await client.connect();
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const cpu = () => Number(readFileSync(`/proc/${rows[0]?.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
    const changes = { vaults: allowed === null ? null : [...allowed], scopes: ['mcp:read', 'mcp:write'] };
    const caller = { assertion: assertionFor('acme', changes), databaseAssertion: bank.seal(changes) };
    const tx: Transaction = {
      rows: async ({ name: label, text }, values = []) =>
        (await client.query({ ...(label === undefined ? {} : { name: label }), text, values: [...values] })).rows,
    };
    const times: number[] = [];
    const costs: number[] = [];
    for (let turn = 0; turn < TURNS + 20; turn++) {
      const before = cpu();
      const began = performance.now();
      await client.query(tool.access === 'read' ? 'begin read only' : 'begin read write');
      await client.query("select set_config('bankhouse.assertion', $1, true)", [caller.databaseAssertion]);
      await tool.run(tool.input.parse(args), { bank: 'acme', bankName: 'acme', caller, tx });
      await client.query('commit');
      if (turn < 20) continue;
      times.push(performance.now() - began);
      costs.push(cpu() - before);
    }
    await client.end();
    const at = (list: number[], share: number) =>
      ([...list].sort((a, b) => a - b)[Math.floor(list.length * share)] ?? Number.NaN).toFixed(2);
    console.log(
      `${tokenName.padEnd(11)} ${name.padEnd(24)} p50 ${at(times, 0.5)} p95 ${at(times, 0.95)} cpu ${at(costs, 0.5)}`,
    );
  }
}
await postgres.stop();
