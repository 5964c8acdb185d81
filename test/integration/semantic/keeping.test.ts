/** R1.6, R3.12: who may put what into bank.embeddings, tried on the database itself. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createBank, startPostgres, type TestBank, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { SOON } from '../../harness/soon.ts';
import { asLoader } from '../server/support.ts';
import { addRecording, stored } from './support.ts';

let postgres: TestPostgres;
let acme: TestBank;
let other: TestBank;
const ids: Record<string, string> = {};
beforeAll(async () => {
  postgres = await startPostgres();
  const vaults = ['sales', 'support'].map((id) => ({ id, displayName: id }));
  acme = await createBank(postgres, 'acme', { vaults });
  other = await createBank(postgres, 'other', { vaults });
  ids.sales = await addRecording(postgres, 'acme', { title: 'of sales', vaults: ['sales'], said: [] });
  ids.support = await addRecording(postgres, 'acme', { title: 'of support', vaults: ['support'], said: [] });
});
afterAll(() => postgres?.stop());

const KEEP = `select api.keep_embeddings('m', array['recording'], array[$1::text], array[0],
  array[encode(sha256(convert_to($2::text, 'UTF8')), 'hex')], array[$3::text]) as kept`;

/** Kept by a committed transaction of the bank's role. */
async function keep(
  bank: TestBank,
  sealed: string | undefined,
  id: string | undefined,
  text: string,
  vector = '{0.6,0.8}',
): Promise<number> {
  return withClient(bank.url, async (sql) => {
    await sql.query('begin read write');
    if (sealed !== undefined) await sql.query("select set_config('bankhouse.assertion', $1, true)", [sealed]);
    const { rows } = await sql.query<{ kept: number }>(KEEP, [id, text, vector]);
    await sql.query('commit');
    return rows[0]?.kept ?? -1;
  });
}

it.each<[string, () => Promise<number>, number]>([
  ['of what its caller may see is kept', () => keep(acme, acme.seal({ vaults: ['sales'] }), ids.sales, 'of sales'), 1],
  ['of another text is not', () => keep(acme, acme.seal(), ids.sales, 'of something else'), 0],
  ['of another vault is not', () => keep(acme, acme.seal({ vaults: ['sales'] }), ids.support, 'of support'), 0],
  ['of another bank is not', () => keep(other, other.seal(), ids.sales, 'of sales'), 0],
  ['without an assertion is not', () => keep(acme, undefined, ids.sales, 'of sales'), 0],
  ['with a forged one is not', () => keep(acme, acme.seal({}, { key: Buffer.alloc(32) }), ids.sales, 'of sales'), 0],
  [
    'with the scope of a verifier is not',
    () => keep(acme, acme.seal({ scopes: ['mcp:verify'] }), ids.sales, 'of sales'),
    0,
  ],
  ['of what is not there is not', () => keep(acme, acme.seal(), '00000000-0000-4000-8000-000000000000', 'of sales'), 0],
])('an embedding %s', async (_sentence, work, kept) => {
  await asLoader(postgres, (sql) => sql.query('delete from bank.embeddings'));
  expect(await work()).toBe(kept);
  expect(await stored(postgres, 'acme')).toHaveLength(kept);
});

it.each([
  ['that would be closest to every question', '{100,0}'],
  ['without a direction', '{0,0}'],
  ['that is no number', '{NaN,0}'],
  ['that is endless', '{Infinity,0}'],
  ['with a gap', '{1,null}'],
  ['of two dimensions at once', '{{1,0}}'],
  ['without an entry', '{}'],
])('a vector %s is not kept, and what was there stays', async (_sentence, vector) => {
  await asLoader(postgres, (sql) => sql.query('delete from bank.embeddings'));
  expect(await keep(acme, acme.seal(), ids.sales, 'of sales')).toBe(1);
  expect(await keep(acme, acme.seal(), ids.sales, 'of sales', vector)).toBe(0);
  expect(await stored(postgres, 'acme')).toHaveLength(1);
});

it.each([
  "insert into bank.embeddings (kind, item_id, passage, vault_ids, at, model, dimensions, digest, embedding) values ('note', 'x', 0, '{sales}', now(), 'm', 1, sha256(''), '{1}')",
  "update bank.embeddings set vault_ids = '{sales,support}'",
  'delete from bank.embeddings',
  "select bank.store_embeddings('acme', null, 'm', '{}', '{}', '{}', '{}', '{}')",
])("a bank's role is refused: %s", async (statement) => {
  await withClient(acme.url, async (sql) => {
    await sql.query('begin read write');
    await sql.query("select set_config('bankhouse.assertion', $1, true)", [
      acme.seal({ scopes: ['mcp:read', 'mcp:write'] }),
    ]);
    await expect(sql.query(statement)).rejects.toMatchObject({ code: '42501' });
  });
});

it('an item that moves while its embedding is kept ends up with the vaults that it has then, whoever is first', async () => {
  await asLoader(postgres, (sql) => sql.query('delete from bank.embeddings'));
  await asLoader(postgres, async (sql) => {
    await sql.query('begin');
    await sql.query("update bank.vault_entries set vault_id = 'support' where bank_id = 'acme' and recording_id = $1", [
      ids.sales,
    ]);
    const keeping = keep(acme, acme.seal(), ids.sales, 'of sales');
    await expect.poll(waiting, SOON).toBe(1);
    await sql.query('commit');
    expect(await keeping).toBe(1);
  });
  expect(await stored(postgres, 'acme')).toMatchObject([{ item_id: ids.sales, vault_ids: ['support'] }]);
});

/** Statements of the bank that wait for a lock. */
async function waiting(): Promise<number> {
  return withClient(postgres.superuserUrl, async (sql) => {
    const { rows } = await sql.query<{ n: number }>(
      "select count(*)::int as n from pg_stat_activity where usename = $1 and wait_event_type = 'Lock'",
      [acme.role],
    );
    return rows[0]?.n ?? 0;
  });
}
