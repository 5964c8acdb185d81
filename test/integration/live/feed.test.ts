/** R3.11 in the database: what a feed tells, and that nothing is lost between commits. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { beforeEach, describe, expect, it } from 'vitest';
import { shared } from '../../harness/shared.ts';
import { type Ears, type FeedBanks, openEars, startFeedBanks } from './ears.ts';
import { addNote, asData, begin, connect, deleteRows, openFeed, read, write } from './support.ts';

let { postgres, bank, other } = {} as FeedBanks;
let ears = {} as Ears;
shared(startFeedBanks, (banks) => {
  ({ postgres, bank, other } = banks);
});
beforeEach(async () => {
  ears = await openEars(bank);
});

const id = randomUUID();
const note = (vault: string | null) => (sql: pg.Client) =>
  sql.query("insert into bank.notes (bank_id, id, vault_id, title) values (bank.me(), $1, $2, 'n')", [id, vault]);

/** A statement before the feeds listen, the one that they hear, and what each hears of it. */
const ENTITIES: [
  string,
  {
    before?: (sql: pg.Client) => Promise<unknown>;
    change: (sql: pg.Client) => Promise<unknown>;
    all: string;
    hr?: string;
    sales?: string;
  },
][] = [
  [
    'a new row in a vault by those who see the vault',
    { change: note('hr'), all: `created notes/${id}`, hr: `created notes/${id}` },
  ],
  ['a new row in no vault by those who see all', { change: note(null), all: `created notes/${id}` }],
  [
    'a changed row',
    {
      before: note('sales'),
      change: (sql) => sql.query("update bank.notes set title = 'new' where id = $1", [id]),
      all: `updated notes/${id}`,
      sales: `updated notes/${id}`,
    },
  ],
  [
    'a row that leaves one vault for another, as gone here and new there',
    {
      before: note('sales'),
      change: (sql) => sql.query("update bank.notes set vault_id = 'hr' where id = $1", [id]),
      all: `updated notes/${id}`,
      hr: `created notes/${id}`,
      sales: `deleted notes/${id}`,
    },
  ],
  [
    'a row that leaves every vault, as gone',
    {
      before: note('hr'),
      change: (sql) => sql.query('update bank.notes set vault_id = null where id = $1', [id]),
      all: `updated notes/${id}`,
      hr: `deleted notes/${id}`,
    },
  ],
  [
    'a deleted row',
    {
      before: note('hr'),
      change: (sql) => deleteRows(sql, 'notes', [id]),
      all: `deleted notes/${id}`,
      hr: `deleted notes/${id}`,
    },
  ],
];

describe('a feed tells of', () => {
  it.each(ENTITIES)('%s', async (_sentence, row) => {
    await write(bank, (sql) => deleteRows(sql, 'notes', [id]));
    if (row.before !== undefined) await write(bank, row.before);
    await ears.hear();
    await write(bank, row.change);
    expect(await ears.hear()).toEqual({
      all: [row.all],
      hr: row.hr === undefined ? [] : [row.hr],
      sales: row.sales === undefined ? [] : [row.sales],
    });
    expect(await ears.hear()).toEqual({ all: [], hr: [], sales: [] });
  });

  it('each of the five entities and what goes with a row', async () => {
    const chat = randomUUID();
    const message = randomUUID();
    const task = randomUUID();
    const comment = randomUUID();
    await write(bank, async (sql) => {
      await sql.query("insert into bank.chats (bank_id, id, vault_id, title) values (bank.me(), $1, 'hr', 'c')", [
        chat,
      ]);
      await sql.query("insert into bank.chat_messages (bank_id, id, chat_id, body) values (bank.me(), $1, $2, 'm')", [
        message,
        chat,
      ]);
      await sql.query("insert into bank.tasks (bank_id, id, vault_id, title) values (bank.me(), $1, 'hr', 't')", [
        task,
      ]);
      await sql.query(
        "insert into bank.comments (bank_id, id, parent_type, parent_id, body) values (bank.me(), $1, 'task', $2, 'c')",
        [comment, task],
      );
    });
    const all = [`chat_messages/${message}`, `chats/${chat}`, `comments/${comment}`, `tasks/${task}`];
    const told = (operation: string) => all.map((row) => `${operation} ${row}`);
    expect(await ears.hear()).toEqual({ all: told('created'), hr: told('created'), sales: [] });

    await write(bank, async (sql) => {
      await sql.query("update bank.chats set vault_id = 'sales' where id = $1", [chat]);
      await sql.query("update bank.tasks set vault_id = 'sales' where id = $1", [task]);
    });
    expect(await ears.hear()).toEqual({ all: told('updated'), hr: told('deleted'), sales: told('created') });

    await write(bank, async (sql) => {
      await deleteRows(sql, 'chats', [chat]);
      await deleteRows(sql, 'tasks', [task]);
    });
    expect(await ears.hear()).toEqual({ all: told('deleted'), hr: [], sales: told('deleted') });
  });

  it('nothing that was rolled back', async () => {
    await using sql = await connect(await bank.underPolicies());
    await begin(sql, bank);
    await addNote(sql, 'hr');
    await sql.query('rollback');
    expect(await ears.hear()).toEqual({ all: [], hr: [], sales: [] });
  });

  it('nothing of another bank', async () => {
    await write(other, (sql) => addNote(sql, 'hr'));
    expect(await ears.hear()).toEqual({ all: [], hr: [], sales: [] });
  });
});

