/** The runner of the migrations on a real Postgres: faults D4 and D12. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type MigrationFolder, migrationFolder } from '../../harness/migrations.ts';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { SOON } from '../../harness/soon.ts';
import { CONTROL, createDatabase, TENANTS, type TestDatabase } from './migrations.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres({ migrate: false });
});
afterAll(() => postgres?.stop());

let db: TestDatabase;
let folder: MigrationFolder;
beforeEach(async () => {
  db = await createDatabase(postgres);
  folder = migrationFolder({ ...TENANTS, ...CONTROL });
});
afterEach(() => folder?.[Symbol.dispose]());

const TABLES = ['tenants/tables/0001_roles.sql', 'tenants/tables/0002_notes.sql'];
const ALL = [...TABLES, 'tenants/functions/notes.sql', 'tenants/rights.sql'];
const count = async () => (await db.ask<{ n: string }>('select bank.count_notes() as n'))[0]?.n;
const columns = async () =>
  (
    await db.ask<{ name: string }>(
      `select attname::text as name from pg_attribute where attrelid = 'bank.notes'::regclass and attnum > 0 order by attnum`,
    )
  ).map(({ name }) => name);
/** What is written down of the part `tenants`, in words. */
const record = async () =>
  (
    await db.ask<{ row: string }>(
      `select concat_ws(' ', kind, name, generation) as row from bankhouse_migrations.applied order by kind, name`,
    )
  ).map(({ row }) => row);

describe('an empty database', () => {
  it('gets every part in order, and the second run finds nothing to do', async () => {
    const control = ['control/tables/0001_control.sql', 'control/rights.sql'];
    expect(await db.migrate(folder, { parts: ['tenants', 'control'] })).toEqual([...ALL, ...control]);
    expect(await db.migrate(folder, { parts: ['tenants', 'control'] })).toEqual([]);
    expect(db.log.at(-1)).toBe('The schema is up to date.');
    expect(await count()).toBe('0');
  });

  it('gets the parts that are asked for alone, and another later', async () => {
    expect(await db.migrate(folder)).toEqual(ALL);
    expect(await db.ask(`select to_regnamespace('control')::text as control`)).toEqual([{ control: null }]);
    expect(await db.migrate(folder, { parts: ['control'] })).toHaveLength(2);
  });

  it('keeps what was applied where no other role may look', async () => {
    await db.migrate(folder, { passwords: postgres.passwords });
    expect(await record()).toEqual([
      'function notes.sql 0',
      'rights rights.sql 0',
      'table 0001_roles.sql 0',
      'table 0002_notes.sql 0',
    ]);
    const url = postgres.serviceUrl('operator').replace(/\/bankhouse$/, `/${new URL(db.url).pathname.slice(1)}`);
    for (const text of [
      'select * from bankhouse_migrations.applied',
      'begin; lock table bankhouse_migrations.applied in access share mode',
      'create rule r as on insert to bankhouse_migrations.applied do nothing',
    ]) {
      const denied = withClient(url, (client) => client.query(text));
      await expect(denied).rejects.toThrow('permission denied for schema bankhouse_migrations');
    }
  });

  it('of the time before the first release is refused', async () => {
    await db.ask('create schema bankhouse_migrations');
    await db.ask('create table bankhouse_migrations.applied (id int, name text, run_on timestamp)');
    await expect(db.migrate(folder)).rejects.toMatchObject({ code: 'schema_foreign' });
  });
});

