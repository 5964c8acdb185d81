/** What the operator does in the database: banks come, are repaired and go, whoever calls how often at once. */
import { randomBytes } from 'node:crypto';
import { scramVerifier } from '@bankhouse/core';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBank, startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { addLegacy, addRecording, asData, rowsAs } from './support.ts';

let postgres: TestPostgres;
let operator: pg.Client;
let root: pg.Client;
let verifier: string;
let turn = 0;
beforeAll(async () => {
  postgres = await startPostgres();
  const { default: driver } = await import('pg');
  operator = new driver.Client({ connectionString: postgres.serviceUrl('operator') });
  root = new driver.Client({ connectionString: postgres.superuserUrl });
  await operator.connect();
  await root.connect();
  verifier = await scramVerifier('password');
});
afterAll(async () => {
  await operator?.end();
  await root?.end();
  await postgres?.stop();
});

const freshId = () => `bank-${++turn}`;
const key = (byte: number) => Buffer.alloc(32, byte).toString('base64');

interface Wanted {
  owner: string;
  displayName: string;
  type: string;
  vaults: unknown;
  role: string;
  verifier: string;
  digest: string;
  keys: unknown;
}

function ensure(id: string, changes: Partial<Wanted> = {}, sql = operator): Promise<string> {
  const wanted = {
    owner: `banks/${id}`,
    displayName: 'Bank',
    type: 'business',
    vaults: [{ id: 'sales', displayName: 'Sales' }],
    role: `bank_${id}_a`,
    verifier,
    digest: 'd1',
    keys: { 1: key(1) },
    ...changes,
  };
  return sql
    .query<{ outcome: string }>('select bank.ensure_bank($1, $2, $3, $4, $5, $6, $7, $8, $9) as outcome', [
      id,
      wanted.owner,
      wanted.displayName,
      wanted.type,
      JSON.stringify(wanted.vaults),
      wanted.role,
      wanted.verifier,
      wanted.digest,
      JSON.stringify(wanted.keys),
    ])
    .then(({ rows }) => rows[0]?.outcome ?? '');
}

const state = (id: string) =>
  operator.query('select bank.bank_state($1) as state', [id]).then(({ rows }) => rows[0]?.state);
const remove = (id: string, rows: boolean, owner = `banks/${id}`) =>
  operator
    .query('select bank.delete_bank($1, $2, $3) as done', [id, owner, rows])
    .then((result) => result.rows[0]?.done);
const roleExists = async (role: string) =>
  (await root.query('select 1 from pg_roles where rolname = $1', [role])).rows.length === 1;

