/**
 * R1.6: what somebody tries who has taken over a bank's server: its database login, and every assertion of the requests that pass
 * through it. Each attempt that the design says is in vain, by name. (By table and operation: matrix.test.ts.)
 */
import { scramVerifier } from '@bankhouse/core';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestBank } from '../../harness/postgres.ts';
import { withClient } from '../../harness/postgres.ts';
import { startWorld, VAULTS, type World } from './world.ts';

let world: World;
let acme: TestBank;
beforeAll(async () => {
  world = await startWorld();
  const bank = world.banks.acme;
  if (bank === undefined) throw new Error('There is no bank acme.');
  acme = bank;
});
afterAll(() => world?.[Symbol.asyncDispose]());

const WRITE = ['mcp:read', 'mcp:write'];
const sales = () => acme.seal({ vaults: ['sales'], scopes: WRITE });

/** A transaction of bank acme that may write, rolled back at the end. */
function asAcme<T>(sealed: string | undefined, use: (sql: pg.Client) => Promise<T>): Promise<T> {
  return withClient(acme.url, async (sql) => {
    await sql.query('begin read write');
    if (sealed !== undefined) await sql.query("select set_config('bankhouse.assertion', $1, true)", [sealed]);
    const result = await use(sql);
    await sql.query('rollback');
    return result;
  });
}

/** What a statement is answered with when it fails; undefined when it doesn't. */
async function failure(sql: pg.Client, text: string, values: unknown[] = []): Promise<string | undefined> {
  await sql.query('savepoint attempt').catch(() => sql.query('begin read write; savepoint attempt'));
  const failed = await sql.query(text, values).then(
    () => undefined,
    (error: pg.DatabaseError) => [error.code, error.message, error.detail, error.constraint].join(' | '),
  );
  await sql.query('rollback to savepoint attempt');
  return failed;
}

/** A call with values in JSON. */
const create = (kind: string, values: object): [string, unknown[]] => [
  `select api.create_row('${kind}', $1)`,
  [JSON.stringify(values)],
];

describe('guessing ids of what is hidden', () => {
  it.each([
    ['a comment on a hidden call', 'comment', (id: string) => ({ body: 'x', parentType: 'recording', parentId: id })],
    ['a note about a hidden call', 'note', (id: string) => ({ title: 'x', vaultId: 'sales', recordingId: id })],
  ] as const)('%s is refused as on one that is not there', async (_sentence, kind, values) => {
    await asAcme(sales(), async (sql) => {
      const refused = await failure(sql, ...create(kind, values('fathom-999999')));
      expect(refused).toMatch(/^23503/);
      expect(await failure(sql, ...create(kind, values('fathom-2')))).toBe(refused);
    });
  });

  it.each([
    ['chats', 'chat_message', (id: string) => ({ body: 'x', chatId: id })],
    ['notes', 'comment', (id: string) => ({ body: 'x', parentType: 'note', parentId: id })],
    ['tasks', 'comment', (id: string) => ({ body: 'x', parentType: 'task', parentId: id })],
    ['chats', 'comment', (id: string) => ({ body: 'x', parentType: 'chat', parentId: id })],
  ] as const)('what is put below hidden %s is refused as below one that is not there', async (entity, kind, values) => {
    await asAcme(sales(), async (sql) => {
      const refused = await failure(sql, ...create(kind, values('00000000-0000-4000-8000-000000000000')));
      expect(refused).toMatch(/^23503/);
      expect(await failure(sql, ...create(kind, values(world.idOf(entity, 'acme', 'hr'))))).toBe(refused);
      expect(await failure(sql, ...create(kind, values(world.idOf(entity, 'globex', 'sales'))))).toBe(refused);
    });
  });

  it('a vault that is hidden is refused as one that is not there', async () => {
    await asAcme(sales(), async (sql) => {
      const put = (vaultId: string) => failure(sql, ...create('note', { title: 'x', vaultId }));
      expect(await put('hr')).toBe(await put('elsewhere'));
      expect(await put('hr')).toBeDefined();
    });
  });

  it('an answer to a message of another chat is refused, whatever its vault', async () => {
    await asAcme(sales(), async (sql) => {
      const chatId = world.idOf('chats', 'acme', 'sales');
      const answer = (replyTo: string) => failure(sql, ...create('chat_message', { chatId, body: 'x', replyTo }));
      const refused = await answer('00000000-0000-4000-8000-000000000000');
      expect(refused).toMatch(/^23503/);
      const word = (text: string | undefined) => text?.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'id');
      expect(word(await answer(world.idOf('chat_messages', 'acme', 'hr')))).toBe(word(refused));
    });
  });
});

