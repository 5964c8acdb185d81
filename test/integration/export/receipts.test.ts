/** A deletion erases all of a bank and leaves a receipt: what it counts was there, and nobody can change it. */
import { writeFileSync } from 'node:fs';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { enter, type TestBank, withClient } from '../../harness/postgres.ts';
import { ADMIN_KEY, FRONT_DOOR, type Harness, startHarness, VERIFIER_KEY } from '../control/harness.ts';
import { addCalls, addEntities, type Fixture, startFixture } from './support.ts';

let fixture: Fixture;
let control: Harness;
beforeAll(async () => {
  fixture = await startFixture();
  control = await startHarness(fixture.postgres);
  await control.ready;
  writeFileSync(fixture.path('admin-key'), ADMIN_KEY);
});
afterAll(async () => {
  await control?.stop();
  await fixture?.[Symbol.asyncDispose]();
});

type Life = Pick<TestBank, 'id' | 'uid'>;

/** Its Bank is gone, and the rows are kept. */
const release = ({ id, uid }: Life) =>
  withClient(fixture.postgres.serviceUrl('operator'), async (sql) => {
    await sql.query('select admin.retire_bank($1, $2)', [id, uid]);
    await sql.query('select control.release_id($1, $2, now())', [id, uid]);
  });

/** And then they are erased, as the operator does it. */
async function remove({
  id,
  uid,
}: Life): Promise<{ receipt: number | null; tables: Record<string, { rows: number }> }> {
  await release({ id, uid });
  return withClient(fixture.postgres.serviceUrl('operator'), async (sql) => {
    const { rows } = await sql.query('select admin.erase_bank($1, $2) as erased', [id, uid]);
    const { erased } = rows[0];
    const { rows: forgotten } = await sql.query('select control.forget_id($1, $2, $3)::float8 as receipt', [
      id,
      uid,
      erased,
    ]);
    return { receipt: forgotten[0].receipt, tables: erased.tables };
  });
}

const rowsIn = (tables: Record<string, { rows: number }>) =>
  Object.fromEntries(Object.entries(tables).map(([table, { rows }]) => [table, rows]));

/** Rows of a bank by table, in every schema, as the superuser sees them. */
const rowsOf = (id: string) =>
  withClient(fixture.postgres.superuserUrl, async (sql) => {
    const { rows: tables } = await sql.query<{ name: string; relation: string }>(
      `select c.relname as name, c.oid::regclass::text as relation
         from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'bank_id' and not a.attisdropped
        where c.relkind in ('r', 'p') and not c.relispartition`,
    );
    const found: Record<string, number> = {};
    for (const { name, relation } of tables) {
      const { rows } = await sql.query(`select count(*)::int as n from ${relation} where bank_id = $1`, [id]);
      found[name] = rows[0].n;
    }
    return found;
  });

async function filled(id: string): Promise<TestBank> {
  const bank = await fixture.bank(id);
  await addCalls(fixture.postgres, id, 60);
  await addEntities(fixture.postgres, id, { notes: 30, chats: 4, messages: 50 });
  await withClient(await bank.underPolicies(), async (sql) => {
    await sql.query('begin read write');
    await enter(sql, bank.seal({ scopes: ['mcp:write'] }));
    await sql.query("insert into bank.notes (bank_id, title, vault_id) values (bank.me(), 'by its own role', 'hr')");
    await sql.query(
      "insert into bank.idempotency_keys (bank_id, subject, key, entity, digest) values (bank.me(), bank.subject(), 'k', 'notes', sha256('x'))",
    );
    await sql.query('commit');
  });
  return bank;
}

const cli = (...args: string[]) =>
  fixture.cli(
    '--url',
    FRONT_DOOR,
    '--admin-url',
    control.apiUrl,
    '--admin-key-file',
    fixture.path('admin-key'),
    ...args,
  );

