/** D14: how many calls there are is counted when they change and not when somebody asks, and stays right whoever changes them at once. */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBank, startPostgres, type TestBank, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { addRecording, asData, rowsAs, VAULTS } from './support.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

const ids = VAULTS.map(({ id }) => id);
const SCOPES: (string[] | null)[] = [null, [], ...ids.map((id) => [id]), ['hr', 'sales'], ['sales', 'support'], ids];

/** What is told of a bank's calls to each scope, and what is there to be listed. */
async function counts(bank: TestBank): Promise<{ told: unknown; there: unknown }> {
  const told = [];
  const there = [];
  for (const vaults of SCOPES) {
    const [row] = await rowsAs<Record<'counted' | 'listed', unknown> & Record<'of' | 'in', unknown>>(
      bank,
      bank.seal({ vaults }),
      `select api.count_recordings()::int as counted, (select count(*)::int from api.get_unified_recordings()) as listed,
         (select json_object_agg(v.id, v.recordings) from api.list_vaults() v) as of,
         (select json_object_agg(v.id, (select count(*) from api.get_unified_recordings(p_vault => v.id)))
            from api.list_vaults() v) as in`,
    );
    told.push([vaults, row?.counted, row?.of]);
    there.push([vaults, row?.listed, row?.in]);
  }
  return { told, there };
}

async function expectRight(bank: TestBank): Promise<void> {
  const { told, there } = await counts(bank);
  expect(told).toEqual(there);
}

const fill = (bank: string, amount: number) =>
  asData(postgres, async (sql) => {
    await sql.query(
      `insert into bank.fathom_calls (bank_id, id, vault_id, title, recording_start_time, recording_end_time)
         select $1, n, (array['hr', 'sales', null])[1 + n % 3], 'call', now(), now() from generate_series(1, $2::int / 2) n`,
      [bank, amount],
    );
    await sql.query(
      `insert into bank.recordings (bank_id, id, legacy_id, title, started_at, duration_seconds)
         select $1, md5($1 || n)::uuid, case when n % 4 = 0 then n end, 'call', now(), 60 from generate_series(1, $2::int / 2) n`,
      [bank, amount],
    );
    await sql.query(
      `insert into bank.vault_entries (bank_id, vault_id, recording_id)
         select $1, v, md5($1 || n)::uuid from generate_series(1, $2::int / 2) n
          cross join lateral unnest((array['hr', 'sales', 'support'])[1 : 1 + n % 3]) v`,
      [bank, amount],
    );
  });

describe('list_vaults and count_recordings', () => {
  it('read as little of 3,000 recordings as of 30, for every token', async () => {
    const [small, large] = [
      await createBank(postgres, 'small', { vaults: VAULTS }),
      await createBank(postgres, 'large', { vaults: VAULTS }),
    ];
    await fill(small.id, 30);
    await fill(large.id, 3_000);
    await withClient(postgres.ownerUrl, (sql) => sql.query('vacuum analyze'));
    // The plan is asked for by a superuser who has taken the bank's role on, in a session that has read the catalogs already.
    const read = (bank: TestBank, text: string, vaults: string[] | null) =>
      withClient(postgres.superuserUrl, async (sql) => {
        await sql.query(`set session authorization "${bank.role}"`);
        await sql.query('begin');
        await sql.query("select set_config('bankhouse.assertion', $1, true)", [bank.seal({ vaults })]);
        let buffers = Number.NaN;
        for (let turn = 0; turn < 3; turn++) {
          const { rows } = await sql.query(`explain (analyze, buffers, format json) ${text}`);
          const [{ Plan: plan }] = rows[0]['QUERY PLAN'];
          buffers = plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
        }
        return buffers;
      });
    const texts = [
      'select * from api.list_vaults()',
      'select api.count_recordings()',
      "select api.count_recordings(p_vault => 'sales')",
    ];
    for (const text of texts) {
      for (const vaults of SCOPES) {
        const [little, much] = [await read(small, text, vaults), await read(large, text, vaults)];
        expect(much, `${text} of ${vaults}`).toBeLessThanOrEqual(little + 4);
        expect(much, `${text} of ${vaults}`).toBeLessThan(60);
      }
    }
    await expectRight(large);
  });

  it.each([
    ['a token', { vaults: [''] }, 'select api.count_recordings()::int as n'],
    ['an argument', {}, "select api.count_recordings(p_vault => '')::int as n"],
  ])('tell nothing of a vault without a name, which %s may say', async (_name, changes, text) => {
    const bank = await createBank(postgres, `nameless-${_name.length}`, { vaults: VAULTS });
    await fill(bank.id, 10);
    expect(await rowsAs(bank, bank.seal(changes), text)).toEqual([{ n: 0 }]);
  });
});

type Step = (sql: pg.Client) => Promise<unknown>;

