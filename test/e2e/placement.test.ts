/** A bank with a database of its own, on the running platform. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  bankDatabaseUrl,
  bankManifest,
  callTool,
  conditionOf,
  connect,
  kubectl,
  kubectlJson,
  mintToken,
  platform,
  tryKubectl,
  until,
  withSql,
} from './platform.ts';

const ID = 'e2e-own';
const CLASS = 'e2e-dedicated';

interface Placed {
  status: { database: { isolation: string; name: string; schemaGeneration: number } };
}

let name = '';
beforeAll(async () => {
  const spec = { database: { isolation: 'dedicated' } };
  const bankClass = { apiVersion: 'bankhouse.dev/v1alpha1', kind: 'BankClass', metadata: { name: CLASS }, spec };
  await kubectl(['apply', '-f', '-'], JSON.stringify(bankClass));
  await kubectl(['apply', '-f', '-'], bankManifest(ID, { className: CLASS }));
  await conditionOf(ID, 'Ready', 'True');
  ({ name } = (await kubectlJson<Placed>(['get', 'bank', ID, '-n', 'banks'])).status.database);
});
afterAll(async () => {
  await tryKubectl(['annotate', 'bank', ID, '-n', 'banks', 'bankhouse.dev/erase-now=true']);
  await tryKubectl(['delete', 'bank', ID, '-n', 'banks', '--ignore-not-found', '--timeout=60s']);
  await tryKubectl(['delete', 'bankclass', CLASS, '--ignore-not-found']);
});

const databases = () =>
  withSql(async (sql) => {
    const { rows } = await sql.query<{ datname: string }>('select datname from pg_database');
    return rows.map(({ datname }) => datname);
  });

it('answers from a database that is its own, and that its status names', async () => {
  expect(name).toMatch(/^bank_[0-9a-f]{24}$/);
  expect(new URL(await bankDatabaseUrl(ID)).pathname).toBe(`/${name}`);
  await using client = await connect(`${platform.frontDoor}/mcp/bank-${ID}`, await mintToken(ID));
  const note = await callTool<{ id: string }>(client, 'create_note', { title: 'mine alone', body: 'text' });
  const { title } = await callTool<{ title: string }>(client, 'get_note', { id: note.id });
  expect(title).toBe('mine alone');
});

it('loses its database when it is erased', async () => {
  await kubectl(['annotate', 'bank', ID, '-n', 'banks', 'bankhouse.dev/erase-now=true']);
  await kubectl(['delete', 'bank', ID, '-n', 'banks', '--timeout=60s']);
  await until('its database to be gone', async () => !(await databases()).includes(name));
});
