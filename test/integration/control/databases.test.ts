/** Databases of banks' own, as they are ordered, made, migrated and dropped: by who keeps them, on a real server. */
import { randomBytes, randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Keeper } from '@bankhouse/control';
import { databaseRole, databaseUrlAt, scramVerifier, sealAssertion } from '@bankhouse/core';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { GENERATION, migrationsBefore, startKeeper } from '../../harness/keeper.ts';
import { assertionFor, createBank, startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { openAt, readFeeds } from '../live/support.ts';
import { eventually } from '../operator/support/eventually.ts';

let postgres: TestPostgres;
let operator: pg.Client;
let root: pg.Client;
let older: string;
let turn = 0;
const keepers: Keeper[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  operator = new pg.Client({ connectionString: postgres.serviceUrl('operator') });
  root = new pg.Client({ connectionString: postgres.superuserUrl });
  await operator.connect();
  await root.connect();
  await root.query('alter role bankhouse_owner createdb');
  older = migrationsBefore();
  // Nor had it what lets a role in.
  rmSync(join(older, 'tenants/functions/own_database.sql'));
});
afterEach(async () => {
  await Promise.all(keepers.splice(0).map((keeper) => keeper.stop()));
});
afterAll(async () => {
  await operator?.end();
  await root?.end();
  await postgres?.stop();
  if (older !== undefined) rmSync(older, { recursive: true, force: true });
});

function keep(migrationsDir?: string): Keeper {
  const keeper = startKeeper({ databaseUrl: postgres.ownerUrl, migrationsDir });
  keepers.push(keeper);
  return keeper;
}

interface Own {
  id: string;
  uid: string;
  name: string;
}

/** A Bank whose rows shall be in a database of its own. */
async function claimed(): Promise<Own> {
  const own = { id: `own-${++turn}`, uid: randomUUID(), name: `bank_${randomBytes(12).toString('hex')}` };
  await operator.query('select control.claim_id($1, $2, $3, $4, $5, $6, $7, $8)', [
    own.id,
    own.uid,
    `banks/${own.id}`,
    'namespace',
    own.id,
    'business',
    '[]',
    `platform/${own.name}`,
  ]);
  return own;
}

interface Answer {
  name: string;
  generation: number | null;
  problem: string | null;
}

async function want({ id, uid }: Pick<Own, 'id' | 'uid'>): Promise<Answer> {
  const { rows } = await operator.query<{ answer: Answer }>('select control.want_database($1, $2) as answer', [
    id,
    uid,
  ]);
  return rows[0]?.answer as Answer;
}

const made = (own: Own, generation = GENERATION) =>
  eventually(async () => expect(await want(own)).toEqual({ name: own.name, generation, problem: null }), 60_000);

const exists = async (name: string) =>
  (await root.query('select from pg_database where datname = $1', [name])).rowCount === 1;

/** The bank in its own database, as the operator makes it there. @returns URL of its login role */
async function moveIn({ id, uid, name }: Own, sealKey: Buffer = randomBytes(32)): Promise<string> {
  const [role, password] = [databaseRole(uid, 'a'), randomBytes(12).toString('hex')];
  await withClient(databaseUrlAt(postgres.serviceUrl('operator'), name), async (client) => {
    await client.query('select admin.ensure_bank($1, $2, $1, $3, $4, $5, $6, $7, $8)', [
      id,
      uid,
      'business',
      '[]',
      role,
      await scramVerifier(password),
      'digest',
      JSON.stringify({ 1: sealKey.toString('base64') }),
    ]);
    await client.query('select admin.let_in($1)', [role]);
  });
  return databaseUrlAt(postgres.urlFor(role, password), name);
}

const signsIn = (url: string) => withClient(url, async (client) => void (await client.query('select 1')));
const REFUSED = /permission denied for database/;

async function receiptOf({ id, uid }: Own): Promise<{ dropped: boolean; receipt: unknown; problem: string | null }> {
  const { rows } = await operator.query('select control.drop_database($1, $2) as answer', [id, uid]);
  return rows[0].answer;
}

async function orderGone({ id, uid }: Own, receipt: object): Promise<void> {
  await operator.query('select control.release_id($1, $2, now())', [id, uid]);
  await operator.query('select control.drop_database($1, $2, $3)', [id, uid, JSON.stringify(receipt)]);
}

