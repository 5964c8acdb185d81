/** Which Bank has an id, and who may have it next, whoever asks how often at once. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBank, startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';

let postgres: TestPostgres;
let operator: pg.Client;
let root: pg.Client;
let turn = 0;
beforeAll(async () => {
  postgres = await startPostgres();
  operator = new pg.Client({ connectionString: postgres.serviceUrl('operator') });
  root = new pg.Client({ connectionString: postgres.superuserUrl });
  await operator.connect();
  await root.connect();
});
afterAll(async () => {
  await operator?.end();
  await root?.end();
  await postgres?.stop();
});

interface Asked {
  id: string;
  uid: string;
  owner: string;
  namespaceUid: string;
  displayName: string;
  type: string;
  vaults: unknown;
}

/** What a Bank of its own asks for. */
function fresh(changes: Partial<Asked> = {}): Asked {
  const id = `bank-${++turn}`;
  const vaults = [{ id: 'sales', displayName: 'Sales' }];
  const [uid, namespaceUid] = [randomUUID(), randomUUID()];
  return { id, uid, owner: `banks/${id}`, namespaceUid, displayName: 'Bank', type: 'business', vaults, ...changes };
}

async function claim(asked: Asked, sql = operator): Promise<string> {
  const { rows } = await sql.query('select control.claim_id($1, $2, $3, $4, $5, $6, $7) as outcome', [
    asked.id,
    asked.uid,
    asked.owner,
    asked.namespaceUid,
    asked.displayName,
    asked.type,
    JSON.stringify(asked.vaults),
  ]);
  return rows[0].outcome;
}

const release = ({ id, uid }: Pick<Asked, 'id' | 'uid'>, eraseAfter: string | null = null): Promise<boolean> =>
  operator
    .query('select control.release_id($1, $2, $3) as released', [id, uid, eraseAfter])
    .then(({ rows }) => rows[0].released);
const RECEIPT = { notes: { rows: 3, keys: 'a'.repeat(64) } };
const forget = ({ id, uid }: Pick<Asked, 'id' | 'uid'>, sql = operator): Promise<string | null> =>
  sql
    .query('select control.forget_id($1, $2, $3) as number', [
      id,
      uid,
      JSON.stringify({ rowsDeleted: 3, tables: RECEIPT }),
    ])
    .then(({ rows }) => rows[0].number);
const due = (now: string, limit = 1000): Promise<{ id: string; uid: string }[]> =>
  operator.query('select * from control.due_ids($1, $2)', [now, limit]).then(({ rows }) => rows);
const held = ({ id }: Pick<Asked, 'id'>) =>
  root.query('select * from control.bank_ids where id = $1', [id]).then(({ rows }) => rows[0]);
/** From when on tokens are good, in microseconds since 1970: two may lie within one millisecond. */
const epoch = ({ id }: Pick<Asked, 'id'>): Promise<bigint | undefined> =>
  root
    .query(
      `select trunc(extract(epoch from not_before) * 1000000)::text as micros from control.bank_epochs where bank_id = $1`,
      [id],
    )
    .then(({ rows }) => (rows[0] === undefined ? undefined : BigInt(rows[0].micros)));
const receiptsOf = ({ id }: Pick<Asked, 'id'>) =>
  root
    .query('select id, uid, owner, tables from control.deletion_receipts where bank_id = $1 order by id', [id])
    .then(({ rows }) => rows);

async function claimed(changes: Partial<Asked> = {}): Promise<Asked> {
  const asked = fresh(changes);
  expect(await claim(asked)).toBe('claimed');
  return asked;
}

async function retained(eraseAfter: string | null = null): Promise<Asked> {
  const asked = await claimed();
  expect(await release(asked, eraseAfter)).toBe(true);
  return asked;
}

