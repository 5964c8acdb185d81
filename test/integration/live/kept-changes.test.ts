/** R3.11 in the database: how much of what changed is kept, how coarsely, and what a notification says of it. */
import type pg from 'pg';
import { beforeEach, describe, expect, it } from 'vitest';
import { createBank, withClient } from '../../harness/postgres.ts';
import { shared } from '../../harness/shared.ts';
import { type Ears, type FeedBanks, openEars, startFeedBanks } from './ears.ts';
import { addNote, asData, connect, openFeed, readFeeds, VAULTS, write } from './support.ts';

let { postgres, bank } = {} as FeedBanks;
let ears = {} as Ears;
shared(startFeedBanks, (banks) => {
  ({ postgres, bank } = banks);
});
beforeEach(async () => {
  ears = await openEars(bank);
});

describe('what is kept', () => {
  it('is coarse for a statement on many rows: one change, told to those whose vaults it touched', async () => {
    await write(bank, (sql) =>
      sql.query(
        "insert into bank.notes (bank_id, vault_id, title) select bank.me(), 'hr', 'n' from generate_series(1, 1000)",
      ),
    );
    expect(await ears.hear()).toEqual({ all: ['many notes'], hr: ['many notes'], sales: [] });
  });

  it('is told coarsely when a reader finds more than 500 changes', async () => {
    await write(bank, async (sql) => {
      for (let row = 0; row < 6; row++) {
        await sql.query(
          "insert into bank.notes (bank_id, vault_id, title) select bank.me(), 'hr', 'n' from generate_series(1, 100)",
        );
      }
    });
    expect(await ears.hear()).toEqual({ all: ['many notes'], hr: ['many notes'], sales: [] });
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
      sql.query("select admin.erase_bank('gone', $1)", [gone.uid]),
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
