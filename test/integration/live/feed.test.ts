/** R3.11 in the database: what a feed tells, to whom, and that nothing is lost between commits. */
import { randomBytes, randomUUID } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createBank, startPostgres, type TestBank, type TestPostgres, withClient } from '../../harness/postgres.ts';
import {
  addNote,
  asData,
  begin,
  connect,
  deleteRows,
  type HandFeed,
  openFeed,
  openSealed,
  read,
  readFeeds,
  VAULTS,
  write,
} from './support.ts';

let postgres: TestPostgres;
let bank: TestBank;
let other: TestBank;
beforeAll(async () => {
  postgres = await startPostgres();
  bank = await createBank(postgres, 'acme', { vaults: VAULTS });
  other = await createBank(postgres, 'globex', { vaults: VAULTS });
});
afterAll(() => postgres?.stop());

interface Ears {
  all: HandFeed;
  hr: HandFeed;
  sales: HandFeed;
}
let ears: Ears;
beforeEach(async () => {
  ears = {
    all: await openFeed(bank),
    hr: await openFeed(bank, { vaults: ['hr'] }),
    sales: await openFeed(bank, { vaults: ['sales'] }),
  };
});

const hear = async () => ({
  all: await read(bank, ears.all),
  hr: await read(bank, ears.hr),
  sales: await read(bank, ears.sales),
});

