/** The migration job, as a process: bad configuration is one sentence and a telling exit code; two at once are no problem. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MigrationFolder, migrationFolder } from '../../harness/migrations.ts';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { CONTROL, TENANTS } from './migrations.ts';

const ROOT = new URL('../../..', import.meta.url).pathname;
const MAIN = join(ROOT, 'control/src/migrate-main.ts');

interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

function runMigrate(env: Record<string, string>): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, WAIT_SECONDS: '0', MIGRATIONS_DIR: folder.dir, ...env },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

let postgres: TestPostgres;
let folder: MigrationFolder;
let powerless = '';

beforeAll(async () => {
  folder = migrationFolder({ ...TENANTS, ...CONTROL });
  postgres = await startPostgres({ migrate: false });
  await withClient(postgres.superuserUrl, async (client) => {
    await client.query(`create role powerless login password 'powerless-password'`);
    await client.query(`create role landless login createrole password 'landless-password'`);
  });
  powerless = postgres.urlFor('powerless', 'powerless-password');
});
afterAll(async () => {
  await postgres?.stop();
  folder?.[Symbol.dispose]();
});

describe('the migration job', () => {
  it.each<[string, () => Record<string, string>, number, RegExp]>([
    ['without DATABASE_URL', () => ({}), 78, /DATABASE_URL is not set: .*postgres:\/\/USER@HOST:PORT\/DATABASE/],
    [
      'with a DATABASE_URL that is none',
      () => ({ DATABASE_URL: 'db.example.com' }),
      78,
      /DATABASE_URL is wrong: .*postgres:\/\/USER@HOST/,
    ],
    [
      'with a password file that is not there',
      () => ({ DATABASE_URL: powerless, DATABASE_PASSWORD_FILE: '/nowhere/password' }),
      78,
      /\/nowhere\/password/,
    ],
    [
      'with a service password that is too short',
      () => ({ DATABASE_URL: powerless, GATEWAY_PASSWORD: 'short' }),
      78,
      /GATEWAY_PASSWORD is wrong: .*8 characters/,
    ],
    [
      'where nothing listens',
      () => ({ DATABASE_URL: 'postgres://u:p@127.0.0.1:1/x' }),
      1,
      /127\.0\.0\.1:1\/x can't be reached .*compare DATABASE_URL/,
    ],
    [
      'with a wrong password',
      () => ({ DATABASE_URL: postgres.ownerUrl, DATABASE_PASSWORD: 'wrong' }),
      1,
      /refuses the sign-in .*DATABASE_PASSWORD/,
    ],
    [
      'with a database that is not there',
      () => ({ DATABASE_URL: postgres.ownerUrl.replace(/\/bankhouse$/, '/attic') }),
      1,
      /attic/,
    ],
    [
      'as a role without CREATEROLE',
      () => ({ DATABASE_URL: powerless }),
      78,
      /powerless needs CREATEROLE.*ALTER ROLE powerless CREATEROLE/,
    ],
    [
      'as a role that may not create schemas',
      () => ({ DATABASE_URL: postgres.urlFor('landless', 'landless-password') }),
      78,
      /landless may not create schemas/,
    ],
    [
      'with parts that are none',
      () => ({ DATABASE_URL: postgres.ownerUrl, MIGRATION_PARTS: 'tenants, control' }),
      78,
      /MIGRATION_PARTS is wrong: .*as tenants,control/,
    ],
    [
      'with a folder that has no migrations',
      () => ({ DATABASE_URL: postgres.ownerUrl, MIGRATIONS_DIR: join(ROOT, 'docs') }),
      78,
      /There is no .*docs\/tenants\/tables\/0001_name\.sql/,
    ],
  ])('%s says so in one sentence', async (_sentence, env, code, message) => {
    const ran = await runMigrate(env());
    expect(ran.stderr).toMatch(message);
    expect(ran.stderr.trim().split('\n')).toHaveLength(1);
    expect(ran.stderr).not.toContain('password@');
    expect(ran.code).toBe(code);
  });

  it('waits for a database that is not up yet, and says for what', async () => {
    const ran = await runMigrate({ DATABASE_URL: 'postgres://u:p@127.0.0.1:1/x', WAIT_SECONDS: '1' });
    expect(ran.stdout).toMatch(/waiting for the database/);
    expect(ran.code).toBe(1);
  });

  it('run twice at once makes the schema once, and lets the service roles in', async () => {
    const env = {
      DATABASE_URL: postgres.ownerUrl,
      OPERATOR_PASSWORD: 'operator-password',
      CONTROL_PASSWORD: 'control-password',
      GATEWAY_PASSWORD: 'gateway-password',
    };
    const ran = await Promise.all([runMigrate(env), runMigrate(env)]);
    expect(ran.map(({ code, stderr }) => ({ code, stderr }))).toEqual([
      { code: 0, stderr: '' },
      { code: 0, stderr: '' },
    ]);
    expect(JSON.stringify(ran)).not.toMatch(/-password/);
    for (const service of ['operator', 'control', 'gateway']) {
      const url = postgres.urlFor(`bankhouse_${service}`, `${service}-password`);
      await withClient(url, async (client) => client.query('select 1'));
    }
  });
});
