/** What a caller is told when a change can't be saved, or nobody knows whether it was. */
import { defineTool, statement, type Toolset } from '@bankhouse/server';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { SOON } from '../../harness/soon.ts';
import { call, callError, type RunningBank, runBank } from '../server/support.ts';
import { writer } from './support.ts';

let postgres: TestPostgres;
let running: RunningBank;
beforeAll(async () => {
  postgres = await startPostgres();
  running = await runBank(postgres, 'acme', { toolsets: [troubled] });
});
afterAll(async () => {
  await running?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

const answer = z.object({ saved: z.boolean() });
const INSERT = statement({
  text: "select api.create_row('note', jsonb_build_object('title', $1::text)), pg_backend_pid() as pid",
});

/** Tools whose transactions end badly in ways that no argument can bring about. */
const troubled: Toolset = {
  name: 'troubled',
  instructions: '',
  resources: [],
  tools: [
    defineTool({
      name: 'save_and_lose_connection',
      title: 'Save',
      description: 'Its connection ends between the change and its commit.',
      access: 'write',
      input: z.strictObject({}),
      output: answer,
      async run(_args, { tx }) {
        const [row] = await tx.rows<{ pid: number }>(INSERT, ['lost']);
        await withClient(postgres.superuserUrl, async (superuser) => {
          await superuser.query('select pg_terminate_backend($1, 5000)', [row?.pid]);
        });
        return { structured: { saved: true }, text: 'Saved.' };
      },
    }),
    defineTool({
      name: 'save_past_a_failure',
      title: 'Save',
      description: 'Goes on as if its failed statement had not failed.',
      access: 'write',
      input: z.strictObject({}),
      output: answer,
      async run(_args, { tx }) {
        await tx.rows(INSERT, ['half']);
        await tx.rows(statement({ text: 'select 1 / 0' })).catch(() => {});
        return { structured: { saved: true }, text: 'Saved.' };
      },
    }),
    defineTool({
      name: 'save',
      title: 'Save',
      description: 'Saves.',
      access: 'write',
      input: z.strictObject({}),
      output: answer,
      async run(_args, { tx }) {
        await tx.rows(INSERT, ['whole']);
        return { structured: { saved: true }, text: 'Saved.' };
      },
    }),
  ],
};

async function titles(): Promise<string[]> {
  return withClient(postgres.superuserUrl, async (superuser) => {
    const { rows } = await superuser.query<{ title: string }>('select title from bank.notes order by created_at');
    return rows.map((row) => row.title);
  });
}

it('a commit whose answer is lost is told as unknown, not as done nor as undone', async () => {
  await using client = await writer(running);
  const error = await callError(client, 'save_and_lose_connection');
  expect(error.code).toBe('database_unavailable');
  expect(error.text).not.toContain('nothing was changed');
  await call(client, 'save');
  expect(await titles()).toEqual(['whole']);
});

it('a transaction that had failed is never told as saved', async () => {
  await using client = await writer(running);
  expect(await callError(client, 'save_past_a_failure')).toMatchObject({ code: 'internal' });
  await call(client, 'save');
  expect(await titles()).not.toContain('half');
});

it('a client that goes away before its change is saved has changed nothing', async () => {
  const before = await titles();
  await withClient(postgres.superuserUrl, async (superuser) => {
    await superuser.query('begin');
    await superuser.query('lock table bank.notes in share mode');
    const leaving = new AbortController();
    await using client = await writer(running);
    const called = client.callTool({ name: 'save', arguments: {} }, { signal: leaving.signal });
    called.catch(() => {});
    await expect.poll(waiting, SOON).toBe(1);
    leaving.abort();
    await expect(called).rejects.toThrow();
    // The client knows before the server does, which would save what comes back until then, and rightly.
    await expect.poll(() => running.logs.join(''), SOON).toContain('"outcome":"cancelled"');
    await superuser.query('rollback');
  });
  expect(await titles()).toEqual(before);
});

/** Statements of banks that wait for a lock. Asked on a connection of its own: within a transaction the list stays as it was first. */
function waiting(): Promise<number | null> {
  return withClient(postgres.superuserUrl, async (superuser) => {
    const { rowCount } = await superuser.query(
      "select from pg_stat_activity where wait_event_type = 'Lock' and usename like 'bank\\_%'",
    );
    return rowCount;
  });
}
