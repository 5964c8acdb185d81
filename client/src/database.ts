import { BankhouseError, messageOf } from '@bankhouse/core';
import pg from 'pg';

/**
 * A connection as bankhouse_data, which sees all banks.
 *
 * @param databaseUrl of a role that may become bankhouse_data: the owner of the database
 * @param purpose what for, as in "loading"; also in the name that Postgres knows the connection by
 * @throws BankhouseError `database_unreachable`
 */
export async function openAsData(databaseUrl: string, purpose: string): Promise<pg.Client> {
  const sql = new pg.Client({ connectionString: databaseUrl, application_name: `bankhouse ${purpose}` });
  // A connection that breaks between statements; the next one says so.
  sql.on('error', () => {});
  try {
    await sql.connect();
    await sql.query('set role bankhouse_data');
    return sql;
  } catch (error) {
    await sql.end().catch(() => undefined);
    throw new BankhouseError(
      'database_unreachable',
      `The database can't be used for ${purpose}: ${messageOf(error)}. Give the owner's URL as DATABASE_URL.`,
      { cause: error },
    );
  }
}

export interface BankRow {
  id: string;
  displayName: string;
  type: string;
}

const NAMED = 50;

/** @throws BankhouseError `bank_unknown`, naming those that are there */
export async function requireBank(sql: pg.Client, id: string): Promise<BankRow> {
  const { rows: found } = await sql.query<BankRow>(
    'select id, display_name as "displayName", type from bank.banks where id = $1',
    [id],
  );
  if (found[0] !== undefined) return found[0];
  const { rows } = await sql.query<{ id: string }>('select id from bank.banks order by id limit $1', [NAMED]);
  const known = rows.length === 0 ? 'there are none yet' : `there are ${rows.map((row) => row.id).join(', ')}`;
  throw new BankhouseError('bank_unknown', `There is no bank ${id}; ${known}. Apply its Bank first.`);
}

/** As the owner: lets the planner know what is there now, and folds what waits beside the search index into it. */
export async function tidy(sql: pg.Client, tables: readonly string[]): Promise<void> {
  await sql.query('reset role');
  await sql.query(`vacuum (analyze) ${tables.map((table) => `bank.${sql.escapeIdentifier(table)}`).join(', ')}`);
}
