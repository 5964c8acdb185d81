/** What follows a change of a call: the mark on its old row, its search document, the rule that it is in a vault. */
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TestBank } from '../../harness/postgres.ts';
import { addLegacy, addRecording, asData, type Fixture, rowsAs, startFixture } from './support.ts';

let fixture: Fixture;
let bank: TestBank;
beforeAll(async () => {
  fixture = await startFixture();
  bank = fixture.a;
});
afterAll(() => fixture?.[Symbol.asyncDispose]());

let old: string;
let fresh: string;
beforeEach(async () => {
  await asData(fixture.postgres, async (sql) => {
    await sql.query('delete from bank.recordings');
    await sql.query('delete from bank.fathom_calls');
    await addLegacy(sql, bank.id, { id: 1, vault: 'sales', title: 'old', words: 'walrus' });
    old = 'fathom-1';
    fresh = await addRecording(sql, bank.id, { title: 'new', vaults: ['sales'], words: 'walrus' });
  });
});

const CHANGES: [string, (sql: pg.Client) => Promise<unknown>, { all: string[]; hr: string[] }][] = [
  ['nothing', async () => {}, { all: ['new', 'old'], hr: [] }],
  [
    'the old call is migrated into another vault',
    (sql) => addRecording(sql, 'acme', { title: 'moved', vaults: ['hr'], legacyId: 1, words: 'walrus' }),
    { all: ['moved', 'new'], hr: ['moved'] },
  ],
  [
    'the new call turns out to be the old one',
    (sql) => sql.query('update bank.recordings set legacy_id = 1'),
    { all: ['new'], hr: [] },
  ],
  [
    'the migration is undone',
    async (sql) => {
      await sql.query('update bank.recordings set legacy_id = 1');
      await sql.query('commit; begin; set local role bankhouse_data');
      await sql.query('update bank.recordings set legacy_id = null');
    },
    { all: ['new', 'old'], hr: [] },
  ],
  [
    'the migrated row is deleted',
    async (sql) => {
      await sql.query('update bank.recordings set legacy_id = 1');
      await sql.query('commit; begin; set local role bankhouse_data');
      await sql.query('delete from bank.recordings');
    },
    { all: ['old'], hr: [] },
  ],
  [
    'the new call is put into a second vault',
    (sql) =>
      sql.query(
        "insert into bank.vault_entries (bank_id, vault_id, recording_id) select 'acme', 'hr', id from bank.recordings",
      ),
    { all: ['new', 'old'], hr: ['new'] },
  ],
  [
    'the new call is moved to another vault',
    (sql) => sql.query("update bank.vault_entries set vault_id = 'hr'"),
    { all: ['new', 'old'], hr: ['new'] },
  ],
  [
    'the old call is moved to another vault',
    (sql) => sql.query("update bank.fathom_calls set vault_id = 'hr'"),
    { all: ['new', 'old'], hr: ['old'] },
  ],
  [
    'the words of the new call change',
    (sql) => sql.query(`update bank.recordings set transcript = '[{"start":0,"end":1,"speaker":"A","text":"seal"}]'`),
    { all: ['old'], hr: [] },
  ],
  [
    'the word comes into a title',
    (sql) => sql.query(`update bank.recordings set transcript = '[]', title = 'Walrus'`),
    { all: ['Walrus', 'old'], hr: [] },
  ],
  [
    'the start of the new call changes by years',
    (sql) => sql.query("update bank.recordings set started_at = '2019-01-01'"),
    { all: ['new', 'old'], hr: [] },
  ],
];

describe('search follows when', () => {
  it.each(CHANGES)('%s', async (_name, change, expected) => {
    await asData(fixture.postgres, change);
    const find = async (scope: string[] | null) =>
      (
        await rowsAs<{ title: string }>(
          bank,
          bank.seal({ vaults: scope }),
          "select title from api.search_recordings('walrus')",
        )
      )
        .map((row) => row.title)
        .sort();
    expect({ all: await find(null), hr: await find(['hr']) }).toEqual({ all: expected.all, hr: expected.hr });
  });
});

