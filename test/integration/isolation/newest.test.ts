/**
 * bank.newest_rows answers what api.read_rows is asked for most by statements that are written out; every other ask is a statement that is
 * composed. Both must tell the same rows in the same order, on every page, to every caller (ADR 29).
 */
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createBank, startPostgres, type TestBank, type TestPostgres, withClient } from '../../harness/postgres.ts';

const VAULTS = ['hr', 'sales', 'support'];
const KINDS = ['note', 'task', 'comment', 'chat', 'chat_message'] as const;
const ROWS = 60;
/** True of every row, and nothing that bank.newest_rows answers. */
const ALWAYS = { field: 'version', op: 'gt', value: 0 };

let postgres: TestPostgres;
let superuser: pg.Client;
const banks: TestBank[] = [];
beforeAll(async () => {
  postgres = await startPostgres();
  superuser = new pg.Client({ connectionString: postgres.superuserUrl });
  await superuser.connect();
  for (const id of ['acme', 'globex']) {
    banks.push(await createBank(postgres, id, { vaults: VAULTS.map((vault) => ({ id: vault, displayName: vault })) }));
    for (const text of seed(id)) await superuser.query(text);
  }
});
afterAll(async () => {
  await superuser?.end();
  await postgres?.stop();
});

/** Rows in every vault and in none, several made at the same instant, every fifth archived; long texts on both sides of the cut. */
function seed(bank: string): string[] {
  const columns = 'bank_id, id, vault_id, created_by, updated_by, created_at, archived_at';
  const at = `timestamptz '2026-01-01 00:00:00.123456Z' + (n / 4) * interval '1 second'`;
  const id = (kind: string) => `md5('${kind} of ${bank} ' || n)::uuid`;
  const common = (kind: string) =>
    `select '${bank}', ${id(kind)}, (array['${VAULTS.join("', '")}'])[n % 4 + 1], 'se"ed', 'seed', ${at}, case when n % 5 = 0 then ${at} end`;
  const rows = `from generate_series(1, ${ROWS}) n`;
  const words = `repeat(E'wörd \\\\ "n" \\n', n)`;
  return [
    `insert into bank.notes (${columns}, title, body, tags) ${common('note')}, 'note ' || n, ${words}, array['t"ag', n::text] ${rows}`,
    `insert into bank.tasks (${columns}, title, description) ${common('task')}, 'task ' || n, ${words} ${rows}`,
    `insert into bank.chats (${columns}, title, participants) ${common('chat')}, 'chat ' || n, array['Ada'] ${rows}`,
    `insert into bank.chat_messages (${columns}, body, chat_id) ${common('message')}, ${words}, ${id('chat')} ${rows}`,
    `insert into bank.comments (${columns}, body, parent_type, parent_id) ${common('comment')}, ${words}, 'note', ${id('note')}::text ${rows}`,
  ];
}

type Ask = Record<string, unknown> & { filter?: unknown };
interface Row {
  readonly id: string;
  readonly createdAt: string;
  readonly vaultId: string | null;
}

async function readRows(
  sql: pg.Client,
  bank: TestBank,
  vaults: readonly string[] | null,
  kind: string,
  ask: Ask,
): Promise<string[]> {
  await sql.query('begin read only');
  await sql.query("select set_config('bankhouse.assertion', $1, true)", [
    bank.seal({ vaults: vaults === null ? null : [...vaults] }),
  ]);
  const { rows } = await sql.query<{ row: string }>('select api.read_rows($1, $2)::text as row', [
    kind,
    JSON.stringify(ask),
  ]);
  await sql.query('commit');
  return rows.map(({ row }) => row);
}

const composed = (ask: Ask): Ask => ({ ...ask, filter: { and: [ALWAYS, ...(ask.filter ? [ask.filter] : [])] } });

async function isNewest(kind: string, ask: unknown): Promise<boolean> {
  const { rows } = await superuser.query('select is_newest from bank.newest_asked($1, $2, null)', [
    kind,
    JSON.stringify(ask),
  ]);
  return rows[0]?.is_newest === true;
}

const vaultIs = (value: string) => ({ field: 'vaultId', op: 'eq', value });
const asks = fc.record(
  {
    limit: fc.integer({ min: 4, max: ROWS }),
    archived: fc.constant('exclude'),
    cut: fc.constantFrom(20, 500),
    sort: fc.constantFrom(null, [{ field: 'createdAt', direction: 'desc' }]),
    filter: fc.oneof(
      fc.constantFrom(...VAULTS, 'no such vault', '').map(vaultIs),
      fc.constantFrom(...VAULTS).map((vault) => ({ and: [vaultIs(vault)] })),
    ),
  },
  { requiredKeys: ['limit'] },
);
const callers = fc.oneof(fc.constant(null), fc.subarray([...VAULTS, 'no such vault']));