describe('functions', () => {
  beforeEach(() => db.migrate(folder));

  it('are replaced when their text changes, and the rights with them', async () => {
    folder.write({
      'tenants/functions/notes.sql':
        'create or replace function bank.count_notes() returns bigint language sql return 7; create or replace function bank.more() returns int language sql return 1',
    });
    expect(await db.migrate(folder)).toEqual(['tenants/functions/notes.sql', 'tenants/rights.sql']);
    expect(await count()).toBe('7');
    const [row] = await db.ask(`select has_function_privilege('public', 'bank.more()', 'execute') as everybody`);
    expect(row).toEqual({ everybody: false });
  });

  it('call each other whatever the order of their files', async () => {
    folder.write({
      'tenants/functions/a.sql': "create or replace function bank.a() returns int language sql as 'select bank.z()'",
      'tenants/functions/z.sql': 'create or replace function bank.z() returns int language sql return 26',
    });
    await db.migrate(folder);
    expect(await db.ask('select bank.a() as a')).toEqual([{ a: 26 }]);
  });

  it.each<[string, Record<string, string>, RegExp]>([
    [
      'calls what is not there',
      {
        'tenants/functions/a.sql': "create or replace function bank.a() returns int language sql as 'select bank.z()'",
      },
      /^tenants\/functions\/a\.sql(:1)? failed: function bank\.z\(\) does not exist/,
    ],
    [
      'is no SQL',
      { 'tenants/functions/a.sql': '\n\ncreate or replace fonction bank.a()' },
      /^tenants\/functions\/a\.sql:3 failed: syntax error/,
    ],
    [
      'has another result than before',
      { 'tenants/functions/a.sql': 'create or replace function bank.count_notes() returns int language sql return 1' },
      /cannot change return type of existing function \(what older servers call keeps its result/,
    ],
    [
      'can be made, but its rights can not',
      { 'tenants/rights.sql': 'grant execute on function bank.absent() to bankhouse_operator' },
      /^tenants\/rights\.sql(:1)? failed: function bank\.absent\(\) does not exist/,
    ],
  ])('stay all as they were when one %s', async (_what, files, message) => {
    folder.write({
      'tenants/functions/0.sql': 'create or replace function bank.count_notes() returns bigint language sql return 9',
      ...files,
    });
    await expect(db.migrate(folder)).rejects.toMatchObject({
      code: 'migration_failed',
      message: expect.stringMatching(message),
    });
    expect(await count()).toBe('0');
    expect(await record()).not.toContain('function 0.sql 0');
  });

  it('of other arguments, or in a file that is gone, stay for the servers that call them', async () => {
    folder.write({
      'tenants/functions/notes.sql': null,
      'tenants/functions/counts.sql':
        'create or replace function bank.count_notes(p_from int) returns bigint language sql return (select count(*) from bank.notes where id >= p_from)',
    });
    await db.migrate(folder);
    expect(await db.ask('select bank.count_notes() as old, bank.count_notes(1) as new')).toEqual([
      { old: '0', new: '0' },
    ]);
    expect(await record()).not.toContain('function notes.sql 0');
  });
});

describe('a numbered file', () => {
  it('that fails leaves nothing of itself, and all before it', async () => {
    folder.write({
      'tenants/tables/0003_tasks.sql': 'create table bank.tasks (id int)',
      'tenants/tables/0004_wrong.sql': 'create table bank.chats (id int);\ninsert into bank.chats\n  select 1 / 0',
    });
    await expect(db.migrate(folder)).rejects.toMatchObject({
      code: 'migration_failed',
      message:
        `tenants/tables/0004_wrong.sql failed: division by zero. Applied before it, and kept: ` +
        `${[...TABLES, 'tenants/tables/0003_tasks.sql'].join(', ')}.`,
    });
    expect(await db.ask(`select to_regclass('bank.tasks')::text as tasks, to_regclass('bank.chats') as chats`)).toEqual(
      [{ tasks: 'bank.tasks', chats: null }],
    );
    folder.write({ 'tenants/tables/0004_wrong.sql': 'create table bank.chats (id int)' });
    expect(await db.migrate(folder)).toEqual([
      'tenants/tables/0004_wrong.sql',
      'tenants/functions/notes.sql',
      'tenants/rights.sql',
    ]);
  });

  it('whose rights an earlier run did not come to gets them by the next', async () => {
    await db.migrate(folder);
    folder.write({
      'tenants/tables/0003_more.sql': 'create function bank.more() returns int language sql return 1',
      'tenants/functions/wrong.sql': 'nonsense',
    });
    await expect(db.migrate(folder)).rejects.toMatchObject({ code: 'migration_failed' });
    folder.write({ 'tenants/functions/wrong.sql': null });
    expect(await db.migrate(folder)).toEqual(['tenants/rights.sql']);
    const [row] = await db.ask(`select has_function_privilege('public', 'bank.more()', 'execute') as everybody`);
    expect(row).toEqual({ everybody: false });
  });

  it('whose text changed after it was applied is refused, and nothing is done', async () => {
    await db.migrate(folder);
    folder.write({
      'tenants/tables/0002_notes.sql': 'create table bank.notes (id bigint primary key)',
      'tenants/tables/0003_tasks.sql': 'create table bank.tasks (id int)',
    });
    await expect(db.migrate(folder)).rejects.toMatchObject({ code: 'migration_changed' });
    expect(await db.ask(`select to_regclass('bank.tasks') as tasks`)).toEqual([{ tasks: null }]);
  });

  it('sets nothing for the next one', async () => {
    folder.write({
      'tenants/tables/0003_sets.sql': `set statement_timeout = 1; set lock_timeout = 1; set search_path = bank; set role bankhouse_owner`,
      'tenants/tables/0004_next.sql': `create table bank.settings as select current_setting('statement_timeout') as statement_timeout, current_setting('search_path') as search_path, pg_sleep(0.1)::text`,
    });
    await db.migrate(folder);
    expect(await db.ask('select statement_timeout, search_path from bank.settings')).toEqual([
      { statement_timeout: '0', search_path: '"$user", public' },
    ]);
  });
});

describe('a table in use', () => {
  const change = { 'tenants/tables/0003_more.sql': 'alter table bank.notes add column more text' };

  it('lets others go on while the migration waits, which is done once the table is free', async () => {
    await db.migrate(folder);
    folder.write(change);
    await using user = await db.session();
    await user.query('begin; select * from bank.notes');
    const migrated = db.migrate(folder, { patience: { lockTimeoutMs: 200, pauseMs: 300, attempts: 100 } });
    await expect
      .poll(() => db.log.join(), SOON)
      .toMatch(/0003_more\.sql has to wait, .*lock timeout.*attempt 2 of 100/);
    for (let id = 1; id <= 5; id += 1) {
      await db.ask(`set statement_timeout = '3s'; insert into bank.notes (id) values (${id})`);
    }
    expect(await columns()).toEqual(['id', 'body']);
    await user.query('commit');
    expect(await migrated).toEqual(['tenants/tables/0003_more.sql', 'tenants/rights.sql']);
    expect(await columns()).toEqual(['id', 'body', 'more']);
  });

  it('for too long ends the run, with an error that trying again helps', async () => {
    await db.migrate(folder);
    folder.write(change);
    await using user = await db.session();
    await user.query('begin; select * from bank.notes');
    await expect(
      db.migrate(folder, { patience: { lockTimeoutMs: 50, pauseMs: 10, attempts: 3 } }),
    ).rejects.toMatchObject({
      code: 'migration_busy',
      lasting: false,
      message: expect.stringMatching(/0003_more\.sql could not be applied in 3 attempts: others use/),
    });
    await user.query('commit');
    expect(await db.migrate(folder)).toHaveLength(2);
  });

  it('gets an index without stopping its writers', async () => {
    await db.migrate(folder);
    folder.write({
      'tenants/tables/0003_index.sql': `-- bankhouse: no transaction
        create index concurrently if not exists notes_body on bank.notes (body);
        create index concurrently if not exists notes_more on bank.notes (body, id)`,
    });
    await using user = await db.session();
    await user.query('begin; insert into bank.notes (id) values (1)');
    const migrated = db.migrate(folder);
    const waits = `select count(*)::int as n from pg_stat_activity where application_name = 'bankhouse-migrate' and datname = current_database() and wait_event_type = 'Lock'`;
    await expect.poll(async () => (await db.ask<{ n: number }>(waits))[0]?.n, SOON).toBe(1);
    // Longer than lock_timeout: this wait is no harm to anybody.
    await sleep(400);
    await db.ask(`set statement_timeout = '3s'; insert into bank.notes (id) values (2)`);
    await user.query('commit');
    expect(await migrated).toEqual(['tenants/tables/0003_index.sql', 'tenants/rights.sql']);
    expect(db.log.join()).not.toMatch(/has to wait/);
  });

  it('gets its index also after a try that left it half built', async () => {
    await db.migrate(folder);
    await db.ask(`insert into bank.notes values (1, 'same'), (2, 'same')`);
    const index = `-- bankhouse: no transaction
      create index concurrently if not exists notes_id_body on bank.notes (id, body);

      create unique index concurrently if not exists notes_body on bank.notes (body);`;
    folder.write({ 'tenants/tables/0003_index.sql': index });
    const valid = `select c.relname::text as name, i.indisvalid as valid from pg_index i join pg_class c on c.oid = i.indexrelid
       where indrelid = 'bank.notes'::regclass and not indisprimary order by 1`;
    await expect(db.migrate(folder)).rejects.toMatchObject({
      code: 'migration_failed',
      message: expect.stringMatching(/0003_index\.sql failed: could not create unique index "notes_body"/),
    });
    expect(await db.ask(valid)).toEqual([
      { name: 'notes_body', valid: false },
      { name: 'notes_id_body', valid: true },
    ]);
    await db.ask('delete from bank.notes where id = 2');
    expect(await db.migrate(folder)).toContain('tenants/tables/0003_index.sql');
    expect(db.log).toContain('Dropping bank.notes_body, which an earlier try left half built.');
    expect(await db.ask(valid)).toEqual([
      { name: 'notes_body', valid: true },
      { name: 'notes_id_body', valid: true },
    ]);
  });
});

describe('two runs', () => {
  const SLOW = { 'tenants/tables/0003_slow.sql': 'select pg_sleep(1); create table bank.slow (id int)' };

  it('at once do it once, and both end well', async () => {
    folder.write(SLOW);
    const [one, two] = await Promise.all([db.migrate(folder), db.migrate(folder)]);
    expect([one.length, two.length].sort()).toEqual([0, 5]);
  });

  it('do not wait for each other for ever', async () => {
    await db.migrate(folder);
    await using other = await db.session();
    await other.query('begin; lock table bankhouse_migrations.applied in share update exclusive mode');
    const late = db.migrate(folder, { runTimeoutMs: 300 });
    await expect(late).rejects.toMatchObject({ code: 'migration_busy' });
    expect(db.log).toContain('Another run of the migrations is at work; waiting for its end.');
  });

  it('are not kept apart by a lock that anybody could take', async () => {
    await db.migrate(folder, { passwords: postgres.passwords });
    const url = postgres.serviceUrl('gateway').replace(/\/bankhouse$/, new URL(db.url).pathname);
    folder.write(SLOW);
    await withClient(url, async (bank) => {
      await bank.query("select pg_advisory_lock(hashtext('bankhouse'), hashtext('migrate'))");
      // That of node-pg-migrate.
      await bank.query('select pg_advisory_lock(7241865325823964)');
      expect(await db.migrate(folder)).toHaveLength(2);
    });
  });

  it('never apply at once: one that lost its lock goes no further', async () => {
    folder.write({ ...SLOW, 'tenants/tables/0004_after.sql': 'create table bank.after (id int)' });
    const migrated = db.migrate(folder);
    migrated.catch(() => {});
    await expect.poll(() => db.log.length, SOON).toBe(2);
    await db.ask(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'bankhouse-migrate' and datname = current_database() and state = 'idle in transaction' and query ~ 'lock table'`,
    );
    await expect(migrated).rejects.toMatchObject({ code: 'database_unreachable' });
    expect(await db.ask(`select to_regclass('bank.after') as after`)).toEqual([{ after: null }]);
    expect(await db.migrate(folder)).toContain('tenants/tables/0004_after.sql');
  });

  it('of which the first was killed: the second goes on where it stood, though the server was in the middle of it', async () => {
    await db.migrate(folder);
    folder.write({
      'tenants/tables/0003_slow.sql': 'alter table bank.notes add column more text; select pg_sleep(600)',
    });
    const job = spawn(process.execPath, [new URL('../../../control/src/migrate-main.ts', import.meta.url).pathname], {
      env: { DATABASE_URL: db.url, MIGRATIONS_DIR: folder.dir },
      stdio: 'ignore',
    });
    const asleep = `select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()`;
    try {
      await expect.poll(() => db.ask(asleep), { timeout: 30_000 }).toHaveLength(1);
    } finally {
      job.kill('SIGKILL');
    }
    await once(job, 'exit');
    folder.write({ 'tenants/tables/0003_slow.sql': 'alter table bank.notes add column more text' });
    expect(await db.migrate(folder, { patience: { lockTimeoutMs: 200, attempts: 100, pauseMs: 100 } })).toHaveLength(2);
    expect(await columns()).toEqual(['id', 'body', 'more']);
  });
});

describe('a release that is rolled back', () => {
  /** As `npm run generate` would write it. */
  const frozen = (number: number) => ({ 'frozen.txt': `tenants generation ${number} ${'0'.repeat(64)}\n` });
  const NEWER = {
    'tenants/tables/0003_more.sql': 'alter table bank.notes add column more text',
    'tenants/functions/notes.sql': `create or replace function bank.count_notes() returns bigint language sql return 7;
      create or replace function bank.more() returns int language sql return 1`,
  };
  let newer: MigrationFolder;

  beforeEach(async () => {
    folder.write(frozen(1));
    newer = migrationFolder({ ...TENANTS, ...NEWER, ...frozen(2) });
    await db.migrate(folder);
    expect(await db.migrate(newer)).toHaveLength(3);
  });
  afterEach(() => newer?.[Symbol.dispose]());

  it('finds the newer schema, says so, and leaves it as it is', async () => {
    const before = await record();
    expect(await db.migrate(folder)).toEqual([]);
    expect(db.log.join('\n')).toMatch(
      /The part tenants is of a newer release \(generation 2, and ours is 1\), which works with this one: its functions are left as they are\./,
    );
    expect(await count()).toBe('7');
    expect(await db.ask('select bank.more() as more')).toEqual([{ more: 1 }]);
    expect(await record()).toEqual(before);
  });

  it('and comes again finds nothing to do', async () => {
    await db.migrate(folder);
    expect(await db.migrate(newer)).toEqual([]);
  });

  it('also where it changed functions alone', async () => {
    newer.write({
      'tenants/functions/notes.sql':
        'create or replace function bank.count_notes() returns bigint language sql return 8',
      ...frozen(3),
    });
    await db.migrate(newer);
    newer.write({ ...NEWER, ...frozen(2) });
    expect(await db.migrate(newer)).toEqual([]);
    expect(await count()).toBe('8');
  });

  it('no further than to a release that the schema still works with', async () => {
    newer.write({
      'tenants/tables/0004_less.sql': '-- bankhouse: contract 2\nalter table bank.notes drop column body',
      ...frozen(3),
    });
    await db.migrate(newer);
    await expect(db.migrate(folder)).rejects.toMatchObject({
      code: 'schema_too_new',
      lasting: true,
      message: expect.stringMatching(/works with releases of generation 2 or newer, and this one is of generation 1/),
    });
  });
});