const id = randomUUID();
const note = (vault: string | null) => (sql: pg.Client) =>
  sql.query("insert into bank.notes (id, vault_id, title) values ($1, $2, 'n')", [id, vault]);

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
    await hear();
    await write(bank, row.change);
    expect(await hear()).toEqual({
      all: [row.all],
      hr: row.hr === undefined ? [] : [row.hr],
      sales: row.sales === undefined ? [] : [row.sales],
    });
    expect(await hear()).toEqual({ all: [], hr: [], sales: [] });
  });

  it('each of the five entities and what goes with a row', async () => {
    const chat = randomUUID();
    const message = randomUUID();
    const task = randomUUID();
    const comment = randomUUID();
    await write(bank, async (sql) => {
      await sql.query("insert into bank.chats (id, vault_id, title) values ($1, 'hr', 'c')", [chat]);
      await sql.query("insert into bank.chat_messages (id, chat_id, body) values ($1, $2, 'm')", [message, chat]);
      await sql.query("insert into bank.tasks (id, vault_id, title) values ($1, 'hr', 't')", [task]);
      await sql.query("insert into bank.comments (id, parent_type, parent_id, body) values ($1, 'task', $2, 'c')", [
        comment,
        task,
      ]);
    });
    const all = [`chat_messages/${message}`, `chats/${chat}`, `comments/${comment}`, `tasks/${task}`];
    const told = (operation: string) => all.map((row) => `${operation} ${row}`);
    expect(await hear()).toEqual({ all: told('created'), hr: told('created'), sales: [] });

    await write(bank, async (sql) => {
      await sql.query("update bank.chats set vault_id = 'sales' where id = $1", [chat]);
      await sql.query("update bank.tasks set vault_id = 'sales' where id = $1", [task]);
    });
    expect(await hear()).toEqual({ all: told('updated'), hr: told('deleted'), sales: told('created') });

    await write(bank, async (sql) => {
      await deleteRows(sql, 'chats', [chat]);
      await deleteRows(sql, 'tasks', [task]);
    });
    expect(await hear()).toEqual({ all: told('deleted'), hr: [], sales: told('deleted') });
  });

  it('nothing that was rolled back', async () => {
    await using sql = await connect(bank.url);
    await begin(sql, bank);
    await addNote(sql, 'hr');
    await sql.query('rollback');
    expect(await hear()).toEqual({ all: [], hr: [], sales: [] });
  });

  it('nothing of another bank', async () => {
    await write(other, (sql) => addNote(sql, 'hr'));
    expect(await hear()).toEqual({ all: [], hr: [], sales: [] });
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
    expect(await hear()).toMatchObject({
      all: [`created recordings/${call}`, `updated recordings/${call}`, 'updated vaults/hr'],
      hr: [`created recordings/${call}`, 'updated vaults/hr'],
      sales: [],
    });
    await change("update bank.recordings set title = 'new' where id = $1", [call]);
    expect(await hear()).toMatchObject({
      hr: [`updated recordings/${call}`, 'updated vaults/hr'],
      sales: [],
    });
    await change("insert into bank.vault_entries (bank_id, vault_id, recording_id) values ('acme', 'sales', $1)", [
      call,
    ]);
    expect(await hear()).toMatchObject({
      hr: [`updated recordings/${call}`, 'updated vaults/hr'],
      sales: [`created recordings/${call}`, 'updated vaults/sales'],
    });
    await change("delete from bank.vault_entries where vault_id = 'hr' and recording_id = $1", [call]);
    expect(await hear()).toMatchObject({
      hr: [`deleted recordings/${call}`, 'updated vaults/hr'],
      sales: [`updated recordings/${call}`, 'updated vaults/sales'],
    });
    await change("update bank.vault_entries set vault_id = 'hr' where recording_id = $1", [call]);
    expect(await hear()).toMatchObject({
      hr: [`created recordings/${call}`, 'updated vaults/hr'],
      sales: [`deleted recordings/${call}`, 'updated vaults/sales'],
    });
    await change('delete from bank.recordings where id = $1', [call]);
    expect(await hear()).toMatchObject({ hr: [`deleted recordings/${call}`, 'updated vaults/hr'], sales: [] });
  });

  it('of the old table, which a migration takes out of their vault', async () => {
    const call = randomUUID();
    await asData(postgres, (sql) =>
      sql.query(
        `insert into bank.fathom_calls (bank_id, id, vault_id, title, recording_start_time, recording_end_time)
         values ('acme', 7, 'hr', 'old', now(), now())`,
      ),
    );
    expect(await hear()).toMatchObject({ hr: ['created recordings/fathom-7', 'updated vaults/hr'], sales: [] });
    await asData(postgres, async (sql) => {
      await sql.query(
        "insert into bank.recordings (bank_id, id, legacy_id, title, started_at, duration_seconds) values ('acme', $1, 7, 'r', now(), 1)",
        [call],
      );
      await sql.query("insert into bank.vault_entries (bank_id, vault_id, recording_id) values ('acme', 'sales', $1)", [
        call,
      ]);
    });
    expect(await hear()).toMatchObject({
      hr: ['deleted recordings/fathom-7', 'updated vaults/hr'],
      // An id may come before or after the old one in order of text.
      sales: [`created recordings/${call}`, 'created recordings/fathom-7', 'updated vaults/sales'].sort(),
    });
  });
});

