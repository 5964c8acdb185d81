/** The schema is what was reviewed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeSchema } from '../../../control/src/migrations/index.ts';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { SNAPSHOT, snapshotNow } from '../../harness/snapshot.ts';

const ROOT = new URL('../../..', import.meta.url).pathname;

it('the migrations make the schema of the snapshot; if that is meant to change: npm run snapshot', async () => {
  expect(await snapshotNow()).toBe(readFileSync(join(ROOT, SNAPSHOT), 'utf8'));
});

describe('a snapshot', () => {
  let postgres: TestPostgres;
  beforeAll(async () => {
    postgres = await startPostgres({ migrate: false });
    await withClient(postgres.ownerUrl, (client) =>
      client.query(`
        create role bankhouse_data; create role bankhouse_bank;
        create schema bank; create table bank.notes (id int primary key, body text); alter table bank.notes enable row level security;
        create type bank.mood as enum ('good', 'bad'); create view bank.bodies as select body from bank.notes;
        create function bank.f(p_a int default 1) returns int language sql return p_a`),
    );
  });
  afterAll(() => postgres?.stop());

  it.each<[string, string, string]>([
    [
      'a column',
      'alter table bank.notes add column c text collate "C" not null default \'x\'',
      '  c text collate "C" not null default \'x\'::text',
    ],
    ['a constraint', 'alter table bank.notes add constraint c check (id > 0)', '  constraint c CHECK ((id > 0))'],
    [
      'an index',
      'create index i on bank.notes (body) where id > 1',
      '  CREATE INDEX i ON bank.notes USING btree (body) WHERE (id > 1)',
    ],
    ['row security', 'alter table bank.notes force row level security', '  row security forced'],
    [
      'a policy',
      'create policy p on bank.notes for select to bankhouse_bank using (id = 1)',
      '  policy p for select to bankhouse_bank using ((id = 1))',
    ],
    ['a grant', 'grant select on bank.notes to bankhouse_bank', '  grant to bankhouse_bank: SELECT'],
    [
      'a grant of a column',
      'grant update (body) on bank.notes to bankhouse_data',
      '  grant to bankhouse_data: UPDATE (body)',
    ],
    ['a grant to all', 'grant select on bank.bodies to public', '  grant to public: SELECT'],
    [
      'a grant that may be passed on',
      'grant usage on schema bank to bankhouse_bank with grant option',
      '  grant to bankhouse_bank: USAGE*',
    ],
    [
      'a trigger',
      'create function bank.t() returns trigger language plpgsql as $$ begin return new; end $$; create trigger t before insert on bank.notes for each row execute function bank.t()',
      '  CREATE TRIGGER t BEFORE INSERT ON bank.notes FOR EACH ROW EXECUTE FUNCTION bank.t()',
    ],
    [
      'a function',
      'create function bank.g(a text) returns setof int language sql stable security definer set search_path = pg_catalog rows 5 return 1',
      'function bank.g(a text)',
    ],
    [
      'what a function may do',
      'alter function bank.f(int) security definer set search_path = pg_catalog',
      '  language sql, volatile, security definer, set search_path=pg_catalog',
    ],
    [
      'whom a function is of',
      'grant create on schema bank to bankhouse_data; grant bankhouse_data to current_user; alter function bank.f(int) owner to bankhouse_data',
      '  owner bankhouse_data',
    ],
    [
      'who may call a function',
      'revoke execute on function bank.f(int) from public; grant execute on function bank.f(int) to bankhouse_bank',
      '  grant to bankhouse_bank: EXECUTE',
    ],
    ['a value of a type', "alter type bank.mood add value 'fair' after 'good'", "  enum ('good', 'fair', 'bad')"],
    [
      'a view',
      'create or replace view bank.bodies with (security_barrier) as select body from bank.notes where id > 1',
      '    WHERE notes.id > 1;',
    ],
    ['a member of a group', 'grant bankhouse_data to bankhouse_bank', '  in bankhouse_data'],
    ['a sequence', 'create sequence bank.s', 'sequence bank.s'],
    [
      'what is granted by default',
      'alter default privileges in schema bank grant select on tables to bankhouse_bank',
      '  tables of bankhouse_owner in bank: {bankhouse_bank=r/bankhouse_owner}',
    ],
  ])('shows %s', async (_what, change, line) => {
    await withClient(postgres.ownerUrl, async (client) => {
      const lines = async () => (await describeSchema(client)).split('\n');
      const before = await lines();
      expect(await lines()).toEqual(before);
      await client.query(change);
      const after = await lines();
      const count = (all: string[]) => all.filter((one) => one === line).length;
      expect(count(after)).toBe(count(before) + 1);
    });
  });

  it('shows no body', async () => {
    await withClient(postgres.ownerUrl, async (client) => {
      const before = await describeSchema(client);
      await client.query(
        'create or replace function bank.f(p_a int default 1) returns int language sql security definer set search_path = pg_catalog return p_a + 1',
      );
      expect(await describeSchema(client)).toBe(before);
    });
  });
});