describe('a database that is ordered', () => {
  it('is made, has our schema, and lets in nobody but its own bank and the operator, at no time', async () => {
    const own = await claimed();
    const neighbour = await claimed();
    const common = await createBank(postgres, 'in-common');
    expect(await want(own)).toMatchObject({ name: own.name, generation: null });
    await want(neighbour);
    const seen: boolean[] = [];
    keep();
    await eventually(async () => {
      const { rows } = await root.query<{ open: boolean }>(
        `select bool_or(datallowconn and has_database_privilege(r.rolname, d.oid, 'CONNECT')) as open
           from pg_database d, (values ('bankhouse_bank'), ('bankhouse_gateway'), ('bankhouse_control'), ($2)) r (rolname)
          where datname = $1 group by d.oid`,
        [own.name, common.role],
      );
      for (const { open } of rows) seen.push(open);
      expect((await want(own)).generation).toBe(GENERATION);
    }, 60_000);
    expect(seen.length).toBeGreaterThan(0);
    expect(seen).not.toContain(true);
    await made(neighbour);
    const [url, neighbours] = [await moveIn(own), await moveIn(neighbour)];
    await signsIn(url);
    await expect(signsIn(databaseUrlAt(neighbours, own.name))).rejects.toThrow(REFUSED);
    await expect(signsIn(databaseUrlAt(common.url, own.name))).rejects.toThrow(REFUSED);
    for (const service of ['control', 'gateway'] as const) {
      await expect(signsIn(databaseUrlAt(postgres.serviceUrl(service), own.name))).rejects.toThrow(REFUSED);
    }
  });

  it('is of the locale of the common one', async () => {
    const own = await claimed();
    await want(own);
    keep();
    await made(own);
    const { rows } = await root.query(
      'select distinct datcollate, datctype, datlocprovider, encoding from pg_database where datname in ($1, $2)',
      [own.name, 'bankhouse'],
    );
    expect(rows).toHaveLength(1);
  });

  it.each([
    {
      sentence: 'another role owns one of that name',
      prepare: (name: string) => root.query(`create database ${name}`),
      problem: /that another role owns: drop it, or/,
      mend: (name: string) => root.query(`drop database ${name}`),
    },
    {
      sentence: 'the owner may not make any',
      prepare: () => root.query('alter role bankhouse_owner nocreatedb'),
      problem: /CREATEDB, as docs\/placement\.md says\.$/,
      mend: () => root.query('alter role bankhouse_owner createdb'),
    },
  ])('says what is wrong where $sentence, and is made when that is mended', async ({ prepare, problem, mend }) => {
    const own = await claimed();
    await prepare(own.name);
    await want(own);
    keep();
    try {
      await eventually(async () => expect((await want(own)).problem).toMatch(problem), 30_000);
    } finally {
      await mend(own.name);
    }
    await made(own);
  });

  it('is made though more than are worked on at a time are broken', async () => {
    const broken: Own[] = [];
    for (let amount = 0; amount < 6; amount++) {
      const own = await claimed();
      await root.query(`create database ${own.name}`);
      await want(own);
      broken.push(own);
    }
    const own = await claimed();
    await want(own);
    keep();
    await made(own);
    for (const { name } of broken) await root.query(`drop database ${name}`);
    for (const other of broken) await made(other);
  });

  it('can not be ordered for an id without one, by another incarnation, or for rows that are kept', async () => {
    const common = await createBank(postgres, 'has-none');
    await expect(want(common)).rejects.toMatchObject({ code: 'BH001' });
    const own = await claimed();
    await expect(want({ ...own, uid: 'another' })).rejects.toMatchObject({ code: 'BH001' });
    await operator.query('select control.release_id($1, $2, null)', [own.id, own.uid]);
    await expect(want(own)).rejects.toMatchObject({ code: 'BH001' });
  });
});

