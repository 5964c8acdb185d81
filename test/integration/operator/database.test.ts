import { createDatabase, type Database } from '@bankhouse/operator';
import { describe, expect, test } from 'vitest';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { eventually, pathsOf, settings, useWorld, type World } from './support/index.ts';

let postgres!: TestPostgres;
let database!: Database;
const world: World = useWorld(async () => {
  postgres = await startPostgres();
  world.onClose(() => postgres.stop());
  const url = new URL(postgres.serviceUrl('operator'));
  database = createDatabase(url.toString(), { connections: 2 });
  world.onClose(() => database.close());
  url.password = '';
  return { database, settings: { ...settings, DATABASE_URL: url.toString() } };
});

async function readyBank(id: string, spec: Record<string, unknown> = {}): Promise<void> {
  await world.createNamespace(id);
  await world.readyBank(id, id, spec);
}

/** The URL that the bank's pod gets. */
async function podUrl(id: string): Promise<string> {
  const path = `${pathsOf(id).secrets}/bank-${id}`;
  const { data } = await world.get<{ data: Record<string, string> }>(path);
  return Buffer.from(data['database-url'] ?? '', 'base64').toString();
}

const whoAmI = (url: string) =>
  withClient(url, async (client) => {
    const { rows } = await client.query<{ me: string }>('select bank.me() as me');
    return rows[0]?.me;
  });

describe('a Bank in a real Postgres (R1.6)', () => {
  test('its pod signs in with what the Secret has, as this bank', async () => {
    await readyBank('signs-in', { vaults: [{ id: 'sales', displayName: 'Sales' }, { id: 'support' }] });
    expect(await whoAmI(await podUrl('signs-in'))).toBe('signs-in');
    expect(await database.state('signs-in')).toMatchObject({
      owner: 'signs-in/signs-in',
      vaults: [
        { id: 'sales', displayName: 'Sales' },
        { id: 'support', displayName: 'support' },
      ],
      roles: [{ role: 'bank_signs-in_a' }],
      keyGenerations: [1],
      retainedAt: null,
    });
  });

  test('a lost Secret is replaced, and the role takes the new password', async () => {
    await readyBank('lost');
    const before = await podUrl('lost');
    await world.delete(`${pathsOf('lost').secrets}/bank-lost`);
    await eventually(async () => expect(await whoAmI(await podUrl('lost'))).toBe('lost'));
    expect(await podUrl('lost')).not.toBe(before);
    await expect(whoAmI(before)).rejects.toThrow(/password authentication failed/);
  });

  test('a restart of Postgres is survived, also by a bank that is made meanwhile', async () => {
    await readyBank('before');
    await world.createNamespace('during');
    await Promise.all([postgres.restart(), world.createBank('during', 'during')]);
    await world.bringUp('during', 'during');
    expect(await whoAmI(await podUrl('during'))).toBe('during');
  });

  test.each([
    { policy: 'Delete', rows: 0 },
    { policy: 'Retain', rows: 1 },
  ])('a deleted Bank leaves no role; rows with $policy: $rows', async ({ policy, rows }) => {
    const id = `ends-${policy.toLowerCase()}`;
    await readyBank(id, { deletionPolicy: policy, vaults: [{ id: 'sales' }] });
    const url = await podUrl(id);
    const { banks } = pathsOf(id);
    await world.delete(`${banks}/${id}`);
    await eventually(async () => expect(await world.find(`${banks}/${id}`)).toBeUndefined());
    await expect(whoAmI(url)).rejects.toThrow();
    await withClient(postgres.superuserUrl, async (client) => {
      const roles = await client.query('select from pg_roles where rolname like $1', [`bank\\_${id}\\_%`]);
      expect(roles.rowCount).toBe(0);
      const vaults = await client.query('select from bank.vaults where bank_id = $1', [id]);
      expect(vaults.rowCount).toBe(rows);
    });
  });

  test('rows that were kept refuse another Bank and take the same one back', async () => {
    await readyBank('kept', { deletionPolicy: 'Retain' });
    const { banks } = pathsOf('kept');
    await world.delete(`${banks}/kept`);
    await eventually(async () => expect(await world.find(`${banks}/kept`)).toBeUndefined());
    await world.createNamespace('stranger');
    await world.createBank('stranger', 'stranger', { id: 'kept' });
    const stranger = await world.bankWhen('stranger', 'stranger', 'False', 'IdTaken');
    expect(stranger.status?.conditions?.find(({ type }) => type === 'DatabaseReady')?.message).toBe(
      'The id kept belongs to the Bank kept/kept; choose another spec.id, or delete the rows that hold it.',
    );
    await world.delete(`${pathsOf('stranger').banks}/stranger`);
    await eventually(async () => expect(await world.find(`${pathsOf('stranger').banks}/stranger`)).toBeUndefined());
    await world.createBank('kept', 'kept');
    await world.bringUp('kept', 'kept');
  });
});

describe('a database that is not as it should be is explained in one sentence', () => {
  const rows = [
    {
      sentence: 'out of reach',
      url: () => 'postgres://bankhouse_operator:x@127.0.0.1:1/bankhouse',
      code: 'unreachable',
      message: /^Postgres at 127\.0\.0\.1:1\/bankhouse can't be reached \(.*ECONNREFUSED.*\); the operator tries again/,
    },
    {
      sentence: 'a name that does not resolve',
      url: () => 'postgres://bankhouse_operator:x@no-such-host.invalid:5432/bankhouse',
      code: 'unreachable',
      message: /no-such-host\.invalid.*can't be reached/,
    },
    {
      sentence: 'a wrong password',
      url: () => postgres.urlFor('bankhouse_operator', 'wrong'),
      code: 'access_refused',
      message: /refuses the operator's sign-in/,
    },
    {
      sentence: 'a role without the grants',
      url: () => postgres.serviceUrl('gateway'),
      code: 'not_migrated',
      message: /lacks our schema or grants/,
    },
  ];
  test.each(rows)('$sentence', async ({ url, code, message }) => {
    const broken = createDatabase(url(), { connections: 1 });
    try {
      await expect(broken.state('x')).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    } finally {
      await broken.close();
    }
  });
});
