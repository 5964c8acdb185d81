import type pg from 'pg';

/** A database that was not told yet of all that is revoked. */
export interface Behind {
  name: string;
  bankId: string;
}

/** Of tokens, at a time. */
const PAGE = 1_000;

/** What a database was told, as a snapshot: one that sees nothing where it was told nothing, or by a server whose numbers were others. */
const TOLD = `case when d.told is null or pg_snapshot_xmax(d.told) > pg_snapshot_xmax(pg_current_snapshot()) then '1:1:' else d.told end`;
/** That a row of r, read by the index of xid, is not in it. */
const IS_NEW =
  'r.xid >= pg_snapshot_xmin(t.told) and not pg_visible_in_snapshot(r.xid, t.told) and r.expires_at > now()';

/**
 * Those with a session in them come first: a feed is read there.
 *
 * @param without names that are left out
 */
export async function readBehind(client: pg.Client, without: string[], limit: number): Promise<Behind[]> {
  const { rows } = await client.query<Behind>(
    `select d.name, d.bank_id as "bankId" from control.databases d cross join lateral (select ${TOLD} as told) t
      where d.generation is not null and d.receipt is null and d.name <> all ($1) and (
        exists (select from control.revoked_tokens r where ${IS_NEW})
        or exists (select from control.bank_epochs e where e.bank_id = d.bank_id and not pg_visible_in_snapshot(e.xid, t.told)))
      order by exists (select from pg_stat_activity a where a.datname = d.name) desc, d.name limit $2`,
    [without, limit],
  );
  return rows;
}

/**
 * Tells a bank's own database which tokens are revoked, so that feeds which were opened under them end (bank.feed_ended). All is read under one
 * snapshot, which is written down last: what fails is told again, and nothing is missed in whatever order transactions commit.
 *
 * @param common as the owner of the common database, in it
 * @param own as the same, in the bank's
 */
export async function tell(common: pg.Client, own: pg.Client, { name, bankId }: Behind): Promise<void> {
  await common.query('begin isolation level repeatable read read only');
  const { rows } = await common.query<{ told: string; here: string; notBefore: string | null }>(
    `select ${TOLD} as told, pg_current_snapshot()::text as here,
            (select e.not_before::text from control.bank_epochs e where e.bank_id = d.bank_id) as "notBefore"
       from control.databases d where d.name = $1`,
    [name],
  );
  const [row] = rows;
  // Dropped meanwhile, and forgotten.
  if (row === undefined) return;
  const { told, here, notBefore } = row;
  if (notBefore !== null) {
    await own.query(
      `update bank.banks b set tokens_not_before = $2
        where b.id = $1 and (b.tokens_not_before is null or b.tokens_not_before < $2::timestamptz)`,
      [bankId, notBefore],
    );
  }
  for (let last: string | undefined = ''; last !== undefined; ) last = await tellPage(common, own, told, last);
  await common.query('commit');
  await own.query("delete from bank.revoked_tokens where expires_at < clock_timestamp() - interval '1 hour'");
  await common.query('update control.databases set told = $2::pg_snapshot where name = $1', [name, here]);
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
