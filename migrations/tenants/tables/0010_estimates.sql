-- The planner's statistics are over the rows of all banks, and a plan says by its time what they say. What people write is in columns
-- of the database's own collation, ids and words of ours in "C": of the former none are kept. No query of ours is planned by them,
-- since each is about one bank.
alter table bank.vaults
  alter display_name set statistics 0;
alter table bank.fathom_calls
  alter title set statistics 0,
  alter transcript_language set statistics 0,
  alter summary set statistics 0,
  alter url set statistics 0;
alter table bank.recordings
  alter title set statistics 0,
  alter summary set statistics 0,
  alter language set statistics 0,
  alter url set statistics 0;
alter table bank.notes
  alter created_by set statistics 0,
  alter updated_by set statistics 0,
  alter title set statistics 0,
  alter body set statistics 0;
alter table bank.tasks
  alter created_by set statistics 0,
  alter updated_by set statistics 0,
  alter title set statistics 0,
  alter description set statistics 0,
  alter assignee set statistics 0;
alter table bank.chats
  alter created_by set statistics 0,
  alter updated_by set statistics 0,
  alter title set statistics 0;
alter table bank.chat_messages
  alter created_by set statistics 0,
  alter updated_by set statistics 0,
  alter author set statistics 0,
  alter body set statistics 0;
alter table bank.comments
  alter created_by set statistics 0,
  alter updated_by set statistics 0,
  alter body set statistics 0;
alter table bank.idempotency_keys
  alter subject set statistics 0,
  alter key set statistics 0;
alter table bank.feeds
  alter subject set statistics 0,
  alter jti set statistics 0;
alter table bank.revoked_tokens
  alter jti set statistics 0;
alter table bank.imports
  alter exported_bank set statistics 0,
  alter exported_at set statistics 0,
  alter digest set statistics 0;
alter table bank.erasures
  alter uid set statistics 0;
-- And what a caller may ask about in columns of ids, tags and languages: of those, the commonest values of all banks would choose the
-- plan. (Not of bank.fathom_calls.participant_keys and bank.recordings.participant_keys: docs/security.md says why.)
alter table bank.notes
  alter tags set statistics 0,
  alter recording_id set statistics 0,
  alter language set statistics 0;
alter table bank.tasks
  alter tags set statistics 0,
  alter recording_id set statistics 0,
  alter language set statistics 0;
alter table bank.chats
  alter tags set statistics 0,
  alter participants set statistics 0,
  alter recording_id set statistics 0,
  alter language set statistics 0;
alter table bank.chat_messages
  alter language set statistics 0;
alter table bank.comments
  alter parent_id set statistics 0,
  alter language set statistics 0;
alter table bank.embeddings
  alter item_id set statistics 0,
  alter model set statistics 0,
  alter digest set statistics 0;
