/**
 * What a bank's login role can do to get in everybody's way: it needs no privilege for any of it (D3, D4, D5, D8). Each begins, and is
 * there until it is told to stop or its sessions are ended.
 */
import pg from 'pg';

export interface Nuisance {
  readonly name: string;
  /** Whether others can't work at all meanwhile. */
  readonly blocks: boolean;
  /** Why the watchdog ends it. */
  readonly reason: RegExp;
  /** Statements of one session after the other, each of which begins where the one before waits or is done. */
  readonly sessions: readonly (readonly string[])[];
}

/** The role's own limits are the attacker's to take off. */
const UNLIMITED =
  'set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0; set default_transaction_read_only = off';

const queue = (held: string, relation: string): Nuisance => ({
  name: `D3: an exclusive lock on ${relation} is queued behind one that is held`,
  blocks: true,
  reason: /lock on a (table|catalog)/,
  sessions: [['begin', held], [`create rule nuisance as on insert to ${relation} do instead nothing`]],
});

export const NUISANCES: readonly Nuisance[] = [
  queue('select from pg_class limit 1', 'pg_catalog.pg_class'),
  queue('select from pg_roles limit 1', 'pg_catalog.pg_authid'),
  queue('select from pg_proc limit 1', 'pg_catalog.pg_proc'),
  queue('select from pg_type limit 1', 'pg_catalog.pg_type'),
  queue('select from pg_attribute limit 1', 'pg_catalog.pg_attribute'),
  queue('select from pg_namespace limit 1', 'pg_catalog.pg_namespace'),
  queue('select from pg_database limit 1', 'pg_catalog.pg_database'),
  queue('select from pg_auth_members limit 1', 'pg_catalog.pg_auth_members'),
  queue('select from pg_db_role_setting limit 1', 'pg_catalog.pg_db_role_setting'),
  queue('select from pg_roles limit 1', 'pg_catalog.pg_authid_oid_index'),
  queue('select from pg_class limit 1', 'pg_catalog.pg_class_oid_index'),
  queue('select from pg_locks limit 1', 'pg_catalog.pg_locks'),
  {
    name: 'D3: an exclusive lock on pg_authid is queued just after the role changed its own entry in it',
    blocks: true,
    reason: /lock on a (table|catalog)/,
    sessions: [
      [
        // The same password, so that it can log in again.
        "alter role current_user password '$password'",
        'begin',
        'select from pg_roles limit 1',
      ],
      ['create rule nuisance as on insert to pg_catalog.pg_authid do instead nothing'],
    ],
  },
  {
    name: 'D4: the table of locks is filled with advisory locks',
    blocks: true,
    reason: /advisory lock/,
    // Of the session, so that they stay when the one that finds no room fails.
    sessions: [['select count(pg_advisory_lock(n)) from generate_series(1, 1000000) n', 'select pg_sleep(60)']],
  },
  {
    name: 'D4: advisory locks of a session are kept without a transaction',
    blocks: false,
    reason: /advisory lock/,
    sessions: [['select count(pg_advisory_lock(n)) from generate_series(1, 300) n']],
  },
  {
    name: 'D5: large objects are written',
    blocks: false,
    reason: /lock on a catalog/,
    sessions: [['begin', "select count(lo_from_bytea(0, 'x')) from generate_series(1, 100)"]],
  },
  {
    name: 'D8: locks are piled up on what may be looked at',
    blocks: false,
    reason: /held more than/,
    sessions: [
      [
        'begin',
        `select count(pg_describe_object('pg_class'::regclass, oid, 0)), count(pg_get_viewdef(oid)) from pg_class`,
        `do $$ declare v record; begin
           for v in select c.oid::regclass as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('r', 'v') and has_table_privilege(c.oid, 'select') and has_schema_privilege(n.oid, 'usage') loop
             begin execute format('select from %s limit 0', v.name); exception when others then null; end;
           end loop; end $$`,
      ],
    ],
  },
];

/** What goes on for too long; it takes its time to be caught. */
export const LONG_NUISANCES: readonly Nuisance[] = [
  {
    name: 'D8: a statement computes without end',
    blocks: false,
    reason: /statement for more than/,
    sessions: [["set work_mem = '64MB'", 'select count(*) from generate_series(1, 100000000000) n']],
  },
  {
    name: 'D3: a transaction is kept open',
    blocks: false,
    reason: /transaction open/,
    sessions: [['begin', 'select pg_current_xact_id()']],
  },
];

export interface Running {
  /** Whether a session is there still. */
  alive(): boolean;
  stop(): Promise<void>;
}

/** Begins with a nuisance. Statements that wait are not waited for. */
export async function begin(nuisance: Nuisance, url: string): Promise<Running> {
  const clients: pg.Client[] = [];
  const open = new Set<pg.Client>();
  for (const statements of nuisance.sessions) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
    client.on('error', () => open.delete(client));
    client.on('end', () => open.delete(client));
    await client.connect();
    clients.push(client);
    open.add(client);
    const password = decodeURIComponent(new URL(url).password);
    const settled = [UNLIMITED, ...statements].reduce<Promise<unknown>>(
      (before, text) => before.then(() => client.query(text.replace('$password', password)).catch(() => {})),
      Promise.resolve(),
    );
    await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, 100))]);
  }
  return {
    alive: () => open.size > 0,
    async stop() {
      for (const client of clients) {
        // What it waits for may never come.
        (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
      }
    },
  };
}