describe('claim_id', () => {
  it('gives an id once, and then says who has it', async () => {
    const asked = await claimed();
    expect(await claim(asked)).toBe('held');
    expect(await held(asked)).toMatchObject({
      uid: asked.uid,
      owner: asked.owner,
      namespace_uid: asked.namespaceUid,
      display_name: 'Bank',
      type: 'business',
      vaults: asked.vaults,
      retained_at: null,
      erase_after: null,
    });
    expect(await epoch(asked)).toBeUndefined();
  });

  it.each<[string, Partial<Asked>, object]>([
    ['a display name', { displayName: "O'Neill; drop table x" }, { display_name: "O'Neill; drop table x" }],
    ['a type', { type: 'personal' }, { type: 'personal' }],
    ['vaults', { vaults: [{ id: 'hr', displayName: 'HR' }] }, { vaults: [{ id: 'hr', displayName: 'HR' }] }],
  ])('learns another %s of who has it', async (_name, changes, expected) => {
    const asked = await claimed();
    expect(await claim({ ...asked, ...changes })).toBe('held');
    expect(await held(asked)).toMatchObject({ ...expected, uid: asked.uid });
  });

  it('writes nothing when nothing changed', async () => {
    const asked = await claimed();
    const version = () =>
      root.query('select xmin, ctid from control.bank_ids where id = $1', [asked.id]).then(({ rows }) => rows[0]);
    const before = await version();
    await claim(asked);
    expect(await version()).toEqual(before);
  });

  /** What another Bank may be, of an id that is held. */
  const OTHERS: [string, Partial<Asked>][] = [
    ['a stranger', { owner: 'evil/squatter', namespaceUid: 'evil' }],
    ['one of the same name in another life of its namespace', { namespaceUid: 'later' }],
    ['one of another name in the same namespace', { owner: 'banks/other' }],
  ];
  it.each([...OTHERS, ['one of the same name that came later', {}] as [string, Partial<Asked>]])(
    'refuses an id that is held to %s, who learns nothing of its holder',
    async (_name, changes) => {
      const asked = await claimed({ owner: 'namespace-of-victim/name-of-victim', namespaceUid: 'uid-of-namespace' });
      const before = await held(asked);
      const attempt = claim({ ...asked, displayName: 'mine', ...changes, uid: randomUUID() });
      await expect(attempt).rejects.toMatchObject({ code: 'BH001', message: `the id ${asked.id} is taken` });
      const told = await attempt.catch((error: pg.DatabaseError) => JSON.stringify({ ...error }));
      expect(told).not.toMatch(new RegExp(`victim|uid-of-namespace|${asked.uid}`));
      expect(await held(asked)).toEqual(before);
      expect(await epoch(asked)).toBeUndefined();
    },
  );

  it.each(OTHERS)('refuses an id that is kept for another to %s', async (_name, changes) => {
    const asked = await retained();
    const before = [await held(asked), await epoch(asked)];
    const attempt = claim({ ...asked, ...changes, uid: randomUUID() });
    await expect(attempt).rejects.toMatchObject({ code: 'BH001', message: `the id ${asked.id} is taken` });
    expect([await held(asked), await epoch(asked)]).toEqual(before);
  });

  it('gives a kept id back to its owner under another uid, whose tokens begin anew', async () => {
    const asked = await retained('2999-01-01');
    const ended = await epoch(asked);
    const later = { ...asked, uid: randomUUID(), displayName: 'again' };
    expect(await claim(later)).toBe('returned');
    expect(await held(asked)).toMatchObject({
      uid: later.uid,
      display_name: 'again',
      retained_at: null,
      erase_after: null,
    });
    expect(await epoch(asked)).toBeGreaterThan(ended ?? Number.NaN);
    expect(await claim(later)).toBe('held');
    await expect(claim(asked)).rejects.toMatchObject({ code: 'BH001' });
  });

  it('gives no rows back whose time to be erased has come, before they are', async () => {
    const asked = await retained('2020-01-01');
    const before = [await held(asked), await epoch(asked)];
    const later = { ...asked, uid: randomUUID() };
    await expect(claim(later)).rejects.toMatchObject({ code: '55006' });
    expect([await held(asked), await epoch(asked)]).toEqual(before);
    await expect(claim({ ...later, owner: 'evil/squatter' })).rejects.toMatchObject({ code: 'BH001' });
    await forget(asked);
    expect(await claim(later)).toBe('claimed');
  });

  it.each<[string, Partial<Asked>, string]>([
    ['a type that is none', { type: 'other' }, '23514'],
    ['vaults that are no list', { vaults: {} }, '23514'],
    ['no uid', { uid: '' }, '23514'],
    ['no owner', { owner: '' }, '23514'],
    ...['UPPER', 'a_b', '-a', 'a-', '', 'x'.repeat(41), "x'; drop table control.bank_ids; --"].map(
      (id): [string, Partial<Asked>, string] => [`the id ${JSON.stringify(id)}`, { id }, '23514'],
    ),
  ])('refuses %s', async (_name, changes, code) => {
    const asked = fresh(changes);
    await expect(claim(asked)).rejects.toMatchObject({ code });
    expect(await held(asked)).toBeUndefined();
  });

  it('gives no second id to a Bank', async () => {
    const asked = await claimed();
    const second = fresh({ uid: asked.uid });
    await expect(claim(second)).rejects.toMatchObject({ code: '23505' });
    expect(await held(second)).toBeUndefined();
  });

  it('of one Bank, asked twelve times at once, gives once, and all succeed', async () => {
    const asked = fresh();
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, () => withClient(postgres.serviceUrl('operator'), (sql) => claim(asked, sql))),
    );
    expect(outcomes.toSorted()).toEqual(['claimed', ...Array<string>(11).fill('held')]);
  });

  it.each([
    ['that is free', () => fresh(), 'claimed'],
    ['that is kept for them', () => retained(), 'returned'],
  ] as const)('of twelve Banks at once gives an id %s to one', async (_name, make, outcome) => {
    const asked = await make();
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        withClient(postgres.serviceUrl('operator'), (sql) =>
          claim({ ...asked, uid: `${asked.uid}-${n}` }, sql).catch((error: pg.DatabaseError) => error.code),
        ),
      ),
    );
    expect(outcomes.toSorted()).toEqual([...Array<string>(11).fill('BH001'), outcome]);
  });
});

