/**
 * `npx node test/load/explain.ts`: puts 100,000 recordings and as many entities into a Postgres of its own, runs every list and
 * search tool there as the bank server does, and writes the plans of what they send, nested statements too, into
 * docs/benchmarks.md. Options: `--recordings N`, of which `--distinct N` are generated and loaded and the others are copies of
 * them at other times, `--entities N` (of all kinds together), `--keep-docs` to print only.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { generateCalls } from '@bankhouse/client';
import { toolsetsNamed } from '@bankhouse/server';
import { loadRecordings, numbered } from '../../client/src/load/index.ts';
import { type Explained, explainTo, explainTool, nodesOf, type PlanNode } from '../harness/plans.ts';
import { createBank, startPostgres, type TestBank, type TestPostgres, withClient } from '../harness/postgres.ts';
import { RECOUNT } from './recount.ts';

const { values: options } = parseArgs({
  options: {
    recordings: { type: 'string', default: '100000' },
    distinct: { type: 'string', default: '5000' },
    entities: { type: 'string', default: '100000' },
    'keep-docs': { type: 'boolean', default: false },
  },
});
const RECORDINGS = Number(options.recordings);
const DISTINCT = Math.min(RECORDINGS, Number(options.distinct));
const ENTITIES = Number(options.entities);
const VAULTS = ['sales', 'support', 'hr'];
const DOCS = new URL('../../docs/benchmarks.md', import.meta.url).pathname;
const KINDS = ['notes', 'tasks', 'comments', 'chats', 'chat_messages'];

const CALLS: [string, Record<string, unknown>][] = [
  ['list_vaults', {}],
  ['list_recordings', {}],
  ['list_recordings', { vault: 'sales' }],
  ['search_recordings', { query: 'pricing' }],
  ['search_recordings', { query: '"next steps"' }],
  ...KINDS.flatMap((plural): [string, Record<string, unknown>][] => [
    [`list_${plural}`, {}],
    [`list_${plural}`, { vaultId: 'sales' }],
  ]),
  ['search', { query: 'pricing' }],
];

async function fill(postgres: TestPostgres, bank: TestBank): Promise<void> {
  const began = performance.now();
  let shown = 0;
  await loadRecordings({
    databaseUrl: postgres.ownerUrl,
    bank: bank.id,
    lines: numbered(generateCalls({ bank: bank.id, seed: 7, count: DISTINCT, vaults: VAULTS })),
    onProgress: ({ read }) => {
      if (read - shown < DISTINCT / 5) return;
      shown = read;
      console.log(`${read} recordings after ${Math.round((performance.now() - began) / 1000)} s`);
    },
  });
  // Without triggers, which would build every document anew.
  await withClient(postgres.superuserUrl, async (sql) => {
    await sql.query('set session_replication_role = replica');
    for (const text of COPIES) await sql.query(text, [bank.id, Math.round(RECORDINGS / DISTINCT) - 1]);
    for (const text of RECOUNT) await sql.query(text, [bank.id]);
  });
  await withClient(postgres.ownerUrl, async (sql) => {
    await sql.query('begin; set local role bankhouse_data');
    for (const text of entities(bank.id)) await sql.query(text);
    await sql.query('commit');
    await sql.query('vacuum (analyze)');
  });
  console.log(
    `${RECORDINGS} recordings and ${ENTITIES} entities are there after ${Math.round((performance.now() - began) / 1000)} s`,
  );
}

/** A copy's uuid, and how much later it was: a prime number of minutes for each. */
const COPY_ID = (id: string) => `md5(${id}::text || c)::uuid`;
const LATER = "c * interval '6007 minutes'";
/** $1 bank, $2 copies of each call: its old row, its new one, its entries and its search document. */
const COPIES = [
  `insert into bank.fathom_calls (bank_id, id, vault_id, title, recording_start_time, recording_end_time, calendar_invitees,
       transcript, transcript_language, summary, url, migrated)
     select bank_id, id + c * 10000000, vault_id, title, recording_start_time - ${LATER}, recording_end_time - ${LATER},
       calendar_invitees, transcript, transcript_language, summary, url, migrated
       from bank.fathom_calls, generate_series(1, $2) c where bank_id = $1`,
  `insert into bank.recordings (bank_id, id, legacy_id, title, started_at, duration_seconds, participants, transcript, summary,
       language, url)
     select bank_id, ${COPY_ID('id')}, legacy_id + c * 10000000, title, started_at - ${LATER}, duration_seconds, participants,
       transcript, summary, language, url
       from bank.recordings, generate_series(1, $2) c where bank_id = $1`,
  `insert into bank.vault_entries (bank_id, vault_id, recording_id, started_at, legacy_id)
     select bank_id, vault_id, ${COPY_ID('recording_id')}, started_at - ${LATER}, legacy_id + c * 10000000
       from bank.vault_entries, generate_series(1, $2) c where bank_id = $1`,
  `insert into bank.search_documents (bank_id, recording_id, legacy_id, call_id, started_at, scopes, participant_keys, document,
       passage_positions, passage_segments, language)
     select d.bank_id, ${COPY_ID('d.recording_id')}, d.legacy_id + c * 10000000,
       coalesce(${COPY_ID('d.recording_id')}::text, 'fathom-' || d.legacy_id + c * 10000000), d.started_at - ${LATER},
       bank.scopes_of(d.bank_id, array(select distinct split_part(split_part(s, '/', 2), '@', 1) from unnest(d.scopes) s
         where s like '%/%'), d.started_at - ${LATER}),
       d.participant_keys, d.document, d.passage_positions, d.passage_segments, d.language
       from bank.search_documents d, generate_series(1, $2) c where d.bank_id = $1`,
];

