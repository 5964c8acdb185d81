/** R3.11 and R1.4 in the database: a feed ends with the token that it was opened with, and after an hour at the latest. */
import type { Assertion } from '@bankhouse/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBank, startPostgres, type TestBank, type TestPostgres } from '../../harness/postgres.ts';
import { addNote, asData, type HandFeed, openFeed, readFeeds, VAULTS, write } from './support.ts';

const HOUR = 3600;

let postgres: TestPostgres;
let bank: TestBank;
beforeAll(async () => {
  postgres = await startPostgres();
  bank = await createBank(postgres, 'acme', { vaults: VAULTS });
});
afterAll(() => postgres?.stop());

const now = () => Math.floor(Date.now() / 1000);
/** Also what no type allows: the database does not rely on who seals. */
const withExp = (exp: unknown) => ({ exp }) as Partial<Assertion>;

/** Seconds since 1970. */
async function timesOf({ feed }: HandFeed): Promise<{ opened: number; ends: number }> {
  const { rows } = await asData(postgres, (sql) =>
    sql.query<{ opened: number; ends: number }>(
      `select extract(epoch from opened_at)::float8 as opened, extract(epoch from expires_at)::float8 as ends
         from bank.feeds where id = $1`,
      [feed],
    ),
  );
  if (rows[0] === undefined) throw new Error('no feed');
  return rows[0];
}

async function readOnce(feed: HandFeed) {
  const { ended, changes } = await readFeeds(bank.url, [feed.feed], feed.position);
  return { ended: ended.map(({ reason }) => reason), changes: changes.length };
}

describe('a feed ends with its token', () => {
  it.each<[string, () => number]>([
    ['in half a minute', () => now() + 30],
    ['half way through the hour', () => now() + HOUR / 2],
    ['a fraction of a second after a whole one', () => now() + 90.25],
    ['a minute before the hour', () => now() + HOUR - 60],
  ])('%s', async (_sentence, expiry) => {
    const exp = expiry();
    const feed = await openFeed(bank, { exp });
    expect((await timesOf(feed)).ends).toBe(exp);
    expect(await readOnce(feed)).toMatchObject({ ended: [] });
  });
});

describe('a feed ends after an hour', () => {
  it.each<[string, () => number]>([
    ['a minute more', () => now() + HOUR + 60],
    ['for two days', () => now() + 48 * HOUR],
    ['beyond every timestamp', () => Number.MAX_SAFE_INTEGER],
    ['as long as a number can say', () => Number.MAX_VALUE],
  ])('of a token that holds %s', async (_sentence, expiry) => {
    const feed = await openFeed(bank, { exp: expiry() });
    const { opened, ends } = await timesOf(feed);
    expect(ends - opened).toBeCloseTo(HOUR, 0);
    expect(await readOnce(feed)).toMatchObject({ ended: [] });
  });
});

describe('a feed is over when it is read', () => {
  it.each<[string, () => number]>([
    ['a second ago', () => now() - 1],
    // As the gateway, the database takes a token for five seconds more: clocks differ.
    ['three seconds ago', () => now() - 3],
  ])('whose token expired %s', async (_sentence, expiry) => {
    const feed = await openFeed(bank, { exp: expiry() });
    await write(bank, (sql) => addNote(sql, 'hr'));
    expect(await readOnce(feed)).toEqual({ ended: ['expired'], changes: 0 });
  });

  it('once its token expires, and not before', async () => {
    const exp = now() + 5;
    const feed = await openFeed(bank, { exp });
    const longer = await openFeed(bank);
    await write(bank, (sql) => addNote(sql, 'hr'));
    expect(await readOnce(feed)).toEqual({ ended: [], changes: 1 });
    await expect.poll(() => readOnce(feed), { timeout: 10_000 }).toEqual({ ended: ['expired'], changes: 0 });
    expect(Date.now() / 1000).toBeGreaterThanOrEqual(exp);
    expect(await readOnce(longer)).toEqual({ ended: [], changes: 1 });
  });
});

describe('no feed is opened by an assertion', () => {
  const ROWS: [string, Partial<Assertion>][] = [
    ['without exp', withExp(undefined)],
    ['whose exp is null', withExp(null)],
    ['whose exp is a text', withExp('soon')],
    ['whose exp is a number as a text', withExp(String(now() + HOUR))],
    ['whose exp is a date as a text', withExp('2099-01-01T00:00:00Z')],
    ['whose exp is true', withExp(true)],
    ['whose exp is a list', withExp([now() + HOUR])],
    ['whose exp is an object', withExp({ seconds: now() + HOUR })],
  ];
  const EXPIRED: [string, Partial<Assertion>][] = [
    ['an hour ago', withExp(now() - HOUR)],
    ['in 1970', withExp(0)],
    ['before 1970', withExp(-1)],
  ];

  it.each(ROWS)('%s', async (_sentence, changes) => {
    await expect(openFeed(bank, changes)).rejects.toMatchObject({ code: '42501' });
  });

  it.each(EXPIRED)('whose token expired %s', async (_sentence, changes) => {
    await expect(openFeed(bank, changes)).rejects.toMatchObject({ code: '42501' });
  });

  const opens = async (changes: Partial<Assertion>) => {
    const { rows } = await bank.asBank(bank.seal(changes), (sql) =>
      sql.query('select api.assertion_state() as state, bank.all_vaults() as all_vaults'),
    );
    return rows;
  };
  it.each(ROWS)('%s, which is good for nothing else', async (_sentence, changes) => {
    expect(await opens(changes)).toEqual([{ state: 'malformed', all_vaults: false }]);
  });

  it.each(ROWS)('of a gateway before access %s, which is good for everything else', async (_sentence, changes) => {
    expect(await opens({ ...changes, access: undefined })).toEqual([{ state: 'valid', all_vaults: true }]);
  });
});
