/** R1.6: the database itself keeps banks apart by login role, and vaults by an assertion whose seal it checks. */
import { type Assertion, deriveSealKey, sealAssertion } from '@bankhouse/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { assertionFor, withClient } from '../../harness/postgres.ts';
import { uidOf } from '../../harness/routed.ts';
import { addLegacy, addRecording, asData, type Fixture, rowsOf as rowsAs, startFixture } from './support.ts';

let fixture: Fixture;

/**
 * Every way in which a call can lie in vaults. `seenIn`: the vaults that make it visible; calls are named alike in both banks.
 * A migrated call is where its new row is, whatever the old one says.
 */
const CALLS: { title: string; legacy?: { id: number; vault: string | null }; vaults?: string[]; seenIn: string[] }[] = [
  { title: 'old in sales', legacy: { id: 1, vault: 'sales' }, seenIn: ['sales'] },
  { title: 'old in hr', legacy: { id: 2, vault: 'hr' }, seenIn: ['hr'] },
  { title: 'old in no vault', legacy: { id: 3, vault: null }, seenIn: [] },
  { title: 'new in sales', vaults: ['sales'], seenIn: ['sales'] },
  { title: 'new in sales and hr', vaults: ['sales', 'hr'], seenIn: ['sales', 'hr'] },
  { title: 'new in support', vaults: ['support'], seenIn: ['support'] },
  { title: 'moved sales to sales', legacy: { id: 4, vault: 'sales' }, vaults: ['sales'], seenIn: ['sales'] },
  { title: 'moved sales to hr', legacy: { id: 5, vault: 'sales' }, vaults: ['hr'], seenIn: ['hr'] },
  { title: 'moved no vault to hr', legacy: { id: 6, vault: null }, vaults: ['hr'], seenIn: ['hr'] },
  {
    title: 'moved hr to sales and support',
    legacy: { id: 7, vault: 'hr' },
    vaults: ['sales', 'support'],
    seenIn: ['sales', 'support'],
  },
];

beforeAll(async () => {
  fixture = await startFixture();
  for (const bank of [fixture.a.id, fixture.b.id]) {
    await asData(fixture.postgres, async (sql) => {
      for (const call of CALLS) {
        const { title } = call;
        if (call.legacy !== undefined) await addLegacy(sql, bank, { ...call.legacy, title, words: 'escrow' });
        if (call.vaults !== undefined) {
          const legacyId = call.legacy === undefined ? {} : { legacyId: call.legacy.id };
          await addRecording(sql, bank, { title, vaults: call.vaults, words: 'escrow', ...legacyId });
        }
      }
    });
  }
});
afterAll(() => fixture?.[Symbol.asyncDispose]());

const visible = (scope: readonly string[] | null) =>
  CALLS.filter((call) => scope === null || call.seenIn.some((vault) => scope.includes(vault)))
    .map((call) => call.title)
    .sort();
const SCOPES: (string[] | null)[] = [
  null,
  ['sales'],
  ['hr'],
  ['support'],
  ['sales', 'hr'],
  ['hr', 'support'],
  ['sales', 'hr', 'support'],
  ['elsewhere'],
  [],
];

/** Each way of reading calls as a statement that gives titles, and what it must give. */
const READS: [string, string, (scope: readonly string[] | null) => string[]][] = [
  ['get_unified_recordings', 'select title from api.get_unified_recordings()', visible],
  ['get_unified_recordings with a limit', 'select title from api.get_unified_recordings(p_limit => 50)', visible],
  ['search_recordings', "select title from api.search_recordings('escrow', p_limit => 50)", visible],
  [
    'search in a period',
    "select title from api.search_recordings('escrow', '2026-03-01', '2026-03-02', p_limit => 50)",
    visible,
  ],
  [
    'get_recording, one by one',
    'select r.title from api.get_unified_recordings() u, api.get_recording(u.id) r',
    visible,
  ],
  ['read_rows', `select a ->> 'title' as title from api.read_rows('recording', '{"limit": 50}') a`, visible],
  [
    'group_rows',
    `select a ->> 0 as title from api.group_rows('recording',
       '{"groupBy": [{"field": "title"}], "aggregate": [{"function": "count"}], "limit": 50}') a`,
    visible,
  ],
];

