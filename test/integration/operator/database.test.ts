import { type Bank, databaseRole, scramVerifier } from '@bankhouse/core';
import { createDatabase, type Database } from '@bankhouse/operator';
import { describe, expect, test } from 'vitest';
import { sealKeysOf } from '../../../operator/src/bank/credentials.ts';
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

/** The bank whose login role the URL signs in as. */
const whoAmI = async (url: string) => {
  const role = await withClient(url, async (client) => {
    const { rows } = await client.query<{ me: string }>('select session_user::text as me');
    return rows[0]?.me;
  });
  return withClient(postgres.superuserUrl, async (client) => {
    const text = 'select bank_id as bank from bank.login_roles where role = $1';
    const { rows } = await client.query<{ bank: string }>(text, [role]);
    return rows[0]?.bank;
  });
};

const uidOf = async (id: string) => (await world.get<Bank>(`${pathsOf(id).banks}/${id}`)).metadata.uid ?? '';

describe('a Bank in a real Postgres (R1.6)', () => {
  test('its pod signs in with what the Secret has, as this bank', async () => {
    await readyBank('signs-in', { vaults: [{ id: 'sales', displayName: 'Sales' }, { id: 'support' }] });
    expect(await whoAmI(await podUrl('signs-in'))).toBe('signs-in');
    expect(await database.state('signs-in')).toMatchObject({
      uid: await uidOf('signs-in'),
      vaults: [
        { id: 'sales', displayName: 'Sales' },
        { id: 'support', displayName: 'support' },
      ],
      roles: [{ role: databaseRole(await uidOf('signs-in'), 'a') }],
      keyGenerations: [1],
      retired: false,
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
    { sentence: 'deleteAfter 0: its rows are erased', spec: { deleteAfter: '0s' }, rows: 0, kept: 0 },
    { sentence: 'a grace: its rows stay', spec: {}, rows: 1, kept: 1 },
    { sentence: 'Retain: its rows stay', spec: { deletionPolicy: 'Retain' }, rows: 1, kept: 1 },
  ])('a deleted Bank leaves no role; with $sentence', async ({ spec, rows, kept }) => {
    const id = `ends-${Object.values(spec).join('').toLowerCase() || 'later'}`;
    await readyBank(id, { ...spec, vaults: [{ id: 'sales' }] });
    const url = await podUrl(id);
    const role = databaseRole(await uidOf(id), 'a');
    const { banks } = pathsOf(id);
    await world.delete(`${banks}/${id}`);
    await eventually(async () => expect(await world.find(`${banks}/${id}`)).toBeUndefined());
    await expect(whoAmI(url)).rejects.toThrow();
    await withClient(postgres.superuserUrl, async (client) => {
      const count = async (text: string, value: string) => (await client.query(text, [value])).rowCount;
      expect(await count('select from pg_roles where rolname = $1', role)).toBe(0);
      await eventually(async () => {
        expect(await count('select from bank.vaults where bank_id = $1', id)).toBe(rows);
        expect(await count('select from control.bank_ids where id = $1', id)).toBe(kept);
        expect(await count('select from control.deletion_receipts where bank_id = $1', id)).toBe(1 - kept);
      });
    });
  });

  test('a placement that this release does not know: the Bank waits in words, and nothing is made here', async () => {
    const spec = { deletionPolicy: 'Retain' };
    await readyBank('abroad', spec);
    const { banks } = pathsOf('abroad');
    await world.delete(`${banks}/abroad`);
    await eventually(async () => expect(await world.find(`${banks}/abroad`)).toBeUndefined());
    const place = (name: string) =>
      withClient(postgres.superuserUrl, (client) =>
        client.query("update control.bank_ids set placement = $1 where id = 'abroad'", [name]),
      );
    await place('abroad:x');
    const made = await world.createBank('abroad', 'abroad', spec);
    const stalled = await world.bankWhen('abroad', 'abroad', 'False', 'NotSupported');
    const condition = stalled.status?.conditions?.find(({ type }) => type === 'DatabaseReady');
    expect(condition?.message).toContain('"abroad:x"');
    expect((await database.state('abroad'))?.uid).not.toBe(made.metadata.uid);
  });

  test('K1: rows that were kept refuse another Bank, which gets nothing of them, and take the same one back', async () => {
    await readyBank('kept', { deletionPolicy: 'Retain', vaults: [{ id: 'sales' }] });
    const { banks } = pathsOf('kept');
    await world.delete(`${banks}/kept`);
    await eventually(async () => expect(await world.find(`${banks}/kept`)).toBeUndefined());
    const paths = await world.createNamespace('stranger');
    await world.createBank('stranger', 'stranger', { id: 'kept' });
    const stranger = await world.bankWhen('stranger', 'stranger', 'False', 'IdTaken');
    const accepted = stranger.status?.conditions?.find(({ type }) => type === 'Accepted');
    expect(accepted).toMatchObject({
      status: 'False',
      message: 'The id "kept" is another Bank\'s; create this Bank again with another spec.id.',
    });
    expect(stranger.status?.incarnation).toBeUndefined();
    expect(await world.get(paths.secrets)).toMatchObject({ items: [] });
    expect(await world.get(paths.deployments)).toMatchObject({ items: [] });
    await world.delete(`${paths.banks}/stranger`);
    await eventually(async () => expect(await world.find(`${paths.banks}/stranger`)).toBeUndefined());
    await world.createBank('kept', 'kept');
    await world.bringUp('kept', 'kept');
    expect(await database.state('kept')).toMatchObject({ uid: await uidOf('kept'), vaults: [{ id: 'sales' }] });
  });

  test('K14: a namespace of the same name made anew does not inherit them', async () => {
    await readyBank('reborn', { deletionPolicy: 'Retain' });
    await world.delete(`${pathsOf('reborn').banks}/reborn`);
    await eventually(async () => expect(await world.find(`${pathsOf('reborn').banks}/reborn`)).toBeUndefined());
    // Nobody takes namespaces away here: the registry is told of another life of this one instead.
    await withClient(postgres.superuserUrl, (client) =>
      client.query("update control.bank_ids set namespace_uid = 'an earlier one' where id = 'reborn'"),
    );
    await world.createBank('reborn', 'reborn');
    await world.bankWhen('reborn', 'reborn', 'False', 'IdTaken');
  });

  test('D7: a role that changed its own password is given the one in the Secret again', async () => {
    await readyBank('changed');
    const url = await podUrl('changed');
    const role = databaseRole(await uidOf('changed'), 'a');
    await withClient(url, async (client) => {
      await client.query('set session characteristics as transaction read write');
      await client.query(`alter role "${role}" password 'another'`);
    });
    await expect(whoAmI(url)).rejects.toThrow(/password authentication failed/);
    const record = {
      id: 'changed',
      uid: await uidOf('changed'),
      displayName: 'changed',
      type: 'business',
      vaults: [],
      role,
    };
    const state = await database.state('changed');
    const credentialDigest = state?.roles[0]?.credentialDigest ?? '';
    const password = new URL(url).password;
    const key = sealKeysOf(settings.ROOT_KEY, 'database', 'changed', record.uid)[1] ?? '';
    await database.ensure(
      { ...record, credentialDigest },
      { verifier: () => scramVerifier(password), keys: { 1: key } },
      { force: true },
    );
    expect(await whoAmI(url)).toBe('changed');
  });

  test('a bank under quarantine says why and what to do, and one annotation lets it in again', async () => {
    await readyBank('caught');
    const url = await podUrl('caught');
    const role = databaseRole(await uidOf('caught'), 'a');
    await withClient(postgres.superuserUrl, async (client) => {
      for (let strike = 1; strike <= 3; strike++) {
        await client.query('select admin.strike($1, $2)', [role, 'held or waited for an advisory lock']);
        await client.query("update bank.login_roles set struck_at = struck_at - interval '1 second'");
      }
    });
    await expect(whoAmI(url)).rejects.toThrow(/not permitted to log in/);
    world.operator.recheck('caught');
    const caught = await world.bankWhen('caught', 'caught', 'False', 'Quarantined');
    const told = caught.status?.conditions?.find(({ type }) => type === 'DatabaseReady')?.message;
    expect(told).toContain('held or waited for an advisory lock');
    expect(told).toContain('bankhouse.dev/lift-quarantine');

    await world.patch(`${pathsOf('caught').banks}/caught`, {
      metadata: { annotations: { 'bankhouse.dev/lift-quarantine': 'true' } },
    });
    await world.bankWhen('caught', 'caught', 'True');
    expect(await whoAmI(url)).toBe('caught');
    await eventually(async () => {
      const { metadata } = await world.get<Bank>(`${pathsOf('caught').banks}/caught`);
      expect(metadata.annotations?.['bankhouse.dev/lift-quarantine']).toBeUndefined();
    });
  });

  test('D9: an open transaction of a bank holds up its own pass for seconds, and nobody else', async () => {
    await readyBank('holds', { vaults: [{ id: 'sales' }] });
    await world.createNamespace('beside');
    await withClient(postgres.superuserUrl, async (client) => {
      await client.query('begin');
      await client.query("select from bank.banks where id = 'holds' for update");
      await world.patch(`${pathsOf('holds').banks}/holds`, { spec: { displayName: 'Other' } });
      await world.readyBank('beside', 'beside');
      await world.bankWhen('holds', 'holds', 'False', 'Busy');
      await client.query('rollback');
    });
    await world.bankWhen('holds', 'holds', 'True');
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