describe('reading through the side', () => {
  it('D1, D8: statistics, the statements of others and large objects are closed', async () => {
    await asAcme(sales(), async (sql) => {
      const { rows } = await sql.query(
        `select (select count(*)::int from pg_stats where schemaname in ('bank', 'control', 'api')) as statistics,
                (select count(*)::int from pg_stat_activity where usename <> current_user and query not like '<insufficient%') as statements`,
      );
      expect(rows).toEqual([{ statistics: 0, statements: 0 }]);
      expect(await failure(sql, 'select count(*) from pg_statistic')).toMatch(/^42501/);
      expect(await failure(sql, 'select data from pg_largeobject')).toMatch(/^42501/);
    });
  });

  it('D1: a call that was prepared under one assertion sees what the next one may', async () => {
    await asAcme(undefined, async (sql) => {
      await sql.query(
        `prepare all_notes as select a ->> 'vaultId' as vault from api.read_rows('note', '{"limit": 100}') a`,
      );
      for (let turn = 0; turn < 8; turn++) {
        for (const vault of VAULTS) {
          await sql.query("select set_config('bankhouse.assertion', $1, true)", [acme.seal({ vaults: [vault] })]);
          expect((await sql.query('execute all_notes')).rows).toEqual([{ vault }]);
        }
      }
    });
  });

  it('D1: two calls in one statement under two assertions see each its own', async () => {
    await asAcme(undefined, async (sql) => {
      const { rows } = await sql.query(
        `select set_config('bankhouse.assertion', s, true) <> '' as set,
                (select array_agg(a ->> 'vaultId') from api.read_rows('note', case when s <> '' then '{"limit": 100}' end::jsonb) a) as vaults
           from unnest($1::text[]) s`,
        [[acme.seal({ vaults: ['hr'] }), acme.seal({ vaults: ['sales'] })]],
      );
      expect(rows.map(({ vaults }) => vaults)).toEqual([['hr'], ['sales']]);
    });
  });

  it('D5: a large object of another bank can’t be read', async () => {
    await withClient(world.banks.globex?.url ?? '', async (sql) => {
      const { rows } = await sql
        .query("begin read write; select lo_from_bytea(0, 'x') as id; commit")
        .then((results) => (results as unknown as pg.QueryResult[])[1] ?? { rows: [] });
      await asAcme(sales(), async (other) => {
        expect(await failure(other, 'select lo_get($1)', [rows[0]?.id])).toMatch(/^42501/);
      });
      await sql.query(`begin read write; select lo_unlink(${rows[0]?.id}); commit`);
    });
  });
});

describe('the answer of a batch, kept for when it comes again', () => {
  const scopes = [null, ['hr', 'sales'], ['sales']];
  const keepAndRecall = (made: string, asked: string) =>
    asAcme(made, async (sql) => {
      await sql.query(`select api.claim_batch('k', sha256('x'))`);
      await sql.query(`select api.keep_outcome('k', '["secret"]')`);
      await sql.query("select set_config('bankhouse.assertion', $1, true)", [asked]);
      return (await sql.query(`select api.claim_batch('k', sha256('x')) as claim`)).rows[0].claim;
    });

  it.each(scopes.flatMap((made) => scopes.map((asked) => [made, asked] as const)))(
    'of a token of the vaults %j is told to one of %j only where that opens all of them',
    async (made, asked) => {
      const told = await keepAndRecall(
        acme.seal({ vaults: made, scopes: WRITE }),
        acme.seal({ vaults: asked, scopes: WRITE }),
      );
      const covered = asked === null || made?.every((vault) => asked.includes(vault)) === true;
      expect(told).toEqual({ claimed: false, same: true, outcome: covered ? ['secret'] : null });
    },
  );

  it('is told to nobody else', async () => {
    const told = await keepAndRecall(acme.seal({ scopes: WRITE }), acme.seal({ sub: 'eve', scopes: WRITE }));
    expect(told).toEqual({ claimed: true });
  });

  it('D10: is told to nobody of the same name at another issuer', async () => {
    const told = await keepAndRecall(
      acme.seal({ scopes: WRITE }),
      acme.seal({ iss: 'https://elsewhere.test', scopes: WRITE }),
    );
    expect(told).toEqual({ claimed: true });
  });
});