describe.each(
  SCOPES.map((scope) => [scope === null ? 'all vaults' : `vaults ${JSON.stringify(scope)}`, scope] as const),
)('with an assertion for %s', (_name, scope) => {
  it.each(READS)('%s gives what these vaults hold and nothing else', async (_read, statement, expected) => {
    for (const bank of [fixture.a, fixture.b]) {
      const rows = await rowsAs<{ title: string }>(bank, bank.seal({ vaults: scope }), statement);
      expect(rows.map((row) => row.title).sort()).toEqual(expected(scope));
    }
  });

  it('count_recordings and list_vaults agree with it', async () => {
    const [count] = await rowsAs<{ n: number }>(
      fixture.a,
      fixture.a.seal({ vaults: scope }),
      'select api.count_recordings()::int as n',
    );
    expect(count?.n).toBe(visible(scope).length);
    const vaults = await rowsAs(
      fixture.a,
      fixture.a.seal({ vaults: scope }),
      'select id, recordings::int as n from api.list_vaults()',
    );
    expect(vaults).toEqual(
      ['hr', 'sales', 'support']
        .filter((id) => scope === null || scope.includes(id))
        .map((id) => ({ id, n: CALLS.filter((call) => call.seenIn.includes(id)).length })),
    );
  });

  it.each(['hr', 'sales'])('p_vault => %s narrows and never widens it', async (vault) => {
    const expected = scope === null || scope.includes(vault) ? visible([vault]) : [];
    for (const statement of [
      'select title from api.get_unified_recordings(p_vault => $1)',
      "select title from api.search_recordings('escrow', p_vault => $1)",
    ]) {
      const rows = await rowsAs<{ title: string }>(fixture.a, fixture.a.seal({ vaults: scope }), statement, [vault]);
      expect(rows.map((row) => row.title).sort()).toEqual(expected);
    }
  });

  it('rows name no vault outside of it', async () => {
    const rows = await rowsAs<{ vault_ids: string[] }>(
      fixture.a,
      fixture.a.seal({ vaults: scope }),
      'select vault_ids from api.get_unified_recordings()',
    );
    expect(rows.flatMap((row) => row.vault_ids).filter((id) => scope !== null && !scope.includes(id))).toEqual([]);
  });
});

describe('the legacy id of a migrated call', () => {
  it.each<[string, string[] | null, number, string[]]>([
    ['leads to the new row', null, 5, ['moved sales to hr']],
    ['leads to it for the vault that the new row is in', ['hr'], 5, ['moved sales to hr']],
    ['leads nowhere for the vault that only the old row is in', ['sales'], 5, []],
  ])('%s', async (_sentence, scope, id, expected) => {
    const rows = await rowsAs<{ title: string }>(
      fixture.a,
      fixture.a.seal({ vaults: scope }),
      'select title from api.get_recording($1)',
      [`fathom-${id}`],
    );
    expect(rows.map((row) => row.title)).toEqual(expected);
    const said = await rowsAs(fixture.a, fixture.a.seal({ vaults: scope }), 'select * from api.get_transcript($1)', [
      `fathom-${id}`,
    ]);
    expect(said.length > 0).toBe(expected.length > 0);
  });
});

const now = () => Math.floor(Date.now() / 1000);
const tampered = (sealed: string, changes: Partial<Assertion>) => {
  const [generation, , mac] = sealed.split('.');
  return `${generation}.${Buffer.from(JSON.stringify(assertionFor('acme', changes))).toString('base64url')}.${mac}`;
};
/** A payload that is no assertion, under a right seal: as a gateway with a fault would make it. */
const sealedText = (text: string) => sealAssertion(JSON.parse(text) as Assertion, fixture.a.sealKey, 1);