describe('release_id', () => {
  it('keeps an id and ends its tokens, and can be repeated', async () => {
    const asked = await claimed();
    expect(await release(asked)).toBe(true);
    const kept = await held(asked);
    expect(kept).toMatchObject({ uid: asked.uid, retained_at: expect.any(Date), erase_after: null });
    expect(await epoch(asked)).toBeTypeOf('bigint');
    expect(await release(asked, '2999-01-01')).toBe(true);
    expect(await held(asked)).toMatchObject({ retained_at: kept.retained_at, erase_after: new Date('2999-01-01') });
    expect(await release(asked)).toBe(true);
    expect((await held(asked)).erase_after).toBeNull();
  });

  it.each<[string, (asked: Asked) => Promise<Asked>]>([
    ['by another uid', async (asked) => ({ ...asked, uid: randomUUID() })],
    ['that nobody has', async () => fresh()],
    [
      'by who had it before',
      async (asked) => {
        await release(asked);
        expect(await claim({ ...asked, uid: randomUUID() })).toBe('returned');
        return asked;
      },
    ],
  ])('does nothing to an id %s', async (_name, make) => {
    const asked = await claimed();
    const other = await make(asked);
    const before = [await held(asked), await epoch(asked)];
    expect(await release(other, '2000-01-01')).toBe(false);
    expect([await held(asked), await epoch(asked)]).toEqual(before);
  });
});

describe('due_ids', () => {
  it('tells of kept ids whose time has come, the longest due first, and of no others', async () => {
    const [second, first, later, never, there] = [
      await retained('2990-01-02'),
      await retained('2990-01-01'),
      await retained('2990-01-03'),
      await retained(null),
      await claimed(),
    ];
    const all = [second, first, later, never, there].map(({ id }) => id);
    const told = async (now: string, limit?: number) => (await due(now, limit)).filter(({ id }) => all.includes(id));
    expect(await told('2989-12-31T23:59:59Z')).toEqual([]);
    expect(await told('2990-01-02T00:00:00Z')).toEqual([first, second].map(({ id, uid }) => ({ id, uid })));
    expect(await told('2990-01-02T00:00:00Z', 1)).toEqual([{ id: first.id, uid: first.uid }]);
    expect((await told('2999-01-01')).map(({ id }) => id)).toEqual([first.id, second.id, later.id]);
    expect(await claim({ ...first, uid: randomUUID() })).toBe('returned');
    expect((await told('2999-01-01')).map(({ id }) => id)).toEqual([second.id, later.id]);
    for (const asked of [second, later]) await forget(asked);
    expect(await told('2999-01-01')).toEqual([]);
  });
});