/** Two transactions as bankhouse_data, whose steps are done by turns: each is over or waits for the other one before the next begins. */
async function interleaved(first: Step[], second: Step[]): Promise<PromiseSettledResult<void>[]> {
  return withClient(postgres.superuserUrl, (watcher) =>
    withClient(postgres.ownerUrl, (a) =>
      withClient(postgres.ownerUrl, async (b) => {
        const waits = async () => {
          const { rows } = await watcher.query(
            `select from pg_stat_activity where usename = 'bankhouse_owner' and wait_event_type = 'Lock'`,
          );
          return rows.length > 0;
        };
        const ends = [a, b].map((sql) => sql.query('begin; set local role bankhouse_data').then(() => {}));
        const then = async (place: number, sql: pg.Client, step: Step | undefined) => {
          let over = false;
          ends[place] = Promise.resolve(ends[place]).then(async () => void (await step?.(sql)));
          ends[place].then(
            () => {
              over = true;
            },
            () => {
              over = true;
            },
          );
          while (!over && !(await waits())) await new Promise((resolve) => setTimeout(resolve, 10));
        };
        for (let step = 0; step < Math.max(first.length, second.length); step++) {
          await then(0, a, first[step]);
          await then(1, b, second[step]);
        }
        await then(0, a, (sql) => sql.query('commit'));
        await then(1, b, (sql) => sql.query('commit'));
        return Promise.allSettled(ends);
      }),
    ),
  );
}

describe('of two transactions at once', () => {
  const put = (bank: string, id: string, vault: string) => (sql: pg.Client) =>
    sql.query('insert into bank.vault_entries (bank_id, vault_id, recording_id) values ($1, $2, $3)', [
      bank,
      vault,
      id,
    ]);
  const take = (bank: string, id: string, vault: string) => (sql: pg.Client) =>
    sql.query('delete from bank.vault_entries where bank_id = $1 and recording_id = $3 and vault_id = $2', [
      bank,
      vault,
      id,
    ]);
  const add = (bank: string, vaults: string[]) => (sql: pg.Client) => addRecording(sql, bank, { title: 'new', vaults });
  /** Now, what else would be done when the transaction ends. */
  const settle = (sql: pg.Client) => sql.query('set constraints all immediate; set constraints all deferred');
  const done = ['fulfilled', 'fulfilled'];

  it('each puts one call into another vault: it is found and counted in both', async () => {
    const bank = await createBank(postgres, 'put', { vaults: VAULTS });
    const id = await asData(postgres, (sql) =>
      addRecording(sql, 'put', { title: 'x', vaults: ['hr'], words: 'walrus' }),
    );
    const outcomes = await interleaved([put('put', id, 'sales'), settle], [put('put', id, 'support'), settle]);
    expect(outcomes.map(({ status }) => status)).toEqual(done);
    await expectRight(bank);
    for (const vault of ids) {
      const found = await rowsAs(bank, bank.seal({ vaults: [vault] }), "select from api.search_recordings('walrus')");
      expect([vault, found.length]).toEqual([vault, 1]);
    }
  });

  it('each takes one of two vaults from a call: the last one stays', async () => {
    const bank = await createBank(postgres, 'take', { vaults: VAULTS });
    const id = await asData(postgres, (sql) => addRecording(sql, 'take', { title: 'x', vaults: ['hr', 'sales'] }));
    const outcomes = await interleaved([take('take', id, 'hr'), settle], [take('take', id, 'sales'), settle]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(outcomes[1]).toMatchObject({ reason: { code: '23514', constraint: 'recordings_in_a_vault' } });
    await expectRight(bank);
  });

  it('both add calls, in vaults of another order: neither waits crosswise', async () => {
    const bank = await createBank(postgres, 'both', { vaults: VAULTS });
    const [one, other] = [['hr'], ['support'], ['sales']].reduce<[string[][], string[][]]>(
      ([forth, back], vaults) => [
        [...forth, vaults],
        [vaults, ...back],
      ],
      [[], []],
    );
    const outcomes = await interleaved(
      one.flatMap((vaults) => [add('both', vaults), settle]),
      other.flatMap((vaults) => [add('both', vaults), settle]),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(done);
    await expectRight(bank);
  });
});

it('a call in more vaults than an index could name is counted in each', async () => {
  const many = Array.from({ length: 100 }, (_, n) => ({ id: `a-vault-with-a-long-name-${n}`, displayName: 'V' }));
  const bank = await createBank(postgres, 'many', { vaults: many });
  await asData(postgres, (sql) => addRecording(sql, 'many', { title: 'x', vaults: many.map(({ id }) => id) }));
  for (const vaults of [null, [many[3]?.id ?? ''], many.slice(10, 90).map(({ id }) => id)]) {
    expect(await rowsAs(bank, bank.seal({ vaults }), 'select api.count_recordings()::int as n')).toEqual([{ n: 1 }]);
  }
});
