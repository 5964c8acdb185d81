/** A table of schema bank that is exported. */
export interface ExportedTable {
  readonly name: string;
  /** Order of its rows: what identifies one within its bank. */
  readonly order: readonly string[];
  /**
   * A table whose rows follow the row that they belong to, and are committed with it; its order begins with what that row is
   * ordered by.
   */
  readonly below?: ExportedTable;
}

/** In the order in which an import can write them: what a row refers to stands before it, or belongs to the same row. */
export const EXPORTED: readonly ExportedTable[] = [
  { name: 'vaults', order: ['id'] },
  { name: 'fathom_calls', order: ['id'] },
  // A recording that is in no vault is refused when its transaction ends.
  { name: 'recordings', order: ['id'], below: { name: 'vault_entries', order: ['recording_id', 'vault_id'] } },
  { name: 'notes', order: ['id'] },
  { name: 'tasks', order: ['id'] },
  // A message may answer any message of its chat.
  { name: 'chats', order: ['id'], below: { name: 'chat_messages', order: ['chat_id', 'id'] } },
  { name: 'comments', order: ['id'] },
];

/** The other tables with a bank_id, and why they stay behind. */
export const NOT_EXPORTED: Readonly<Record<string, string>> = {
  login_roles: 'secret: the operator makes the roles of the bank that it is imported into',
  bank_keys: 'secret: the keys of the database seal belong to one bank in one cluster',
  call_counts: 'counted from the calls by triggers',
  search_documents: 'made from the calls by triggers',
  search_languages: 'made from the calls by triggers',
  idempotency_keys: 'of calls of the last 24 hours, which are sent again to the same bank',
  embeddings: 'made again by "bankhouse embed", of whatever model the other place has',
  changes: 'what was told to listeners of this bank here',
  change_floors: 'up to where those are swept out',
  feeds: 'who listens to this bank here',
  sessions: 'what those who listen watch, with ids that are sealed for this bank here',
  imports: 'how far an import into this bank has come',
};

/** All exported tables, in the order in which an import writes them. */
export function flatten(tables: readonly ExportedTable[]): ExportedTable[] {
  return tables.flatMap((table) => (table.below === undefined ? [table] : [table, table.below]));
}
