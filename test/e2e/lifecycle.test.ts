/** What happens to a bank when something is deleted, killed or restarted. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bankManifest,
  callTool,
  conditionOf,
  connect,
  kubectl,
  kubectlJson,
  mintToken,
  platform,
  SYSTEM_NAMESPACE,
  sampleBank,
  tryKubectl,
  until,
  withSql,
} from './platform.ts';

const CHILDREN = ['deployment', 'secret'] as const;
/** What confines the banks of the namespace that follow the default class. */
const POLICY = 'bankclass.default';

interface Listed {
  items: { kind: string; metadata: { name: string; uid: string } }[];
}

const childrenOf = (id: string) =>
  kubectlJson<Listed>([
    'get',
    'deployment,secret,service,serviceaccount,networkpolicy,poddisruptionbudget',
    '-n',
    'banks',
    '-l',
    `bankhouse.dev/bank=${id}`,
  ]);

/** What the outside world holds of a bank: kinds in the cluster, roles and rows in the database. */
async function traces(id: string): Promise<{ children: string[]; roles: number; banks: number; keys: number }> {
  const { items } = await childrenOf(id);
  return withSql(async (sql) => {
    await sql.query('begin; set local role bankhouse_data');
    const { rows } = await sql.query(
      `select (select count(*)::int from bank.banks where id = $1) as banks,
              (select count(*)::int from bank.bank_keys where bank_id = $1) as keys,
              (select count(*)::int from bank.login_roles l join pg_roles r on r.rolname = l.role where bank_id = $1) as roles`,
      [id],
    );
    await sql.query('rollback');
    return { children: items.map((item) => item.kind).sort(), ...rows[0] };
  });
}

const WHOLE = ['Deployment', 'Secret'];
const NOTHING = { children: [], roles: 0, banks: 0, keys: 0 };
/** Access has ended; the rows are there, for the same Bank to come back to, or until they are erased. */
const RETIRED = { roles: 0, banks: 1, keys: 0 };

/** Deletes it with its rows, at once. */
async function erase(id: string): Promise<void> {
  await kubectl(['annotate', 'bank', id, '-n', 'banks', 'bankhouse.dev/erase-now=true']);
  await kubectl(['delete', 'bank', id, '-n', 'banks', '--timeout=60s']);
}

async function answers(id: string): Promise<void> {
  const token = await mintToken(id);
  await until(`bank ${id} answers a tool call`, async () => {
    await using client = await connect(`${platform.frontDoor}/mcp/bank-${id}`, token);
    return (await callTool<{ vaults: unknown[] }>(client, 'list_vaults')).vaults.length >= 0;
  });
}

describe('a child that is deleted by hand', () => {
  const id = 'e2e-repair';
  beforeAll(async () => {
    await kubectl(['apply', '-f', '-'], bankManifest(id));
    await conditionOf(id, 'Ready', 'True');
  });
  afterAll(() => tryKubectl(['delete', 'bank', id, '-n', 'banks', '--ignore-not-found']));

  it.each([...CHILDREN.map((kind) => ({ kind, name: `bank-${id}` })), { kind: 'networkpolicy', name: POLICY }])(
    '$kind: back within seconds, and the bank answers',
    async ({ kind, name }) => {
      const uid = await kubectl(['get', kind, name, '-n', 'banks', '-o', 'jsonpath={.metadata.uid}']);
      await kubectl(['delete', kind, name, '-n', 'banks', '--wait=false']);
      await until(
        `another ${kind} ${name}`,
        async () => {
          const now = await tryKubectl(['get', kind, name, '-n', 'banks', '-o', 'jsonpath={.metadata.uid}']);
          return now.code === 0 && now.stdout !== uid;
        },
        15_000,
      );
      await answers(id);
    },
  );

  it('a changed one is put right again', async () => {
    await kubectl(['patch', 'networkpolicy', POLICY, '-n', 'banks', '--type=merge', '-p', '{"spec":{"ingress":[{}]}}']);
    await until(
      'the policy has its ingress rule again',
      async () =>
        (await kubectl(['get', 'networkpolicy', POLICY, '-n', 'banks', '-o', 'jsonpath={.spec.ingress[0].from}'])) !==
        '',
      15_000,
    );
  });
});

