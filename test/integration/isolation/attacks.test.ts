/**
 * R1.6: what somebody tries who has taken over a bank's server: its database login, and every assertion of the requests that pass
 * through it. Each attempt that the design says is in vain, by name. (By table and operation: matrix.test.ts.)
 */
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
  await sql.query('savepoint attempt');
  const failed = await sql.query(text, values).then(
    () => undefined,
    (error: pg.DatabaseError) => [error.code, error.message, error.detail, error.constraint].join(' | '),
  );
  await sql.query('rollback to savepoint attempt');
  return failed;
}

describe('guessing ids of what is hidden', () => {
  const hidden = { vault: 'hr', legacy: 'fathom-2' };
  it.each<[string, string, (id: string) => unknown[], string, string]>([
    [
      'a comment on a hidden call is refused as on one that is not there',
      "insert into bank.comments (parent_type, parent_id, body) values ('recording', $1, 'x')",
      (id) => [id],
      hidden.legacy,
      'fathom-999999',
    ],
    [
      'a note about a hidden call is refused as about one that is not there',
      "insert into bank.notes (vault_id, title, recording_id) values ('sales', 'x', $1)",
      (id) => [id],
      hidden.legacy,
      'fathom-999999',
    ],
  ])('%s', async (_sentence, text, values, there, absent) => {
    await asAcme(sales(), async (sql) => {
      const refused = await failure(sql, text, values(absent));
      expect(refused).toBeDefined();
      expect(await failure(sql, text, values(there))).toBe(refused);
    });
  });

  it.each([
    ['chats', "insert into bank.chat_messages (chat_id, body) values ($1::uuid, 'x')"],
    ['notes', "insert into bank.comments (parent_type, parent_id, body) values ('note', $1, 'x')"],
    ['tasks', "insert into bank.comments (parent_type, parent_id, body) values ('task', $1, 'x')"],
    ['chats', "insert into bank.comments (parent_type, parent_id, body) values ('chat', $1, 'x')"],
  ] as const)('what is put below hidden %s is refused as below one that is not there', async (entity, text) => {
    await asAcme(sales(), async (sql) => {
      const refused = await failure(sql, text, ['00000000-0000-4000-8000-000000000000']);
      expect(refused).toBeDefined();
      expect(await failure(sql, text, [world.idOf(entity, 'acme', 'hr')])).toBe(refused);
      expect(await failure(sql, text, [world.idOf(entity, 'globex', 'sales')])).toBe(refused);
    });
  });

  it('a vault that is hidden is refused as one that is not there', async () => {
    await asAcme(sales(), async (sql) => {
      const put = "insert into bank.notes (vault_id, title) values ($1, 'x')";
      expect(await failure(sql, put, ['hr'])).toBe(await failure(sql, put, ['elsewhere']));
    });
  });
});

