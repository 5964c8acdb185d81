/** Two banks, and feeds of one of them that are read by hand: for all vaults, and for one each. */
import { createBank, startPostgres, type TestBank, type TestPostgres } from '../../harness/postgres.ts';
import { type HandFeed, openFeed, read, VAULTS } from './support.ts';

export interface FeedBanks extends AsyncDisposable {
  readonly postgres: TestPostgres;
  readonly bank: TestBank;
  readonly other: TestBank;
}

export async function startFeedBanks(): Promise<FeedBanks> {
  await using starting = new AsyncDisposableStack();
  const postgres = starting.adopt(await startPostgres(), (started) => started.stop());
  const bank = await createBank(postgres, 'acme', { vaults: VAULTS });
  const other = await createBank(postgres, 'globex', { vaults: VAULTS });
  const stack = starting.move();
  return { postgres, bank, other, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

type Heard = Record<'all' | 'hr' | 'sales', string[]>;

export interface Ears {
  readonly all: HandFeed;
  readonly hr: HandFeed;
  readonly sales: HandFeed;
  /** What each tells since it was asked last. */
  hear(): Promise<Heard>;
}

export async function openEars(bank: TestBank): Promise<Ears> {
  const all = await openFeed(bank);
  const hr = await openFeed(bank, { vaults: ['hr'] });
  const sales = await openFeed(bank, { vaults: ['sales'] });
  return {
    all,
    hr,
    sales,
    hear: async () => ({ all: await read(bank, all), hr: await read(bank, hr), sales: await read(bank, sales) }),
  };
}