describe('forget_id', () => {
  it('frees a kept id, ends its tokens and leaves a receipt, once', async () => {
    const asked = await retained('2020-01-01');
    const ended = await epoch(asked);
    const number = await forget(asked);
    expect(number).toMatch(/^\d+$/);
    expect(await held(asked)).toBeUndefined();
    expect(await epoch(asked)).toBeGreaterThan(ended ?? Number.NaN);
    expect(await receiptsOf(asked)).toEqual([{ id: number, uid: asked.uid, owner: asked.owner, tables: RECEIPT }]);
    expect(await forget(asked)).toBeNull();
    expect(await receiptsOf(asked)).toHaveLength(1);
  });

  it('lets anybody have the id then', async () => {
    const asked = await retained();
    await forget(asked);
    expect(await claim(fresh({ id: asked.id }))).toBe('claimed');
  });

  it.each<[string, (asked: Asked) => Promise<Asked>]>([
    ['that is held', async (asked) => asked],
    [
      'that is kept for another incarnation',
      async (asked) => {
        await release(asked);
        return { ...asked, uid: randomUUID() };
      },
    ],
    [
      'that went back to its owner',
      async (asked) => {
        await release(asked, '2990-01-01');
        expect(await claim({ ...asked, uid: randomUUID() })).toBe('returned');
        return asked;
      },
    ],
  ])('does nothing to an id %s', async (_name, make) => {
    const asked = await claimed();
    const other = await make(asked);
    const before = [await held(asked), await epoch(asked)];
    expect(await forget(other)).toBeNull();
    expect([await held(asked), await epoch(asked)]).toEqual(before);
    expect(await receiptsOf(asked)).toEqual([]);
  });

  it('frees no id whose rows are still there: who came next would have them', async () => {
    const bank = await createBank(postgres, `bank-${++turn}`);
    const asked = { id: bank.id, uid: bank.uid };
    await release(asked);
    const retireAndErase = 'select admin.retire_bank($1, $2), admin.erase_bank($1, $2)';
    await expect(forget(asked)).rejects.toMatchObject({ code: '55006' });
    expect(await held(asked)).toMatchObject({ uid: bank.uid });
    expect(await receiptsOf(asked)).toEqual([]);
    await operator.query(retireAndErase, [bank.id, bank.uid]);
    expect(await forget(asked)).toMatch(/^\d+$/);
  });

  it.each([{}, { rowsDeleted: 1 }, [], null])('keeps no receipt of %j, and the id', async (said) => {
    const asked = await retained();
    const text = 'select control.forget_id($1, $2, $3)';
    await expect(operator.query(text, [asked.id, asked.uid, JSON.stringify(said)])).rejects.toMatchObject({
      code: '23502',
    });
    expect(await held(asked)).toMatchObject({ uid: asked.uid });
  });

  it('at once from many leaves one receipt', async () => {
    const asked = await retained();
    const numbers = await Promise.all(
      Array.from({ length: 12 }, () => withClient(postgres.serviceUrl('operator'), (sql) => forget(asked, sql))),
    );
    expect(numbers.filter((number) => number !== null)).toHaveLength(1);
    expect(await receiptsOf(asked)).toHaveLength(1);
  });

  it('and a claim at once leave the id free or given, and never a receipt of what was given back', async () => {
    for (let round = 0; round < 10; round++) {
      const asked = await retained();
      const again = { ...asked, uid: randomUUID() };
      const [number, outcome] = await Promise.all([
        withClient(postgres.serviceUrl('operator'), (sql) => forget(asked, sql)),
        withClient(postgres.serviceUrl('operator'), (sql) => claim(again, sql)),
      ]);
      expect(outcome).toBe(number === null ? 'returned' : 'claimed');
      expect(await held(asked)).toMatchObject({ uid: again.uid, retained_at: null });
      expect(await receiptsOf(asked)).toHaveLength(number === null ? 0 : 1);
    }
  });
});

