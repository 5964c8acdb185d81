/**
 * A process of its own that does what is in everybody's way, as a taken-over bank pod would: `node attacker.ts <url> <what> <ms>`, what being
 * a nuisance's name or one of the floods below. It says `begun`, and goes on until its time is over or its sessions are ended.
 */
import pg from 'pg';
import { begin, NUISANCES } from './nuisances.ts';

const CONNECTIONS = 12;
const UNLIMITED =
  'set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0; set default_transaction_read_only = off';

/** What each of twelve sessions says over and over. */
export const FLOODS: Readonly<Record<string, (session: number) => string>> = {
  'computes without a pause': () => 'select count(*) from generate_series(1, 3000000) n',
  'sorts in much memory and in temporary files': (session) =>
    `set work_mem = '${session % 2 === 0 ? '64kB' : '128MB'}'; select count(*) from (select n from generate_series(1, 600000) n order by md5(n::text)) s`,
  notifies: () => `select count(pg_notify('x', repeat('x', 4000) || n)) from generate_series(1, 500) n`,
  'keeps transactions open and takes numbers': () => `begin; select pg_current_xact_id(); select pg_sleep(2); rollback`,
  'connects and leaves': () => 'select 1',
  'calls what a bank may call': () => `select api.assertion_state(), api.list_vaults(), api.count_recordings()`,
};

async function flood(url: string, text: (session: number) => string, until: number, reconnect: boolean): Promise<void> {
  const one = async (session: number) => {
    while (Date.now() < until) {
      const client = new pg.Client({ connectionString: url });
      client.on('error', () => {});
      try {
        await client.connect();
        await client.query(UNLIMITED);
        do await client.query(text(session));
        while (!reconnect && Date.now() < until);
      } catch (error) {
        // Not any more: quarantined.
        if ((error as pg.DatabaseError).code === '28000') return;
        await new Promise((resolve) => setTimeout(resolve, 20));
      } finally {
        await client.end().catch(() => {});
      }
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, (_, session) => one(session)));
}

if (process.argv[1] === import.meta.filename) {
  const [, , url = '', what = '', ms = '0'] = process.argv;
  const until = Date.now() + Number(ms);
  process.stdout.write('begun\n');
  const text = FLOODS[what];
  if (text !== undefined) {
    await flood(url, text, until, what === 'connects and leaves');
  } else {
    const nuisance = NUISANCES.find(({ name }) => name === what);
    if (nuisance === undefined) throw new Error(`There is no nuisance ${what}.`);
    const running = await begin(nuisance, url).catch(() => undefined);
    while (running?.alive() === true && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
    await running?.stop();
  }
  process.exit(0);
}
