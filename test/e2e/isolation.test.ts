/** R1.3, R1.5, R1.6: a bank sees itself and nothing else; a vault-limited token sees its vaults and nothing else. */
import { type Assertion, deriveSealKey, sealAssertion } from '@bankhouse/core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  bankDatabaseUrl,
  callTool,
  callToolPages,
  connect,
  frontDoorFetch,
  keyOf,
  kubectl,
  mintToken,
  platform,
  SYSTEM_NAMESPACE,
  sampleBank,
  tryKubectl,
  withSql,
} from './platform.ts';
import { sampleManifest } from './samples.ts';

const a = sampleBank(0);
const b = sampleBank(1);

describe("bank A's token", () => {
  it("is refused by bank B with the challenge that names B's own metadata (R1.5, R1.8)", async () => {
    const answer = await frontDoorFetch(b.url, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${a.token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }),
    });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toContain(`/.well-known/oauth-protected-resource/mcp/bank-${b.id}`);
  });
});

describe('a token for one vault', () => {
  const manifest = sampleManifest(a.id);
  let token: string;
  beforeAll(async () => {
    token = await mintToken(a.id, { vaults: ['sales'] });
  });

  it('lists the calls of that vault and of no other', async () => {
    await using client = await connect(a.url, token);
    const listed = await callToolPages<{ id: string; vaultIds: string[] }>(client, 'list_recordings', 'recordings');
    expect(listed.length).toBe(manifest.byVault.get('sales'));
    expect(listed.filter((recording) => !recording.vaultIds.includes('sales'))).toEqual([]);
  });

  it('learns nothing about another vault, not even that it exists', async () => {
    await using client = await connect(a.url, token);
    const { vaults } = await callTool<{ vaults: { id: string }[] }>(client, 'list_vaults');
    expect(vaults.map((vault) => vault.id)).toEqual(['sales']);
    const asked = async (vault: string) => {
      const { content } = await client.callTool({ name: 'list_recordings', arguments: { vault } });
      return JSON.stringify(content).replaceAll(vault, 'V');
    };
    expect(await asked('support')).toContain('not_found');
    expect(await asked('support')).toBe(await asked('no-such-vault'));
  });
});

describe("direct SQL as the bank's own role", () => {
  let url: string;
  let root: Buffer;
  const uids = new Map<string, string>();
  beforeAll(async () => {
    url = await bankDatabaseUrl(a.id);
    for (const { id } of [a, b]) {
      uids.set(id, await kubectl(['get', 'bank', id, '-n', 'banks', '-o', 'jsonpath={.metadata.uid}']));
    }
    root = Buffer.from(await keyOf('root-key'), 'base64');
  });

  const now = () => Math.floor(Date.now() / 1000);
  const assertion = (changes: Partial<Assertion> = {}): Assertion => ({
    bank: a.id,
    sub: 'e2e',
    iss: platform.frontDoor,
    access: 'read',
    scopes: ['mcp:read'],
    vaults: ['sales'],
    jti: 'e2e',
    exp: now() + 3600,
    iat: now(),
    rid: 'e2e',
    ...changes,
  });
  const seal = (changes: Partial<Assertion> = {}, bank = a.id, target: 'database' | 'pod' = 'database') =>
    sealAssertion(assertion(changes), deriveSealKey(root, target, bank, uids.get(bank) ?? '', 1), 1);

  /** As the bank's role. The watchdog ends it for what no server says: then again, and without a strike that would count. */
  async function asBank<T>(use: Parameters<typeof withSql<T>>[0]): Promise<T> {
    for (let turn = 1; ; turn++) {
      await withSql((sql) => sql.query('select admin.lift_quarantine($1)', [a.id]));
      try {
        return await withSql(use, url);
      } catch (error) {
        const isEnded = /57P01|28000|ECONNRESET|terminated/.test(`${(error as { code?: string }).code} ${error}`);
        if (!isEnded || turn === 20) throw error;
      }
    }
  }

  /** What functions tell under a setting of the assertion: calls, those that are not in sales, and vaults. */
  async function seen(sealed: string | undefined): Promise<{ calls: number; others: number; vaults: string[] }> {
    return asBank(async (sql) => {
      await sql.query('begin');
      if (sealed !== undefined) await sql.query("select set_config('bankhouse.assertion', $1, true)", [sealed]);
      const calls = await sql.query(
        `select count(*)::int n, count(*) filter (where 'sales' <> all (vault_ids))::int others
           from api.get_unified_recordings()`,
      );
      const vaults = await sql.query('select id from api.list_vaults()');
      await sql.query('commit');
      return { calls: calls.rows[0].n, others: calls.rows[0].others, vaults: vaults.rows.map(({ id }) => id) };
    });
  }

  it('sees the vault of a good assertion, and no other bank', async () => {
    expect(await seen(seal())).toEqual({
      calls: sampleManifest(a.id).byVault.get('sales'),
      others: 0,
      vaults: ['sales'],
    });
  });

  it.each<[string, () => string | undefined]>([
    ['an absent assertion', () => undefined],
    ['an empty one', () => ''],
    ['garbage', () => 'let me in'],
    [
      'a forged one: changed payload under an old seal',
      () => {
        const [generation, , mac] = seal().split('.');
        return `${generation}.${Buffer.from(JSON.stringify(assertion({ vaults: null }))).toString('base64url')}.${mac}`;
      },
    ],
    ["one sealed with the pod's key, which the pod holds", () => seal({ vaults: null }, a.id, 'pod')],
    ["one sealed with another bank's key", () => seal({}, b.id)],
    ["another bank's own good one", () => seal({ bank: b.id }, b.id)],
    ['a replayed one, 61 s old (G7)', () => seal({ iat: now() - 62 })],
    ['one from the future', () => seal({ iat: now() + 60 })],
    ['one for no vault', () => seal({ vaults: [] })],
  ])('sees nothing with %s', async (_sentence, make) => {
    expect(await seen(make())).toEqual({ calls: 0, others: 0, vaults: [] });
  });

  it.each(['postgres', 'template1'])('does not get into the database %s', async (database) => {
    const other = new URL(url);
    other.pathname = `/${database}`;
    await expect(withSql((sql) => sql.query('select 1'), other.toString())).rejects.toThrow(
      'permission denied for database',
    );
  });

  it.each([
    ['read the seal keys', 'select * from bank.bank_keys'],
    ['read the roles', 'select * from bank.login_roles'],
    ['read revocations', 'select * from control.revoked_tokens'],
    ['read notes', 'select from bank.notes'],
    ['name a table in a rule, which would lock it (D3)', 'create rule r as on insert to bank.notes do nothing'],
    ['erase a bank', "select admin.erase_bank('x', 'y')"],
    ['take an id', "select control.claim_id('x', 'y', 'a/b', 'n', 'X', 'business', '[]')"],
    ['become the data role', 'set role bankhouse_data'],
    ['become the owner of the functions', 'set role bankhouse_api'],
    ['make a table', 'create table api.mine (x int)'],
    ['delete recordings', 'delete from bank.recordings'],
  ])('may not %s', async (_sentence, statement) => {
    const attempt = asBank(async (sql) => {
      // Reading only is this role's default, which it may change; what it may do must not depend on that.
      await sql.query('set session characteristics as transaction read write');
      await sql.query(statement);
    });
    await expect(attempt).rejects.toMatchObject({ code: '42501' });
  });
});