describe('a feed tells of recordings', () => {
  it('by the vaults that they are in, and of the vaults that hold them', async () => {
    const call = randomUUID();
    const change = (text: string, values: unknown[] = []) => asData(postgres, (sql) => sql.query(text, values));
    await asData(postgres, async (sql) => {
      await sql.query(
        "insert into bank.recordings (bank_id, id, title, started_at, duration_seconds) values ('acme', $1, 'r', now(), 1)",
        [call],
      );
      await sql.query("insert into bank.vault_entries (bank_id, vault_id, recording_id) values ('acme', 'hr', $1)", [
        call,
      ]);
    });
    expect(await ears.hear()).toMatchObject({
      all: [`created recordings/${call}`, `updated recordings/${call}`, 'updated vaults/hr'],
      hr: [`created recordings/${call}`, 'updated vaults/hr'],
      sales: [],
    });
    await change("update bank.recordings set title = 'new' where id = $1", [call]);
    expect(await ears.hear()).toMatchObject({
      hr: [`updated recordings/${call}`, 'updated vaults/hr'],
      sales: [],
    });
    await change("insert into bank.vault_entries (bank_id, vault_id, recording_id) values ('acme', 'sales', $1)", [
      call,
    ]);
    expect(await ears.hear()).toMatchObject({
      hr: [`updated recordings/${call}`, 'updated vaults/hr'],
      sales: [`created recordings/${call}`, 'updated vaults/sales'],
    });
    await change("delete from bank.vault_entries where vault_id = 'hr' and recording_id = $1", [call]);
    expect(await ears.hear()).toMatchObject({
      hr: [`deleted recordings/${call}`, 'updated vaults/hr'],
      sales: [`updated recordings/${call}`, 'updated vaults/sales'],
    });
    await change("update bank.vault_entries set vault_id = 'hr' where recording_id = $1", [call]);
    expect(await ears.hear()).toMatchObject({
      hr: [`created recordings/${call}`, 'updated vaults/hr'],
      sales: [`deleted recordings/${call}`, 'updated vaults/sales'],
    });
    await change('delete from bank.recordings where id = $1', [call]);
    expect(await ears.hear()).toMatchObject({ hr: [`deleted recordings/${call}`, 'updated vaults/hr'], sales: [] });
  });

  it('of the old table, which a migration takes out of their vault', async () => {
    const call = randomUUID();
    await asData(postgres, (sql) =>
      sql.query(
        `insert into bank.fathom_calls (bank_id, id, vault_id, title, recording_start_time, recording_end_time)
         values ('acme', 7, 'hr', 'old', now(), now())`,
      ),
    );
    expect(await ears.hear()).toMatchObject({ hr: ['created recordings/fathom-7', 'updated vaults/hr'], sales: [] });
    await asData(postgres, async (sql) => {
      await sql.query(
        "insert into bank.recordings (bank_id, id, legacy_id, title, started_at, duration_seconds) values ('acme', $1, 7, 'r', now(), 1)",
        [call],
      );
      await sql.query("insert into bank.vault_entries (bank_id, vault_id, recording_id) values ('acme', 'sales', $1)", [
        call,
      ]);
    });
    expect(await ears.hear()).toMatchObject({
      hr: ['deleted recordings/fathom-7', 'updated vaults/hr'],
      // An id may come before or after the old one in order of text.
      sales: [`created recordings/${call}`, 'created recordings/fathom-7', 'updated vaults/sales'].sort(),
    });
  });
});

describe('between commits', () => {
  it('nothing is lost or told twice when transactions that overlap commit in another order than they wrote', async () => {
    await using slow = await connect(await bank.underPolicies());
    await using quick = await connect(await bank.underPolicies());
    await begin(slow, bank);
    const first = await addNote(slow, 'hr');
    await begin(quick, bank);
    const second = await addNote(quick, 'hr');
    await quick.query('commit');
    expect(await read(bank, ears.hr)).toEqual([`created notes/${second}`]);
    const third = await addNote(slow, 'hr');
    expect(await read(bank, ears.hr)).toEqual([]);
    await slow.query('commit');
    expect(await read(bank, ears.hr)).toEqual([first, third].map((row) => `created notes/${row}`).sort());
    expect(await read(bank, ears.hr)).toEqual([]);
  });

  it('a feed hears a transaction that had begun before it and commits after it', async () => {
    await using slow = await connect(await bank.underPolicies());
    await begin(slow, bank);
    const early = await addNote(slow, 'hr');
    const feed = await openFeed(bank);
    await slow.query('commit');
    expect(await read(bank, feed)).toEqual([`created notes/${early}`]);
  });

  it('a reader beside eight writers hears every row of theirs exactly once', async () => {
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      await using sql = await connect(await bank.underPolicies());
      const written: string[] = [];
      for (let turn = 0; turn < 25; turn++) {
        await begin(sql, bank);
        for (let row = 0; row <= (writer + turn) % 3; row++) written.push(await addNote(sql, 'hr'));
        await sql.query(turn % 5 === 4 ? 'rollback' : 'commit');
        if (turn % 5 === 4) written.splice(-1 - ((writer + turn) % 3));
      }
      return written;
    });
    let writing = true;
    const done = Promise.all(writers).finally(() => {
      writing = false;
    });
    const heard: string[] = [];
    while (writing) heard.push(...(await read(bank, ears.hr)));
    const written = (await done).flat();
    heard.push(...(await read(bank, ears.hr)));
    expect(heard.sort()).toEqual(written.map((row) => `created notes/${row}`).sort());
  });
});
