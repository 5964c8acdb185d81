import type { Database } from './pool.ts';

export interface BankEntry {
  id: string;
  displayName: string;
  type: string;
  vaults: { id: string; displayName: string }[];
  /** Tokens issued earlier are revoked: seconds since 1970, or null. */
  notBefore: number | null;
}

const COLUMNS = `d.id, coalesce(d.display_name, d.id) as "displayName", d.type, d.vaults,
  ceil(extract(epoch from e.not_before))::float8 as "notBefore"`;
const FROM = 'from control.bank_directory d left join control.bank_epochs e on e.bank_id = d.id';

/** At most `limit` banks in the order of their ids, after the one named. */
export function listBanks(database: Database, options: { after: string; limit: number }): Promise<BankEntry[]> {
  return database.query<BankEntry>(
    `select ${COLUMNS} ${FROM} where d.id > $1 collate "C" order by d.id collate "C" limit $2`,
    [options.after, options.limit],
  );
}

export async function findBank(database: Database, id: string): Promise<BankEntry | undefined> {
  const [bank] = await database.query<BankEntry>(`select ${COLUMNS} ${FROM} where d.id = $1`, [id]);
  return bank;
}