describe('a receipt', () => {
  const STATEMENTS = [
    "update control.deletion_receipts set bank_id = 'x'",
    'delete from control.deletion_receipts',
    'truncate control.deletion_receipts',
  ];
  it.each(STATEMENTS)('is not changed by its owner either: %s', async (statement) => {
    const asked = await retained();
    await forget(asked);
    const before = await receiptsOf(asked);
    await withClient(postgres.ownerUrl, (sql) => expect(sql.query(statement)).rejects.toMatchObject({ code: '42501' }));
    expect(await receiptsOf(asked)).toEqual(before);
  });
});

describe('the directory (R1.7)', () => {
  it('has what is claimed and not what is kept, as control sees it', async () => {
    const [here, kept] = [await claimed(), await retained()];
    await withClient(postgres.serviceUrl('control'), async (sql) => {
      const { rows } = await sql.query('select * from control.bank_directory where id = any ($1)', [
        [here.id, kept.id],
      ]);
      expect(rows).toEqual([{ id: here.id, display_name: 'Bank', type: 'business', vaults: here.vaults }]);
    });
  });
});

describe('no other role', () => {
  const CALLS: [string, string][] = [
    ['claims', "select control.claim_id('x', 'x', 'x/x', 'x', 'x', 'business', '[]')"],
    ['releases', "select control.release_id('x', 'x', null)"],
    ['forgets', "select control.forget_id('x', 'x', '{}')"],
    ['ends tokens', "select control.end_tokens('x')"],
    ['is told what is due', 'select * from control.due_ids(now(), 1)'],
    ['writes the list', "insert into control.bank_ids (id, uid) values ('x', 'x')"],
    [
      'writes a receipt',
      "insert into control.deletion_receipts (bank_id, uid, owner, tables) values ('x', 'x', 'x/x', '{}')",
    ],
  ];
  it.each(CALLS)('%s', async (_name, statement) => {
    for (const role of [
      'bankhouse_control',
      'bankhouse_gateway',
      'bankhouse_bank',
      'bankhouse_api',
      'bankhouse_data',
    ]) {
      await root.query(`set role ${role}`);
      await expect(root.query(statement), role).rejects.toMatchObject({ code: '42501' });
      await root.query('reset role');
    }
  });

  it.each(['control.bank_ids', 'control.deletion_receipts', 'control.bank_epochs'])(
    'and not even the operator touches %s itself',
    async (table) => {
      for (const verb of ['select from', 'delete from']) {
        await expect(operator.query(`${verb} ${table}`)).rejects.toMatchObject({ code: '42501' });
      }
    },
  );
});

describe('claim_id with a placement', () => {
  async function claimIn(asked: Asked, placement: string): Promise<{ outcome: string; placement: string }> {
    const { id, uid, owner, namespaceUid, displayName, type, vaults } = asked;
    const values = [id, uid, owner, namespaceUid, displayName, type, JSON.stringify(vaults), placement];
    const { rows } = await operator.query('select control.claim_id($1, $2, $3, $4, $5, $6, $7, $8) as answer', values);
    return rows[0].answer;
  }

  it('writes it down with an id that was free', async () => {
    const asked = fresh();
    expect(await claimIn(asked, 'secret:big')).toEqual({ outcome: 'claimed', placement: 'secret:big' });
    expect(await held(asked)).toMatchObject({ uid: asked.uid, placement: 'secret:big' });
  });

  it('answers the one that the rows are in to who has the id, and to who gets it back', async () => {
    const asked = fresh();
    await claimIn(asked, 'secret:big');
    expect(await claimIn(asked, 'platform')).toEqual({ outcome: 'held', placement: 'secret:big' });
    await release(asked);
    const again = { ...asked, uid: randomUUID() };
    expect(await claimIn(again, 'platform')).toEqual({ outcome: 'returned', placement: 'secret:big' });
  });

  it('gives an id that was erased and is claimed again another one', async () => {
    const asked = fresh();
    await claimIn(asked, 'secret:big');
    await release(asked, new Date(0).toISOString());
    await forget(asked);
    const again = { ...asked, uid: randomUUID() };
    expect(await claimIn(again, 'platform')).toEqual({ outcome: 'claimed', placement: 'platform' });
  });

  it("leaves what an operator of the version before gave away in the platform's database", async () => {
    const asked = await claimed();
    expect(await claimIn(asked, 'secret:big')).toEqual({ outcome: 'held', placement: 'platform' });
  });
});
