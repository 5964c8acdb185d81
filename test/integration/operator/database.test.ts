import { systemClock } from '@bankhouse/kube';
import { createDatabase, type Database } from '@bankhouse/operator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import {
  bankWhen,
  createBank,
  createClass,
  createNamespace,
  eventually,
  getOrUndefined,
  namespaced,
  setPods,
  settings,
  startWorld,
  type World,
} from './support.ts';

let postgres!: TestPostgres;
let database!: Database;
let world!: World;
beforeAll(async () => {
  postgres = await startPostgres();
  const url = postgres.serviceUrl('operator');
  database = createDatabase(url, { connections: 2, clock: systemClock });
  const withoutPassword = new URL(url);
  withoutPassword.password = '';
  world = await startWorld({ database, settings: { ...settings, DATABASE_URL: withoutPassword.toString() } });
  await createClass(world.api.transport, 'standard', { default: true });
});
afterAll(async () => {
  await world?.close();
  await database?.close();
  await postgres?.stop();
});

async function readyBank(id: string, spec: Record<string, unknown> = {}): Promise<void> {
  const { transport } = world.api;
  await createNamespace(transport, id);
  await createBank(transport, id, id, spec);
  await eventually(() => setPods(transport, id, id, { replicas: 1, ready: 1 }));
  await bankWhen(transport, id, id, 'True');
}

/** The URL that the bank's pod gets. */
async function podUrl(id: string): Promise<string> {
  const path = `${namespaced(id).secrets}/bank-${id}`;
  const { data } = await world.api.transport.request<{ data: Record<string, string> }>('GET', path);
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
    await world.api.transport.request('DELETE', `${namespaced('lost').secrets}/bank-lost`);
    await eventually(async () => expect(await whoAmI(await podUrl('lost'))).toBe('lost'));
    expect(await podUrl('lost')).not.toBe(before);
    await expect(whoAmI(before)).rejects.toThrow(/password authentication failed/);
  });

  test('a restart of Postgres is survived, also by a bank that is made meanwhile', async () => {
    await readyBank('before');
    const { transport } = world.api;
    await createNamespace(transport, 'during');
    await Promise.all([postgres.restart(), createBank(transport, 'during', 'during')]);
    await eventually(() => setPods(transport, 'during', 'during', { replicas: 1, ready: 1 }));
    await bankWhen(transport, 'during', 'during', 'True');
    expect(await whoAmI(await podUrl('during'))).toBe('during');
  });

  test.each([
    { policy: 'Delete', rows: 0 },
    { policy: 'Retain', rows: 1 },
  ])('a deleted Bank leaves no role; rows with $policy: $rows', async ({ policy, rows }) => {
    const id = `ends-${policy.toLowerCase()}`;
    await readyBank(id, { deletionPolicy: policy, vaults: [{ id: 'sales' }] });
    const url = await podUrl(id);
    const { banks } = namespaced(id);
    await world.api.transport.request('DELETE', `${banks}/${id}`);
    await eventually(async () => expect(await getOrUndefined(world.api.transport, `${banks}/${id}`)).toBeUndefined());
    await expect(whoAmI(url)).rejects.toThrow();
    await withClient(postgres.superuserUrl, async (client) => {
      const roles = await client.query('select from pg_roles where rolname like $1', [`bank\\_${id}\\_%`]);
      expect(roles.rowCount).toBe(0);
      const vaults = await client.query('select from bank.vaults where bank_id = $1', [id]);
      expect(vaults.rowCount).toBe(rows);
    });
  });

  test('rows that were kept refuse another Bank and take the same one back', async () => {
    const { transport } = world.api;
    await readyBank('kept', { deletionPolicy: 'Retain' });
    const { banks } = namespaced('kept');
    await transport.request('DELETE', `${banks}/kept`);
    await eventually(async () => expect(await getOrUndefined(transport, `${banks}/kept`)).toBeUndefined());
    await createNamespace(transport, 'stranger');
    await createBank(transport, 'stranger', 'stranger', { id: 'kept' });
    const stranger = await bankWhen(transport, 'stranger', 'stranger', 'False', 'IdTaken');
    expect(stranger.status?.conditions?.find(({ type }) => type === 'DatabaseReady')?.message).toBe(
      'The id kept belongs to the Bank kept/kept; choose another spec.id, or delete the rows that hold it.',
    );
    await transport.request('DELETE', `${namespaced('stranger').banks}/stranger`);
    await eventually(async () =>
      expect(await getOrUndefined(transport, `${namespaced('stranger').banks}/stranger`)).toBeUndefined(),
    );
    await createBank(transport, 'kept', 'kept');
    await eventually(() => setPods(transport, 'kept', 'kept', { replicas: 1, ready: 1 }));
    await bankWhen(transport, 'kept', 'kept', 'True');
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
    const broken = createDatabase(url(), { connections: 1, clock: systemClock });
    try {
      await expect(broken.state('x')).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    } finally {
      await broken.close();
    }
  });
});
