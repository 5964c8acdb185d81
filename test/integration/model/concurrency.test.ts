/** Many calls at once on the same rows: nothing is lost, nothing is done twice, nothing is left behind, and nobody waits for ever. */
import type { Client } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import type { RunningBank } from '../server/support.ts';
import { checked, runWorkspace, writer } from '../workspace/support.ts';

let postgres: TestPostgres;
let bank: RunningBank;
let client: Client & AsyncDisposable;
beforeAll(async () => {
  postgres = await startPostgres();
  bank = await runWorkspace(postgres, 'acme');
  client = await writer(bank);
});
afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  await bank?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

type Args = Record<string, unknown>;
interface Outcome {
  /** Undefined for a success. */
  readonly code: string | undefined;
  readonly retryable: boolean;
  readonly answer: Args;
}

async function attempt(name: string, args: Args): Promise<Outcome> {
  const result = await client.callTool({ name, arguments: args });
  if (result.isError !== true) return { code: undefined, retryable: false, answer: result.structuredContent as Args };
  const error = result._meta?.['bankhouse.dev/error'] as { code: string; retryable?: boolean } | undefined;
  return { code: error?.code ?? JSON.stringify(result.content), retryable: error?.retryable === true, answer: {} };
}

const times = <T>(amount: number, make: (n: number) => Promise<T>) =>
  Promise.all(Array.from({ length: amount }, (_, n) => make(n)));

/** How often each code, and `ok`, came. */
function tally(outcomes: readonly Outcome[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { code = 'ok' } of outcomes) counts[code] = (counts[code] ?? 0) + 1;
  return counts;
}

/** What the database holds, whoever may see it. */
const stored = <T extends object>(text: string, values: unknown[] = []) =>
  withClient(postgres.superuserUrl, async (sql) => (await sql.query<T>(text, values)).rows);

const note = (title: string) => checked(client, 'create_note', { title, vaultId: 'sales' });

it('of 200 patches of one version at once one is made, and 199 learn that they are late', async () => {
  const { id } = await note('contended');
  const outcomes = await times(200, (n) => attempt('patch_note', { id, version: 1, body: `${n}` }));
  expect(tally(outcomes)).toEqual({ ok: 1, stale_version: 199 });
  const winner = outcomes.findIndex(({ code }) => code === undefined);
  expect(await stored('select version, body from bank.notes where id = $1', [id])).toEqual([
    { version: 2, body: `${winner}` },
  ]);
});

it('200 patches that read, add one and try again when they are late, add 200', async () => {
  const { id } = await note('0');
  let left = 200;
  let late = 0;
  const worker = async () => {
    while (left-- > 0) {
      for (;;) {
        const { version, title } = (await attempt('get_note', { id })).answer;
        const { code } = await attempt('patch_note', { id, version, title: `${Number(title) + 1}` });
        if (code === undefined) break;
        expect(code).toBe('stale_version');
        late++;
      }
    }
  };
  await times(8, worker);
  expect(await stored('select title, version from bank.notes where id = $1', [id])).toEqual([
    { title: '200', version: 201 },
  ]);
  // Else they came one after the other, and nothing was shown.
  expect(late).toBeGreaterThan(0);
});

it.each<[string, string, Args, Record<string, number>, number]>([
  ['archive: all are content, and it is done once', 'archive_task', {}, { ok: 40 }, 2],
  [
    'complete: one does it, the others learn that it is done',
    'process_task',
    { action: 'complete' },
    { ok: 1, invalid_transition: 39 },
    2,
  ],
  [
    'complete one version: one does it, the others are late',
    'process_task',
    { action: 'complete', version: 1 },
    { ok: 1, stale_version: 39 },
    2,
  ],
  ['delete: one does it, the others find nothing', 'delete_task', {}, { ok: 1, not_found: 39 }, 0],
])('40 times at once %s', async (_sentence, name, args, expected, version) => {
  const { id } = await checked(client, 'create_task', { title: 'contended', vaultId: 'sales' });
  expect(tally(await times(40, () => attempt(name, { id, ...args })))).toEqual(expected);
  const rows = await stored('select version from bank.tasks where id = $1', [id]);
  expect(rows).toEqual(version === 0 ? [] : [{ version }]);
});

