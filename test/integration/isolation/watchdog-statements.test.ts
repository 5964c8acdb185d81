/** D8: whoever says by a bank's login what no bank server says is ended within a second, and a bank server never is (docs/adr/0036). */
import { createLogger, createRegistry } from '@bankhouse/core';
import { createWatchdog, type Watchdog } from '@bankhouse/operator';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createBank, startPostgres, type TestBank, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { FLOODS, runFlood } from './floods.ts';

let postgres: TestPostgres;
let acme: TestBank;
let watchdog: Watchdog;
const ended: { bank: string; reason: string }[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  acme = await createBank(postgres, 'acme');
  watchdog = createWatchdog({
    url: postgres.serviceUrl('operator'),
    logger: createLogger({ component: 'test', level: 'silent' }),
    registry: createRegistry('test'),
    onEnded: (bank, reason) => ended.push({ bank, reason }),
  });
  watchdog.start();
  await until(async () => (await watchers()) === 2);
});
afterAll(async () => {
  await watchdog?.stop();
  await postgres?.stop();
});
afterEach(async () => {
  await withClient(postgres.serviceUrl('operator'), (sql) => sql.query("select admin.lift_quarantine('acme')"));
  watchdog.forget('acme');
  ended.length = 0;
});

async function until(holds: () => Promise<boolean> | boolean, limitMs = 20_000): Promise<void> {
  const limit = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > limit) throw new Error('It did not come to that.');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const watchers = () =>
  withClient(postgres.superuserUrl, async (sql) => {
    const { rows } = await sql.query(
      "select count(*)::int as n from pg_stat_activity where usename = 'bankhouse_operator'",
    );
    return rows[0].n as number;
  });

describe('within a second or two it is over: a session', () => {
  it.each(FLOODS.filter(({ reason }) => reason !== undefined).map((flood) => [flood.name, flood] as const))(
    '%s',
    async (_name, flood) => {
      let over = false;
      const running = runFlood(flood, { url: acme.url, session: 0, assertion: acme.seal(), isOver: () => over });
      try {
        await until(() => ended.length > 0, 3000);
        expect(ended[0]).toEqual({ bank: 'acme', reason: expect.stringMatching(flood.reason as RegExp) });
      } finally {
        over = true;
        await running;
      }
    },
  );
});
