/** R3.11 in the database: who may open and read a feed, and when it ends. */
import { randomBytes, randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { createBank, type TestBank, withClient } from '../../harness/postgres.ts';
import { shared } from '../../harness/shared.ts';
import { type Ears, type FeedBanks, openEars, startFeedBanks } from './ears.ts';
import { addNote, asData, connect, type HandFeed, openFeed, openSealed, readFeeds, VAULTS, write } from './support.ts';

let { postgres, bank, other } = {} as FeedBanks;
let ears = {} as Ears;
shared(startFeedBanks, (banks) => {
  ({ postgres, bank, other } = banks);
});
beforeEach(async () => {
  ears = await openEars(bank);
});

describe('a feed is refused', () => {
  const now = Math.floor(Date.now() / 1000);
  const CASES: [string, () => string | undefined][] = [
    ['without an assertion', () => undefined],
    ['under a forged assertion', () => bank.seal({}, { key: randomBytes(32) })],
    ['under an expired assertion', () => bank.seal({ iat: now - 400 })],
    ["under another bank's assertion", () => other.seal()],
    ['without access (G7)', () => bank.seal({ access: 'none', scopes: ['mcp:read'] })],
    ['without access, and of scopes that write alone', () => bank.seal({ access: undefined, scopes: ['mcp:write'] })],
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
      await sql.query('select api.close_feeds($1)', [[ears.all.feed]]);
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
