/** What the operator does in the tenants' database: banks come, are repaired and go, whoever calls how often at once. */
import { randomBytes, randomUUID } from 'node:crypto';
import { databaseRole, scramVerifier } from '@bankhouse/core';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBank, enter, startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { addLegacy, addRecording, asData, rowsAs } from './support.ts';

let postgres: TestPostgres;
let operator: pg.Client;
let root: pg.Client;
let verifier: string;
let turn = 0;
beforeAll(async () => {
  postgres = await startPostgres();
  operator = new pg.Client({ connectionString: postgres.serviceUrl('operator') });
  root = new pg.Client({ connectionString: postgres.superuserUrl });
  await operator.connect();
  await root.connect();
  verifier = await scramVerifier('password');
});
afterAll(async () => {
  await operator?.end();
  await root?.end();
  await postgres?.stop();
});

/** An id and an incarnation of it. */
interface Life {
  id: string;
  uid: string;
}
const fresh = (): Life => ({ id: `bank-${++turn}`, uid: randomUUID() });
const next = ({ id }: Life): Life => ({ id, uid: randomUUID() });
const roleOf = ({ uid }: Life, form: 'a' | 'b' = 'a') => databaseRole(uid, form);
const urlOf = (life: Life, form: 'a' | 'b' = 'a', password = 'password') =>
  postgres.urlFor(roleOf(life, form), password);
const key = (byte: number) => Buffer.alloc(32, byte).toString('base64');

interface Wanted {
  displayName: string;
  type: string;
  vaults: unknown;
  role: string;
  verifier: string;
  digest: string;
  keys: unknown;
  force: boolean;
}

async function ensure(life: Life, changes: Partial<Wanted> = {}, sql = operator): Promise<string> {
  const wanted = {
    displayName: 'Bank',
    type: 'business',
    vaults: [{ id: 'sales', displayName: 'Sales' }],
    role: roleOf(life),
    verifier,
    digest: 'd1',
    keys: { 1: key(1) },
    force: false,
    ...changes,
  };
  const { rows } = await sql.query('select admin.ensure_bank($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) as outcome', [
    life.id,
    life.uid,
    wanted.displayName,
    wanted.type,
    JSON.stringify(wanted.vaults),
    wanted.role,
    wanted.verifier,
    wanted.digest,
    JSON.stringify(wanted.keys),
    wanted.force,
  ]);
  return rows[0].outcome;
}

const answer = (text: string, values: unknown[], sql: pg.Client) =>
  sql.query(`select ${text} as answer`, values).then(({ rows }) => rows[0].answer);
const state = ({ id }: Pick<Life, 'id'>) => answer('admin.bank_state($1)', [id], operator);
const retire = ({ id, uid }: Life, sql = operator) => answer('admin.retire_bank($1, $2)', [id, uid], sql);
const erase = ({ id, uid }: Life, sql = operator) => answer('admin.erase_bank($1, $2)', [id, uid], sql);
const NOTHING = { rowsDeleted: 0, tables: {} };
const roleExists = async (role: string) =>
  (await root.query('select from pg_roles where rolname = $1', [role])).rowCount === 1;

async function made(changes: Partial<Wanted> = {}): Promise<Life> {
  const life = fresh();
  expect(await ensure(life, changes)).toBe('created');
  return life;
}

async function filled(): Promise<Life> {
  const life = await made();
  await asData(postgres, async (sql) => {
    await addLegacy(sql, life.id, { id: 1, vault: 'sales' });
    await addRecording(sql, life.id, { title: 'moved', vaults: ['sales'], legacyId: 1 });
    await addRecording(sql, life.id, { title: 'new', vaults: ['sales'] });
  });
  return life;
}

const TABLES = ['banks', 'login_roles', 'bank_keys', 'vaults', 'fathom_calls', 'recordings', 'vault_entries'].concat(
  'call_counts',
  'search_documents',
);
const KEPT = {
  vaults: 1,
  fathom_calls: 1,
  recordings: 2,
  vault_entries: 2,
  call_counts: 2,
  search_documents: 2,
};
async function rowsLeft({ id }: Pick<Life, 'id'>): Promise<Record<string, number>> {
  const left: Record<string, number> = {};
  for (const table of TABLES) {
    const column = table === 'banks' ? 'id' : 'bank_id';
    const { rows } = await root.query(`select count(*)::int as n from bank.${table} where ${column} = $1`, [id]);
    if (rows[0]?.n !== 0) left[table] = rows[0]?.n;
  }
  return left;
}