it('archive, complete, patch and delete at once leave a row that is as one of their orders makes it, or none', async () => {
  for (let round = 0; round < 10; round++) {
    const { id } = await checked(client, 'create_task', { title: 'contended', vaultId: 'sales' });
    const [archived, done, patched, deleted] = await Promise.all([
      attempt('archive_task', { id }),
      attempt('process_task', { id, action: 'complete' }),
      attempt('patch_task', { id, version: 1, title: 'patched' }),
      round % 2 === 0 ? attempt('delete_task', { id }) : undefined,
    ]);
    for (const outcome of [archived, done, patched]) {
      expect(['ok', 'not_found', 'stale_version']).toContain(outcome?.code ?? 'ok');
    }
    const rows = await stored(
      `select version, archived_at is not null as archived, status, completed_at is not null as completed, title
         from bank.tasks where id = $1`,
      [id],
    );
    if (deleted !== undefined) {
      expect([deleted.code, rows]).toEqual([undefined, []]);
      continue;
    }
    expect(rows).toEqual([
      {
        version: 3 + (patched?.code === undefined ? 1 : 0),
        archived: true,
        status: 'done',
        completed: true,
        title: patched?.code === undefined ? 'patched' : 'contended',
      },
    ]);
  }
});

it('50 creations with one idempotency key at once make one row, and all tell of it', async () => {
  const args = { title: 'once', vaultId: 'sales', idempotencyKey: 'only-once' };
  const outcomes = await times(50, () => attempt('create_note', args));
  expect(tally(outcomes)).toEqual({ ok: 50 });
  expect(outcomes.filter(({ answer }) => answer.replayed === false)).toHaveLength(1);
  expect(new Set(outcomes.map(({ answer }) => answer.id)).size).toBe(1);
  expect(await stored("select count(*)::int as n from bank.notes where title = 'once'")).toEqual([{ n: 1 }]);
});

it('50 different creations with one idempotency key at once make one row, and the others a conflict', async () => {
  const outcomes = await times(50, (n) =>
    attempt('create_note', { title: `different ${n}`, vaultId: 'sales', idempotencyKey: 'not-so' }),
  );
  expect(tally(outcomes)).toEqual({ ok: 1, conflict: 49 });
  expect(await stored("select count(*)::int as n from bank.notes where title like 'different %'")).toEqual([{ n: 1 }]);
});

it('a chat that is moved to and fro takes along every message and comment that arrives meanwhile', async () => {
  const chat = await checked(client, 'create_chat', { title: 'moving', vaultId: 'sales' });
  const children: string[] = [];
  let moving = true;
  const write = async (n: number) => {
    for (let turn = 0; moving; turn++) {
      const { code } =
        turn % 3 === n % 3
          ? await attempt('create_comment', { parentKind: 'chat', parentId: chat.id, body: `${n}/${turn}` })
          : await attempt('create_chat_message', { chatId: chat.id, body: `${n}/${turn}` });
      expect(code).toBeUndefined();
      children.push(`${n}/${turn}`);
    }
  };
  const move = async () => {
    let { version } = chat;
    for (let turn = 0; turn < 60; turn++) {
      const vaultId = ['support', null, 'sales'][turn % 3];
      const { code, answer } = await attempt('patch_chat', { id: chat.id, version, vaultId });
      expect(code).toBeUndefined();
      version = answer.version as number;
    }
    await attempt('patch_chat', { id: chat.id, version, vaultId: 'support' });
    moving = false;
  };
  await Promise.all([move(), write(0), write(1), write(2)]);
  const rows = await stored<{ body: string; vault_id: string | null }>(
    `select body, vault_id from bank.chat_messages where chat_id = $1
     union all select body, vault_id from bank.comments where parent_id = $1::text`,
    [chat.id],
  );
  expect(rows.map(({ body }) => body).sort()).toEqual(children.sort());
  expect(rows.filter(({ vault_id: vault }) => vault !== 'support')).toEqual([]);
  expect(children.length).toBeGreaterThan(30);
});