describe('writing what is not so', () => {
  it('who, when and which version are not the caller’s to say', async () => {
    await asAcme(sales(), async (sql) => {
      for (const field of ['createdBy', 'updatedBy', 'createdAt', 'version', 'bankId', 'id']) {
        expect(await failure(sql, ...create('note', { title: 'x', vaultId: 'sales', [field]: '2000-01-01' }))).toMatch(
          /^22023/,
        );
      }
      const [text, values] = create('note', { title: 'mine', vaultId: 'sales' });
      await sql.query(text, values);
      const { rows } = await sql.query(
        `select a - 'id' as note from (select a::jsonb from api.read_rows('note', '{"filter": {"field": "title", "op": "eq", "value": "mine"}, "limit": 1}') a) x (a)`,
      );
      expect(rows[0].note).toMatchObject({
        createdBy: 'https://issuer.test test',
        updatedBy: 'https://issuer.test test',
        version: 1,
      });
    });
  });

  it('a message is in its chat’s vault, and its vault is not the caller’s to say', async () => {
    await asAcme(acme.seal({ vaults: ['hr', 'sales'], scopes: WRITE }), async (sql) => {
      const chatId = world.idOf('chats', 'acme', 'hr');
      expect(await failure(sql, ...create('chat_message', { chatId, body: 'x', vaultId: 'sales' }))).toMatch(/^22023/);
      const [text, values] = create('chat_message', { chatId, body: 'x' });
      const { rows } = await sql.query(text, values);
      expect(rows[0].create_row.receipt.vaultId).toBe('hr');
    });
  });

  it('a caller of one vault neither deletes nor moves what is below a row of another', async () => {
    await asAcme(sales(), async (sql) => {
      const gone = await sql.query('select api.delete_row($1, $2) as a, api.delete_row($3, $4) as b', [
        'chat',
        world.idOf('chats', 'acme', 'hr'),
        'note',
        world.idOf('notes', 'globex', 'sales'),
      ]);
      expect(gone.rows).toEqual([{ a: null, b: null }]);
      await sql.query('commit');
    });
    await withClient(world.postgres.superuserUrl, async (sql) => {
      const { rows } = await sql.query('select count(*)::int as n from bank.chat_messages');
      expect(rows).toEqual([{ n: world.rows.filter(({ table }) => table === 'bank.chat_messages').length }]);
    });
  });
});

