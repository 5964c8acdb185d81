/** Further servers that the chart names: who keeps databases brings our schema there, and keeps it there. Two real servers. */
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Keeper, KeptServer } from '@bankhouse/control';
import { databaseRole, databaseUrlAt, scramVerifier, sealAssertion, serverPassword } from '@bankhouse/core';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { describeSchema } from '../../../control/src/migrations/index.ts';
import { GENERATION, migrationsBefore, startKeeper } from '../../harness/keeper.ts';
import { assertionFor, startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { SNAPSHOT } from '../../harness/snapshot.ts';
import { openAt, readFeeds } from '../live/support.ts';
import { eventually } from '../operator/support/eventually.ts';

const ROOT = new URL('../../..', import.meta.url).pathname;
const NAME = 'eu.postgres';

let platform: TestPostgres;
let there: TestPostgres;
let operator: pg.Client;
let root: pg.Client;
let rootThere: pg.Client;
let older: string;
let turn = 0;
const keepers: Keeper[] = [];

beforeAll(async () => {
  [platform, there] = await Promise.all([startPostgres(), startPostgres({ migrate: false })]);
  operator = new pg.Client({ connectionString: platform.serviceUrl('operator') });
  root = new pg.Client({ connectionString: platform.superuserUrl });
  rootThere = new pg.Client({ connectionString: databaseUrlAt(there.superuserUrl, 'postgres') });
  for (const client of [operator, root, rootThere]) {
    client.on('error', () => {});
    await client.connect();
  }
  await root.query('alter role bankhouse_owner createdb');
  // As CloudNativePG makes them: an owner, and a database of a name of its own.
  await rootThere.query('drop database bankhouse');
  await rootThere.query('create database app owner bankhouse_owner');
  older = migrationsBefore();
}, 60_000);
afterAll(async () => {
  for (const client of [operator, root, rootThere]) await client?.end();
  await platform?.stop();
  await there?.stop();
  if (older !== undefined) rmSync(older, { recursive: true, force: true });
});
beforeEach(() => rootThere.query('alter role bankhouse_owner createdb createrole'));
afterEach(async () => {
  await Promise.all(keepers.splice(0).map((keeper) => keeper.stop()));
});

function keep(changes: Partial<KeptServer> = {}, migrationsDir?: string): Keeper {
  const url = databaseUrlAt(there.ownerUrl, 'app');
  const server = { name: NAME, url, operatorPassword: serverPassword(platform.passwords.operator, NAME), ...changes };
  const keeper = startKeeper({ databaseUrl: platform.ownerUrl, servers: [server], migrationsDir });
  keepers.push(keeper);
  return keeper;
}

interface Placed {
  id: string;
  uid: string;
  /** Of the database. */
  name: string;
}

async function claimed(isolation: 'shared' | 'dedicated', server = `secret:${NAME}`): Promise<Placed> {
  const own = `bank_${randomBytes(12).toString('hex')}`;
  const placed = { id: `there-${++turn}`, uid: randomUUID(), name: isolation === 'shared' ? 'bankhouse' : own };
  await operator.query('select control.claim_id($1, $2, $3, $4, $5, $6, $7, $8)', [
    placed.id,
    placed.uid,
    `banks/${placed.id}`,
    'namespace',
    placed.id,
    'business',
    '[]',
    isolation === 'shared' ? server : `${server}/${own}`,
  ]);
  return placed;
}

interface Answer {
  name: string;
  generation: number | null;
  problem: string | null;
}

async function want({ id, uid }: Placed): Promise<Answer> {
  const { rows } = await operator.query<{ answer: Answer }>('select control.want_database($1, $2) as answer', [
    id,
    uid,
  ]);
  return rows[0]?.answer as Answer;
}

const made = (placed: Placed, generation = GENERATION) =>
  eventually(async () => expect(await want(placed)).toEqual({ name: placed.name, generation, problem: null }), 60_000);

const operatorUrl = (name: string) =>
  databaseUrlAt(there.urlFor('bankhouse_operator', serverPassword(platform.passwords.operator, NAME)), name);

/** As the operator does when the database is there. @returns URL of the bank's role */
async function moveIn({ id, uid, name }: Placed, sealKey: Uint8Array = randomBytes(32)): Promise<string> {
  const [role, password] = [databaseRole(uid, 'a'), randomBytes(12).toString('hex')];
  await withClient(operatorUrl(name), async (client) => {
    const verifier = await scramVerifier(password);
    const keys = JSON.stringify({ 1: Buffer.from(sealKey).toString('base64') });
    await client.query("select admin.ensure_bank($1, $2, $1, 'business', '[]', $3, $4, 'digest', $5)", [
      id,
      uid,
      role,
      verifier,
      keys,
    ]);
    await client.query('select admin.let_in($1)', [role]);
  });
  return databaseUrlAt(there.urlFor(role, password), name);
}

const signsIn = (url: string) => withClient(url, async (client) => void (await client.query('select 1')));
const existsThere = async (name: string) =>
  (await rootThere.query('select from pg_database where datname = $1', [name])).rowCount === 1;

describe('a server that is named', () => {
  it("says what its owner lacks, one after the other, while the platform's own databases are made; and is brought up when it has that", async () => {
    const placed = await claimed('shared');
    expect(await want(placed)).toEqual({ name: 'bankhouse', generation: null, problem: null });
    const problem = (pattern: RegExp) =>
      eventually(async () => expect((await want(placed)).problem).toMatch(pattern), 30_000);
    const wrong = new URL(databaseUrlAt(there.ownerUrl, 'app'));
    wrong.password = 'wrong';
    const first = keep({ url: wrong.toString() });
    await problem(/^Postgres "eu\.postgres" at 127\.0\.0\.1:\d+ refuses the owner's sign-in .* compare its Secret, /);
    await first.stop();
    await rootThere.query('alter role bankhouse_owner nocreatedb nocreaterole');
    keep();
    await problem(/CREATEDB, as docs\/placement\.md says\.$/);
    await rootThere.query('alter role bankhouse_owner createdb');
    await problem(/^The role bankhouse_owner needs CREATEROLE/);
    const elsewhere = await claimed('dedicated', 'platform');
    await made(elsewhere);
    await rootThere.query('alter role bankhouse_owner createrole');
    await made(placed);
  }, 120_000);

  it("has the privileges of the first one, and no password but the operator's own there lets a service role in", async () => {
    keep();
    await made(await claimed('shared'));
    const blocks = (text: string) =>
      text
        .trim()
        .split('\n\n')
        .filter((block) => /^(?!role |extensions|#)/.test(block) && !/^\S+( \S+)? "?control\b/.test(block));
    const here = await withClient(databaseUrlAt(there.ownerUrl, 'bankhouse'), describeSchema);
    const reviewed = readFileSync(join(ROOT, SNAPSHOT), 'utf8');
    expect(blocks(here).sort()).toEqual(blocks(reviewed).sort());
    const { rows } = await rootThere.query(
      "select rolname from pg_roles where rolname like 'bankhouse_%' and rolcanlogin order by 1",
    );
    expect(rows).toEqual([{ rolname: 'bankhouse_operator' }, { rolname: 'bankhouse_owner' }]);
    await expect(
      signsIn(databaseUrlAt(there.urlFor('bankhouse_operator', platform.passwords.operator), 'bankhouse')),
    ).rejects.toMatchObject({ code: '28P01' });
  });

  it('gets the new password of the operator when who keeps it is started again', async () => {
    const before = keep();
    await made(await claimed('shared'));
    await before.stop();
    keep({ operatorPassword: 'another-password' });
    await eventually(() => signsIn(databaseUrlAt(there.urlFor('bankhouse_operator', 'another-password'), 'bankhouse')));
    keep();
    await eventually(() => signsIn(operatorUrl('bankhouse')));
  });

  it('that had no Secret is said to have none', async () => {
    const placed = await claimed('shared', 'secret:nowhere');
    keep({ name: 'nowhere', url: undefined });
    await eventually(async () => {
      expect((await want(placed)).problem).toMatch(/^The Secret of the server "nowhere" .* restart that Deployment\.$/);
    });
  });
});

describe('a bank on it', () => {
  it.each(['shared', 'dedicated'] as const)(
    '%s: its role comes into its database alone, and to none of its neighbour',
    async (isolation) => {
      keep();
      const [bank, neighbour, common] = [await claimed(isolation), await claimed('dedicated'), await claimed('shared')];
      for (const one of [bank, neighbour, common]) await made(one);
      const [url, neighbours, commons] = [await moveIn(bank), await moveIn(neighbour), await moveIn(common)];
      await signsIn(url);
      for (const other of [url, commons]) {
        await expect(signsIn(databaseUrlAt(other, neighbour.name))).rejects.toThrow(/permission denied for database/);
      }
      await withClient(neighbours, async (client) => {
        await expect(client.query('select from bank.banks')).rejects.toThrow(/permission denied for schema bank/);
      });
      expect(await existsThere(bank.name)).toBe(true);
      const { rowCount } = await root.query("select from pg_database where datname = $1 and datname <> 'bankhouse'", [
        bank.name,
      ]);
      expect(rowCount).toBe(0);
    },
  );

  it('is brought to a newer generation while it is used, in the common database and in its own', async () => {
    const [shared, own] = [await claimed('shared'), await claimed('dedicated')];
    await root.query('update control.server_databases set generation = null where server = $1', [NAME]);
    const before = keep({}, older);
    await made(shared, GENERATION - 1);
    await want(own);
    await made(own, GENERATION - 1);
    await before.stop();
    const urls = [await moveIn(shared), await moveIn(own)];
    await withClient(urls[0] ?? '', (first) =>
      withClient(urls[1] ?? '', async (second) => {
        keep();
        await eventually(async () => {
          for (const bank of [first, second]) await bank.query('select api.assertion_state()');
          expect([(await want(shared)).generation, (await want(own)).generation]).toEqual([GENERATION, GENERATION]);
        }, 60_000);
      }),
    );
  });

  it("is dropped with a receipt, and its id is free only then; the common database can't be ordered gone", async () => {
    keep();
    const own = await claimed('dedicated');
    await want(own);
    await made(own);
    const url = await moveIn(own);
    const receipt = JSON.stringify({ rowsDeleted: 1, tables: { vaults: { rows: 1, keys: 'a'.repeat(64) } } });
    const call = async (name: string, values: unknown[]) =>
      (await operator.query(`select control.${name} as answer`, values)).rows[0].answer;
    expect(await call('drop_database($1, $2, $3)', [own.id, own.uid, receipt])).toBeNull();
    await call('release_id($1, $2, now())', [own.id, own.uid]);
    await withClient(url, async () => {
      await call('drop_database($1, $2, $3)', [own.id, own.uid, receipt]);
      await eventually(async () => {
        const { problem } = await call('drop_database($1, $2)', [own.id, own.uid]);
        expect(problem).toMatch(/being accessed by other users/);
      }, 30_000);
      await expect(call('forget_id($1, $2, $3)', [own.id, own.uid, receipt])).rejects.toMatchObject({ code: '55006' });
    });
    await eventually(async () => {
      expect(await call('drop_database($1, $2)', [own.id, own.uid])).toMatchObject({ dropped: true, problem: null });
    }, 30_000);
    expect(await existsThere(own.name)).toBe(false);
    expect(await call('forget_id($1, $2, $3)', [own.id, own.uid, receipt])).not.toBeNull();
    expect((await root.query('select from control.server_databases where name = $1', [own.name])).rowCount).toBe(0);
    const shared = await claimed('shared');
    await call('release_id($1, $2, now())', [shared.id, shared.uid]);
    expect(await call('drop_database($1, $2, $3)', [shared.id, shared.uid, receipt])).toBeNull();
    expect(await existsThere('bankhouse')).toBe(true);
  }, 90_000);

  it('whose database is gone gets no empty one in its place', async () => {
    const before = keep({}, older);
    await root.query('update control.server_databases set generation = null where server = $1', [NAME]);
    const own = await claimed('dedicated');
    await want(own);
    await made(own, GENERATION - 1);
    await before.stop();
    await rootThere.query(`drop database ${own.name}`);
    keep();
    await eventually(async () => {
      expect(await want(own)).toMatchObject({
        generation: GENERATION - 1,
        problem: expect.stringMatching(/is not on its server any more: restore it from a backup\.$/),
      });
    }, 30_000);
    expect(await existsThere(own.name)).toBe(false);
  });
});

describe('what is revoked', () => {
  const asControl = (text: string, values: unknown[]) =>
    withClient(platform.serviceUrl('control'), (client) => client.query(text, values));
  const revoke = (jti: string) =>
    asControl("insert into control.revoked_tokens (jti, expires_at) values ($1, now() + interval '1 hour')", [jti]);
  const endAll = (id: string) =>
    asControl(
      `insert into control.bank_epochs as e (bank_id, not_before) values ($1, clock_timestamp() + interval '1 s')
         on conflict (bank_id) do update set not_before = excluded.not_before`,
      [id],
    );

  async function reader(isolation: 'shared' | 'dedicated') {
    const placed = await claimed(isolation);
    await want(placed);
    await made(placed);
    const sealKey = randomBytes(32);
    const url = await moveIn(placed, sealKey);
    const open = async (jti: string) => {
      const { feed, position } = await openAt(url, sealAssertion(assertionFor(placed.id, { jti }), sealKey, 1));
      return { ended: async () => (await readFeeds(url, [feed], position)).ended[0]?.reason };
    };
    return { ...placed, open };
  }
  const isRevoked = (feed: { ended: () => Promise<string | undefined> }, limitMs = 5_000) =>
    eventually(async () => expect(await feed.ended()).toBe('revoked'), limitMs);

  it.each(['shared', 'dedicated'] as const)('ends the feeds of a token, or of a bank, there: %s', async (isolation) => {
    keep();
    const [bank, neighbour] = [await reader(isolation), await reader(isolation)];
    const [stolen, other, beside] = [
      await bank.open(`stolen-${isolation}`),
      await bank.open('other'),
      await neighbour.open('beside'),
    ];
    await revoke(`stolen-${isolation}`);
    await isRevoked(stolen);
    expect(await other.ended()).toBeUndefined();
    await endAll(bank.id);
    await isRevoked(other);
    expect(await beside.ended()).toBeUndefined();
  });

  it("reaches the platform's own databases while the server is away, and the server when it is back; which says so meanwhile", async () => {
    keep();
    const far = await reader('shared');
    const feed = await far.open('while-away');
    const near = await claimed('dedicated', 'platform');
    await want(near);
    await made(near);
    const late = await claimed('dedicated');
    await there.restart(async () => {
      await want(late);
      await eventually(async () => {
        expect((await want(late)).problem).toMatch(/^Postgres "eu\.postgres" at \S+ can't be reached \(.*ECONNREFUSED/);
      }, 30_000);
      await revoke('while-away');
      await eventually(async () => {
        const { rows } = await root.query(
          `select bool_and(pg_visible_in_snapshot(r.xid, d.told)) as "isTold" from control.databases d, control.revoked_tokens r where d.name = $1`,
          [near.name],
        );
        expect(rows).toEqual([{ isTold: true }]);
      });
      const newcomer = await claimed('dedicated', 'platform');
      await want(newcomer);
      await made(newcomer);
    });
    rootThere = new pg.Client({ connectionString: databaseUrlAt(there.superuserUrl, 'postgres') });
    await rootThere.connect();
    await isRevoked(feed, 70_000);
    await made(late);
  }, 150_000);
});