describe('ensure_bank', () => {
  it('makes a bank once and then finds nothing to do', async () => {
    const id = freshId();
    expect(await ensure(id)).toBe('created');
    expect(await ensure(id)).toBe('unchanged');
    expect(await state(id)).toEqual({
      owner: `banks/${id}`,
      displayName: 'Bank',
      type: 'business',
      vaults: [{ id: 'sales', displayName: 'Sales' }],
      roles: [{ role: `bank_${id}_a`, credentialDigest: 'd1' }],
      keyGenerations: [1],
      retainedAt: null,
    });
    await withClient(postgres.urlFor(`bank_${id}_a`, 'password'), (sql) => sql.query('select bank.list_vaults()'));
  });

  const changed: [string, Partial<Wanted>, (id: string) => object][] = [
    [
      'another display name',
      { displayName: "O'Neill; drop table x" },
      () => ({ displayName: "O'Neill; drop table x" }),
    ],
    ['another type', { type: 'personal' }, () => ({ type: 'personal' })],
    [
      'a vault more',
      { vaults: [{ id: 'hr' }] },
      () => ({
        vaults: [
          { id: 'hr', displayName: 'hr' },
          { id: 'sales', displayName: 'Sales' },
        ],
      }),
    ],
    [
      'another name of a vault',
      { vaults: [{ id: 'sales', displayName: 'S' }] },
      () => ({ vaults: [{ id: 'sales', displayName: 'S' }] }),
    ],
    ['a second key', { keys: { 1: key(1), 2: key(2) } }, () => ({ keyGenerations: [1, 2] })],
    ['another key', { keys: { 2: key(2) } }, () => ({ keyGenerations: [2] })],
    ['other credentials', { digest: 'd2' }, (id) => ({ roles: [{ role: `bank_${id}_a`, credentialDigest: 'd2' }] })],
  ];
  it.each(changed)('with %s configures, and once', async (_name, changes, expected) => {
    const id = freshId();
    await ensure(id);
    expect(await ensure(id, changes)).toBe('configured');
    expect(await ensure(id, changes)).toBe('unchanged');
    expect(await state(id)).toMatchObject(expected(id));
  });

  it('with the other role gives the bank a second one beside the first', async () => {
    const id = freshId();
    await ensure(id);
    expect(await ensure(id, { role: `bank_${id}_b`, digest: 'd2' })).toBe('configured');
    expect((await state(id)).roles.map((role: { role: string }) => role.role)).toEqual([
      `bank_${id}_a`,
      `bank_${id}_b`,
    ]);
    for (const form of ['a', 'b']) {
      await withClient(postgres.urlFor(`bank_${id}_${form}`, 'password'), async (sql) =>
        expect((await sql.query('select bank.me() as me')).rows).toEqual([{ me: id }]),
      );
    }
  });

  const damage: [string, (role: string) => string][] = [
    ['dropped', (role) => `drop role "${role}"`],
    ['kept from logging in', (role) => `alter role "${role}" nologin`],
    ['taken out of the group', (role) => `revoke bankhouse_bank from "${role}"`],
    ['robbed of its limits', (role) => `alter role "${role}" reset all`],
    ['given more connections', (role) => `alter role "${role}" connection limit -1`],
  ];
  it.each(damage)('repairs a role that was %s', async (_name, statement) => {
    const id = freshId();
    await ensure(id);
    await root.query(statement(`bank_${id}_a`));
    expect(await ensure(id)).toBe('configured');
    expect(await ensure(id)).toBe('unchanged');
    await withClient(postgres.urlFor(`bank_${id}_a`, 'password'), async (sql) => {
      expect((await sql.query('show statement_timeout')).rows).toEqual([{ statement_timeout: '10s' }]);
      await sql.query('select bank.list_vaults()');
    });
  });

  const refused: [string, Partial<Wanted>, string][] = [
    ['an id that belongs to another Bank', { owner: 'other/bank' }, 'BH001'],
    ["another bank's role", { role: 'bank_other_a' }, '22023'],
    ['a role of another form', { role: 'postgres' }, '22023'],
    ['a role that would be a statement', { role: 'bank_x_a"; drop table bank.banks; --' }, '22023'],
    ['a password in the open', { verifier: 'secret' }, '22023'],
    ['a type that is none', { type: 'other' }, '23514'],
    ['a vault id that is none', { vaults: [{ id: 'No Vault' }] }, '23514'],
    ['a key that is short', { keys: { 1: 'AAAA' } }, '23514'],
    ['a generation that is no number', { keys: { one: key(1) } }, '22P02'],
  ];
  it.each(refused)('refuses %s and changes nothing', async (_name, changes, code) => {
    const id = freshId();
    await ensure(id);
    const before = await state(id);
    await expect(ensure(id, changes)).rejects.toMatchObject({ code });
    expect(await state(id)).toEqual(before);
  });

  it.each(['UPPER', 'a_b', '-a', 'a-', '', 'x'.repeat(41), "x'; drop table bank.banks; --"])(
    'refuses the id %j',
    async (id) => {
      await expect(ensure(id)).rejects.toMatchObject({ code: '23514' });
      expect(await roleExists(`bank_${id}_a`)).toBe(false);
    },
  );

  it('refuses to take over a role that it did not make', async () => {
    const id = freshId();
    await root.query(`create role "bank_${id}_a" login password 'x'`);
    await expect(ensure(id)).rejects.toMatchObject({ code: 'BH002' });
    expect(await state(id)).toBeNull();
    await root.query(`drop role "bank_${id}_a"`);
  });

  it('called twelve times at once makes one bank, and all succeed', async () => {
    const id = freshId();
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, () => withClient(postgres.serviceUrl('operator'), (sql) => ensure(id, {}, sql))),
    );
    expect(outcomes.toSorted()).toEqual(['created', ...Array<string>(11).fill('unchanged')]);
  });

  it('makes thirty different banks at once', async () => {
    const ids = Array.from({ length: 30 }, freshId);
    const outcomes = await Promise.all(
      ids.map((id) => withClient(postgres.serviceUrl('operator'), (sql) => ensure(id, {}, sql))),
    );
    expect(new Set(outcomes)).toEqual(new Set(['created']));
  });
});