describe('an older release made it', () => {
  it('it is brought to the newer generation while its bank uses it, and stays closed to others', async () => {
    const own = await claimed();
    await want(own);
    const before = keep(older);
    await made(own, GENERATION - 1);
    await before.stop();
    // The function that lets roles in is not there yet: as the owner.
    const [role, password] = [databaseRole(own.uid, 'a'), randomBytes(12).toString('hex')];
    await withClient(databaseUrlAt(postgres.ownerUrl, own.name), async (client) => {
      const verifier = await scramVerifier(password);
      await client.query("select admin.ensure_bank($1, $2, $1, 'business', '[]', $3, $4, 'digest', $5)", [
        own.id,
        own.uid,
        role,
        verifier,
        JSON.stringify({ 1: randomBytes(32).toString('base64') }),
      ]);
      await client.query(`grant connect on database ${own.name} to ${role}`);
    });
    const common = await createBank(postgres, 'still-out');
    await withClient(databaseUrlAt(postgres.urlFor(role, password), own.name), async (bank) => {
      keep();
      let calls = 0;
      await eventually(async () => {
        await bank.query('select api.assertion_state()');
        calls += 1;
        expect(await want(own)).toEqual({ name: own.name, generation: GENERATION, problem: null });
      }, 60_000);
      expect(calls).toBeGreaterThan(1);
    });
    await withClient(databaseUrlAt(postgres.serviceUrl('operator'), own.name), (client) =>
      client.query('select admin.let_in($1)', [role]),
    );
    await expect(signsIn(databaseUrlAt(common.url, own.name))).rejects.toThrow(REFUSED);
  });

  it('one that can not be brought there keeps its schema and says why; the others are', async () => {
    const [stuck, free] = [await claimed(), await claimed()];
    await want(stuck);
    await want(free);
    const before = keep(older);
    await made(stuck, GENERATION - 1);
    await made(free, GENERATION - 1);
    await before.stop();
    await root.query(`alter database ${stuck.name} owner to postgres`);
    keep();
    await made(free);
    await eventually(async () =>
      expect(await want(stuck)).toMatchObject({ generation: GENERATION - 1, problem: expect.stringMatching(/owns/) }),
    );
    await root.query(`alter database ${stuck.name} owner to bankhouse_owner`);
    await made(stuck);
  });
});

interface Reader {
  own: Own;
  /** A feed under the token, and why it says nothing any more, if so. */
  open(jti: string): Promise<{ ended: () => Promise<string | undefined> }>;
}

/** A bank in a database of its own, which a keeper made. */
async function reader(): Promise<Reader> {
  const own = await claimed();
  await want(own);
  await made(own);
  const sealKey = randomBytes(32);
  const url = await moveIn(own, sealKey);
  return {
    own,
    async open(jti) {
      const { feed, position } = await openAt(url, sealAssertion(assertionFor(own.id, { jti }), sealKey, 1));
      return { ended: async () => (await readFeeds(url, [feed], position)).ended[0]?.reason };
    },
  };
}

const REVOKE = "insert into control.revoked_tokens (jti, expires_at) values ($1, now() + interval '1 hour')";
const asControl = (text: string, values: unknown[]) =>
  withClient(postgres.serviceUrl('control'), (client) => client.query(text, values));
const revoke = (jti: string) => asControl(REVOKE, [jti]);
const isRevoked = (feed: { ended: () => Promise<string | undefined> }, limitMs = 5_000) =>
  eventually(async () => expect(await feed.ended()).toBe('revoked'), limitMs);
/** The snapshot that a database was told, and whether every revoked token is in it. */
async function told({ name }: Own): Promise<{ here: string | null; hasAll: boolean | null }> {
  const { rows } = await root.query(
    `select told::text as here, (select bool_and(pg_visible_in_snapshot(r.xid, told)) from control.revoked_tokens r) as "hasAll"
       from control.databases where name = $1`,
    [name],
  );
  return rows[0];
}