describe('counts follow when', () => {
  it.each(CHANGES)('%s', async (_name, change) => {
    await asData(fixture.postgres, change);
    for (const vaults of [null, ['hr'], ['sales'], ['hr', 'sales'], []]) {
      const [row] = await rowsAs<{ counted: number; there: number }>(
        bank,
        bank.seal({ vaults }),
        `select api.count_recordings()::int as counted, (select count(*)::int from api.get_unified_recordings()) as there`,
      );
      expect([vaults, row?.counted]).toEqual([vaults, row?.there]);
    }
    const listed = await rowsAs<{ id: string; told: number; there: number }>(
      bank,
      bank.seal(),
      `select v.id, v.recordings::int as told,
          (select count(*)::int from api.get_unified_recordings(p_vault => v.id)) as there from api.list_vaults() v`,
    );
    expect(listed.map(({ id, told }) => [id, told])).toEqual(listed.map(({ id, there }) => [id, there]));
  });
});

describe('the id of an old call leads, for who may see it, to where it is when', () => {
  it.each(CHANGES)('%s', async (_name, change) => {
    await asData(fixture.postgres, change);
    for (const vaults of [null, ['hr'], ['sales']]) {
      const titles = async (text: string) =>
        (await rowsAs<{ title: string }>(bank, bank.seal({ vaults }), text)).map(({ title }) => title);
      const owner = await asData(
        fixture.postgres,
        async (sql) =>
          (
            await sql.query<{ title: string; vaults: string[] }>(
              `select r.title, array(select e.vault_id::text from bank.vault_entries e where e.recording_id = r.id) as vaults
                 from bank.recordings r where r.legacy_id = 1
               union all
               select f.title, array_remove(array[f.vault_id::text], null) from bank.fathom_calls f where f.id = 1 and not f.migrated`,
            )
          ).rows,
      );
      const expected = owner.filter((call) => vaults === null || call.vaults.some((vault) => vaults.includes(vault)));
      expect([vaults, await titles("select title from api.get_recording('fathom-1')")]).toEqual([
        vaults,
        expected.map(({ title }) => title),
      ]);
    }
  });

  it.each([
    ['19 digits that a bigint holds', '9223372036854775807', ['the last one']],
    ['19 digits that it does not hold', '9999999999999999999', []],
    ['20 digits', '92233720368547758070', []],
  ])('D11: %s', async (_name, digits, expected) => {
    await asData(fixture.postgres, async (sql) => {
      await sql.query(
        `insert into bank.fathom_calls (bank_id, id, title, recording_start_time, recording_end_time)
         values ('acme', 9223372036854775807, 'the last one', now(), now())`,
      );
    });
    const found = await rowsAs<{ title: string }>(bank, bank.seal(), 'select title from api.get_recording($1)', [
      `fathom-${digits}`,
    ]);
    expect(found.map(({ title }) => title)).toEqual(expected);
  });
});

describe('a recording', () => {
  const violation = { code: '23514', constraint: 'recordings_in_a_vault' };
  it.each<[string, (sql: pg.Client) => Promise<unknown>]>([
    [
      'without a vault is refused when the transaction ends',
      (sql) => addRecording(sql, 'acme', { title: 'lost', vaults: [] }),
    ],
    ['keeps its last vault', (sql) => sql.query('delete from bank.vault_entries')],
  ])('%s', async (_sentence, change) => {
    await expect(asData(fixture.postgres, change)).rejects.toMatchObject(violation);
  });

  it.each<[string, (sql: pg.Client) => Promise<unknown>]>([
    ["of another bank's vault", (sql) => addRecording(sql, 'acme', { title: 'x', vaults: ['nowhere'] })],
    [
      "of another bank's legacy call",
      (sql) => addRecording(sql, 'globex', { title: 'x', vaults: ['hr'], legacyId: 1 }),
    ],
    ['of a bank that is not there', (sql) => addRecording(sql, 'nobody', { title: 'x', vaults: ['hr'] })],
  ])('%s is refused', async (_sentence, change) => {
    await expect(asData(fixture.postgres, change)).rejects.toMatchObject({ code: '23503' });
  });

  it('is migrated from a legacy call only once', async () => {
    const twice = async (sql: pg.Client) => {
      await addRecording(sql, 'acme', { title: 'x', vaults: ['hr'], legacyId: 1 });
      await addRecording(sql, 'acme', { title: 'y', vaults: ['hr'], legacyId: 1 });
    };
    await expect(asData(fixture.postgres, twice)).rejects.toMatchObject({ code: '23505' });
  });

  it('and its old row are told apart by their ids', async () => {
    const rows = await rowsAs<{ id: string; source: string }>(
      bank,
      bank.seal(),
      'select id, source from api.get_unified_recordings()',
    );
    expect(new Map(rows.map((row) => [row.id, row.source]))).toEqual(
      new Map([
        [old, 'legacy'],
        [fresh, 'recording'],
      ]),
    );
  });
});