describe('reading through the side', () => {
  it.each([
    ['a division by zero', 'select 1 from bank.notes where 1 / (length(title) - length(title)) = 1'],
    ['a cast whose failure quotes its text', 'select 1 from bank.notes where title::int = 1'],
    ['a cast of what is said', 'select 1 from bank.chat_messages where body::int = 1'],
    ['a regular expression that is broken', "select 1 from bank.tasks where title ~ (title || '(')"],
  ])('%s is not evaluated before the policy has chosen', async (_name, text) => {
    expect(await asAcme(undefined, (sql) => failure(sql, text))).toBeUndefined();
  });

  it.each([
    ['notes', 'title', "('globex', 'sales', 'merger', 'x', 'x')", 'bank_id, vault_id, title, created_by, updated_by'],
    [
      'fathom_calls',
      'title',
      "('globex', 'sales', 'merger', n, now(), now())",
      'bank_id, vault_id, title, id, recording_start_time, recording_end_time',
    ],
  ])(
    'what other banks often have in %s.%s does not show in the estimates of a plan',
    async (table, column, row, columns) => {
      await withClient(world.postgres.ownerUrl, async (sql) => {
        await sql.query('begin; set local role bankhouse_data');
        await sql.query(
          `insert into bank.${table} (${columns}) select r.* from generate_series(1001, 1500) n cross join lateral (values ${row}) r`,
        );
        await sql.query('commit');
        await sql.query(`analyze bank.${table}`);
      });
      const estimate = async (sql: pg.Client, word: string) => {
        const { rows } = await sql.query<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
          `explain (format json) select from bank.${table} where ${column} = '${word}'`,
        );
        return rows[0]?.['QUERY PLAN'][0].Plan['Plan Rows'];
      };
      const [often, never] = await asAcme(undefined, async (sql) => [
        await estimate(sql, 'merger'),
        await estimate(sql, 'nobody has written this'),
      ]);
      await withClient(world.postgres.superuserUrl, (sql) =>
        sql.query(`delete from bank.${table} where ${column} = 'merger'`),
      );
      expect(often).toBe(never);
    },
  );

  it('statistics, the statements of others and large objects are closed', async () => {
    await asAcme(sales(), async (sql) => {
      const { rows } = await sql.query(
        `select (select count(*)::int from pg_stats where schemaname in ('bank', 'control') and tablename <> 'banks') as statistics,
                (select count(*)::int from pg_stat_activity where usename <> current_user and query not like '<insufficient%') as statements`,
      );
      expect(rows).toEqual([{ statistics: 0, statements: 0 }]);
      expect(await failure(sql, 'select count(*) from pg_statistic')).toMatch(/^42501/);
      expect(await failure(sql, 'select data from pg_largeobject')).toMatch(/^42501/);
    });
  });

  it('a statement that was prepared under one assertion sees what the next one may', async () => {
    await asAcme(undefined, async (sql) => {
      await sql.query('prepare all_notes as select vault_id from bank.notes');
      for (let turn = 0; turn < 8; turn++) {
        for (const vault of VAULTS) {
          await sql.query("select set_config('bankhouse.assertion', $1, true)", [acme.seal({ vaults: [vault] })]);
          expect((await sql.query('execute all_notes')).rows).toEqual([{ vault_id: vault }]);
        }
      }
    });
  });
});

describe('the answer of a batch, kept for when it comes again', () => {
  const scopes = [null, ['hr', 'sales'], ['sales']];
  it.each(scopes.flatMap((made) => scopes.map((asked) => [made, asked] as const)))(
    'of a token of the vaults %j is told to one of %j only where that opens all of them',
    async (made, asked) => {
      const told = await asAcme(acme.seal({ vaults: made, scopes: WRITE }), async (sql) => {
        await sql.query("insert into bank.idempotency_keys (key, entity, digest) values ('k', 'batch', sha256('x'))");
        await sql.query(`select bank.keep_outcome('k', '["secret"]')`);
        await sql.query("select set_config('bankhouse.assertion', $1, true)", [
          acme.seal({ vaults: asked, scopes: WRITE }),
        ]);
        return (await sql.query("select bank.recall_outcome('k') as outcome")).rows;
      });
      const covered = asked === null || made?.every((vault) => asked.includes(vault)) === true;
      expect(told).toEqual([{ outcome: covered ? ['secret'] : null }]);
    },
  );

  it('is told to nobody else', async () => {
    const told = await asAcme(acme.seal({ scopes: WRITE }), async (sql) => {
      await sql.query("insert into bank.idempotency_keys (key, entity, digest) values ('k', 'batch', sha256('x'))");
      await sql.query(`select bank.keep_outcome('k', '["secret"]')`);
      await sql.query("select set_config('bankhouse.assertion', $1, true)", [acme.seal({ sub: 'eve', scopes: WRITE })]);
      return (await sql.query("select bank.recall_outcome('k') as outcome")).rows;
    });
    expect(told).toEqual([{ outcome: null }]);
  });
});

