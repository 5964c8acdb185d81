/** Where banks' rows live, on the running platform: a database of one's own, and the way there and back. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  bankDatabaseUrl,
  bankManifest,
  callTool,
  callToolPages,
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
const MOVING = 'e2e-moving';
const CLASS = 'e2e-dedicated';
/** The kubelet brings a new Secret within a minute, and a move ends when every pod is new. */
const MOVED_MS = 180_000;

interface Placed {
  status: { database?: { isolation: string; name: string; schemaGeneration: number } };
}

async function erase(id: string): Promise<void> {
  await tryKubectl(['annotate', 'bank', id, '-n', 'banks', 'bankhouse.dev/erase-now=true']);
  await tryKubectl(['delete', 'bank', id, '-n', 'banks', '--ignore-not-found', '--timeout=60s']);
}

const databaseOf = async (id: string) =>
  (await kubectlJson<Placed>(['get', 'bank', id, '-n', 'banks'])).status.database?.name;

let name = '';
beforeAll(async () => {
  const spec = { database: { isolation: 'dedicated' } };
  const bankClass = { apiVersion: 'bankhouse.dev/v1alpha1', kind: 'BankClass', metadata: { name: CLASS }, spec };
  await kubectl(['apply', '-f', '-'], JSON.stringify(bankClass));
  await kubectl(['apply', '-f', '-'], bankManifest(ID, { className: CLASS }));
  await conditionOf(ID, 'Ready', 'True');
  name = (await databaseOf(ID)) ?? '';
});
afterAll(async () => {
  await Promise.all([erase(ID), erase(MOVING)]);
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

/** Writes without a pause until it is told to end, each note until it is told that it is there; answers how many that were. */
function write(token: string): { end(): Promise<number> } {
  let isEnding = false;
  const writing = (async () => {
    await using client = await connect(`${platform.frontDoor}/mcp/bank-${MOVING}`, token);
    let written = 0;
    while (!isEnding) {
      const note = { title: `note ${written}`, body: 'text', idempotencyKey: `note-${written}` };
      await until(`note ${written} to be taken`, () => callTool(client, 'create_note', note), 15_000);
      written += 1;
    }
    return written;
  })();
  return {
    end: () => {
      isEnding = true;
      return writing;
    },
  };
}

it(
  'is moved into a database of its own and back by an annotation, while it is written, and loses nothing',
  async () => {
    await kubectl(['apply', '-f', '-'], bankManifest(MOVING));
    await conditionOf(MOVING, 'Ready', 'True');
    const token = await mintToken(MOVING);
    const writer = write(token);
    const move = async (spec: Record<string, unknown>, isThere: (database: string | undefined) => boolean) => {
      await kubectl(['apply', '-f', '-'], bankManifest(MOVING, spec));
      await kubectl(['annotate', 'bank', MOVING, '-n', 'banks', 'bankhouse.dev/move-database=true']);
      await until(
        'the annotation to be taken off',
        async () => {
          const left = ['get', 'bank', MOVING, '-n', 'banks', '-o', 'jsonpath={.metadata.annotations}'];
          return !(await kubectl(left)).includes('move-database') && isThere(await databaseOf(MOVING));
        },
        MOVED_MS,
      );
    };
    await move({ className: CLASS }, (database) => database !== undefined);
    const own = (await databaseOf(MOVING)) ?? '';
    expect(await databases()).toContain(own);
    await move({ className: 'default' }, (database) => database === undefined);
    await until('the database that it left to be gone', async () => !(await databases()).includes(own));
    const written = await writer.end();
    await using client = await connect(`${platform.frontDoor}/mcp/bank-${MOVING}`, token);
    const notes = await callToolPages<{ title: string }>(client, 'list_notes', 'notes');
    expect(notes).toHaveLength(written);
    expect(new Set(notes.map(({ title }) => title)).size).toBe(written);
  },
  2 * MOVED_MS + 120_000,
);