describe('deleting a Bank', () => {
  it('leaves nothing in cluster or database', async () => {
    const id = 'e2e-delete';
    await kubectl(['apply', '-f', '-'], bankManifest(id, { vaults: [{ id: 'sales' }] }));
    await conditionOf(id, 'Ready', 'True');
    expect(await traces(id)).toMatchObject({ children: WHOLE, banks: 1, keys: 1 });
    await erase(id);
    await until('its rows and children to be gone', async () => {
      const { banks, children } = await traces(id);
      return banks === 0 && children.length === 0;
    });
    expect(await traces(id)).toEqual(NOTHING);
  });

  it.each([
    ['by default', {}],
    ['with deletionPolicy Retain', { deletionPolicy: 'Retain' }],
  ])('%s keeps its rows for a while, and the same Bank finds them again', async (_sentence, policy) => {
    const id = `e2e-retain-${Object.keys(policy).length}`;
    const manifest = bankManifest(id, { ...policy, vaults: [{ id: 'sales' }] });
    await kubectl(['apply', '-f', '-'], manifest);
    await conditionOf(id, 'Ready', 'True');
    await kubectl(['delete', 'bank', id, '-n', 'banks', '--timeout=60s']);
    expect(await traces(id)).toMatchObject(RETIRED);
    await kubectl(['apply', '-f', '-'], bankManifest(id));
    await conditionOf(id, 'Ready', 'True');
    await using client = await connect(`${platform.frontDoor}/mcp/bank-${id}`, await mintToken(id));
    expect((await callTool<{ vaults: { id: string }[] }>(client, 'list_vaults')).vaults.map((v) => v.id)).toEqual([
      'sales',
    ]);
    await client.close();
    await erase(id);
    await until('its rows to be gone', async () => (await traces(id)).banks === 0);
  });
});

describe('an operator that is killed during a creation', () => {
  const operatorPod = () =>
    kubectl([
      'get',
      'pod',
      '-n',
      SYSTEM_NAMESPACE,
      '-l',
      'app.kubernetes.io/component=operator',
      '-o',
      'jsonpath={.items[0].metadata.name}',
    ]);

  it.each([0, 40, 150, 400, 900])('%i ms after the apply: the same end state', async (delayMs) => {
    const id = `e2e-kill-${delayMs}`;
    const pod = await operatorPod();
    await kubectl(['apply', '-f', '-'], bankManifest(id));
    const started = performance.now();
    await until('the moment of the kill', async () => performance.now() - started >= delayMs);
    await kubectl(['delete', 'pod', pod, '-n', SYSTEM_NAMESPACE, '--grace-period=0', '--force', '--wait=false']);
    await conditionOf(id, 'Ready', 'True', 'banks', 90_000);
    expect(await traces(id)).toEqual({ children: WHOLE, roles: 1, banks: 1, keys: 1 });
    await answers(id);
    await kubectl(['delete', 'bank', id, '-n', 'banks', '--timeout=60s']);
  });
});

describe('a Postgres that restarts', () => {
  it('fails calls with a clear MCP error, then answers them again', async () => {
    const bank = sampleBank(0);
    await using client = await connect(bank.url, bank.token);
    const postgres = ['-n', SYSTEM_NAMESPACE, '-l', 'app.kubernetes.io/component=postgres'];
    const uid = await kubectl(['get', 'pod', ...postgres, '-o', 'jsonpath={.items[0].metadata.uid}']);
    await kubectl(['delete', 'pod', ...postgres, '--wait=false']);
    const failure = await until('a call to fail while the database is away', async () => {
      const result = await client.callTool({ name: 'list_vaults', arguments: {} }).catch((error: Error) => error);
      return result instanceof Error ? result.message : result.isError === true && JSON.stringify(result.content);
    });
    expect(failure).toMatch(/database/i);
    expect(failure).not.toMatch(/ECONNREFUSED|at \w+ \(|select /);
    await until('another Postgres pod', async () => {
      const now = await tryKubectl(['get', 'pod', ...postgres, '-o', 'jsonpath={.items[0].metadata.uid}']);
      return now.stdout !== '' && now.stdout !== uid;
    });
    await until('calls to succeed again', async () => {
      const result = await client.callTool({ name: 'list_vaults', arguments: {} });
      return result.isError !== true;
    });
  });
});