describe('between commits', () => {
  it('nothing is lost or told twice when transactions that overlap commit in another order than they wrote', async () => {
    await using slow = await connect(bank.url);
    await using quick = await connect(bank.url);
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
    await using slow = await connect(bank.url);
    await begin(slow, bank);
    const early = await addNote(slow, 'hr');
    const feed = await openFeed(bank);
    await slow.query('commit');
    expect(await read(bank, feed)).toEqual([`created notes/${early}`]);
  });

  it('a reader beside eight writers hears every row of theirs exactly once', async () => {
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      await using sql = await connect(bank.url);
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

describe('a feed is refused', () => {
  const now = Math.floor(Date.now() / 1000);
  const CASES: [string, () => string | undefined][] = [
    ['without an assertion', () => undefined],
    ['under a forged assertion', () => bank.seal({}, { key: randomBytes(32) })],
    ['under an expired assertion', () => bank.seal({ iat: now - 400 })],
    ["under another bank's assertion", () => other.seal()],
    ['without the scope mcp:read', () => bank.seal({ scopes: ['mcp:write'] })],
    ['to the operator of a handshake', () => bank.seal({ scopes: ['mcp:verify'] })],
  ];
  it.each(CASES)('%s', async (_sentence, sealed) => {
    await expect(openSealed(bank, sealed())).rejects.toMatchObject({ code: '42501' });
  });

  it.each(['bankhouse_gateway', 'bankhouse_control', 'bankhouse_operator'] as const)('to %s', async (role) => {
    const url = postgres.serviceUrl(role.slice('bankhouse_'.length) as 'gateway' | 'control' | 'operator');
    await expect(readFeeds(url, [ears.all.feed], ears.all.position)).rejects.toMatchObject({ code: '42501' });
  });

  it('from the tables themselves', async () => {
    for (const table of ['changes', 'feeds', 'change_floors']) {
      await expect(bank.asBank(bank.seal(), (sql) => sql.query(`select from bank.${table}`))).rejects.toMatchObject({
        code: '42501',
      });
    }
  });
});

describe('a feed ends', () => {
  const ended = async (feed: HandFeed, as = bank) => {
    const { ended: list, changes } = await readFeeds(as.url, [feed.feed], feed.position);
    return { reasons: list.map(({ reason }) => reason), changes: changes.length };
  };
  beforeEach(async () => {
    await write(bank, (sql) => addNote(sql, 'hr'));
    await write(other, (sql) => addNote(sql, 'hr'));
  });

  it("for another bank's role, which hears nothing by it", async () => {
    expect(await ended(ears.all, other)).toEqual({ reasons: ['closed'], changes: 0 });
  });

  it('when it is made up', async () => {
    expect(await ended({ ...ears.all, feed: randomUUID() })).toEqual({ reasons: ['closed'], changes: 0 });
  });

  it('when it is closed, by its own bank only', async () => {
    const close = async (role: TestBank) => {
      await using sql = await connect(role.url);
      await sql.query('begin read write');
      await sql.query('select bank.close_feeds($1)', [[ears.all.feed]]);
      await sql.query('commit');
    };
    await close(other);
    expect(await ended(ears.all)).toMatchObject({ reasons: [] });
    await close(bank);
    expect(await ended(ears.all)).toEqual({ reasons: ['closed'], changes: 0 });
  });

  it('after its time', async () => {
    await asData(postgres, (sql) =>
      sql.query('update bank.feeds set expires_at = now() where id = $1', [ears.all.feed]),
    );
    expect(await ended(ears.all)).toEqual({ reasons: ['expired'], changes: 0 });
  });

  it('when its token is revoked (R1.4), and no other does', async () => {
    const feed = await openFeed(bank, { jti: 'gone' });
    await write(bank, (sql) => addNote(sql, 'hr'));
    await withClient(postgres.serviceUrl('control'), (sql) =>
      sql.query("insert into control.revoked_tokens (jti, expires_at) values ('gone', now() + interval '1 day')"),
    );
    expect(await ended(feed)).toEqual({ reasons: ['revoked'], changes: 0 });
    expect(await ended(ears.all)).toMatchObject({ reasons: [] });
  });

  it('when all tokens of its bank are', async () => {
    const bankId = `epoch-${randomBytes(3).toString('hex')}`;
    const own = await createBank(postgres, bankId, { vaults: VAULTS });
    const feed = await openFeed(own);
    await withClient(postgres.serviceUrl('control'), (sql) =>
      sql.query("insert into control.bank_epochs (bank_id, not_before) values ($1, now() + interval '1 second')", [
        bankId,
      ]),
    );
    expect(await ended(feed, own)).toEqual({ reasons: ['revoked'], changes: 0 });
  });
});

describe('what is kept', () => {
  it('is coarse for a statement on many rows: one change, told to those whose vaults it touched', async () => {
    await write(bank, (sql) =>
      sql.query("insert into bank.notes (vault_id, title) select 'hr', 'n' from generate_series(1, 1000)"),
    );
    expect(await hear()).toEqual({ all: ['many notes'], hr: ['many notes'], sales: [] });
  });

  it('is told coarsely when a reader finds more than 500 changes', async () => {
    await write(bank, async (sql) => {
      for (let row = 0; row < 6; row++) {
        await sql.query("insert into bank.notes (vault_id, title) select 'hr', 'n' from generate_series(1, 100)");
      }
    });
    expect(await hear()).toEqual({ all: ['many notes'], hr: ['many notes'], sales: [] });
  });

  it('is bounded, and a reader that is too far behind is told so', async () => {
    const busy = await createBank(postgres, 'busy', { vaults: VAULTS });
    const early = await openFeed(busy);
    await asData(postgres, (sql) =>
      sql.query(
        `do $$ begin for i in 1..300 loop
           insert into bank.notes (bank_id, vault_id, title, created_by, updated_by)
             select 'busy', 'hr', 'n', 't', 't' from generate_series(1, 100);

         end loop; end $$`,
      ),
    );
    const kept = await withClient(postgres.superuserUrl, (sql) =>
      sql.query<{ n: number }>("select count(*)::int as n from bank.changes where bank_id = 'busy'"),
    );
    expect(kept.rows[0]?.n).toBeLessThanOrEqual(25_000);
    expect(await readFeeds(busy.url, [early.feed], early.position)).toMatchObject({ behind: true });
    const late = await openFeed(busy);
    expect(await readFeeds(busy.url, [late.feed], late.position)).toMatchObject({ behind: false, changes: [] });
  });

  it('is at most 1,000 feeds a bank, of which the oldest make room', async () => {
    const full = await createBank(postgres, 'full', { vaults: VAULTS });
    const first = await openFeed(full);
    await asData(postgres, (sql) =>
      sql.query(`insert into bank.feeds (bank_id, subject, jti, asserted_at, all_vaults, vaults, expires_at)
        select 'full', 's', 'j', now(), true, '{}', now() + interval '1 hour' from generate_series(1, 999)`),
    );
    const last = await openFeed(full);
    const { ended } = await readFeeds(full.url, [first.feed, last.feed], last.position);
    expect(ended).toEqual([{ feed: 0, reason: 'closed' }]);
  });

  it('is nothing of a bank without a key, so nothing outlives an erased one', async () => {
    const gone = await createBank(postgres, 'gone', { vaults: VAULTS });
    await openFeed(gone);
    await write(gone, (sql) => addNote(sql, 'hr'));
    await withClient(postgres.serviceUrl('operator'), (sql) =>
      sql.query("select bank.delete_bank('gone', 'banks/gone', true)"),
    );
    const left = await withClient(postgres.superuserUrl, (sql) =>
      sql.query(
        "select bank_id from bank.changes where bank_id = 'gone' union all select bank_id from bank.feeds where bank_id = 'gone'",
      ),
    );
    expect(left.rows).toEqual([]);
  });
});

describe('a notification', () => {
  it('comes once a transaction, without content, on a channel that is told to the bank alone, while somebody listens', async () => {
    const loud = await createBank(postgres, 'loud', { vaults: VAULTS });
    const feed = await openFeed(loud);
    await using ear = await connect(loud.url);
    const notices: pg.Notification[] = [];
    ear.on('notification', (notice) => notices.push(notice));
    expect(feed.channel).toMatch(/^bankhouse_[0-9a-f]{48}$/);
    expect(feed.channel).not.toBe(ears.all.channel);
    await ear.query(`listen ${feed.channel}`);
    await write(loud, async (sql) => {
      for (let row = 0; row < 20; row++) await addNote(sql, 'hr');
    });
    await ear.query('select 1');
    expect(notices).toHaveLength(1);
    expect(notices[0]).toMatchObject({ channel: feed.channel, payload: '' });
    await asData(postgres, (sql) => sql.query("delete from bank.feeds where bank_id = 'loud'"));
    await write(loud, (sql) => addNote(sql, 'hr'));
    await ear.query('select 1');
    expect(notices).toHaveLength(1);
  });
});