const BAD: [string, string, () => string | undefined][] = [
  ['absent', 'absent', () => undefined],
  ['empty', 'absent', () => ''],
  ['garbage', 'malformed', () => 'let me in'],
  ['of three parts that are not ours', 'malformed', () => 'a.b.c'],
  ['longer than 8 KiB', 'malformed', () => `1.${'A'.repeat(9000)}.${'A'.repeat(43)}`],
  ['with a mac of another length', 'malformed', () => fixture.a.seal().slice(0, -1)],
  ['with a changed payload', 'forged', () => tampered(fixture.a.seal({ vaults: ['sales'] }), { vaults: null })],
  ['with a changed generation', 'forged', () => fixture.a.seal().replace(/^1/, '01')],
  ['sealed with an unknown generation', 'forged', () => fixture.a.seal({}, { generation: 2 })],
  ['sealed with a key of nobody', 'forged', () => fixture.a.seal({}, { key: Buffer.alloc(32, 1) })],
  [
    "sealed with the pod's key",
    'forged',
    () => fixture.a.seal({}, { key: deriveSealKey(Buffer.alloc(32, 9), 'pod', 'acme', uidOf('acme'), 1) }),
  ],
  ["another bank's own good one", 'forged', () => fixture.b.seal()],
  ["this bank's name under another bank's key", 'forged', () => fixture.b.seal({ bank: 'acme' })],
  ["another bank's name under this bank's key", 'forged', () => fixture.a.seal({ bank: 'globex' })],
  ['replayed after 61 seconds (G7)', 'expired', () => fixture.a.seal({ iat: now() - 62 })],
  [
    'replayed after 61 seconds, of a gateway before access',
    'expired',
    () => fixture.a.seal({ access: undefined, iat: now() - 62 }),
  ],
  ['of a token that has expired (G7)', 'expired', () => fixture.a.seal({ exp: now() - 6 })],
  ['with access and without exp', 'malformed', () => fixture.a.seal({ exp: undefined })],
  ['from a minute ahead', 'expired', () => fixture.a.seal({ iat: now() + 60 })],
  ['without vaults', 'malformed', () => sealedText(`{"bank":"acme","iat":${now()}}`)],
  ['with vaults that are no list', 'malformed', () => sealedText(`{"bank":"acme","iat":${now()},"vaults":"sales"}`)],
  ['with an iat that is no number', 'malformed', () => sealedText('{"bank":"acme","iat":"soon","vaults":null}')],
  ['without iat', 'malformed', () => sealedText('{"bank":"acme","vaults":null}')],
  ['that is a list', 'forged', () => sealedText('[1]')],
];

describe('an assertion', () => {
  it.each(BAD)('%s is %s and sees nothing, by no way', async (_name, state, make) => {
    const sealed = make();
    expect(await rowsAs(fixture.a, sealed, 'select api.assertion_state() as state')).toEqual([{ state }]);
    for (const [, statement] of READS) expect(await rowsAs(fixture.a, sealed, statement)).toEqual([]);
    expect(await rowsAs(fixture.a, sealed, 'select * from api.list_vaults()')).toEqual([]);
    expect(await rowsAs(fixture.a, sealed, "select from api.vault_exists('sales') e where e")).toEqual([]);
    expect(await rowsAs(fixture.a, sealed, 'select api.count_recordings()::int as n')).toEqual([{ n: 0 }]);
  });

  it.each([
    ['58 seconds old', -58],
    ['3 seconds ahead', 3],
  ])('%s is within its window', async (_name, offset) => {
    const sealed = fixture.a.seal({ iat: now() + offset });
    expect(await rowsAs(fixture.a, sealed, 'select api.assertion_state() as state')).toEqual([{ state: 'valid' }]);
  });

  it('dies in a transaction that is held open: its age goes by the clock and not by the transaction', async () => {
    await withClient(fixture.a.url, async (sql) => {
      await sql.query('begin');
      await sql.query("select set_config('bankhouse.assertion', $1, true)", [fixture.a.seal({ iat: now() - 60 })]);
      await sql.query('select pg_sleep(1.1)');
      const { rows } = await sql.query('select api.assertion_state() as state, api.count_recordings()::int as n');
      expect(rows).toEqual([{ state: 'expired', n: 0 }]);
    });
  });

  it('G7: lets a statement that has begun go on when its time is over, and no other begin', async () => {
    const read = 'select title from api.get_unified_recordings() order by title';
    await withClient(fixture.postgres.superuserUrl, async (admin) => {
      await admin.query('begin');
      await admin.query('lock table bank.recordings in access exclusive mode');
      await withClient(fixture.a.url, async (sql) => {
        await sql.query("select set_config('bankhouse.assertion', $1, false)", [fixture.a.seal({ iat: now() - 59 })]);
        await sql.query("set lock_timeout = '20s'");
        const begun = sql.query<{ title: string }>(read);
        begun.catch(() => {});
        const waits = "select from pg_stat_activity where usename = $1 and wait_event_type = 'Lock'";
        await expect.poll(async () => (await admin.query(waits, [fixture.a.role])).rowCount).toBe(1);
        const over = now() + 2;
        await expect.poll(now, { timeout: 5000 }).toBeGreaterThan(over);
        await admin.query('rollback');
        expect((await begun).rows.map(({ title }) => title).sort()).toEqual(visible(null));
        expect((await sql.query(read)).rows).toEqual([]);
      });
    });
  });

  it('ends with its transaction', async () => {
    await withClient(fixture.a.url, async (sql) => {
      await sql.query('begin');
      await sql.query("select set_config('bankhouse.assertion', $1, true)", [fixture.a.seal()]);
      await sql.query('commit');
      expect((await sql.query('select * from api.get_unified_recordings()')).rows).toEqual([]);
    });
  });

  it('shows nothing to a role that is no bank, not even to the operator', async () => {
    await withClient(fixture.postgres.serviceUrl('operator'), async (sql) => {
      await expect(sql.query('select * from bank.recordings')).rejects.toMatchObject({ code: '42501' });
      await expect(sql.query('select api.assertion_state()')).rejects.toMatchObject({ code: '42501' });
    });
  });
});