describe('deleting a bank with its rows', () => {
  it('leaves nothing of it in any table, and a receipt that counts what was there', async () => {
    const acme = await filled('acme');
    await filled('globex');
    await release(acme);
    const { deletion_receipts: _, bank_epochs: __, ...counted } = await rowsOf('acme');
    // A database of its own has a receipt of its own; a move is over before its bank is erased.
    const { databases: ___, server_databases: ____, moves: _____, ...before } = counted;
    const others = await rowsOf('globex');
    expect(before).toMatchObject({
      recordings: 40,
      fathom_calls: 40,
      notes: 31,
      chat_messages: 50,
      idempotency_keys: 1,
    });

    const { receipt, tables } = await remove(acme);
    expect(rowsIn(tables)).toEqual(before);
    const left = Object.entries(await rowsOf('acme')).filter(([, amount]) => amount > 0);
    expect(left.sort()).toEqual([
      ['bank_epochs', 1],
      ['deletion_receipts', 1],
    ]);
    expect(await rowsOf('globex')).toEqual(others);

    const { body } = await control.get(`/v1/receipts/${receipt}`);
    const told = (body.data?.receipt ?? {}) as { tables: Record<string, { rows: number }> };
    expect(told).toMatchObject({ id: receipt, bank: 'acme', uid: acme.uid, owner: 'banks/acme' });
    expect(told.tables).toEqual(tables);
    expect(JSON.stringify(told)).not.toMatch(/ann@|by its own role|Sales|example/);
  });

  it('has every table of its own in view: those that only see one bank have a policy for who erases', async () => {
    await withClient(fixture.postgres.superuserUrl, async (sql) => {
      const { rows } = await sql.query(
        `select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'bank_id'
          where c.relnamespace = 'bank'::regnamespace and c.relkind in ('r', 'p')
            and not exists (select from pg_policy p where p.polrelid = c.oid and p.polcmd = '*'
                              and 'bankhouse_data'::regrole = any (p.polroles) and pg_get_expr(p.polqual, c.oid) = 'true')`,
      );
      expect(rows).toEqual([]);
    });
  });

  it('leaves no receipt where the rows are kept, nor when there is nothing any more', async () => {
    const kept = await filled('kept');
    await release(kept);
    expect(await rowsOf('kept')).toMatchObject({ deletion_receipts: 0, recordings: 40, notes: 31 });
    expect((await remove(kept)).receipt).toEqual(expect.any(Number));
    expect((await remove(kept)).receipt).toBeNull();
    expect((await rowsOf('kept')).deletion_receipts).toBe(1);
  });

  it('outlives a later bank of the same id', async () => {
    const first = await remove(await fixture.bank('again'));
    const second = await remove(await fixture.bank('again'));
    const { body } = await control.get('/v1/receipts?bank=again');
    expect(body.data?.receipts).toMatchObject([{ id: second.receipt }, { id: first.receipt }]);
  });
});

