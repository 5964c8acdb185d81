import type pg from 'pg';
import { registryOf } from './registry.ts';

/** Of tokens, at a time. */
const PAGE = 1_000;

/** What a database was told, as a snapshot: one that sees nothing where it was told nothing, or by a server whose numbers were others. */
const TOLD = `case when d.told is null or pg_snapshot_xmax(d.told) > pg_snapshot_xmax(pg_current_snapshot()) then '1:1:' else d.told end`;
/** That a row of r, read by the index of xid, is not in it. */
const IS_NEW =
  'r.xid >= pg_snapshot_xmin(t.told) and not pg_visible_in_snapshot(r.xid, t.told) and r.expires_at > now()';

/** Banks of which a database is told: its own, or all that are in the common one of their server. */
const CONCERNED = (server: string | undefined) =>
  server === undefined
    ? 'e.bank_id = d.bank_id'
    : `(e.bank_id = d.bank_id or d.bank_id is null and exists (
         select from control.bank_ids b where b.id = e.bank_id and b.placement = 'secret:' || d.server))`;

/**
 * Names of databases that were not told yet of all that is revoked. Those with a session in them come first: a feed is read there. (Of a further server nothing of the kind is known here.)
 *
 * @param without names that are left out
 */
export async function readBehind(
  client: pg.Client,
  server: string | undefined,
  { without, limit }: { without: string[]; limit: number },
): Promise<string[]> {
  const { table, here } = registryOf(server);
  const { rows } = await client.query<{ name: string }>(
    `select d.name from ${table} d cross join lateral (select ${TOLD} as told) t
      where ${here} and d.generation is not null and d.receipt is null and d.name <> all ($1) and (
        exists (select from control.revoked_tokens r where ${IS_NEW})
        or exists (select from control.bank_epochs e where ${CONCERNED(server)} and not pg_visible_in_snapshot(e.xid, t.told)))
      order by exists (select from pg_stat_activity a where a.datname = d.name) desc, d.name limit $2`,
    [without, limit],
  );
  return rows.map(({ name }) => name);
}

/**
 * Tells a bank's own database which tokens are revoked, so that feeds which were opened under them end (bank.feed_ended). All is read under one
 * snapshot, which is written down last: what fails is told again, and nothing is missed in whatever order transactions commit.
 *
 * @param common as the owner of the common database, in it
 * @param own as the owner of the one that is told
 */
export async function tell(
  common: pg.Client,
  own: pg.Client,
  { name, server }: { name: string; server: string | undefined },
): Promise<void> {
  const { table, here: ofServer } = registryOf(server);
  await common.query('begin isolation level repeatable read read only');
  const { rows } = await common.query<{ told: string; here: string; ids: string[]; notBefore: string[] }>(
    `select ${TOLD} as told, pg_current_snapshot()::text as here, n.*
       from ${table} d cross join lateral (
         select coalesce(array_agg(e.bank_id), '{}') as ids, coalesce(array_agg(e.not_before::text), '{}') as "notBefore"
           from control.bank_epochs e
          where ${CONCERNED(server)} and (d.bank_id is not null or not pg_visible_in_snapshot(e.xid, ${TOLD}))) n
      where d.name = $1 and ${ofServer}`,
    [name],
  );
  const [row] = rows;
  // Dropped meanwhile, and forgotten.
  if (row === undefined) return;
  const { told, here, ids, notBefore } = row;
  if (ids.length > 0) {
    await own.query(
      `update bank.banks b set tokens_not_before = n.not_before from unnest($1::text[], $2::timestamptz[]) n (id, not_before)
        where b.id = n.id and (b.tokens_not_before is null or b.tokens_not_before < n.not_before)`,
      [ids, notBefore],
    );
  }
  for (let last: string | undefined = ''; last !== undefined; ) last = await tellPage(common, own, told, last);
  await common.query('commit');
  await own.query("delete from bank.revoked_tokens where expires_at < clock_timestamp() - interval '1 hour'");
  await common.query(`update ${table} set told = $2::pg_snapshot where name = $1 and ${ofServer}`, [name, here]);
}

/** @returns the last of the page; undefined: there is none after it */
async function tellPage(common: pg.Client, own: pg.Client, told: string, after: string): Promise<string | undefined> {
  const { rows } = await common.query<{ jti: string; expiresAt: string }>(
    `select r.jti, r.expires_at::text as "expiresAt"
       from control.revoked_tokens r cross join (select $1::pg_snapshot as told) t
      where ${IS_NEW} and r.jti > $2 order by r.jti limit ${PAGE}`,
    [told, after],
  );
  if (rows.length > 0) {
    await own.query(
      `insert into bank.revoked_tokens as t (jti, expires_at) select * from unnest($1::text[], $2::timestamptz[])
         on conflict (jti) do update set expires_at = greatest(t.expires_at, excluded.expires_at)`,
      [rows.map(({ jti }) => jti), rows.map(({ expiresAt }) => expiresAt)],
    );
  }
  return rows.length < PAGE ? undefined : rows.at(-1)?.jti;
}