describe("a bank's role", () => {
  const TABLES = [
    'banks',
    'login_roles',
    'bank_keys',
    'search_documents',
    'vaults',
    'fathom_calls',
    'recordings',
    'vault_entries',
  ];
  const WRITES = (table: string) => [
    `insert into bank.${table} default values`,
    `update bank.${table} set ${table === 'login_roles' ? 'role = role' : table === 'banks' ? 'id = id' : 'bank_id = bank_id'}`,
    `delete from bank.${table}`,
    `truncate bank.${table}`,
  ];
  const DENIED: string[] = [
    ...TABLES.map((table) => `select * from bank.${table}`),
    ...TABLES.flatMap(WRITES),
    'select * from control.revoked_tokens',
    'select * from control.bank_directory',
    'select * from bankhouse_migrations.applied',
    "select admin.ensure_bank('x', 'y', 'X', 'business', '[]', 'bank_x_a', '', '', '{}')",
    "select admin.bank_state('acme')",
    "select admin.retire_bank('acme', 'x')",
    "select admin.erase_bank('acme', 'x')",
    "select admin.lift_quarantine('acme')",
    "select admin.end_sessions('x')",
    "select control.claim_id('x', 'y', 'z/x', 'n', 'X', 'business', '[]')",
    "select bank.drop_login_role('bank_globex_a')",
    "select bank.hmac_sha256('a', 'b')",
    'select bank.open_assertion()',
    'select bank.enter()',
    'select bank.me()',
    "select bank.definition_of('note')",
    "select bank.newest_documents(row('a'), '{globex}', null, null, null, 9)",
    'select * from bank.newest_weeks(3)',
    'set role bankhouse_data',
    'set role bankhouse_owner',
    'set role bankhouse_api',
    'set role bankhouse_watchdog',
    'set session authorization bankhouse_api',
    'create table bank.mine (x int)',
    'create table public.mine (x int)',
    'create schema mine',
    'create temporary table mine (x int)',
    'create function pg_temp.f() returns int language sql return 1',
    'alter table bank.recordings disable row level security',
    'create policy mine on bank.recordings using (true)',
    'create role mine',
    'copy bank.recordings to program $$cat$$',
    "select pg_read_file('postgresql.conf')",
  ];
  it.each(DENIED)('may not: %s', async (statement) => {
    await withClient(fixture.a.url, async (sql) => {
      await sql.query('set default_transaction_read_only = off');
      await expect(sql.query(statement)).rejects.toMatchObject({ code: '42501' });
    });
  });

  it('D1: sees rows by no trick of row_security, of a role or of what it says of itself', async () => {
    await withClient(fixture.a.url, async (sql) => {
      await sql.query('set row_security = off');
      await expect(sql.query('select * from bank.recordings')).rejects.toMatchObject({ code: '42501' });
      await sql.query(
        `set bankhouse.scope = '{"bank": "globex", "all": true, "vaults": "{}", "subject": "x", "write": true}'`,
      );
      for (const [, statement] of READS) {
        const rows = await sql.query(statement).then(
          (result) => result.rows,
          (error: { code: string }) => error.code,
        );
        // Where a function reads under policies that are switched off, it refuses to.
        expect([[], '42501']).toContainEqual(rows);
      }
    });
  });

  it('has limits of its own, and reads only', async () => {
    const settings = await rowsAs(
      fixture.a,
      undefined,
      `select name, setting from pg_settings where name in
         ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'default_transaction_read_only') order by name`,
    );
    expect(settings).toEqual([
      { name: 'default_transaction_read_only', setting: 'on' },
      { name: 'idle_in_transaction_session_timeout', setting: '15000' },
      { name: 'lock_timeout', setting: '2000' },
      { name: 'statement_timeout', setting: '10000' },
    ]);
  });
});