describe("what is revoked, in a bank's own database", () => {
  it('a token: its feed ends, one that is opened under it later too, and those of others go on', async () => {
    keep();
    const bank = await reader();
    const [stolen, other] = [await bank.open('stolen'), await bank.open('other')];
    await revoke('stolen');
    await isRevoked(stolen);
    expect(await (await bank.open('stolen')).ended()).toBe('revoked');
    expect(await other.ended()).toBeUndefined();
  });

  it("all of a bank's tokens: its feeds end, those of another bank go on, and nobody comes to that one", async () => {
    keep();
    const [bank, neighbour] = [await reader(), await reader()];
    const [feed, beside] = [await bank.open('of-all'), await neighbour.open('of-none')];
    // The last that both have to be told.
    await revoke('of-nobody');
    const before = await eventually(async () => {
      const { here, hasAll } = await told(neighbour.own);
      expect(hasAll).toBe(true);
      return here;
    });
    await asControl(
      `insert into control.bank_epochs as e (bank_id, not_before) values ($1, clock_timestamp() + interval '1 s')
         on conflict (bank_id) do update set not_before = excluded.not_before`,
      [bank.own.id],
    );
    await isRevoked(feed);
    expect(await beside.ended()).toBeUndefined();
    expect((await told(neighbour.own)).here).toBe(before);
  });

  it('by a transaction that began before others which were told meanwhile, and ends after them', async () => {
    keep();
    const bank = await reader();
    const [early, late] = [await bank.open('early'), await bank.open('late')];
    await withClient(postgres.serviceUrl('control'), async (client) => {
      await client.query('begin');
      await client.query(REVOKE, ['late']);
      await revoke('early');
      await isRevoked(early);
      expect(await late.ended()).toBeUndefined();
      await client.query('commit');
    });
    await isRevoked(late);
  });

  it('while nobody kept it, and more than is read at a time', async () => {
    const keeper = keep();
    const bank = await reader();
    const feed = await bank.open('many-2500');
    await keeper.stop();
    await asControl(
      `insert into control.revoked_tokens (jti, expires_at)
         select 'many-' || n, now() + interval '1 hour' from generate_series(1, $1::int) n`,
      [2_500],
    );
    expect(await feed.ended()).toBeUndefined();
    keep();
    await isRevoked(feed);
    await withClient(databaseUrlAt(postgres.superuserUrl, bank.own.name), async (client) => {
      const { rows } = await client.query("select count(*)::int as n from bank.revoked_tokens where jti like 'many-%'");
      expect(rows).toEqual([{ n: 2_500 }]);
    });
  });

  it('while more databases are away than are told at a time: the others are told, and those when they are back', async () => {
    keep();
    const away = [await reader(), await reader(), await reader(), await reader(), await reader()];
    const bank = await reader();
    const [feed, first] = [await bank.open('away'), await (away[0] as Reader).open('away')];
    for (const { own } of away) {
      await root.query(`alter database ${own.name} allow_connections false`);
      await root.query('select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1', [own.name]);
    }
    await revoke('away');
    await isRevoked(feed);
    for (const { own } of away) await root.query(`alter database ${own.name} allow_connections true`);
    await isRevoked(first, 30_000);
  });
});

describe('a database that is to go', () => {
  const RECEIPT = { rowsDeleted: 2, tables: { notes: { rows: 2, keys: 'a'.repeat(64) } } };

  it('is dropped when nobody is in it any more; till then nobody comes in, the id is not free, and the first receipt counts', async () => {
    const own = await claimed();
    await want(own);
    keep();
    await made(own);
    const url = await moveIn(own);
    const forget = () =>
      operator.query('select control.forget_id($1, $2, $3) as receipt', [own.id, own.uid, JSON.stringify(RECEIPT)]);
    await withClient(url, async () => {
      await orderGone(own, RECEIPT);
      await orderGone(own, { rowsDeleted: 0, tables: {} });
      await eventually(async () => {
        expect((await receiptOf(own)).problem).toMatch(/being accessed by other users/);
      }, 30_000);
      await expect(signsIn(url)).rejects.toThrow(/not currently accepting connections/);
      await expect(forget()).rejects.toMatchObject({ code: '55006' });
    });
    await eventually(async () => {
      expect(await receiptOf(own)).toMatchObject({ dropped: true, receipt: RECEIPT, problem: null });
    }, 30_000);
    expect(await exists(own.name)).toBe(false);
    expect((await forget()).rows[0].receipt).not.toBeNull();
    expect((await root.query('select from control.databases where name = $1', [own.name])).rowCount).toBe(0);
  });

  it.each([
    { sentence: 'that was never made', prepare: async () => {} },
    {
      sentence: 'that somebody dropped',
      prepare: async (own: Own) => {
        await want(own);
        keep();
        await made(own);
        await root.query(`drop database ${own.name}`);
      },
    },
  ])('one $sentence is gone', async ({ prepare }) => {
    const own = await claimed();
    await prepare(own);
    await orderGone(own, RECEIPT);
    keep();
    await eventually(async () => expect(await receiptOf(own)).toMatchObject({ dropped: true }));
  });

  it('can not be ordered gone while its Bank lives', async () => {
    const own = await claimed();
    await want(own);
    const { rows } = await operator.query('select control.drop_database($1, $2, $3) as answer', [
      own.id,
      own.uid,
      JSON.stringify(RECEIPT),
    ]);
    expect(rows[0].answer).toBeNull();
    expect((await root.query('select receipt from control.databases where name = $1', [own.name])).rows).toEqual([
      { receipt: null },
    ]);
  });
});