describe('delete_bank', () => {
  async function filled(): Promise<string> {
    const id = freshId();
    await ensure(id);
    await asData(postgres, async (sql) => {
      await addLegacy(sql, id, { id: 1, vault: 'sales' });
      await addRecording(sql, id, { title: 'moved', vaults: ['sales'], legacyId: 1 });
      await addRecording(sql, id, { title: 'new', vaults: ['sales'] });
    });
    return id;
  }
  const TABLES = [
    'banks',
    'login_roles',
    'bank_keys',
    'vaults',
    'fathom_calls',
    'recordings',
    'vault_entries',
    'search_documents',
  ];
  const rowsLeft = async (id: string) => {
    const left: Record<string, number> = {};
    for (const table of TABLES) {
      const column = table === 'banks' ? 'id' : 'bank_id';
      const { rows } = await root.query(`select count(*)::int as n from bank.${table} where ${column} = $1`, [id]);
      if (rows[0]?.n !== 0) left[table] = rows[0]?.n;
    }
    return left;
  };

  it('with rows leaves nothing but the word that its tokens are over, and can be repeated', async () => {
    const id = await filled();
    expect(await remove(id, true)).toMatchObject({
      rolesDropped: 1,
      receipt: expect.any(Number),
      rowsDeleted: {
        banks: 1,
        login_roles: 1,
        bank_keys: 1,
        vaults: 1,
        fathom_calls: 1,
        recordings: 2,
        vault_entries: 2,
        search_documents: 2,
      },
    });
    expect(await rowsLeft(id)).toEqual({});
    expect(await roleExists(`bank_${id}_a`)).toBe(false);
    expect(await state(id)).toBeNull();
    expect(await remove(id, true)).toEqual({ rolesDropped: 0, rowsDeleted: {}, receipt: null });
    const { rows } = await root.query(
      'select not_before <= now() as past from control.bank_epochs where bank_id = $1',
      [id],
    );
    expect(rows).toEqual([{ past: true }]);
  });

  it('without rows keeps them for the same owner, who finds them again', async () => {
    const id = await filled();
    await remove(id, false);
    expect(await remove(id, false)).toMatchObject({ rolesDropped: 0 });
    expect(await rowsLeft(id)).toEqual({
      banks: 1,
      vaults: 1,
      fathom_calls: 1,
      recordings: 2,
      vault_entries: 2,
      search_documents: 2,
    });
    expect(await state(id)).toMatchObject({ roles: [], keyGenerations: [], retainedAt: expect.any(String) });
    await expect(ensure(id, { owner: 'thief/bank' })).rejects.toMatchObject({ code: 'BH001' });
    expect(await ensure(id)).toBe('configured');
    expect(await state(id)).toMatchObject({ retainedAt: null, keyGenerations: [1] });
  });

  it('is refused for what belongs to another owner', async () => {
    const id = await filled();
    await expect(remove(id, true, 'thief/bank')).rejects.toMatchObject({ code: 'BH001' });
    expect(await rowsLeft(id)).toMatchObject({ recordings: 2 });
  });

  it('ends the connections of the role, and drops the role whatever it made', async () => {
    const id = await filled();
    const { default: driver } = await import('pg');
    const sql = new driver.Client({ connectionString: postgres.urlFor(`bank_${id}_a`, 'password') });
    const ended = new Promise<void>((resolve) => sql.on('end', resolve));
    sql.on('error', () => {});
    await sql.connect();
    await sql.query('set default_transaction_read_only = off');
    await sql.query('select lo_create(0)');
    await sql.query('begin');
    await sql.query('select pg_advisory_xact_lock(1)');
    expect(await remove(id, true)).toMatchObject({ rolesDropped: 1 });
    await ended;
    expect(await roleExists(`bank_${id}_a`)).toBe(false);
  });

  it('and ensure_bank at once leave the bank whole or gone', async () => {
    const id = freshId();
    for (let round = 0; round < 5; round++) {
      await Promise.all(
        [true, false, true, false].map((making) =>
          withClient(postgres.serviceUrl('operator'), (sql) =>
            making
              ? ensure(id, {}, sql)
              : sql.query('select bank.delete_bank($1, $2, true)', [id, `banks/${id}`]).then(() => 'deleted'),
          ),
        ),
      );
      const now = await state(id);
      expect(await roleExists(`bank_${id}_a`)).toBe(now !== null);
      if (now !== null) expect(now).toMatchObject({ keyGenerations: [1], roles: [{ role: `bank_${id}_a` }] });
    }
  });

  it("leaves other banks' calls as they were", async () => {
    const other = await createBank(postgres, freshId());
    await asData(postgres, (sql) => addRecording(sql, other.id, { title: 'mine', vaults: ['sales'] }));
    await remove(await filled(), true);
    expect(await rowsAs(other, other.seal(), 'select title from bank.get_unified_recordings()')).toEqual([
      { title: 'mine' },
    ]);
  });
});

describe('revocation (R1.4)', () => {
  it.each<[string, string, unknown[]]>([
    ['a token', "insert into control.revoked_tokens (jti, expires_at, xid) values ($1, now(), '1')", ['j"1']],
    ['a token for longer', 'update control.revoked_tokens set expires_at = now() where jti = $1', ['j"1']],
    [
      'all tokens of a bank',
      "insert into control.bank_epochs (bank_id, not_before, xid) values ($1, now(), '1')",
      ['x'],
    ],
    ['them once more', "update control.bank_epochs set not_before = now(), xid = '1' where bank_id = $1", ['x']],
  ])('of %s carries its transaction, whatever its writer says', async (_name, statement, values) => {
    await withClient(postgres.serviceUrl('control'), async (control) => {
      const { rows } = await control.query(`${statement} returning xid = pg_current_xact_id() as stamped`, values);
      expect(rows).toEqual([{ stamped: true }]);
    });
  });

  it('control sees banks that exist in its directory, and not those retained', async () => {
    const [here, retained] = [freshId(), freshId()];
    await ensure(here);
    await ensure(retained);
    await remove(retained, false);
    await withClient(postgres.serviceUrl('control'), async (sql) => {
      const { rows } = await sql.query('select * from control.bank_directory where id = any($1)', [[here, retained]]);
      expect(rows).toEqual([
        { id: here, display_name: 'Bank', type: 'business', vaults: [{ id: 'sales', displayName: 'Sales' }] },
      ]);
    });
  });

  it('an unknown random bank has no state', async () => {
    expect(await state(randomBytes(4).toString('hex'))).toBeNull();
  });
});
