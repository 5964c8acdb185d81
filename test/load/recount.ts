/** $1 bank: what triggers keep in bank.call_counts, counted anew, for calls and documents that were written without them. */
export const RECOUNT = [
  'delete from bank.call_counts where bank_id = $1',
  `insert into bank.call_counts (bank_id, vault_id, combination, vaults, calls)
     select $1, v, sha256(convert_to(array_to_string(c.vaults, ','), 'UTF8')), c.vaults, c.calls from (
       select bank.vaults_of(scopes) as vaults, count(*) as calls from bank.search_documents where bank_id = $1 group by 1
     ) c cross join lateral unnest(c.vaults) v
     union all
     select $1, '', sha256(''), '{}', count(*) from bank.search_documents where bank_id = $1`,
];