it('a message comes into a chat before it is closed or deleted, or not at all', async () => {
  for (let round = 0; round < 12; round++) {
    const end = round % 2 === 0 ? 'delete_chat' : 'process_chat';
    const chat = await checked(client, 'create_chat', { title: 'ending', vaultId: 'sales' });
    const outcomes = await times(9, (n) =>
      n === 4
        ? attempt(end, { id: chat.id, ...(end === 'delete_chat' ? {} : { action: 'close' }) })
        : attempt('create_chat_message', { chatId: chat.id, body: `${n}` }),
    );
    const [ended, ...messages] = [outcomes[4], ...outcomes.toSpliced(4, 1)];
    expect(ended?.code).toBeUndefined();
    const refusal = end === 'delete_chat' ? 'not_found' : 'conflict';
    for (const { code } of messages) expect([undefined, refusal]).toContain(code);
    const [row] = await stored<{ n: number }>('select count(*)::int as n from bank.chat_messages where chat_id = $1', [
      chat.id,
    ]);
    expect(row?.n).toBe(end === 'delete_chat' ? 0 : messages.filter(({ code }) => code === undefined).length);
  }
});

it('moves, answers and deletions in one chat at once end, each in success, in "it is gone", or in "send it again"', async () => {
  const chat = await checked(client, 'create_chat', { title: 'busy', vaultId: 'sales' });
  const ids: string[] = [];
  const say = async (replyTo?: string) => {
    const outcome = await attempt('create_chat_message', {
      chatId: chat.id,
      body: 'x',
      ...(replyTo === undefined ? {} : { replyTo }),
    });
    if (outcome.code === undefined) ids.push(String(outcome.answer.id));
    return outcome;
  };
  for (let n = 0; n < 20; n++) await say(ids.at(-1));
  const outcomes = await times(120, async (n) => {
    if (n % 4 === 0) {
      const { version } = (await attempt('get_chat', { id: chat.id })).answer;
      return attempt('patch_chat', { id: chat.id, version, vaultId: n % 8 === 0 ? 'support' : 'sales' });
    }
    const id = ids[n % ids.length];
    if (n % 4 === 1) return attempt('delete_chat_message', { id });
    return n % 4 === 2 ? say(id) : attempt('process_chat_message', { id, action: 'pin' });
  });
  const bad = outcomes.filter(
    ({ code, retryable }) =>
      code !== undefined && !retryable && !['not_found', 'stale_version', 'invalid_transition'].includes(code),
  );
  expect(bad).toEqual([]);
  const strays = await stored(
    `select m.id from bank.chat_messages m join bank.chats c using (bank_id) where c.id = m.chat_id and m.vault_id is distinct from c.vault_id`,
  );
  expect(strays).toEqual([]);
});

it('batches that touch rows in opposite orders end: each does all of it, or nothing and says "send it again"', async () => {
  const made = await times(6, (n) => note(`shared ${n}`));
  const ids = made.map(({ id }) => id);
  const archiveAll = (list: readonly string[], archived: boolean) =>
    attempt('batch', { operations: list.map((id) => ({ tool: 'archive_note', arguments: { id, archived } })) });
  const outcomes = await times(24, (n) => archiveAll(n % 2 === 0 ? ids : ids.toReversed(), n % 4 < 2));
  const bad = outcomes.filter(({ code, retryable }) => code !== undefined && !retryable);
  expect(bad).toEqual([]);
  expect(outcomes.filter(({ code }) => code === undefined).length).toBeGreaterThan(0);
  // All or nothing: at the end every row is as the last batch left it, so all of them are alike.
  const rows = await stored<{ archived: boolean }>(
    'select distinct archived_at is not null as archived from bank.notes where id = any ($1)',
    [ids],
  );
  expect(rows).toHaveLength(1);
});

it('a batch that fails at any of its operations changes nothing', async () => {
  const kept = await note('kept');
  for (let at = 0; at < 4; at++) {
    const operations = Array.from({ length: 4 }, (_, n) =>
      n === at
        ? { tool: 'patch_note', arguments: { id: kept.id, version: 99, title: 'no' } }
        : { tool: 'create_note', arguments: { title: `undone ${at}`, vaultId: 'sales' } },
    );
    expect((await attempt('batch', { operations })).code).toBe('batch_failed');
  }
  expect(await stored("select title from bank.notes where title like 'undone%'")).toEqual([]);
  expect(await stored('select version from bank.notes where id = $1', [kept.id])).toEqual([{ version: 1 }]);
});
