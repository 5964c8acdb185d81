/** Prompts with the bank's rows in them, by SDK clients of both eras, under vault rules (R1.3, R1.6). */
import { toolsetsNamed } from '@bankhouse/server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { call, ERAS, type RunningBank, runBank } from '../server/support.ts';
import { BOTH, connect, LONG, make, OLD, prompt, runSurface, SUPPORT } from './support.ts';

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

describe.each(ERAS)('a %s client', (era) => {
  it('is told of prompts and completion, and finds three prompts', async () => {
    await using client = await connect(running, null, era);
    expect(client.getServerCapabilities()).toMatchObject({ prompts: {}, completions: {} });
    const { prompts } = await client.listPrompts();
    expect(
      prompts.map(({ name, arguments: args }) => [name, args?.map((a) => `${a.name}${a.required ? '!' : ''}`)]),
    ).toEqual([
      ['summarize_call', ['call!', 'style', 'length', 'language']],
      ['weekly_digest', ['vault', 'week', 'language']],
      ['follow_ups_to_tasks', ['call!', 'vault', 'language']],
    ]);
    const described = prompts.flatMap(({ arguments: args = [] }) => args.map(({ description = '' }) => description));
    expect(described.every((description) => description.length > 20)).toBe(true);
  });

  it('gets a call with its transcript embedded', async () => {
    await using client = await connect(running, null, era);
    const { messages } = await client.getPrompt({ name: 'summarize_call', arguments: { call: SUPPORT } });
    expect(messages).toMatchObject([
      { role: 'user', content: { type: 'text', text: expect.stringContaining('Summarize the call below') } },
      {
        role: 'user',
        content: {
          type: 'resource',
          resource: {
            uri: `bankhouse://acme/recordings/${SUPPORT}`,
            text: expect.stringMatching(
              /# Outage review[\s\S]*The pump failed[\s\S]*\[0:40\] Ann: Point 4 about the pump/,
            ),
          },
        },
      },
    ]);
  });

  it('is told by an error of the protocol what is wrong with an argument', async () => {
    await using client = await connect(running, null, era);
    await expect(client.getPrompt({ name: 'no_such' })).rejects.toMatchObject({ code: -32602 });
    await expect(client.getPrompt({ name: 'summarize_call' })).rejects.toMatchObject({
      code: -32602,
      message: expect.stringContaining('call:'),
    });
  });
});

describe('summarize_call', () => {
  it.each<[string, string, string]>([
    ['an id', LONG, LONG],
    ['an id of the old table', OLD, OLD],
    ['what completion proposed', `Renewal kick-off · 2026-01-01 · ${BOTH}`, BOTH],
    ['words of a title, the newest that fits', 'renewal', LONG],
    ['words that were said', 'flamingo', BOTH],
  ])('understands %s', async (_sentence, meant, id) => {
    await using client = await connect(running);
    expect(await prompt(client, 'summarize_call', { call: meant })).toContain(`Id: \`${id}\``);
  });

  it('embeds a bounded part of a long transcript and says how to read on', async () => {
    await using client = await connect(running);
    const text = await prompt(client, 'summarize_call', { call: LONG });
    expect(text.length).toBeGreaterThan(90_000);
    expect(text.length).toBeLessThan(120_000);
    expect(text).toContain('It goes on: use the tool get_transcript');
    expect(text).toContain(`get_transcript with id "${LONG}"`);
  });

  it.each<[Record<string, string>, string]>([
    [{ style: 'decisions' }, 'as a list of decisions'],
    [{ style: 'as a limerick' }, 'Style: as a limerick.'],
    [{ style: 'toString' }, 'Style: toString.'],
    [{ length: 'short' }, 'at most 100 words'],
    [{ language: 'de' }, 'Language: German.'],
    [{ language: '' }, 'Language: the language of the call.'],
  ])('says with %j: %s', async (args, expected) => {
    await using client = await connect(running);
    expect(await prompt(client, 'summarize_call', { call: SUPPORT, ...args })).toContain(expected);
  });

  it.each<[string, string[] | null, string]>([
    ['is in another vault', ['support'], LONG],
    ['is in another vault, by its title', ['support'], 'Globex'],
    ['is in no vault that the token names', [], SUPPORT],
    ['is not there', null, '00000000-0000-4000-8000-0000000000ff'],
    ['nobody had', null, 'no such words anywhere'],
  ])('knows no call that %s', async (_sentence, vaults, meant) => {
    await using client = await connect(running, vaults);
    await expect(prompt(client, 'summarize_call', { call: meant })).rejects.toThrow(/not_found: There is no call/);
  });
});

