import type { Database } from './pool.ts';

/** What the deletion of a bank erased (migrations/control/tables/0003). */
export interface Receipt {
  id: number;
  bank: string;
  /** Of the Bank: the incarnation that was erased. */
  uid: string;
  /** `namespace/name` of the Bank. */
  owner: string;
  /** RFC 3339 with microseconds. */
  erasedAt: string;
  /** By table: rows, and SHA-256 over their primary keys, as the last line of an export has it. */
  tables: Record<string, { rows: number; keys: string }>;
}

const COLUMNS = `id::float8, bank_id as bank, uid, owner, tables,
  to_char(erased_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "erasedAt"`;

/** The newest first, those before `before`; of one bank id where it is given. */
export function listReceipts(
  database: Database,
  options: { bank: string | undefined; before: number | undefined; limit: number },
): Promise<Receipt[]> {
  return database.query<Receipt>(
    `select ${COLUMNS} from control.deletion_receipts
      where ($1::text is null or bank_id = $1) and ($2::bigint is null or id < $2) order by id desc limit $3`,
    [options.bank ?? null, options.before ?? null, options.limit],
  );
}

export async function findReceipt(database: Database, id: number): Promise<Receipt | undefined> {
  const [receipt] = await database.query<Receipt>(`select ${COLUMNS} from control.deletion_receipts where id = $1`, [
    id,
  ]);
  return receipt;
}