describe("bank A's pod", () => {
  const attempt = (host: string, port: number) =>
    tryKubectl([
      'exec',
      '-n',
      'banks',
      `deploy/bank-${a.id}`,
      '--',
      'node',
      '-e',
      `const s=require('net').connect(${port},'${host}');s.setTimeout(4000,()=>{console.log('blocked');process.exit()});` +
        `s.on('connect',()=>{console.log('open');process.exit()});s.on('error',e=>{console.log(e.code);process.exit()})`,
    ]).then((ran) => ran.stdout.trim() || ran.stderr);

  const podIp = async (namespace: string, selector: string) =>
    kubectl(['get', 'pod', '-n', namespace, '-l', selector, '-o', 'jsonpath={.items[0].status.podIP}']);

  it('can reach the database, so that what follows is a policy and not a broken network', async () => {
    expect(await attempt(await podIp(SYSTEM_NAMESPACE, 'app.kubernetes.io/component=postgres'), 5432)).toBe('open');
  });

  it("can't open a connection to bank B's pod", async () => {
    expect(await attempt(await podIp('banks', `bankhouse.dev/bank=${b.id}`), 8080)).toMatch(/blocked|ECONNREFUSED/);
  });

  it("can't open a connection to the API server", async () => {
    const service = await kubectl([
      'get',
      'service',
      'kubernetes',
      '-n',
      'default',
      '-o',
      'jsonpath={.spec.clusterIP}',
    ]);
    const endpoint = await kubectl([
      'get',
      'endpointslices',
      '-n',
      'default',
      '-l',
      'kubernetes.io/service-name=kubernetes',
      '-o',
      'jsonpath={.items[0].endpoints[0].addresses[0]}',
    ]);
    expect(await attempt(service, 443)).toMatch(/blocked|ECONNREFUSED/);
    expect(await attempt(endpoint, 6443)).toMatch(/blocked|ECONNREFUSED/);
  });

  it('has no service account token', async () => {
    const look = await tryKubectl([
      'exec',
      '-n',
      'banks',
      `deploy/bank-${a.id}`,
      '--',
      'node',
      '-e',
      "require('fs').readdirSync('/var/run/secrets/kubernetes.io/serviceaccount')",
    ]);
    expect(look.stderr).toContain('ENOENT');
  });
});
