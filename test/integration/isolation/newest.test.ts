/**
 * bank.newest_page and bank.newest_calls answer what is asked for most by statements that are written out; every other ask is a statement
 * that is composed. Both must tell the same rows in the same order, on every page, to every caller (ADR 29).
 */
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createBank, startPostgres, type TestBank, type TestPostgres, withClient } from '../../harness/postgres.ts';

const VAULTS = ['hr', 'sales', 'support'];
const KINDS = ['note', 'task', 'comment', 'chat', 'chat_message'] as const;
const ROWS = 60;
/** True of every row, and nothing that bank.newest_page answers. */
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
    // A recording and its vaults are one transaction.
    await superuser.query(seed(id).join(';'));
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
    `insert into bank.fathom_calls (bank_id, id, vault_id, title, recording_start_time, recording_end_time)
       select '${bank}', n, (array['${VAULTS.join("', '")}'])[n % 4 + 1], 'old ' || n, ${at}, ${at} ${rows}`,
    `insert into bank.recordings (bank_id, id, legacy_id, title, started_at, duration_seconds)
       select '${bank}', ${id('call')}, case when n % 7 = 0 then n end, 'new ' || n, ${at}, 60 ${rows}`,
    `insert into bank.vault_entries (bank_id, vault_id, recording_id)
       select '${bank}', v, ${id('call')} ${rows}, unnest(array['${VAULTS.join("', '")}']) with ordinality v (v, place)
        where n % 3 = place - 1 or n % 4 = place`,
    `insert into bank.comments (${columns}, body, parent_type, parent_id) ${common('comment')}, ${words}, 'note', ${id('note')}::text ${rows}`,
  ];
}

type Ask = Record<string, unknown> & { filter?: unknown };
interface Row {
  readonly id: string;
  readonly createdAt: string;
  readonly vaultId: string | null;
}

async function asCaller<T>(
  sql: pg.Client,
  bank: TestBank,
  vaults: readonly string[] | null,
  use: () => Promise<T>,
): Promise<T> {
  const sealed = bank.seal({ vaults: vaults === null ? null : [...vaults] });
  await sql.query('begin read only');
  await sql.query("select set_config('bankhouse.assertion', $1, true)", [sealed]);
  const result = await use();
  await sql.query('commit');
  return result;
}

function readRows(
  sql: pg.Client,
  bank: TestBank,
  vaults: readonly string[] | null,
  kind: string,
  ask: Ask,
): Promise<string[]> {
  return asCaller(sql, bank, vaults, async () => {
    const text = 'select api.read_rows($1, $2)::text as row';
    return (await sql.query<{ row: string }>(text, [kind, JSON.stringify(ask)])).rows.map(({ row }) => row);
  });
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

it('tells the same calls in the same order, page by page, as the statement that is composed', async () => {
  const [acme] = banks as [TestBank];
  const filters = fc.record({
    vault: fc.constantFrom(null, ...VAULTS, 'no such vault'),
    limit: fc.integer({ min: 4, max: 2 * ROWS }),
  });
  await withClient(acme.url, async (sql) => {
    const page = (vaults: readonly string[] | null, from: string | null, ...rest: unknown[]) =>
      asCaller(sql, acme, vaults, async () => {
        const text =
          'select id, started_at::text as at, to_json(r)::text as row from api.get_unified_recordings($1, null, null, $2, $3, $4, $5) r';
        return (await sql.query<{ id: string; at: string; row: string }>(text, [from, ...rest])).rows;
      });
    let most = 0;
    await fc.assert(
      fc.asyncProperty(callers, filters, async (vaults, { vault, limit }) => {
        const seen: string[] = [];
        for (let position: [string | null, string | null] = [null, null]; ; ) {
          const rows = await page(vaults, null, vault, ...position, limit);
          expect(rows).toEqual(await page(vaults, '-infinity', vault, ...position, limit));
          const last = rows.at(-1);
          if (last === undefined) break;
          seen.push(...rows.map(({ id }) => id));
          position = [last.at, last.id];
        }
        expect(new Set(seen).size).toBe(seen.length);
        most = Math.max(most, seen.length);
      }),
      { numRuns: 40, examples: [[null, { vault: null, limit: 7 }]] },
    );
    // Every call once: the new ones, and the old ones that none of these took over.
    expect(most).toBe(2 * ROWS - Math.floor(ROWS / 7));
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