/** A connection as the bank's role, which a test leaves open; it may well be ended by what is tested. */
async function open(life: Life): Promise<pg.Client & AsyncDisposable> {
  const sql = new pg.Client({ connectionString: urlOf(life) });
  sql.on('error', () => {});
  await sql.connect();
  await sql.query('set default_transaction_read_only = off');
  return Object.assign(sql, { [Symbol.asyncDispose]: () => sql.end().catch(() => {}) });
}

describe('ensure_bank', () => {
  it('makes a bank once and then finds nothing to do', async () => {
    const life = await made();
    expect(await ensure(life)).toBe('unchanged');
    expect(await state(life)).toEqual({
      uid: life.uid,
      displayName: 'Bank',
      type: 'business',
      vaults: [{ id: 'sales', displayName: 'Sales' }],
      roles: [{ role: roleOf(life), credentialDigest: 'd1', quarantinedAt: null, quarantinedFor: null }],
      keyGenerations: [1],
      retired: false,
    });
    await withClient(urlOf(life), (sql) => sql.query('select api.list_vaults()'));
  });

  const changed: [string, Partial<Wanted>, (life: Life) => object][] = [
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
    ['other credentials', { digest: 'd2' }, (life) => ({ roles: [{ role: roleOf(life), credentialDigest: 'd2' }] })],
  ];
  it.each(changed)('with %s configures, and once', async (_name, changes, expected) => {
    const life = await made();
    expect(await ensure(life, changes)).toBe('configured');
    expect(await ensure(life, changes)).toBe('unchanged');
    expect(await state(life)).toMatchObject(expected(life));
  });

  it('with the other role gives the bank a second one beside the first', async () => {
    const life = await made();
    expect(await ensure(life, { role: roleOf(life, 'b'), digest: 'd2' })).toBe('configured');
    expect((await state(life)).roles.map(({ role }: { role: string }) => role)).toEqual(
      [roleOf(life, 'a'), roleOf(life, 'b')].toSorted(),
    );
    for (const form of ['a', 'b'] as const) {
      await withClient(urlOf(life, form), (sql) => sql.query('select api.list_vaults()'));
      const { rows } = await root.query('select bank_id from bank.login_roles where role = $1', [roleOf(life, form)]);
      expect(rows).toEqual([{ bank_id: life.id }]);
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
    const life = await made();
    await root.query(statement(roleOf(life)));
    expect(await ensure(life)).toBe('configured');
    expect(await ensure(life)).toBe('unchanged');
    await withClient(urlOf(life), async (sql) => {
      expect((await sql.query('show statement_timeout')).rows).toEqual([{ statement_timeout: '10s' }]);
      await sql.query('select api.list_vaults()');
    });
  });

  /** What a role may change of itself, and how it notices that this is undone. */
  const SETTINGS = [
    ['of the role', 'alter role %I set statement_timeout = 0'],
    [
      'of the role in this database, which counts more',
      'alter role %I in database bankhouse set statement_timeout = 0',
    ],
    ['that we do not set', "alter role %I in database bankhouse set work_mem = '2GB'"],
  ] as const;
  it.each(SETTINGS)('resets a setting %s, which the role has changed itself', async (_name, statement) => {
    const life = await made();
    const settings = () =>
      withClient(urlOf(life), async (sql) => {
        const { rows } = await sql.query(
          `select current_setting('statement_timeout') as limit, current_setting('work_mem') as memory`,
        );
        return rows[0];
      });
    const before = await settings();
    await withClient(urlOf(life), async (sql) => {
      await sql.query('set default_transaction_read_only = off');
      await sql.query(statement.replace('%I', `"${roleOf(life)}"`));
    });
    expect(await settings()).not.toEqual(before);
    expect(await ensure(life)).toBe('configured');
    expect(await settings()).toEqual(before);
    expect(await ensure(life)).toBe('unchanged');
  });

  it('sets a password again that the role has changed itself, when it is forced to (D7)', async () => {
    const life = await made();
    const lets = async (password: string) =>
      withClient(urlOf(life, 'a', password), async () => true).catch((error: pg.DatabaseError) => error.code);
    await withClient(urlOf(life), async (sql) => {
      await sql.query('set default_transaction_read_only = off');
      await sql.query(`alter role "${roleOf(life)}" password 'its own'`);
    });
    expect([await lets('password'), await lets('its own')]).toEqual(['28P01', true]);
    expect(await ensure(life)).toBe('unchanged');
    expect(await ensure(life, { force: true })).toBe('configured');
    expect([await lets('password'), await lets('its own')]).toEqual([true, '28P01']);
  });

  const foreign: [string, (life: Life) => Promise<string>][] = [
    [
      'a role that was not made here',
      async (life) => {
        await root.query(`create role "${roleOf(life)}" login password 'x'`);
        return roleOf(life);
      },
    ],
    ["another bank's role", async () => roleOf(await made())],
    [
      "another bank's role, which somebody dropped",
      async () => {
        const other = await made();
        await root.query(`drop role "${roleOf(other)}"`);
        return roleOf(other);
      },
    ],
  ];
  it.each(foreign)('refuses %s', async (_name, make) => {
    const life = fresh();
    const role = await make(life);
    await expect(ensure(life, { role })).rejects.toMatchObject({ code: 'BH002' });
    expect(await state(life)).toBeNull();
    const { rows } = await root.query('select bank_id from bank.login_roles where role = $1', [role]);
    expect(rows.map(({ bank_id }) => bank_id)).not.toContain(life.id);
    await root.query(`drop role if exists "${role}"`);
  });

  const refused: [string, Partial<Wanted>, string][] = [
    ['a role of another form', { role: 'postgres' }, '22023'],
    ['a role that tells the name of its bank', { role: 'bank_acme_a' }, '22023'],
    ['a role that would be a statement', { role: 'bank_x_a"; drop table bank.banks; --' }, '22023'],
    ['a password in the open', { verifier: 'secret' }, '22023'],
    ['a type that is none', { type: 'other' }, '23514'],
    ['a vault id that is none', { vaults: [{ id: 'No Vault' }] }, '23514'],
    ['a key that is short', { keys: { 1: 'AAAA' } }, '23514'],
    ['a generation that is no number', { keys: { one: key(1) } }, '22P02'],
  ];
  it.each(refused)('refuses %s and changes nothing', async (_name, changes, code) => {
    const life = await made();
    const before = await state(life);
    await expect(ensure(life, changes)).rejects.toMatchObject({ code });
    expect(await state(life)).toEqual(before);
  });

  it.each(['UPPER', 'a_b', '-a', 'a-', '', 'x'.repeat(41), "x'; drop table bank.banks; --"])(
    'refuses the id %j',
    async (id) => {
      const life = { id, uid: randomUUID() };
      await expect(ensure(life)).rejects.toMatchObject({ code: '23514' });
      expect(await roleExists(roleOf(life))).toBe(false);
    },
  );

  it('called twelve times at once makes one bank, and all succeed', async () => {
    const life = fresh();
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, () => withClient(postgres.serviceUrl('operator'), (sql) => ensure(life, {}, sql))),
    );
    expect(outcomes.toSorted()).toEqual(['created', ...Array<string>(11).fill('unchanged')]);
  });

  it('makes thirty different banks at once', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 30 }, fresh).map((life) =>
        withClient(postgres.serviceUrl('operator'), (sql) => ensure(life, {}, sql)),
      ),
    );
    expect(new Set(outcomes)).toEqual(new Set(['created']));
  });

  it('of an unknown bank there is no state', async () => {
    expect(await state({ id: randomBytes(4).toString('hex') })).toBeNull();
  });
});

