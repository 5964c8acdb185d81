/**
 * What a bank's login role can say over and over to take processor time, memory, disk or the wire from everybody. It needs no privilege for
 * any of it, and holds no lock.
 */
import pg from 'pg';

export interface Flood {
  readonly name: string;
  /** One round of a session. */
  round(client: pg.Client, of: Flooding): Promise<unknown>;
  /** Each round has a connection of its own. */
  readonly reconnects?: true;
  /** Why the watchdog ends it; undefined where it can't tell it from a bank that is busy. */
  readonly reason: RegExp | undefined;
}

export interface Flooding {
  readonly url: string;
  readonly session: number;
  /** Of a request that passed through the pod. */
  readonly assertion: string;
  isOver(): boolean;
}

/** The role's own limits are the attacker's to take off, without a word. */
const UNLIMITED = [
  'statement_timeout=0',
  'lock_timeout=0',
  'idle_in_transaction_session_timeout=0',
  'default_transaction_read_only=off',
];

const FOREIGN = /statement that no bank server sends/;
const says = (name: string, ...texts: readonly ((session: number) => string)[]): Flood => ({
  name,
  async round(client, { session }) {
    for (const text of texts) await client.query(text(session));
  },
  reason: FOREIGN,
});

const COUNT = 'select count(*) from generate_series(1, 3000000) n';
const FACTORIAL_OID = 1376;

export const FLOODS: readonly Flood[] = [
  says('computes without a pause', () => COUNT),
  says('computes without end', () => 'select count(*) from generate_series(1, 100000000000) n'),
  says('computes what a bank server sends, and then more', () => `begin read only; ${COUNT}; commit`),
  says('computes under a text that begins as one of a bank server', () =>
    `select api.vault_exists($1) as found from generate_series(1, 100000)`.replace('$1', "'sales'"),
  ),
  says(
    'sorts in much memory and in temporary files',
    (session) =>
      `set work_mem = '${session % 2 === 0 ? '64kB' : '128MB'}'; select count(*) from (select n from generate_series(1, 600000) n order by md5(n::text)) s`,
  ),
  says(
    'hashes in a loop',
    () => `select count(sha512(repeat('x', 20000)::bytea || n::text::bytea)) from generate_series(1, 20000) n`,
  ),
  says('matches what takes for ever', () => String.raw`select repeat('a', 28) ~ '^((a|aa)+)\1b$'`),
  says(
    'goes round in a block',
    () => `do $$ declare n bigint := 0; begin for i in 1..5000000 loop n := n + i; end loop; end $$`,
  ),
  says(
    'goes round in a recursion',
    () => 'with recursive r(n) as (select 1 union all select n + 1 from r where n < 2000000) select count(*) from r',
  ),
  says('asks for a large answer', () => `select repeat('x', 1000) from generate_series(1, 50000) n`),
  says('copies out', () => `copy (select repeat('x', 1000) from generate_series(1, 50000)) to stdout`),
  says(
    'sets a thousand settings',
    () => `select set_config('x.y' || n, repeat('x', 1000), false) from generate_series(1, 3000) n`,
  ),
  says('says what is long', () => `select ${'1 +'.repeat(20000)} 1`),
  says(
    'prepares, and executes',
    () => 'deallocate all',
    () => `prepare p as ${COUNT}`,
    () => 'execute p',
  ),
  says(
    'reads by a cursor',
    () => 'begin',
    () => `declare c cursor for ${COUNT}`,
    () => 'fetch c',
    () => 'rollback',
  ),
  says('notifies', () => `select count(pg_notify('x', repeat('x', 4000) || n)) from generate_series(1, 500) n`),
  says(
    'keeps transactions open and takes numbers',
    () => `begin; select pg_current_xact_id(); select pg_sleep(2); rollback`,
  ),
  says('calls what a bank may call', () => `select api.assertion_state(), api.list_vaults(), api.count_recordings()`),
  {
    name: 'prepares a hundred statements by the protocol, each another',
    async round(client, { session }) {
      const at = Math.floor(Math.random() * 1e9);
      await Promise.all(
        Array.from({ length: 100 }, (_, n) =>
          client.query({ name: `s${session}_${at}_${n}`, text: `select ${n} + ${at} + $1::int`, values: [1] }),
        ),
      );
    },
    reason: FOREIGN,
  },
  {
    name: 'computes by function calls of the protocol, which have no text',
    round: (client) => callFunction(client, FACTORIAL_OID, 9000),
    reason: FOREIGN,
  },
  {
    name: 'has a commit finish a cursor that is to be held',
    async round(client) {
      await client.query('begin read only');
      // In one packet, so that hardly anybody sees the declaration.
      const { stream } = (client as unknown as Wired).connection;
      stream.cork();
      const declared = client.query(
        `declare c cursor with hold for select count(*) from generate_series(1, 30000000) n`,
      );
      const committed = client.query('commit');
      stream.uncork();
      await Promise.all([declared, committed]);
      await client.query('close c').catch(() => {});
    },
    reason: /had a commit compute|statement that no bank server sends/,
  },
  { name: 'connects and leaves', round: async () => {}, reconnects: true, reason: undefined },
  {
    name: "calls what a bank may call, in its server's words",
    async round(client, { assertion }) {
      await client.query('begin read only');
      await client.query(
        "select set_config('bankhouse.assertion', $1, true), set_config('statement_timeout', '5000', true)",
        [assertion],
      );
      const ask = {
        fields: ['id', 'title'],
        filter: { field: 'title', op: 'contains', value: 'pricing 77' },
        limit: 50,
      };
      for (let n = 0; n < 10; n++) {
        await client.query('select api.read_rows($1, $2::jsonb) as answer', ['note', JSON.stringify(ask)]);
      }
      await client.query('commit');
    },
    reason: undefined,
  },
];

