/**
 * `npx node test/load/counting.ts [recordings]`: how long list_vaults and count_recordings take in a bank of 100,000 recordings, a third of
 * them in two vaults, for tokens of every vault, of one and of two (fault D14). As the bank's role, one statement a transaction.
 */
import type { Assertion } from '@bankhouse/core';
import { createBank, startPostgres, withClient } from '../harness/postgres.ts';
import { quantile } from './measure.ts';
import { RECOUNT } from './recount.ts';

const RECORDINGS = Number(process.argv[2] ?? 100_000);
const TURNS = 200;
const VAULTS = ['sales', 'support', 'hr'];

/** $1 bank, $2 how many: one in three is of the old table alone, one in three was migrated. */
const FILL = [
  `insert into bank.fathom_calls (bank_id, id, vault_id, title, recording_start_time, recording_end_time, migrated)
     select $1, n, (array['${VAULTS.join("', '")}'])[1 + n / 3 % 3], 'call ' || n, timestamptz '2020-01-01' + n * interval '20 minutes',
       timestamptz '2020-01-01' + n * interval '20 minutes', n % 3 = 1
       from generate_series(1, $2::int) n where n % 3 < 2`,
  `insert into bank.recordings (bank_id, id, legacy_id, title, started_at, duration_seconds)
     select $1, md5(n::text)::uuid, case when n % 3 = 1 then n end, 'call ' || n, timestamptz '2020-01-01' + n * interval '20 minutes', 60
       from generate_series(1, $2::int) n where n % 3 > 0`,
  `insert into bank.vault_entries (bank_id, vault_id, recording_id, started_at, legacy_id)
     select $1, v, md5(n::text)::uuid, timestamptz '2020-01-01' + n * interval '20 minutes', case when n % 3 = 1 then n end
       from generate_series(1, $2::int) n
       cross join lateral (select distinct (array['${VAULTS.join("', '")}'])[1 + (n / 3 + k) % 3] as v from generate_series(0, n % 3 - 1) k) e
      where n % 3 > 0`,
  `insert into bank.search_documents (bank_id, recording_id, legacy_id, call_id, started_at, scopes, participant_keys, language, document,
       passage_positions, passage_segments)
     select r.bank_id, r.id, null, r.call_id, r.started_at, bank.scopes_of(r.bank_id, array(
         select e.vault_id from bank.vault_entries e where e.bank_id = r.bank_id and e.recording_id = r.id), r.started_at), '{}'::text[], 'en', ''::tsvector, '{}'::int[], '{}'::int[]
       from bank.recordings r where r.bank_id = $1 and $2 > 0
     union all
     select f.bank_id, null, f.id, f.call_id, f.recording_start_time, bank.scopes_of(f.bank_id, array[f.vault_id], f.recording_start_time),
       '{}', 'en', '', '{}', '{}'
       from bank.fathom_calls f where f.bank_id = $1 and not f.migrated`,
];

const TOKENS: [string, string[] | null][] = [
  ['every vault', null],
  ['one vault', ['sales']],
  ['two vaults', ['sales', 'support']],
];
const STATEMENTS: [string, string][] = [
  ['list_vaults', 'select * from api.list_vaults()'],
  ['count_recordings', 'select api.count_recordings()'],
  ['count_recordings of a vault', "select api.count_recordings(p_vault => 'sales')"],
  ['count_recordings of a year', "select api.count_recordings('2021-01-01', '2022-01-01')"],
];

const postgres = await startPostgres();
try {
  const bank = await createBank(postgres, 'bench', { vaults: VAULTS.map((id) => ({ id, displayName: id })) });
  await withClient(postgres.superuserUrl, async (sql) => {
    await sql.query('set session_replication_role = replica');
    for (const text of FILL) await sql.query(text, [bank.id, RECORDINGS]);
    for (const text of RECOUNT) await sql.query(text, [bank.id]);
  });
  await withClient(postgres.ownerUrl, (sql) => sql.query('vacuum (analyze)'));
  await withClient(bank.url, async (sql) => {
    const time = async (text: string, changes: Partial<Assertion>) => {
      await sql.query('begin');
      await sql.query("select set_config('bankhouse.assertion', $1, true)", [bank.seal(changes)]);
      const began = performance.now();
      await sql.query(text);
      const took = performance.now() - began;
      await sql.query('commit');
      return took;
    };
    for (const [name, text] of STATEMENTS) {
      for (const [token, vaults] of TOKENS) {
        const samples: number[] = [];
        for (let turn = 0; turn < TURNS; turn++) samples.push(await time(text, { vaults }));
        const sorted = samples.slice(10).sort((a, b) => a - b);
        const [p50, p95] = [quantile(sorted, 0.5), quantile(sorted, 0.95)];
        console.log(`${name}, token of ${token}: p50 ${p50.toFixed(2)} ms, p95 ${p95.toFixed(2)} ms`);
      }
    }
  });
} finally {
  await postgres.stop();
}