describe('an incarnation', () => {
  it('does not get a bank that is in force for another one', async () => {
    const life = await made();
    const before = await state(life);
    await expect(ensure(next(life))).rejects.toMatchObject({ code: 'BH001' });
    expect(await state(life)).toEqual(before);
  });

  it('gets one that is retired, with its rows, and with none of its roles and keys', async () => {
    const life = await filled();
    await retire(life);
    const later = next(life);
    expect(await ensure(later, { keys: { 7: key(7) } })).toBe('configured');
    expect(await ensure(later, { keys: { 7: key(7) } })).toBe('unchanged');
    expect(await state(life)).toMatchObject({
      uid: later.uid,
      keyGenerations: [7],
      roles: [{ role: roleOf(later) }],
      retired: false,
    });
    expect(await rowsLeft(life)).toEqual({ ...KEPT, banks: 1, login_roles: 1, bank_keys: 1 });
    expect(await roleExists(roleOf(life))).toBe(false);
  });

  it('that a bank has passed from can neither have it back nor end nor erase it', async () => {
    const life = await filled();
    await retire(life);
    const later = next(life);
    await ensure(later);
    const before = [await state(life), await rowsLeft(life)];
    const attempts = async () => {
      await expect(ensure(life)).rejects.toMatchObject({ code: 'BH001' });
      expect(await retire(life)).toBe(0);
      expect(await erase(life)).toEqual(NOTHING);
    };
    await attempts();
    expect([await state(life), await rowsLeft(life)]).toEqual(before);
    await retire(later);
    await attempts();
    expect(await rowsLeft(life)).toMatchObject(KEPT);
  });

  it('that is erased is over', async () => {
    const life = await filled();
    await erase(life);
    await expect(ensure(life)).rejects.toMatchObject({ code: 'BH001' });
    expect(await state(life)).toBeNull();
    expect(await ensure(next(life))).toBe('created');
    expect(await rowsLeft(life)).toEqual({ banks: 1, login_roles: 1, bank_keys: 1, vaults: 1 });
  });

  it('erases a retired bank that never became its own: who has the id next finds nothing', async () => {
    const life = await filled();
    await retire(life);
    const claimedOnly = next(life);
    expect(await retire(claimedOnly)).toBe(0);
    expect(await erase(claimedOnly)).toMatchObject({ tables: { recordings: { rows: 2 } } });
    expect(await rowsLeft(life)).toEqual({});
    expect(await erase(life)).toEqual(NOTHING);
  });

  it('does not erase what is in force for another one', async () => {
    const life = await filled();
    await expect(erase(next(life))).rejects.toMatchObject({ code: 'BH001' });
    expect(await rowsLeft(life)).toMatchObject(KEPT);
  });
});