/** As many of each kind; three of four are in a vault, one in none. */
function entities(id: string): string[] {
  const each = Math.floor(ENTITIES / KINDS.length);
  const rows = `from generate_series(1, ${each}) n cross join lateral (select
    (array['${VAULTS.join("', '")}'])[n % ${VAULTS.length + 1} + 1] as vault, md5('${id}' || n)::uuid as id,
    (array['pricing', 'renewal', 'security review', 'next steps', 'onboarding'])[n % 5 + 1] || ' with customer ' || n as words,
    timestamptz '2026-01-01' + n * interval '7 minutes' as at) r`;
  const columns = 'bank_id, id, vault_id, created_by, updated_by, created_at, updated_at';
  const common = `select '${id}', r.id, r.vault, 'seed', 'seed', r.at, r.at`;
  return [
    `insert into bank.notes (${columns}, title, body) ${common}, r.words, repeat(r.words || '. ', 10) ${rows}`,
    `insert into bank.tasks (${columns}, title, due_at) ${common}, r.words, r.at + interval '7 days' ${rows}`,
    `insert into bank.chats (${columns}, title) ${common}, r.words ${rows}`,
    `insert into bank.chat_messages (${columns}, chat_id, body) ${common}, r.id, repeat(r.words || '. ', 3) ${rows}`,
    `insert into bank.comments (${columns}, parent_type, parent_id, body) ${common}, 'note', r.id::text, r.words ${rows}`,
  ];
}

const number = (value: unknown) => (typeof value === 'number' ? value : 0);

/** `Index Scan using recordings_newest on r (rows 21 × 1, 24 buffers; cond …)`, indented by depth. */
function lines(plan: PlanNode, depth = 0): string[] {
  const relation = [
    plan['Index Name'] && `using ${plan['Index Name']}`,
    plan['Relation Name'] && `on ${plan['Relation Name']}`,
  ]
    .filter(Boolean)
    .join(' ');
  const called = plan['Function Name'] === undefined ? '' : ` ${plan['Function Name']}`;
  const buffers = number(plan['Shared Hit Blocks']) + number(plan['Shared Read Blocks']);
  const conditions = ['Index Cond', 'Recheck Cond', 'Filter', 'Join Filter', 'Hash Cond', 'Merge Cond']
    .filter((name) => plan[name] !== undefined)
    .map((name) => `${name.toLowerCase()}: ${shorten(String(plan[name]), 160)}`);
  const removed = number(plan['Rows Removed by Filter']);
  const facts = [
    `${number(plan['Actual Rows'])} rows × ${number(plan['Actual Loops'])}`,
    `${buffers} buffers`,
    ...conditions,
    ...(removed > 0 ? [`${removed} removed by the filter`] : []),
  ];
  const role = plan['Subplan Name'] === undefined ? '' : `${plan['Subplan Name']}: `;
  return [
    `${'  '.repeat(depth)}${role}${plan['Node Type']}${called}${relation === '' ? '' : ` ${relation}`} (${facts.join('; ')})`,
    ...(plan.Plans ?? []).filter((child) => !isPolicyValue(child)).flatMap((child) => lines(child, depth + 1)),
  ];
}

/** `(select bank.me())` and the like: counted, not shown. */
const isPolicyValue = (plan: PlanNode) =>
  plan['Parent Relationship'] === 'InitPlan' && plan['Node Type'] === 'Result' && plan.Plans === undefined;

/** The assertion, its key and the role's bank are looked up by every function that asks who calls; here are those that read rows. */
const isOfRows = (node: PlanNode) =>
  node['Function Name'] !== undefined
    ? !['jsonb_array_elements', 'jsonb_array_elements_text', 'generate_series', 'unnest'].includes(
        String(node['Function Name']),
      )
    : node['Relation Name'] !== undefined && !['login_roles', 'bank_keys'].includes(String(node['Relation Name']));

