/**
 * A database of an earlier commit, brought up to date, has the schema of a new one; and stays so when that commit comes back,
 * or that one is told that it is too old.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeSchema, type MigrateOptions, type MigrationError } from '../../../control/src/migrations/index.ts';
import { migrationCommits, migrationsAt } from '../../harness/migrations.ts';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { createDatabase, type TestDatabase } from './migrations.ts';

const NOW = { dir: join(import.meta.dirname, '../../../migrations') };
const BOTH: Partial<MigrateOptions> = { parts: ['tenants', 'control'] };
/** The first, from which everybody may come, and those before the last change. */
const commits = migrationCommits().filter((_commit, index, all) => index === 0 || index >= all.length - 3);

let postgres: TestPostgres;
let fresh: string;
const schemaOf = (db: TestDatabase) => withClient(db.url, describeSchema);
beforeAll(async () => {
  postgres = await startPostgres({ migrate: false });
  const db = await createDatabase(postgres);
  await db.migrate(NOW, BOTH);
  fresh = await schemaOf(db);
});
afterAll(() => postgres?.stop());

it.each(commits.map((commit) => [commit]))('that of %s does', async (commit) => {
  using before = migrationsAt(commit);
  const db = await createDatabase(postgres);
  await db.migrate(before, BOTH);
  await db.migrate(NOW, BOTH);
  expect(await schemaOf(db)).toBe(fresh);
  const back = await db.migrate(before, BOTH).catch((error: MigrationError) => error.code);
  expect([[], 'schema_too_new']).toContainEqual(back);
  expect(await schemaOf(db)).toBe(fresh);
});

it('and there are migrations to compare', () => {
  expect(fresh).toContain('bankhouse_migrations.applied');
});