describe('retire_bank', () => {
  it('ends access and keeps the rows, and can be repeated', async () => {
    const life = await filled();
    await ensure(life, { role: roleOf(life, 'b'), digest: 'd2' });
    expect(await retire(life)).toBe(2);
    expect(await state(life)).toMatchObject({ uid: life.uid, roles: [], keyGenerations: [], retired: true });
    expect(await rowsLeft(life)).toEqual({ ...KEPT, banks: 1 });
    for (const form of ['a', 'b'] as const) expect(await roleExists(roleOf(life, form))).toBe(false);
    expect(await retire(life)).toBe(0);
  });

  it('can be undone by the same incarnation', async () => {
    const life = await filled();
    await retire(life);
    expect(await ensure(life)).toBe('configured');
    expect(await state(life)).toMatchObject({ retired: false, keyGenerations: [1] });
  });

  it.each<[string, () => Life]>([
    ['that never was', fresh],
    ['of another incarnation', () => next({ id: `bank-${turn}`, uid: '' })],
  ])('does nothing to a bank %s', async (_name, other) => {
    const life = await filled();
    expect(await retire(other())).toBe(0);
    expect(await state(life)).toMatchObject({ retired: false, keyGenerations: [1] });
    expect(await roleExists(roleOf(life))).toBe(true);
  });

  const LEFT_OPEN: [string, (sql: pg.Client, role: string) => Promise<unknown>][] = [
    ['that does nothing', async () => {}],
    ['that holds advisory locks', (sql) => sql.query('begin; select pg_advisory_xact_lock(1)')],
    ['that made large objects', (sql) => sql.query('select lo_create(0)')],
    ['that makes large objects', (sql) => sql.query('begin; select lo_create(0)')],
    ['that changes its password', (sql, role) => sql.query(`begin; alter role "${role}" password 'x'`)],
    ['that changes its settings', (sql, role) => sql.query(`begin; alter role "${role}" set work_mem = '1GB'`)],
  ];
  it.each(LEFT_OPEN)('ends a connection %s, and drops its role', async (_name, leave) => {
    const life = await filled();
    await using sql = await open(life);
    const ended = new Promise<void>((resolve) => sql.on('end', resolve));
    await leave(sql, roleOf(life));
    expect(await retire(life)).toBe(1);
    await ended;
    expect(await roleExists(roleOf(life))).toBe(false);
  });

  it('of a role that keeps coming back ends access at once, and is over when nobody can any more', async () => {
    const life = await filled();
    const stop = new AbortController();
    const intrude = async () => {
      while (!stop.signal.aborted) {
        try {
          await using sql = await open(life);
          for (;;) await sql.query('select lo_create(0)');
        } catch (error) {
          if (error instanceof pg.DatabaseError && error.code === '28000') return;
        }
      }
    };
    const intruders = Array.from({ length: 8 }, intrude);
    await new Promise((resolve) => setTimeout(resolve, 300));
    let dropped = await retire(life);
    expect(await state(life)).toMatchObject({ roles: [], keyGenerations: [], retired: dropped !== null });
    await expect(open(life)).rejects.toMatchObject({ code: expect.stringMatching(/^28/) });
    dropped ??= await retire(life);
    expect(dropped).toBe(1);
    stop.abort();
    await Promise.all(intruders);
    expect(await state(life)).toMatchObject({ retired: true });
    expect(await roleExists(roleOf(life))).toBe(false);
  });
});