const shorten = (text: string, length: number) => (text.length <= length ? text : `${text.slice(0, length - 1)}…`);
const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim();

function initPlans(plan: PlanNode): string {
  const found = [...nodesOf(plan)].filter(({ node }) => isPolicyValue(node));
  const most = Math.max(0, ...found.map(({ node }) => number(node['Actual Loops'])));
  if (found.length === 0) return 'no policy in force';
  return `InitPlans: ${found.length}, each evaluated ${most <= 1 ? 'at most once' : `up to ${most} times`}`;
}

function section({ query, plan, milliseconds }: Explained): string {
  return [
    `-- ${shorten(oneLine(query), 220)}`,
    `-- ${milliseconds.toFixed(1)} ms; ${initPlans(plan)}`,
    ...lines(plan),
  ].join('\n');
}

const TOOLSETS = toolsetsNamed(['recordings', 'workspace']);
/** On one connection, as in a bank server's pool. */
const TURNS = 15;
const TOKEN = { vaults: ['sales', 'support'], scopes: ['mcp:read'] };
const shownCall = ([name, args]: (typeof CALLS)[number]) =>
  Object.keys(args).length === 0 ? name : `${name} ${JSON.stringify(args)}`;

async function explain(bank: TestBank, call: (typeof CALLS)[number], milliseconds: number): Promise<string> {
  const [name, args] = call;
  const { plans } = await explainTool(bank, TOOLSETS, name, args, TOKEN, 3);
  const telling = plans.filter(({ plan }) => [...nodesOf(plan)].some(({ node }) => isOfRows(node)));
  // What search does with each kind of entity is told once.
  const byKind = new Map(
    telling.map((one) => [one.query.replace(new RegExp(`\\b(${KINDS.join('|')})\\b`, 'g'), 'kind'), one]),
  );
  const shown = shownCall(call);
  console.log(`${shown}: ${milliseconds.toFixed(1)} ms; ${plans.length} statements, ${byKind.size} of them shown`);
  return [
    `<details><summary><code>${shown}</code>, ${milliseconds.toFixed(1)} ms</summary>`,
    '',
    '```',
    [...byKind.values()].map(section).join('\n\n'),
    '```',
    '',
    '</details>',
  ].join('\n');
}

function write(sections: readonly string[]): void {
  const text = [
    '<!-- begin explain -->',
    `\`npx node test/load/explain.ts\` on ${new Date().toISOString().slice(0, 10)}; ${cpus().length} cores, shared with other work; Postgres 15, ${RECORDINGS.toLocaleString('en')} recordings (${DISTINCT.toLocaleString('en')} generated ones at ${Math.round(RECORDINGS / DISTINCT)} times each) and ${ENTITIES.toLocaleString('en')} entities in one bank,`,
    'a token of two of its three vaults. Behind a tool’s name stands the median of what it takes without plans, on a connection that has run it before. Below it is every statement',
    'that reads rows, those inside functions before those that call them (whose time and buffers include theirs, and what auto_explain',
    'takes); of what `search` does alike with each kind of entity, one. Each plan says how often the policies’ functions',
    'were evaluated; `$0` and the like in conditions are their values. No plan calls one per row: `test/integration/isolation/plans.test.ts`',
    'fails otherwise.',
    '',
    ...sections.flatMap((one) => [one, '']),
    '<!-- end explain -->',
  ].join('\n');
  const docs = readFileSync(DOCS, 'utf8');
  const pattern = /<!-- begin explain -->[\s\S]*<!-- end explain -->/;
  const next = pattern.test(docs)
    ? docs.replace(pattern, () => text)
    : `${docs.trimEnd()}\n\n## Plans at 100,000 recordings\n\n${text}\n`;
  if (options['keep-docs']) console.log(text);
  else writeFileSync(DOCS, next);
}

const postgres = await startPostgres({
  settings: ['shared_buffers=1GB', 'max_wal_size=4GB', 'maintenance_work_mem=256MB'],
});
try {
  const bank = await createBank(postgres, 'acme', { vaults: VAULTS.map((id) => ({ id, displayName: id })) });
  await fill(postgres, bank);
  const times: number[] = [];
  for (const [name, args] of CALLS)
    times.push((await explainTool(bank, TOOLSETS, name, args, TOKEN, TURNS)).milliseconds);
  await explainTo(postgres, bank.role);
  const sections: string[] = [];
  for (const [place, call] of CALLS.entries()) sections.push(await explain(bank, call, times[place] ?? Number.NaN));
  write(sections);
} finally {
  await postgres.stop();
}