describe('writing what is not so', () => {
  it('who, when and which version are not the statement’s to say', async () => {
    await asAcme(sales(), async (sql) => {
      const { rows } = await sql.query(
        `insert into bank.notes (vault_id, title, created_by, updated_by, created_at, version)
           values ('sales', 'x', 'the boss', 'the boss', '2000-01-01', 77)
         returning created_by, updated_by, version, created_at > now() - interval '1 minute' as now`,
      );
      expect(rows).toEqual([{ created_by: 'test', updated_by: 'test', version: 1, now: true }]);
    });
  });

  it('a message that is said to be in a vault is in its chat’s', async () => {
    await asAcme(acme.seal({ vaults: ['hr', 'sales'], scopes: WRITE }), async (sql) => {
      const { rows } = await sql.query(
        "insert into bank.chat_messages (chat_id, vault_id, body) values ($1, 'sales', 'x') returning vault_id",
        [world.idOf('chats', 'acme', 'hr')],
      );
      expect(rows).toEqual([{ vault_id: 'hr' }]);
    });
  });

  it('an answer to a message of another chat is refused, whatever its vault', async () => {
    await asAcme(sales(), async (sql) => {
      const answer = "insert into bank.chat_messages (chat_id, body, reply_to) values ($1, 'x', $2)";
      const chat = world.idOf('chats', 'acme', 'sales');
      const refused = await failure(sql, answer, [chat, '00000000-0000-4000-8000-000000000000']);
      expect(refused).toMatch(/^23503/);
      const word = (text: string | undefined) => text?.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'id');
      const other = await failure(sql, answer, [chat, world.idOf('chat_messages', 'acme', 'hr')]);
      expect(word(other)).toBe(word(refused));
    });
  });

  it('a caller of one vault neither deletes nor moves what is below a row of another', async () => {
    await asAcme(sales(), async (sql) => {
      await sql.query("select bank.delete_rows('chats', array[$1::uuid])", [world.idOf('chats', 'acme', 'hr')]);
      await sql.query("select bank.delete_rows('notes', array[$1::uuid])", [world.idOf('notes', 'globex', 'sales')]);
      await sql.query('commit');
    });
    await withClient(world.postgres.superuserUrl, async (sql) => {
      const { rows } = await sql.query('select count(*)::int as n from bank.chat_messages');
      expect(rows).toEqual([{ n: world.rows.filter(({ table }) => table === 'bank.chat_messages').length }]);
    });
  });
});

describe('getting in the way of other banks', () => {
  const MODES = ['row share', 'share update exclusive', 'share', 'exclusive', 'access exclusive'];
  it('no table of ours can be locked against another bank', async () => {
    await withClient(world.postgres.superuserUrl, async (catalog) => {
      const { rows } = await catalog.query<{ name: string }>(
        `select oid::regclass::text as name from pg_class where relkind = 'r' and relnamespace in ('bank'::regnamespace, 'control'::regnamespace)`,
      );
      await asAcme(sales(), async (sql) => {
        for (const { name } of rows) {
          for (const mode of MODES) {
            expect([name, mode, await failure(sql, `lock table ${name} in ${mode} mode nowait`)]).toEqual([
              name,
              mode,
              expect.stringMatching(/^42501/),
            ]);
          }
        }
      });
    });
  });

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

  it('nothing of ours waits for an advisory lock, which any role can hold', async () => {
    await withClient(world.postgres.superuserUrl, async (sql) => {
      const { rows } = await sql.query(
        `select oid::regproc from pg_proc where pronamespace in ('bank'::regnamespace, 'control'::regnamespace) and prosrc ~ 'advisory'`,
      );
      expect(rows).toEqual([]);
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
      const { rows } = await sql.query<{ id: string }>(
        "insert into bank.comments (parent_type, parent_id, body) values ('recording', $1, 'secret') returning id",
        [parent],
      );
      await sql.query('commit');
      return rows[0]?.id;
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
