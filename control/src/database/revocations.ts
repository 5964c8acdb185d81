import type { Database } from './pool.ts';

/** Revokes one token until it expires; every gateway reads it within a second (R1.4). @param expiresAt seconds since 1970 */
export async function revokeToken(database: Database, jti: string, expiresAt: number): Promise<void> {
  await database.query(
    `insert into control.revoked_tokens as t (jti, expires_at) values ($1, to_timestamp($2))
     on conflict (jti) do update set expires_at = greatest(t.expires_at, excluded.expires_at)
     where t.expires_at < excluded.expires_at`,
    [jti, expiresAt],
  );
}

/**
 * Revokes every token of a bank that was issued until now. `iat` counts whole seconds, so the instant is the next full second
 * of the database's clock (docs/adr/0002).
 *
 * @returns the instant, seconds since 1970
 */
export async function advanceEpoch(database: Database, bank: string): Promise<number> {
  const [row] = await database.query<{ notBefore: number }>(
    `insert into control.bank_epochs as e (bank_id, not_before)
     values ($1, to_timestamp(floor(extract(epoch from clock_timestamp())) + 1))
     on conflict (bank_id) do update set not_before = greatest(e.not_before, excluded.not_before)
     returning extract(epoch from not_before)::float8 as "notBefore"`,
    [bank],
  );
  return row?.notBefore ?? 0;
}

export async function isRevoked(database: Database, jti: string): Promise<boolean> {
  const rows = await database.query('select from control.revoked_tokens where jti = $1', [jti]);
  return rows.length > 0;
}

/** Forgets revocations of tokens that expired more than an hour ago, which no clock takes for valid. */
export async function forgetExpired(database: Database): Promise<void> {
  await database.query("delete from control.revoked_tokens where expires_at < now() - interval '1 hour'");
}
