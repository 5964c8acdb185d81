/** Lists of the five entities (R3.1): pages, orders, filters. */
import { describe, expect, it } from 'vitest';
import { ISSUER } from '../../harness/postgres.ts';
import { shared } from '../../harness/shared.ts';
import { asLoader, callError } from '../server/support.ts';
import {
  type Args,
  allPages,
  checked,
  type Entry,
  IN_BOTH,
  IN_SALES,
  idsOfAllPages,
  KINDS,
  LEGACY,
  NOBODY,
  type Page,
  startWorkspace,
  unique,
  type Workspace,
  writer,
} from './support.ts';

let { postgres, running, client, parents } = {} as Workspace;
shared(startWorkspace, (workspace) => {
  ({ postgres, running, client, parents } = workspace);
});

/** Rows of one instant, as an import leaves them: 31 of them, in two instants. */
async function addTwins(table: string, vault = 'sales'): Promise<string[]> {
  const extra =
    table === 'comments' || table === 'chat_messages'
      ? ['body', ...(table === 'comments' ? ['parent_type', 'parent_id'] : ['chat_id'])]
      : ['title'];
  const values = [
    "'Twin'",
    ...(table === 'comments' ? ["'note'", '$2'] : table === 'chat_messages' ? ['$2::uuid'] : []),
  ];
  const parent = table === 'comments' ? parents.note : parents.chat;
  const used = extra.length > 1 ? [parent] : [];
  return asLoader(postgres, async (loader) => {
    const { rows } = await loader.query<{ id: string }>(
      `insert into bank.${table} (bank_id, vault_id, created_at, updated_at, created_by, updated_by, ${extra.join(', ')})
       select $1, '${vault}', i, i, '${ISSUER} import', '${ISSUER} import', ${values.join(', ')}
         from generate_series(0, 30) n, lateral (select '2026-01-01Z'::timestamptz + (n / 16) * interval '1 second' i) i
       returning id`,
      ['acme', ...used],
    );
    return rows.map((row) => row.id);
  });
}

describe.each(KINDS)('list_$plural', (kind) => {
  const { name, plural } = kind;

  it.each(['newest', 'oldest', 'updated'])(
    'gives every entry once, %s first, twins of one instant included',
    async (sort) => {
      const twins = await addTwins(plural);
      const entries = await allPages(client, plural, { sort, limit: 7, createdBy: 'import' });
      const ids = entries.map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids).toEqual(expect.arrayContaining(twins));
      const field = sort === 'updated' ? 'updatedAt' : 'createdAt';
      const keys = entries.map((entry) => `${entry[field]} ${entry.id}`);
      expect(keys).toEqual(sort === 'oldest' ? [...keys].sort() : [...keys].sort().reverse());
    },
  );

  it.each(['newest', 'oldest', 'updated'])(
    'gives a token of some vaults what is in them, once, %s first',
    async (sort) => {
      await addTwins(plural, 'support');
      await addTwins(plural, 'sales');
      const args = { createdBy: 'import', sort, archived: 'include' };
      const all = await allPages(client, plural, { ...args, limit: 100 });
      for (const vaults of [['sales', 'support', 'sales'], ['support'], ['elsewhere', 'sales'], []]) {
        await using some = await writer(running, vaults);
        const expected = all.filter(({ vaultId }) => vaults.includes(String(vaultId)));
        expect(await allPages(some, plural, { ...args, limit: 10 })).toEqual(expected);
      }
    },
  );

  it('skips and repeats nothing while others add entries', async () => {
    const before = await idsOfAllPages(client, plural, { limit: 100 });
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page: Page = await checked<Page>(client, `list_${plural}`, {
        limit: 11,
        ...(cursor === undefined ? {} : { cursor }),
      });
      seen.push(...(page[plural] as Entry[]).map((entry) => entry.id));
      await checked(client, `create_${name}`, kind.least(parents));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(before);
  });

  it('narrows by status, author, time of change and vault', async () => {
    const { id, updatedAt } = await checked(client, `create_${name}`, kind.most(parents));
    const has = async (args: Args) => (await idsOfAllPages(client, plural, { limit: 100, ...args })).includes(id);
    expect(await has({ status: kind.status, createdBy: 'TEST', updatedAfter: updatedAt, vaultId: 'sales' })).toBe(true);
    expect(await has({ createdBy: 'somebody' })).toBe(false);
    expect(await has({ vaultId: 'support' })).toBe(false);
    expect(await has({ vaultId: null })).toBe(false);
    const later = new Date(Date.parse(String(updatedAt)) + 1).toISOString();
    expect(await has({ updatedAfter: later })).toBe(false);
  });

  it('tells the same sub of two issuers apart, to each by its own (D10)', async () => {
    const { id } = await checked(client, `create_${name}`, kind.least(parents));
    await using other = await writer(running, null, { iss: 'https://other.test' });
    const { id: theirs } = await checked(other, `create_${name}`, kind.least(parents));
    const by = (as: typeof client, createdBy: string) => idsOfAllPages(as, plural, { createdBy, limit: 100 });
    const known: [typeof client, string, string][] = [
      [client, 'test', 'https://other.test test'],
      [other, `${ISSUER} test`, 'test'],
    ];
    for (const [as, mine, others] of known) {
      expect(await checked(as, `get_${name}`, { id })).toMatchObject({ createdBy: mine, updatedBy: mine });
      expect(await checked(as, `get_${name}`, { id: theirs })).toMatchObject({ createdBy: others, updatedBy: others });
      expect(await by(as, mine)).toContain(id);
      expect(await by(as, mine)).not.toContain(theirs);
      expect(await by(as, others)).toEqual([theirs]);
    }
  });

  it('says when there is no such vault, instead of an empty page', async () => {
    expect(await callError(client, `list_${plural}`, { vaultId: 'nowhere' })).toMatchObject({
      code: 'not_found',
      field: 'vaultId',
      text: expect.stringContaining('list_vaults'),
    });
  });

  it('answers an empty page in words', async () => {
    const page = await checked<Page>(client, `list_${plural}`, { createdBy: unique() });
    expect(page).toMatchObject({ [plural]: [], text: `No ${plural.replace('_', ' ')}.` });
    expect(page.nextCursor).toBeUndefined();
  });
});

