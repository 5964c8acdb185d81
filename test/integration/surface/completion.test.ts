/** Completion of prompts' arguments and of templates' variables, in both eras, under vault rules (R1.6). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { asLoader, ERAS, type RunningBank } from '../server/support.ts';
import { BOTH, completePrompt, completeTemplate, connect, LONG, make, OLD, runSurface, SUPPORT } from './support.ts';

let postgres: TestPostgres;
let running: RunningBank;
beforeAll(async () => {
  postgres = await startPostgres();
  running = await runSurface(postgres, 'acme');
});
afterAll(async () => {
  await running?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

const RECORDINGS = 'bankhouse://{bank}/recordings/{id}';

describe.each(ERAS)('for a %s client', (era) => {
  it.each<[string, string, string, RegExp[]]>([
    [
      'summarize_call',
      'call',
      'renewal',
      [/^Renewal with Globex · \d{4}-\d\d-\d\d · \S+1$/, /^Renewal kick-off · .*3$/],
    ],
    ['follow_ups_to_tasks', 'call', 'outage', [/^Outage review · /]],
    ['summarize_call', 'style', 'dec', [/^decisions$/]],
    ['summarize_call', 'length', '', [/^short$/, /^medium$/, /^long$/]],
    ['summarize_call', 'language', 'ger', [/^de$/]],
    ['weekly_digest', 'language', 'pt', [/^pt$/]],
    ['weekly_digest', 'vault', 'SUP', [/^support$/]],
    ['weekly_digest', 'vault', 'xyz', []],
  ])('%s: %s from "%s"', async (name, argument, typed, expected) => {
    await using client = await connect(running, null, era);
    const { values } = await completePrompt(client, [name, argument, typed]);
    expect(values).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
  });

  it.each<[string, string, string, string[]]>([
    [RECORDINGS, 'id', 'Globex', [LONG]],
    [RECORDINGS, 'id', 'fathom-', [OLD]],
    [RECORDINGS, 'id', 'flamingo', [BOTH]],
    [RECORDINGS, 'bank', 'ac', ['acme']],
    [RECORDINGS, 'bank', 'other', []],
    ['bankhouse://{bank}/vaults/{id}', 'id', '', ['sales', 'support']],
  ])('%s: %s from "%s"', async (template, variable, typed, expected) => {
    await using client = await connect(running, null, era);
    expect(await completeTemplate(client, [template, variable, typed])).toEqual(expected);
  });
});

it('proposes the weeks up to this one, newest first', async () => {
  await using client = await connect(running);
  const { values } = await completePrompt(client, ['weekly_digest', 'week', '']);
  expect(values).toHaveLength(26);
  expect(values).toEqual(values.toSorted().reverse());
  expect(values[0]).toMatch(/^\d{4}-W\d\d$/);
});

it.each([
  ['notes', 'create_note', { title: 'Budget of next year' }, 'budget year'],
  ['tasks', 'create_task', { title: 'Budget of next year' }, 'next bud'],
  ['chats', 'create_chat', { title: 'Budget of next year' }, 'BUDGET'],
])('completes ids of %s by words of the title, for those who may see them', async (kind, tool, args, typed) => {
  await using all = await connect(running);
  const id = await make(all, tool, { ...args, vaultId: 'sales' });
  const template = `bankhouse://{bank}/${kind}/{id}`;
  expect(await completeTemplate(all, [template, 'id', typed])).toEqual([id]);
  expect(await completeTemplate(all, [template, 'id', id.slice(0, 8)])).toEqual([id]);
  await using some = await connect(running, ['support']);
  expect(await completeTemplate(some, [template, 'id', typed])).toEqual([]);
});

it('proposes no call and no vault that the caller may not see', async () => {
  await using client = await connect(running, ['support']);
  expect((await completePrompt(client, ['summarize_call', 'call', 'globex'])).values).toEqual([]);
  expect(await completeTemplate(client, [RECORDINGS, 'id', ''])).toEqual([SUPPORT, BOTH]);
  expect((await completePrompt(client, ['weekly_digest', 'vault', ''])).values).toEqual(['support']);
  await using none = await connect(running, []);
  expect(await completeTemplate(none, [RECORDINGS, 'id', ''])).toEqual([]);
});

it.each<[string, { type: 'ref/prompt'; name: string } | { type: 'ref/resource'; uri: string }, string]>([
  ['an unknown prompt', { type: 'ref/prompt', name: 'nothing' }, 'call'],
  ['an unknown argument', { type: 'ref/prompt', name: 'summarize_call' }, 'calls'],
  ['a name of every object', { type: 'ref/prompt', name: 'summarize_call' }, 'constructor'],
  ['an unknown template', { type: 'ref/resource', uri: 'bankhouse://{bank}/money/{id}' }, 'id'],
])('refuses %s', async (_sentence, ref, argument) => {
  await using client = await connect(running);
  await expect(client.complete({ ref, argument: { name: argument, value: '' } })).rejects.toMatchObject({
    code: -32602,
    message: expect.stringContaining('invalid_argument'),
  });
});

it('stays bounded among many calls, and whatever is typed', async () => {
  await using many = await runSurface(postgres, 'many');
  await asLoader(postgres, (client) =>
    client.query(
      `with made as (insert into bank.recordings (bank_id, id, title, started_at, duration_seconds)
         select 'many', gen_random_uuid(), 'Weekly ' || n, now(), 60 from generate_series(1, 2000) n returning id)
       insert into bank.vault_entries (bank_id, vault_id, recording_id) select 'many', 'sales', id from made`,
    ),
  );
  await using client = await connect(many);
  const { values, hasMore } = await completePrompt(client, ['summarize_call', 'call', 'weekly']);
  expect([values.length, hasMore]).toEqual([20, true]);
  for (const typed of ['%', "'; drop table bank.notes; --", '"', '\u0000', '-', 'x'.repeat(5000)]) {
    expect((await completePrompt(client, ['summarize_call', 'call', typed])).values.length).toBeLessThanOrEqual(20);
  }
});