it('tells the same rows in the same order, page by page, as the statement that is composed', async () => {
  const [acme] = banks as [TestBank];
  await withClient(acme.url, async (sql) => {
    let told = 0;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...KINDS), callers, asks, async (kind, vaults, ask) => {
        const seen: string[] = [];
        for (let after: unknown; ; ) {
          const page: Ask = { ...ask, ...(after === undefined ? {} : { after }) };
          expect(await isNewest(kind, page)).toBe(true);
          expect(await isNewest(kind, composed(page))).toBe(false);
          const rows = await readRows(sql, acme, vaults, kind, page);
          expect(rows).toEqual(await readRows(sql, acme, vaults, kind, composed(page)));
          const last = rows.at(-1);
          if (last === undefined) break;
          const { id, createdAt } = JSON.parse(last) as Row;
          seen.push(...rows.map((row) => (JSON.parse(row) as Row).id));
          after = { values: [createdAt], id };
        }
        expect(new Set(seen).size).toBe(seen.length);
        told += seen.length;
      }),
      { numRuns: 50 },
    );
    expect(told).toBeGreaterThan(0);
  });
});

it("tells a caller of some vaults of these alone, and nobody of another bank's", async () => {
  for (const bank of banks) {
    const ids = await superuser.query<{ id: string }>('select id from bank.notes where bank_id = $1', [bank.id]);
    const own = new Set(ids.rows.map(({ id }) => id));
    await withClient(bank.url, async (sql) => {
      const rowsFor = async (vaults: string[] | null) =>
        (await readRows(sql, bank, vaults, 'note', { limit: 1000 })).map((row) => JSON.parse(row) as Row);
      const all = await rowsFor(null);
      expect(all).toHaveLength((ROWS * 4) / 5);
      expect(all.every(({ id }) => own.has(id))).toBe(true);
      const some = await rowsFor(['hr', 'sales']);
      expect(some).toEqual(all.filter(({ vaultId }) => vaultId === 'hr' || vaultId === 'sales'));
      expect(await rowsFor([])).toEqual([]);
    });
  }
});

it.each<[what: string, kind: string, ask: unknown]>([
  ['calls', 'recording', { limit: 5 }],
  ['another order', 'note', { limit: 5, sort: [{ field: 'createdAt', direction: 'asc' }] }],
  ['archived rows', 'note', { limit: 5, archived: 'include' }],
  ['another field', 'note', { limit: 5, filter: { field: 'recordingId', op: 'eq', value: 'sales' } }],
  ['another operator', 'note', { limit: 5, filter: { field: 'vaultId', op: 'ne', value: 'sales' } }],
  ['two vaults at once', 'note', { limit: 5, filter: { and: [vaultIs('hr'), vaultIs('sales')] } }],
  ['any of one', 'note', { limit: 5, filter: { or: [vaultIs('hr')] } }],
  ['a filter with something beside it', 'note', { limit: 5, filter: { and: [vaultIs('hr')], or: [] } }],
  ['a filter that is none', 'note', { limit: 5, filter: 'vaultId' }],
  ['a condition that is none', 'note', { limit: 5, filter: { and: ['vaultId'] } }],
  ['a value that is no text', 'note', { limit: 5, filter: { field: 'vaultId', op: 'eq', value: 5 } }],
  ['a position of two values', 'note', { limit: 5, after: { values: ['2026-01-01T00:00:00Z', 'x'], id: 'x' } }],
  ['a position without an id', 'note', { limit: 5, after: { values: ['2026-01-01T00:00:00Z'] } }],
  ['a position that is none', 'note', { limit: 5, after: 'x' }],
])('leaves %s to the statement that is composed', async (_what, kind, ask) => {
  expect(await isNewest(kind, ask)).toBe(false);
});

it.each<[what: string, kind: string, ask: Ask, code: string]>([
  ['an unknown kind', 'vault', { limit: 5 }, '22023'],
  [
    'a position that is no instant',
    'note',
    { limit: 5, after: { values: ['yesterday-ish'], id: crypto.randomUUID() } },
    '22007',
  ],
  ['a position that is no id', 'note', { limit: 5, after: { values: ['2026-01-01T00:00:00Z'], id: 'x' } }, '22P02'],
])('refuses %s as before', async (_what, kind, ask, code) => {
  const [acme] = banks as [TestBank];
  for (const vaults of [null, ['sales']]) {
    for (const each of [ask, composed(ask)]) {
      await withClient(acme.url, (sql) =>
        expect(readRows(sql, acme, vaults, kind, each)).rejects.toMatchObject({ code }),
      );
    }
  }
});