describe('filters of an entity', () => {
  it.each<[string, string, Args, Args, Args]>([
    ['pinned notes', 'note', { title: 'x', pinned: true }, { pinned: true }, { pinned: false }],
    ['notes of a tag', 'note', { title: 'x', tags: ['a', 'b c'] }, { tag: 'b c' }, { tag: 'b' }],
    [
      'notes on a call',
      'note',
      { title: 'x', recordingId: IN_SALES },
      { recordingId: IN_SALES },
      { recordingId: IN_BOTH },
    ],
    [
      'notes on an old call',
      'note',
      { title: 'x', recordingId: LEGACY },
      { recordingId: LEGACY },
      { recordingId: 'fathom-8' },
    ],
    ['notes in no vault', 'note', { title: 'x' }, { vaultId: null }, { vaultId: 'sales' }],
    ['tasks of a priority', 'task', { title: 'x', priority: 'high' }, { priority: 'high' }, { priority: 'low' }],
    [
      'tasks of somebody, in any case',
      'task',
      { title: 'x', assignee: 'Ann' },
      { assignee: 'ann' },
      { assignee: 'an' },
    ],
    [
      'tasks due before an instant',
      'task',
      { title: 'x', dueAt: '2026-05-01' },
      { dueBefore: '2026-05-01T00:00:00.000001Z' },
      { dueBefore: '2026-05-01' },
    ],
    [
      'tasks due from an instant on',
      'task',
      { title: 'x', dueAt: '2030-05-01' },
      { dueAfter: '2030-05-01' },
      { dueAfter: '2030-05-01T00:00:00.000001Z' },
    ],
    ['tasks that are not done', 'task', { title: 'x' }, { status: 'open' }, { completedAfter: '2020-01-01' }],
    [
      'comments on a call',
      'comment',
      { parentKind: 'recording', parentId: IN_SALES, body: 'x' },
      { parentKind: 'recording', parentId: IN_SALES },
      { parentKind: 'note', parentId: IN_SALES },
    ],
    [
      'comments on an old call',
      'comment',
      { parentKind: 'recording', parentId: LEGACY, body: 'x' },
      { parentId: LEGACY },
      { parentId: 'fathom-8' },
    ],
    ['chats of somebody', 'chat', { title: 'x', participants: ['Ben'] }, { participant: 'Ben' }, { participant: 'Be' }],
    ['chats of a tag', 'chat', { title: 'x', tags: ['a'] }, { tag: 'a' }, { tag: 'z' }],
  ])('find %s', async (_sentence, name, args, found, missed) => {
    const { id } = await checked(client, `create_${name}`, args);
    const plural = `${name}s`;
    expect(await idsOfAllPages(client, plural, { ...found, limit: 100 })).toContain(id);
    expect(await idsOfAllPages(client, plural, { ...missed, limit: 100 })).not.toContain(id);
  });

  it('find messages of a chat, of a role, and replies', async () => {
    const chat = await checked(client, 'create_chat', { title: 'x' });
    const say = (args: Args) => checked(client, 'create_chat_message', { chatId: chat.id, body: 'x', ...args });
    const first = await say({});
    const second = await say({ role: 'assistant', author: 'Robot' });
    const third = await say({ replyTo: first.id });
    const list = (args: Args) => idsOfAllPages(client, 'chat_messages', { chatId: chat.id, sort: 'oldest', ...args });
    expect(await list({})).toEqual([first.id, second.id, third.id]);
    expect(await list({ role: 'assistant' })).toEqual([second.id]);
    expect(await list({ author: 'robot' })).toEqual([second.id]);
    expect(await list({ replyTo: first.id })).toEqual([third.id]);
    expect(await list({ chatId: NOBODY })).toEqual([]);
  });

  it('find what was said of a call under its old id, once the call is migrated', async () => {
    const call = { parentKind: 'recording', parentId: LEGACY };
    const comment = await checked(client, 'create_comment', { ...call, body: 'x' });
    const note = await checked(client, 'create_note', { title: 'x', recordingId: LEGACY });
    await asLoader(postgres, async (loader) => {
      await loader.query('begin');
      await loader.query(
        `with made as (insert into bank.recordings (bank_id, legacy_id, title, started_at, duration_seconds)
           values ('acme', 7, 'Migrated', now(), 60) returning bank_id, id)
         insert into bank.vault_entries (bank_id, vault_id, recording_id) select bank_id, 'support', id from made`,
      );
      await loader.query('commit');
    });
    expect(await idsOfAllPages(client, 'comments', { ...call, limit: 100 })).toContain(comment.id);
    expect(await idsOfAllPages(client, 'notes', { recordingId: LEGACY, limit: 100 })).toContain(note.id);
  });

  it('all together leave one', async () => {
    const title = unique();
    const { id } = await checked(client, 'create_task', {
      title,
      priority: 'urgent',
      dueAt: '2026-06-01',
      assignee: 'Zoe',
      tags: ['all'],
      recordingId: IN_SALES,
      vaultId: 'sales',
    });
    await checked(client, 'process_task', { id, action: 'complete' });
    await checked(client, 'archive_task', { id });
    const page = await checked<Page>(client, 'list_tasks', {
      status: 'done',
      priority: 'urgent',
      dueAfter: '2026-06-01',
      dueBefore: '2026-06-02',
      assignee: 'zoe',
      tag: 'all',
      recordingId: IN_SALES,
      vaultId: 'sales',
      completedAfter: '2026-01-01',
      completedBefore: '2999-01-01',
      createdBy: 'test',
      updatedAfter: '2026-01-01',
      archived: 'only',
      sort: 'due',
    });
    expect((page.tasks as Entry[]).map((task) => task.id)).toEqual([id]);
    expect(page.text).toMatch(
      new RegExp(
        `^1 tasks:\n- ${title} \\[done\\], priority urgent, dueAt 2026-06-01T00:00:00Z, assignee Zoe, .*archived, version 3, id ${id}, tags: .*, made .*, changed .*`,
      ),
    );
  });
});

describe('sort: due', () => {
  it('gives tasks that have a date, soonest first, in pages', async () => {
    const assignee = unique();
    const dates = ['2026-03-01', '2026-01-01', '2026-02-01', '2026-01-01'];
    for (const dueAt of dates) await checked(client, 'create_task', { title: dueAt, dueAt, assignee });
    await checked(client, 'create_task', { title: 'never', assignee });
    const ids = await idsOfAllPages(client, 'tasks', { sort: 'due', assignee, limit: 2 });
    const tasks = await Promise.all(ids.map((id) => checked(client, 'get_task', { id })));
    expect(tasks.map((task) => task.title)).toEqual([...dates].sort());
  });
});
