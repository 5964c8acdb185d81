/** Parameters: the bank, and a JSON list of rows. Names come from the catalog that they were compared with. */
export function insertSql(table: string, columns: readonly string[]): string {
  const names = columns.map((column) => `"${column}"`);
  const values = names.map((name) => `r.${name}`);
  return `insert into bank."${table}" (bank_id, ${names.join(', ')})
    select $1, ${values.join(', ')} from json_populate_recordset(null::bank."${table}", $2::json) r${onConflict(table)}`;
}

/** Vaults that the Bank names are there before any import. */
function onConflict(table: string): string {
  return table === 'vaults' ? ' on conflict (bank_id, id) do update set display_name = excluded.display_name' : '';
}