describe('weekly_digest', () => {
  it('holds the calls, the open tasks and the changes of a vault, and nothing of another', async () => {
    await using client = await connect(running);
    await make(client, 'create_task', {
      title: 'Send the offer',
      vaultId: 'sales',
      dueAt: '2026-01-01',
      priority: 'high',
    });
    await make(client, 'create_task', { title: 'Mend the pump', vaultId: 'support' });
    await make(client, 'create_note', { title: 'Price list', vaultId: 'sales' });
    const archived = await make(client, 'create_note', { title: 'Thrown away', vaultId: 'sales' });
    await call(client, 'archive_note', { id: archived });
    const text = await prompt(client, 'weekly_digest', { vault: 'sales' });
    expect(text).toContain('the vault "sales", the seven days up to');
    expect(text).toMatch(
      /Renewal with Globex, 30 min, ann@example.com, Ben: bankhouse:\/\/acme\/recordings\/\S+\n {2}They want a discount/,
    );
    expect(text).toMatch(/Send the offer \[open\].* due 2026-01-01.*\(priority high\)/);
    expect(text).toMatch(/Price list \[draft\].*\(new\)/);
    for (const other of ['Outage review', 'Mend the pump', 'Renewal kick-off', 'Thrown away'])
      expect(text).not.toContain(other);
  });

  it('without a vault holds every vault that the caller may see, and no other', async () => {
    await using client = await connect(running, ['support']);
    const text = await prompt(client, 'weekly_digest', {});
    expect(text).toContain('Outage review');
    expect(text).not.toContain('Globex');
  });

  it('is of the week that is asked for', async () => {
    await using client = await connect(running);
    const day = new Date(Date.now() - 20 * 86_400_000).toISOString().slice(0, 10);
    const text = await prompt(client, 'weekly_digest', { week: day });
    expect(text).toContain('Renewal kick-off');
    expect(text).not.toContain('Outage review');
  });

  it.each<[Record<string, string>, RegExp]>([
    [{ vault: 'nowhere' }, /not_found: There is no vault "nowhere"/],
    [{ vault: 'No Vault' }, /vault: it must be a vault id/],
    [{ week: '2026-W54' }, /week: it must be a week such as 2026-W47/],
    [{ weeks: '2026-W01' }, /weeks/],
  ])('refuses %j in words', async (args, message) => {
    await using client = await connect(running);
    await expect(prompt(client, 'weekly_digest', args)).rejects.toThrow(message);
  });

  it('knows no vault that the caller may not see', async () => {
    await using client = await connect(running, ['support']);
    await expect(prompt(client, 'weekly_digest', { vault: 'sales' })).rejects.toThrow(/There is no vault "sales"/);
  });
});

describe('follow_ups_to_tasks', () => {
  it('names fields, keys that are the same in a second run, and the tasks that are there', async () => {
    await using client = await connect(running);
    const known = await make(client, 'create_task', {
      title: 'Order a pump',
      vaultId: 'support',
      recordingId: SUPPORT,
    });
    await call(client, 'process_task', { id: known, action: 'complete' });
    const text = await prompt(client, 'follow_ups_to_tasks', { call: SUPPORT });
    expect(text).toContain(`recordingId "${SUPPORT}"`);
    expect(text).toContain(`idempotencyKey "follow-up-${SUPPORT}-<second>"`);
    expect(text).toContain('vaultId "support"');
    expect(text).toContain(`- Order a pump [done], id ${known}`);
    expect(text).toContain('Point 4 about the pump');
  });

  it('gives keys and arguments that create_task and batch take, and the second time nothing is made', async () => {
    await using client = await connect(running);
    const args = {
      title: 'Call Ben back',
      description: 'He asked for it [0:30].',
      recordingId: SUPPORT,
      vaultId: 'support',
      assignee: 'ann@example.com',
      idempotencyKey: `follow-up-${SUPPORT}-30`,
    };
    const first = await call<{ id: string }>(client, 'create_task', args);
    expect(await call(client, 'create_task', args)).toMatchObject({ id: first.id, replayed: true });
    const batch = {
      operations: [{ tool: 'create_task', arguments: { ...args, idempotencyKey: `follow-up-${SUPPORT}-40` } }],
    };
    expect(await call(client, 'batch', batch)).toMatchObject({ results: [{ tool: 'create_task' }] });
  });

  it('asks where the call is in several vaults, unless one is given', async () => {
    await using client = await connect(running);
    expect(await prompt(client, 'follow_ups_to_tasks', { call: BOTH })).toContain('ask me which of "sales", "support"');
    expect(await prompt(client, 'follow_ups_to_tasks', { call: BOTH, vault: 'sales' })).toContain('vaultId "sales"');
  });

  it('shows a caller the tasks of its own vaults alone', async () => {
    await using all = await connect(running);
    await make(all, 'create_task', { title: 'Secret of sales', vaultId: 'sales', recordingId: BOTH });
    await using some = await connect(running, ['support']);
    const text = await prompt(some, 'follow_ups_to_tasks', { call: BOTH });
    expect(text).not.toContain('Secret of sales');
    expect(text).toContain('vaultId "support"');
  });
});

describe('a bank without the workspace', () => {
  it('offers the prompts alone whose tools it has', async () => {
    await using small = await runBank(postgres, 'small', { toolsets: toolsetsNamed(['recordings']) });
    await using client = await small.connect();
    expect((await client.listPrompts()).prompts.map(({ name }) => name)).toEqual(['summarize_call']);
    await expect(client.getPrompt({ name: 'weekly_digest' })).rejects.toThrow(/no prompt weekly_digest/);
  });

  it('advertises neither prompts nor completion where there are none', async () => {
    const bare = { name: 'bare', instructions: '', tools: [], resources: [] };
    await using none = await runBank(postgres, 'none', { toolsets: [bare] });
    await using client = await none.connect();
    expect(client.getServerCapabilities()).not.toHaveProperty('prompts');
    expect(client.getServerCapabilities()).not.toHaveProperty('completions');
  });
});

describe('scopes', () => {
  it.each(ERAS)('let a verifier list prompts, but fill none (%s)', async (era) => {
    await using client = await running.connect(era, { scopes: ['mcp:verify'], vaults: [] });
    expect((await client.listPrompts()).prompts).toHaveLength(3);
    await expect(client.getPrompt({ name: 'weekly_digest' })).rejects.toThrow();
  });
});