describe('erase_bank', () => {
  it('leaves nothing, says what there was, and can be repeated', async () => {
    const life = await filled();
    const erased = await erase(life);
    const counts = { ...KEPT, login_roles: 0, bank_keys: 0 };
    for (const [table, rows] of Object.entries(counts)) {
      expect(erased.tables[table], table).toEqual({ rows, keys: expect.stringMatching(/^[0-9a-f]{64}$/) });
    }
    const tables: { rows: number }[] = Object.values(erased.tables);
    expect(erased.rowsDeleted).toBe(tables.reduce((sum, { rows }) => sum + rows, 0));
    expect(await rowsLeft(life)).toEqual({});
    expect(await roleExists(roleOf(life))).toBe(false);
    expect(await state(life)).toBeNull();
    expect(await erase(life)).toEqual(erased);
  });

  it('of a bank that never was says nothing', async () => {
    expect(await erase(fresh())).toEqual(NOTHING);
  });

  it('called six times at once erases once, and all say the same', async () => {
    const life = await filled();
    const told = await Promise.all(
      Array.from({ length: 6 }, () => withClient(postgres.serviceUrl('operator'), (sql) => erase(life, sql))),
    );
    expect(new Set(told.map((one) => JSON.stringify(one))).size).toBe(1);
    expect(told[0]).toMatchObject({ tables: { recordings: { rows: 2 } } });
  });

  it('and ensure_bank of the next incarnation at once leave one of the two, whole', async () => {
    for (let round = 0; round < 5; round++) {
      const life = await filled();
      await retire(life);
      const later = next(life);
      const outcomes = await Promise.allSettled(
        [true, false, true, false].map((making) =>
          withClient(postgres.serviceUrl('operator'), (sql) => (making ? ensure(later, {}, sql) : erase(life, sql))),
        ),
      );
      expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
      expect(await state(life)).toMatchObject({
        uid: later.uid,
        keyGenerations: [1],
        roles: [{ role: roleOf(later) }],
      });
      const rows = (await erase(life)).tables.recordings?.rows ?? 0;
      expect(await rowsLeft(life)).toMatchObject({ banks: 1, ...(rows === 2 ? {} : KEPT) });
      if (rows === 2) expect(await rowsLeft(life)).not.toHaveProperty('recordings');
    }
  });

  it('leaves no large object of the role, nor one that it gave to the group (D5)', async () => {
    const life = await filled();
    const others = await made();
    const objects: number[] = [];
    const create = async (sql: pg.Client) => {
      const { rows } = await sql.query("select lo_from_bytea(0, 'secret') as id");
      return rows[0].id as number;
    };
    let kept = 0;
    await withClient(urlOf(others), async (sql) => {
      await sql.query('set default_transaction_read_only = off');
      kept = await create(sql);
    });
    await withClient(urlOf(life), async (sql) => {
      await sql.query('set default_transaction_read_only = off');
      objects.push(await create(sql));
      const given = await create(sql);
      await sql.query(`alter large object ${given} owner to bankhouse_bank`);
      objects.push(given);
    });
    const left = async () => {
      const { rows } = await root.query('select oid::int from pg_largeobject_metadata where oid = any ($1)', [
        [...objects, kept],
      ]);
      return rows.map(({ oid }) => oid);
    };
    expect(await left()).toHaveLength(3);
    await erase(life);
    expect(await left()).toEqual([kept]);
  });

  it('is not held up by a role of another bank that holds what was given to the group, which goes the next time', async () => {
    const [life, other] = [await filled(), await made()];
    await using holder = await open(other);
    const { rows } = await holder.query('select lo_create(0) as id');
    await holder.query(`alter large object ${rows[0].id} owner to bankhouse_bank`);
    await holder.query(`begin; comment on large object ${rows[0].id} is 'mine'`);
    const began = performance.now();
    expect(await erase(life)).toMatchObject({ tables: { recordings: { rows: 2 } } });
    expect(performance.now() - began).toBeLessThan(4_000);
    await holder.query('rollback');
    await erase(other);
    const { rowCount } = await root.query('select from pg_largeobject_metadata where oid = $1', [rows[0].id]);
    expect(rowCount).toBe(0);
  });

  it("leaves other banks' calls as they were", async () => {
    const other = await createBank(postgres, fresh().id);
    await asData(postgres, (sql) => addRecording(sql, other.id, { title: 'mine', vaults: ['sales'] }));
    await erase(await filled());
    expect(await rowsAs(other, other.seal(), 'select title from api.get_unified_recordings()')).toEqual([
      { title: 'mine' },
    ]);
  });
});