describe('getting in the way of other banks', () => {
  it('no connection of another bank can be ended or cancelled', async () => {
    await withClient(world.banks.globex?.url ?? '', async (victim) => {
      const pid = (await victim.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid;
      await asAcme(sales(), async (sql) => {
        expect(await failure(sql, 'select pg_terminate_backend($1)', [pid])).toMatch(/^42501/);
        expect(await failure(sql, 'select pg_cancel_backend($1)', [pid])).toMatch(/^42501/);
      });
      expect((await victim.query('select 1 as alive')).rows).toEqual([{ alive: 1 }]);
    });
  });

  it('D3: no lock on a table of ours is asked for before the right to it is checked', async () => {
    await withClient(world.postgres.superuserUrl, async (catalog) => {
      const { rows } = await catalog.query<{ name: string }>(
        `select oid::regclass::text as name from pg_class where relkind in ('r', 'v', 'i') and relnamespace in ('bank'::regnamespace, 'control'::regnamespace)`,
      );
      await catalog.query('begin');
      for (const { name } of rows) await catalog.query(`select from pg_class where oid = '${name}'::regclass`);
      // Whoever waits for one of these waits for ever.
      await catalog.query(`do $$ declare t regclass; begin
        for t in select oid from pg_class where relkind = 'r' and relnamespace in ('bank'::regnamespace, 'control'::regnamespace) loop
          execute format('lock table %s in access share mode', t); end loop; end $$`);
      await asAcme(sales(), async (sql) => {
        await sql.query("set local lock_timeout = '500ms'");
        for (const { name } of rows) {
          for (const text of [
            `create rule r as on insert to ${name} do instead nothing`,
            `create trigger t before insert on ${name} execute function nothing()`,
            `comment on table ${name} is 'x'`,
            `drop table ${name}`,
            `reindex index ${name}`,
          ]) {
            expect([text, await failure(sql, text)]).toEqual([text, expect.stringMatching(/^42501/)]);
          }
        }
      });
      await catalog.query('rollback');
    });
  });

  it('D4: nothing of ours waits for an advisory lock, which any role can hold', async () => {
    await withClient(world.postgres.superuserUrl, async (sql) => {
      const { rows } = await sql.query(
        `select f.oid::regproc from pg_proc f join pg_namespace n on n.oid = f.pronamespace
          where n.nspname in ('bank', 'control', 'api', 'admin') and prosrc ~ 'advisory_(xact_)?lock'`,
      );
      expect(rows).toEqual([]);
    });
  });

  it('D6: what a role drops of its group and of itself takes nothing from anybody', async () => {
    await withClient(acme.url, async (sql) => {
      await sql.query('begin read write; drop owned by bankhouse_bank; drop owned by current_user; commit');
      expect(await failure(sql, 'reassign owned by bankhouse_bank to bankhouse_operator')).toMatch(/^42501/);
    });
    for (const bank of Object.values(world.banks)) {
      const { length } = await withClient(bank.url, async (sql) => {
        await sql.query(`set bankhouse.assertion = '${bank.seal()}'`);
        return (await sql.query(`select api.list_vaults()`)).rows;
      });
      expect(length).toBe(VAULTS.length);
    }
    await withClient(world.postgres.superuserUrl, async (sql) => {
      const { rows } = await sql.query(
        `select count(*)::int as n from pg_policies where 'bankhouse_api' = any (roles)`,
      );
      expect(rows[0].n).toBeGreaterThan(20);
    });
  });
});

describe('doing something to its own login', () => {
  const ensure = (sql: pg.Client, force: boolean) =>
    sql.query('select admin.ensure_bank($1, $2, $1, $3, $4, $5, $6, $7, $8, $9) as said', [
      'hooli',
      'uid of hooli',
      'business',
      '[]',
      ROLE,
      VERIFIER,
      'digest',
      JSON.stringify({ 1: Buffer.alloc(32, 5).toString('base64') }),
      force,
    ]);
  const ROLE = `bank_${'5'.repeat(24)}_a`;
  let VERIFIER = '';
  const url = () => world.postgres.urlFor(ROLE, 'right');
  beforeAll(async () => {
    VERIFIER = await scramVerifier('right');
    await withClient(world.postgres.serviceUrl('operator'), (sql) => ensure(sql, false));
  });

  it('D7: a password that it changed is set back, when the operator insists', async () => {
    await withClient(url(), (sql) => sql.query(`begin read write; alter role ${ROLE} password 'mine'; commit`));
    await expect(withClient(url(), async () => {})).rejects.toMatchObject({ code: '28P01' });
    await withClient(world.postgres.serviceUrl('operator'), async (sql) => {
      expect((await ensure(sql, true)).rows).toEqual([{ said: 'configured' }]);
    });
    await withClient(url(), async () => {});
  });

  it.each([
    ['settings', `alter role ${ROLE} set statement_timeout = 0`],
    ['settings in this database', `alter role ${ROLE} in database bankhouse set statement_timeout = 0`],
    // In some versions a role may do that by itself.
    ['membership that was given away', `grant ${ROLE} to bankhouse_gateway`, () => world.postgres.superuserUrl],
  ] as [string, string, (() => string)?][])('D7: %s of its own are taken back', async (_name, text, by = url) => {
    await withClient(by(), (sql) => sql.query(`begin read write; ${text}; commit`));
    await withClient(world.postgres.serviceUrl('operator'), async (sql) => {
      expect((await ensure(sql, false)).rows).toEqual([{ said: 'configured' }]);
      expect((await ensure(sql, false)).rows).toEqual([{ said: 'unchanged' }]);
    });
    await withClient(url(), async (sql) => {
      expect((await sql.query('show statement_timeout')).rows).toEqual([{ statement_timeout: '10s' }]);
      const { rows } = await sql.query(`select pg_has_role('bankhouse_gateway', '${ROLE}', 'member') as given`);
      expect(rows).toEqual([{ given: false }]);
    });
  });

  it('D9: an open transaction of its own does not hold the operator up', async () => {
    await withClient(world.banks.acme?.url ?? '', async (sql) => {
      await sql.query('begin read write');
      await sql.query("select set_config('bankhouse.assertion', $1, true)", [acme.seal({ scopes: WRITE })]);
      for (const kind of ['note', 'task', 'chat']) {
        const [text, values] = create(kind, { title: 'x', vaultId: 'sales' });
        await sql.query(text, values);
      }
      await sql.query("select api.open_feed(), api.claim_batch('held', sha256('x'))");
      await withClient(world.postgres.serviceUrl('operator'), async (operator) => {
        await operator.query("set statement_timeout = '3s'");
        const { rows } = await operator.query(
          `select admin.ensure_bank('acme', $1, 'another name', 'business', $2, $3, $4, 'another digest', $5) as said`,
          [
            acme.uid,
            JSON.stringify([{ id: 'sales', displayName: 'Another' }]),
            acme.role,
            await scramVerifier(decodeURIComponent(new URL(acme.url).password)),
            JSON.stringify({ 1: acme.sealKey.toString('base64') }),
          ],
        );
        expect(rows).toEqual([{ said: 'configured' }]);
      });
      await sql.query('rollback');
    });
  });
});

describe('a comment follows its call', () => {
  /** As the loader does it: in the role that writes for every bank. */
  const asData = (use: (sql: pg.Client) => Promise<unknown>) =>
    withClient(world.postgres.ownerUrl, async (sql) => {
      await sql.query('begin; set local role bankhouse_data');
      await use(sql);
      await sql.query('commit');
    });
  const comment = (parent: string) =>
    asAcme(acme.seal({ scopes: WRITE }), async (sql) => {
      const [text, values] = create('comment', { parentType: 'recording', parentId: parent, body: 'secret' });
      const { rows } = await sql.query(text, values);
      await sql.query('commit');
      return rows[0].create_row.receipt.id as string;
    });
  const vaultOf = (id: string | undefined) =>
    withClient(world.postgres.superuserUrl, async (sql) => {
      const { rows } = await sql.query<{ vault_id: string | null }>(
        'select vault_id from bank.comments where id = $1',
        [id],
      );
      return rows[0]?.vault_id;
    });
  const addLegacy = (sql: pg.Client, id: number, vault: string | null) =>
    sql.query(
      `insert into bank.fathom_calls (bank_id, id, vault_id, title, recording_start_time, recording_end_time)
         values ('acme', $1, $2, 'x', now(), now())`,
      [id, vault],
    );

  it.each([
    ['from a vault to another', 71, 'sales', 'hr'],
    ['from no vault into one', 72, null, 'hr'],
    ['out of its vault', 73, 'sales', null],
  ])('that is loaded again and was moved %s', async (_way, id, from, to) => {
    await asData((sql) => addLegacy(sql, id, from));
    const made = await comment(`fathom-${id}`);
    expect(await vaultOf(made)).toBe(from);
    await asData((sql) =>
      sql.query("update bank.fathom_calls set vault_id = $2 where bank_id = 'acme' and id = $1", [id, to]),
    );
    expect(await vaultOf(made)).toBe(to);
  });

  it.each([
    ['in another vault', 81, 'sales', ['hr'], 'hr'],
    ['in a vault after none', 82, null, ['hr'], 'hr'],
    ['in its vault and one more', 83, 'sales', ['hr', 'sales'], 'sales'],
  ])('that is migrated and then is %s', async (_way, id, from, to, expected) => {
    await asData((sql) => addLegacy(sql, id, from));
    const made = await comment(`fathom-${id}`);
    await asData(async (sql) => {
      const { rows } = await sql.query<{ id: string }>(
        `insert into bank.recordings (bank_id, legacy_id, title, started_at, duration_seconds)
           values ('acme', $1, 'x', now(), 1) returning id`,
        [id],
      );
      for (const vault of to) {
        await sql.query("insert into bank.vault_entries (bank_id, vault_id, recording_id) values ('acme', $1, $2)", [
          vault,
          rows[0]?.id,
        ]);
      }
    });
    expect(await vaultOf(made)).toBe(expected);
  });
});