describe('a receipt', () => {
  const statements: [string, string][] = [
    ['changed', "update control.deletion_receipts set bank_id = 'x'"],
    ['removed', 'delete from control.deletion_receipts'],
    ['swept away', 'truncate control.deletion_receipts'],
  ];
  const roles = [
    'bankhouse_operator',
    'bankhouse_control',
    'bankhouse_gateway',
    'bankhouse_data',
    'bankhouse_api',
    'bankhouse_bank',
  ];
  it.each(statements)('can be %s by no role, not even by the owner of the database', async (_sentence, statement) => {
    await withClient(fixture.postgres.superuserUrl, async (sql) => {
      for (const role of [...roles, 'bankhouse_owner']) {
        await sql.query(`set role ${role}`);
        await expect(sql.query(statement), role).rejects.toMatchObject({ code: '42501' });
      }
    });
  });

  it('can be forged by no role', async () => {
    await withClient(fixture.postgres.superuserUrl, async (sql) => {
      for (const role of roles) {
        await sql.query(`set role ${role}`);
        const forged =
          "insert into control.deletion_receipts (bank_id, uid, owner, tables) values ('x', 'x', 'y/z', '{}')";
        await expect(sql.query(forged), role).rejects.toMatchObject({ code: '42501' });
      }
    });
  });

  it('is signed so that the tenant can check it, and opens nothing', async () => {
    const { receipt } = await remove(await fixture.bank('signed'));
    const { body } = await control.get(`/v1/receipts/${receipt}`);
    const jws = String(body.data?.jws);
    const jwks = (await (await fetch(`${control.url}/oauth/jwks`)).json()) as JSONWebKeySet;
    const { payload, protectedHeader } = await jwtVerify(jws, createLocalJWKSet(jwks), {
      issuer: FRONT_DOOR,
      typ: 'bankhouse-receipt+jwt',
    });
    expect(payload.receipt).toEqual(body.data?.receipt);
    expect(protectedHeader.alg).toBe('ES256');
    expect((await control.get('/v1/banks', jws)).status).toBe(401);
  });

  it.each<[string, string, string | undefined, number, RegExp]>([
    ['without a key', '/v1/receipts', '', 401, /admin key/],
    ["with the verifier's key", '/v1/receipts/1', VERIFIER_KEY, 403, /admin key/],
    ['of a number that is none', '/v1/receipts/one', undefined, 400, /number of a receipt/],
    ['that there is not', '/v1/receipts/999999', undefined, 404, /no receipt 999999/],
    ['of an id that is none', '/v1/receipts?bank=A', undefined, 400, /bank's id/],
    ['by a word that is none', '/v1/receipts?banks=a', undefined, 400, /"banks"/],
  ])('%s is refused by one clear sentence', async (_sentence, path, key, status, message) => {
    const answer = await control.get(path, key);
    expect(answer.status).toBe(status);
    expect(answer.body.error?.message).toMatch(message);
  });

  it('is listed by pages', async () => {
    const all: unknown[] = [];
    for (let before = ''; ; ) {
      const { body } = await control.get(`/v1/receipts?limit=2${before}`);
      all.push(...((body.data?.receipts ?? []) as unknown[]));
      if (body.data?.nextBefore === null) break;
      before = `&before=${body.data?.nextBefore}`;
    }
    const { body } = await control.get('/v1/receipts');
    expect(all).toEqual(body.data?.receipts);
    expect(all.length).toBeGreaterThan(4);
  });
});

describe('bankhouse receipts', () => {
  it('lists them, prints one signed, and compares a backup', async () => {
    const initech = await filled('initech');
    await fixture.run('export', 'initech', fixture.path('initech.jsonl'));
    await addCalls(fixture.postgres, 'initech', 63);
    await fixture.run('export', 'initech', fixture.path('later.jsonl'));
    const { receipt } = await remove(initech);

    const listed = await cli('receipts', 'initech');
    expect(listed.stdout).toMatch(
      /^NUMBER +BANK +OWNER +ERASED AT +ROWS\n\d+ +initech +banks\/initech +\S+Z +.*recordings 42/,
    );
    expect(JSON.parse((await cli('receipts', 'initech', '--json')).stdout)).toMatchObject([
      { id: receipt, uid: initech.uid },
    ]);
    expect((await cli('receipts', '--sign', String(receipt))).stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    expect(await cli('receipts', '--compare', fixture.path('later.jsonl'))).toMatchObject({ code: 0, stderr: '' });
    const other = await cli('receipts', '--compare', fixture.path('initech.jsonl'));
    expect(other).toMatchObject({ code: 1, stdout: '' });
    expect(other.stderr).toMatch(
      /differ in fathom_calls \(40, erased 42\), recordings \(40, erased 42\), vault_entries/,
    );
  });

  it.each<[string, string[], number, RegExp]>([
    ['a receipt that there is not', ['--sign', '999999'], 1, /no receipt 999999/],
    ['two things at once', ['--sign', '1', '--json'], 2, /one of --json, --sign and --compare/],
    ['a file that is not there', ['--compare', '/nowhere'], 1, /nowhere can't be read/],
    ['an id that is none', ['A B'], 1, /bank's id/],
  ])('%s: one clear sentence', async (_sentence, args, code, message) => {
    const ran = await cli('receipts', ...args);
    expect({ code: ran.code, stdout: ran.stdout }).toEqual({ code, stdout: '' });
    expect(ran.stderr).toMatch(message);
  });

  it('says so when nothing was erased', async () => {
    expect((await cli('receipts', 'nobody')).stdout).toBe('Nothing was erased yet.\n');
  });
});