describe("an open transaction of the bank's own (D9)", () => {
  /** Far less than any test's limit: what hangs, fails. */
  const LIMIT = '2s';
  const HELD: [string, (sql: pg.Client) => Promise<unknown>][] = [
    [
      'with a note that is not committed',
      (sql) => sql.query("insert into bank.notes (bank_id, vault_id, title) values (bank.me(), 'sales', 'open')"),
    ],
    ['that has read its vaults', (sql) => sql.query('select api.list_vaults()')],
    ['with a feed that is not committed', (sql) => sql.query('select api.open_feed()')],
  ];

  it.each(HELD)('%s does not hold up the operator', async (_name, hold) => {
    const bank = await createBank(postgres, fresh().id);
    const life = { id: bank.id, uid: bank.uid };
    await withClient(await bank.underPolicies(), async (own) => {
      await own.query('begin read write');
      await enter(own, bank.seal({ scopes: ['mcp:read', 'mcp:write'] }));
      await hold(own);
      await withClient(postgres.serviceUrl('operator'), async (sql) => {
        await sql.query(`set statement_timeout = '${LIMIT}'`);
        const changes: Partial<Wanted>[] = [
          { displayName: 'another' },
          { displayName: 'another', vaults: [{ id: 'sales', displayName: 'renamed' }] },
          { displayName: 'another', vaults: [{ id: 'more', displayName: 'more' }] },
          { displayName: 'another', role: databaseRole(bank.uid, 'b'), digest: 'd2' },
          { displayName: 'another', keys: { 1: bank.sealKey.toString('base64'), 2: key(2) } },
          { displayName: 'another', force: true },
        ];
        for (const change of changes) expect(await ensure(life, change, sql)).toBe('configured');
        expect(await answer('admin.bank_state($1)', [bank.id], sql)).toMatchObject({ displayName: 'another' });
      });
      await own.query('commit');
    });
  });

  it.each([
    ['its password', (role: string) => `alter role "${role}" password 'x'`],
    ['its settings', (role: string) => `alter role "${role}" set work_mem = '1GB'`],
  ])('that changes %s is ended by what sets it right', async (_name, statement) => {
    const life = await made();
    await using sql = await open(life);
    await sql.query('begin');
    await sql.query(statement(roleOf(life)));
    expect(await ensure(life, { force: true })).toBe('configured');
    await withClient(urlOf(life), (own) => own.query('select api.list_vaults()'));
    expect(await ensure(life)).toBe('unchanged');
  });
});
