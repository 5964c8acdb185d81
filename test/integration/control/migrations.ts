import type { MigrateOptions } from '@bankhouse/control';
import { migrate } from '@bankhouse/control';
import pg from 'pg';
import { type TestPostgres, withClient } from '../../harness/postgres.ts';

/** A small part `tenants`: roles, a table, a function, rights by convention. */
export const TENANTS: Readonly<Record<string, string>> = {
  'tenants/tables/0001_roles.sql': `
    do $$
    declare wanted text;
    begin
      foreach wanted in array array['bankhouse_operator', 'bankhouse_control', 'bankhouse_gateway'] loop
        if not exists (select from pg_roles where rolname = wanted) then execute format('create role %I nologin', wanted); end if;
        execute format('grant connect on database %I to %I', current_database(), wanted);
      end loop;
    end $$;
    create schema bank;`,
  'tenants/tables/0002_notes.sql': `create table bank.notes (id int primary key, body text not null default '')`,
  'tenants/functions/notes.sql': `
    create or replace function bank.count_notes() returns bigint language sql return (select count(*) from bank.notes)`,
  'tenants/rights.sql': `
    grant usage on schema bank to bankhouse_operator;
    revoke all on all functions in schema bank from public;
    grant execute on all functions in schema bank to bankhouse_operator`,
};

/** A part \`control\` that holds next to nothing. */
export const CONTROL: Readonly<Record<string, string>> = {
  'control/tables/0001_control.sql': 'create schema control; create table control.tokens (id int primary key)',
};

/** An empty database of its own, and what the migrations said to it. */
export interface TestDatabase {
  readonly url: string;
  readonly log: readonly string[];
  /** With pauses that a test can wait for. */
  migrate(folder: { readonly dir: string }, options?: Partial<MigrateOptions>): Promise<string[]>;
  /** One statement as the owner. */
  ask<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
  /** A connection as the owner, open until it is disposed of. */
  session(): Promise<pg.Client & AsyncDisposable>;
}

let made = 0;

export async function createDatabase(postgres: TestPostgres): Promise<TestDatabase> {
  made += 1;
  const name = `migrated_${made}`;
  const url = postgres.ownerUrl.replace(/\/bankhouse$/, `/${name}`);
  await withClient(postgres.superuserUrl, (client) => client.query(`create database ${name} owner bankhouse_owner`));
  const log: string[] = [];
  return {
    url,
    log,
    migrate: (folder, options) =>
      migrate({
        databaseUrl: url,
        migrationsDir: folder.dir,
        parts: ['tenants'],
        log: (message) => log.push(message),
        patience: { lockTimeoutMs: 100, pauseMs: 50 },
        ...options,
      }),
    ask: (text, values) => withClient(url, async (client) => (await client.query(text, values)).rows),
    async session() {
      const client = new pg.Client({ connectionString: url });
      client.on('error', () => {});
      await client.connect();
      return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
    },
  };
}
