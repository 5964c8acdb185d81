/**
 * R1.6, D1: every function that a bank's role can execute, with arguments that name what isn't the caller's: other banks, hidden vaults,
 * rows of both. Each row has a word that stands nowhere else; none that the model hides may be in an answer, and none may change.
 * Functions come from the catalog, so a new one is attacked as soon as it is granted.
 */
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { withClient } from '../../harness/postgres.ts';
import { ASSERTIONS, visible } from './model.ts';
import { COMMON_WORD, type Row, startWorld, type World } from './world.ts';

interface Callable {
  readonly name: string;
  readonly types: readonly string[];
}

let world: World;
let functions: Callable[];

beforeAll(async () => {
  world = await startWorld();
  functions = await withClient(world.postgres.superuserUrl, async (sql) => {
    const { rows } = await sql.query<Callable>(
      `select f.oid::regproc::text as name,
              array(select format_type(t, null) from unnest(f.proargtypes::oid[]) with ordinality a (t, n) order by n) as types
         from pg_proc f join pg_namespace n on n.oid = f.pronamespace
        where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and f.prokind = 'f'
          and has_function_privilege($1, f.oid, 'execute') and has_schema_privilege($1, n.oid, 'usage')
          and not exists (select from pg_depend d where d.objid = f.oid and d.deptype = 'e')
        order by 1`,
      [world.banks.acme?.role],
    );
    expect(rows.length).toBeGreaterThan(20);
    return rows;
  });
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** Arguments by type: what is right comes first, so that a call is more than its first refusal. */
function argumentsOf(type: string, hidden: readonly Row[]): string[] {
  const literal = pg.escapeLiteral;
  const parts = hidden.map((row) => row.key.split('/'));
  const ids = [...new Set(parts.map((part) => part[1] ?? ''))];
  const uuids = ids.filter((id) => id.length === 36);
  const numbers = ids.filter((id) => /^\d+$/.test(id));
  const canaries = hidden.map((row) => row.canary).filter((canary) => canary.startsWith('canary'));
  const list = (texts: readonly string[], of: string) => `array[${texts.map(literal)}]::${of}[]`;
  switch (type) {
    case 'text':
      return [
        'null',
        ...[
          COMMON_WORD,
          'note',
          'recording',
          'task',
          'comment',
          'chat',
          'chat_message',
          'notes',
          'finalize',
          'complete',
          'hr',
          'globex',
          'globex/hr',
          '',
          'm',
          'exclude',
          'include',
        ].map(literal),
        ...numbers.map((id) => literal(`fathom-${id}`)),
        ...uuids.filter((_, n) => n % Math.ceil(uuids.length / 10) === 0).map(literal),
        ...canaries.slice(-2).map(literal),
        literal("x' or true --"),
      ];
    case 'text[]':
      return [
        list(['notes', 'tasks', 'comments', 'chats', 'chat_messages'], 'text'),
        list(['recording', 'note', 'task', 'comment', 'chat', 'chat_message'], 'text'),
        'null',
        list(['globex', 'acme', 'hr'], 'text'),
        list(uuids, 'text'),
        list(["note' or true --", 'bank_key'], 'text'),
      ];
    case 'uuid[]':
      return [list(uuids, 'uuid'), 'null'];
    case 'bigint[]':
      return [`array[${numbers}]::bigint[]`, 'null'];
    case 'integer[]':
      return ['array[0, 0, 0, 0, 0, 0]', 'null'];
    case 'integer':
      return ['20', '0', '-1', '2147483647', 'null'];
    case 'timestamp with time zone':
      return ['null', "'2000-01-01'", "'infinity'"];
    case 'numeric':
    case 'double precision':
      return ['null', '0', "'NaN'"];
    case 'jsonb':
      return [
        ...asks(uuids, canaries).map((ask) => literal(JSON.stringify(ask))),
        `'[]'`,
        `'null'`,
        'null',
        `'"x"'`,
        "'1'",
      ];
    case 'boolean':
      return ['true', 'null'];
    case 'uuid':
      return [...uuids.filter((_, n) => n % Math.ceil(uuids.length / 10) === 0).map(literal), 'null'];
    case 'bytea':
      return ["sha256('x')", "''", 'null'];
    case 'real[]':
      return ["'{1}'", 'null'];
    case 'regconfig':
      return ["'english'"];
    default:
      return ['null'];
  }
}

/** Asks and values in JSON: some that are right, and what somebody would try who takes them for SQL, or for an index of everything. */
function asks(uuids: readonly string[], canaries: readonly string[]): unknown[] {
  const word = canaries.at(-1) ?? '';
  const nested = (node: unknown, depth: number): unknown => (depth === 0 ? node : { not: nested(node, depth - 1) });
  const filter = (node: unknown) => ({ filter: node, archived: 'include', limit: 1000 });
  const eq = (field: unknown, value: unknown = 'x') => filter({ field, op: 'eq', value });
  const hostile = [
    "title' or true --",
    'title) or (true',
    'bank_id',
    't.bank_id',
    '$2',
    '__proto__',
    'document',
    'id::text',
    '"title"',
    'xmin',
    '*',
    '',
  ];
  return [
    { limit: 1000, archived: 'include' },
    { title: 'x', vaultId: 'hr' },
    filter({ field: 'id', op: 'in', value: uuids.slice(0, 200) }),
    filter({
      or: [
        { field: 'title', op: 'contains', value: word },
        { field: 'body', op: 'contains', value: word },
      ],
    }),
    filter({ not: { field: 'title', op: 'eq', value: 'x' } }),
    filter({ field: 'vaultId', op: 'in', value: ['hr', 'sales', 'support', 'globex/hr'] }),
    filter({ field: 'vaultId', op: 'isNull', value: true }),
    filter(nested({ field: 'title', op: 'isNull', value: false }, 30)),
    filter({ and: [] }),
    filter({ and: Array.from({ length: 5000 }, () => ({ field: 'title', op: 'eq', value: 'x' })) }),
    filter({ field: 'title', op: 'in', value: Array.from({ length: 5000 }, (_, n) => `x${n}`) }),
    filter({ field: 'title', op: 'in', value: [['x'], { x: 1 }, null] }),
    filter({ field: 'title', op: "eq 'x' or true or title =", value: 'x' }),
    filter({ field: 'title', op: 'eq', value: { text: 'x' } }),
    filter({ field: 'createdAt', op: 'lt', value: 'infinity' }),
    filter({ field: 'createdAt', op: 'lt', value: "now' or true" }),
    filter({ field: 'pinned', op: 'eq', value: 'true or true' }),
    filter({ field: 'title', op: 'contains', value: '%\\' }),
    filter({ field: 'title', op: 'eq', value: '\ud800' }),
    filter({ field: { column: 'bank_id', type: 'text', sqlType: 'text' }, op: 'eq', value: 'globex' }),
    ...hostile.flatMap((field) => [
      eq(field),
      { limit: 10, sort: [{ field, direction: 'asc' }] },
      { limit: 10, sort: [{ field: 'title', direction: field }] },
      { limit: 10, fields: [field], groupBy: [{ field }], aggregate: [{ function: 'count' }] },
      {
        limit: 10,
        groupBy: [{ field: 'createdAt', bucket: field }],
        aggregate: [{ function: field, field: 'title' }],
        timeZone: field,
      },
      { limit: 10, aggregate: [{ function: 'count' }], having: { field, op: 'gt', value: 0 } },
      { [field]: 'x', title: 'x' },
      { title: field, vaultId: field },
    ]),
    {
      limit: 10,
      groupBy: [{ field: 'title' }, { field: 'vaultId' }],
      aggregate: [{ function: 'count' }],
      archived: 'include',
    },
    {
      limit: 10,
      aggregate: [
        { function: 'min', field: 'createdAt' },
        { function: 'max', field: 'updatedAt' },
      ],
    },
    {
      limit: 10,
      groupBy: [{ field: 'title', bucket: 'day' }],
      aggregate: Array.from({ length: 500 }, () => ({ function: 'count' })),
    },
    { limit: 10, sort: [{ column: -1 }, { column: 99 }], groupBy: [{ field: 'title' }] },
    { limit: 10, after: { values: [word], id: uuids[0] }, sort: [{ field: 'title', direction: 'asc' }] },
    { limit: 10, after: { values: Array.from({ length: 500 }, () => null), id: null } },
    { limit: -1, cut: -1 },
    { limit: 1e300, cut: 'x' },
    { limit: '10; drop table bank.notes' },
    { archived: "only' or true", limit: 10 },
  ];
}

/** One argument after the other takes each of its values while the others keep a usual one: each usual one of theirs, twice. */
function calls(one: Callable, hidden: readonly Row[]): string[] {
  const pools = one.types.map((type) => argumentsOf(type, hidden));
  const texts = new Set<string>();
  for (const usual of [0, 1]) {
    const base = pools.map((pool) => pool[Math.min(usual, pool.length - 1)] ?? 'null');
    for (const [place, pool] of pools.entries()) {
      for (const value of pool)
        texts.add(
          base
            .with(place, value)
            .map((v, n) => `${v}::${one.types[n]}`)
            .join(', '),
        );
    }
    if (pools.length === 0) texts.add('');
  }
  return [...texts].map((text) => `select * from ${one.name}(${text})`);
}

/** Digest over rows that the caller may not change, all tables together. */
async function digest(tables: readonly string[], condition: string): Promise<string> {
  return withClient(world.postgres.superuserUrl, async (sql) => {
    const each = tables
      .map((table) => `select md5(t::text) as row from ${table} t where ${condition}`)
      .join(' union all ');
    const { rows } = await sql.query<{ digest: string }>(
      `select md5(string_agg(row, '' order by row)) as digest from (${each}) r`,
    );
    return rows[0]?.digest ?? '';
  });
}

const CHOSEN = [
  'that was forgotten',
  'that was forged with a key of nobody',
  'replayed after its window',
  'of the other bank',
  'for all vaults, which writes',
  'for the vault hr, which only reads',
  'for the vault sales, which writes',
  'for the vaults hr and sales, which writes',
  'for no vault, which only reads',
  'of the operator, which only verifies',
];
const CASES = ASSERTIONS.filter(({ name }) => CHOSEN.includes(name));

it.each(CASES.map((assertion) => [assertion.name, assertion] as const))(
  'no function tells or changes what is hidden, with an assertion %s',
  async (_name, assertion) => {
    const tables = [...new Set(world.rows.map((row) => row.table))].filter(
      (table) => !/unified_recordings|_calls$/.test(table) || table === 'bank.fathom_calls',
    );
    // Of the own bank nothing changes without mcp:write; what mcp:write may change is the matrix's matter.
    const untouched = assertion.grant.write ? "bank_id <> 'acme'" : 'true';
    const stable = tables.filter((table) => table !== 'bank.embeddings' || assertion.grant.write);
    const before = await digest(stable, untouched);
    const found: string[] = [];
    await withClient(world.banks.acme?.url ?? '', async (sql) => {
      // What whoever has the login says of itself is believed by no function.
      await sql.query(
        `set bankhouse.scope = '{"bank": "globex", "all": true, "vaults": "{}", "subject": "x", "write": true}'`,
      );
      const sealed = assertion.make(world, 'acme') ?? '';
      for (const one of functions) {
        for (const text of calls(one, hiddenFor(assertion))) {
          found.push(...(await leaks(sql, sealed, one, text, hiddenFor(assertion))));
        }
      }
    });
    expect(found).toEqual([]);
    expect(await digest(stable, untouched)).toBe(before);
  },
);

function hiddenFor(assertion: (typeof ASSERTIONS)[number]): Row[] {
  const own = world.rows.filter((row) => row.bank === 'acme');
  const seen = new Set(visible(own, assertion.grant));
  const keys = (row: Row) =>
    row.table === 'bank.idempotency_keys' && assertion.says && /issuer.test test/.test(row.key);
  return world.rows.filter((row) => !seen.has(row) && !keys(row));
}

/** Runs and, where it could have written, keeps it; then looks for words and ids of hidden rows that were not in the question. */
async function leaks(
  sql: pg.Client,
  sealed: string,
  one: Callable,
  text: string,
  hidden: readonly Row[],
): Promise<string[]> {
  const set = `select set_config('bankhouse.assertion', ${pg.escapeLiteral(sealed)}, true)`;
  let answer: string;
  try {
    const results = (await sql.query(`begin read write; ${set}; ${text}; commit`)) as unknown as pg.QueryResult[];
    answer = JSON.stringify(results[2]?.rows);
  } catch (error) {
    await sql.query('rollback');
    if (!(error instanceof pg.DatabaseError)) throw error;
    answer = JSON.stringify([error.message, error.detail, error.hint, error.where]);
  }
  const wordsOf = (list: readonly Row[]) =>
    list
      .flatMap((row) => [row.canary, ...row.key.split('/')])
      .filter((word) => word.startsWith('canary') || word.length === 36);
  // A call that is in two vaults is hidden as an entry of the one and seen as an entry of the other.
  const seen = new Set(wordsOf(world.rows.filter((row) => !hidden.includes(row))));
  const words = wordsOf(hidden).filter((word) => !seen.has(word));
  const told = [...new Set(words)].filter((word) => answer.includes(word) && !text.includes(word));
  return told.length === 0 ? [] : [`${one.name}: ${text.slice(0, 300)} tells ${told.slice(0, 3)}`];
}