export function floodNamed(name: string): Flood | undefined {
  return FLOODS.find((flood) => flood.name === name);
}

/** A session that floods, again when it was ended, until it is over or the login is taken away. */
export async function runFlood(flood: Flood, flooding: Flooding): Promise<void> {
  const { url, isOver } = flooding;
  while (!isOver()) {
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: 10_000,
      options: UNLIMITED.map((setting) => `-c ${setting}`).join(' '),
      pipeline: true,
    } as pg.ClientConfig);
    client.on('error', () => {});
    const gone = new Promise<void>((resolve) => client.once('end', resolve));
    try {
      await client.connect();
      do await Promise.race([flood.round(client, flooding), gone.then(() => Promise.reject(new Error('gone')))]);
      while (flood.reconnects !== true && !isOver());
    } catch (error) {
      // Not any more: quarantined.
      if ((error as pg.DatabaseError).code === '28000') return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    } finally {
      await client.end().catch(() => {});
    }
  }
}

interface Wired {
  readonly connection: {
    readonly stream: { cork(): void; uncork(): void; write(bytes: Buffer): void };
    once(event: string, listener: () => void): void;
  };
}

/** FunctionCall of the protocol, with one argument as text. */
function callFunction(client: pg.Client, oid: number, argument: number): Promise<void> {
  const { connection } = client as unknown as Wired;
  const text = Buffer.from(String(argument));
  const body = Buffer.alloc(4 + 4 + 2 + 2 + 4 + text.length + 2);
  let at = body.writeInt32BE(body.length, 0);
  at = body.writeInt32BE(oid, at);
  at = body.writeInt16BE(0, at);
  at = body.writeInt16BE(1, at);
  at = body.writeInt32BE(text.length, at);
  at += text.copy(body, at);
  body.writeInt16BE(0, at);
  const answered = new Promise<void>((resolve) => connection.once('readyForQuery', resolve));
  connection.stream.write(Buffer.concat([Buffer.from('F'), body]));
  return answered;
}
