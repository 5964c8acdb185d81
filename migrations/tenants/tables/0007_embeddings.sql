-- Meaning of texts as vectors (R3.12): one row per passage of a recording or of a row of notes, tasks, comments, chats and
-- chat_messages. The vectors come from an endpoint outside; without one this table stays empty. They are a cache of what
-- can be made again, so nothing else refers to them.

-- What triggers below do is said in ../functions/embeddings.sql; until then, nothing.
create function bank.forget_embeddings() returns trigger language plpgsql as $$begin return null; end$$;
create function bank.move_embeddings() returns trigger language plpgsql as $$begin return null; end$$;
create function bank.place_embeddings() returns trigger language plpgsql as $$begin return null; end$$;

create table bank.embeddings (
  bank_id text collate "C" not null references bank.banks,
  kind text collate "C" not null check (kind in ('recording', 'note', 'task', 'comment', 'chat', 'chat_message')),
  -- a call's id, or the row's uuid
  item_id text collate "C" not null,
  -- counted from 0; all passages of an item are there, or none
  passage int not null check (passage >= 0),
  -- the item's own, kept by triggers; none: only for callers who may see all
  vault_ids text[] not null,
  -- when the call began or the row was made
  at timestamptz not null,
  model text collate "C" not null check (length(model) between 1 and 200),
  dimensions int not null check (dimensions between 1 and 8192),
  -- of the text that was embedded
  digest bytea not null check (octet_length(digest) = 32),
  -- of length 1
  embedding real[] not null check (cardinality(embedding) = dimensions),
  primary key (bank_id, kind, item_id, passage)
);
create index embeddings_newest on bank.embeddings (bank_id, model, dimensions, kind, at desc);
-- Random numbers don't compress.
alter table bank.embeddings alter embedding set storage external;

alter table bank.embeddings enable row level security;
alter table bank.embeddings force row level security;
create policy all_banks on bank.embeddings to bankhouse_data using (true) with check (true);
grant select, insert, update, delete on bank.embeddings to bankhouse_data;
-- Written through bank.keep_embeddings alone, which compares with the text that is there.
create policy own_vaults on bank.embeddings for select to bankhouse_api
  using (
    bank_id = (select bank.me())
    and ((select bank.all_vaults()) or vault_ids && (select bank.vault_scope())::text[])
  );
grant select on bank.embeddings to bankhouse_api;

create trigger forget_embeddings after update of title, summary, transcript, started_at on bank.recordings
  for each row when (
    new.title is distinct from old.title
    or new.summary is distinct from old.summary
    or new.transcript is distinct from old.transcript
    or new.started_at is distinct from old.started_at)
  execute function bank.forget_embeddings('recording');
create trigger forget_deleted_embeddings after delete on bank.recordings
  for each row execute function bank.forget_embeddings('recording');
create trigger forget_embeddings after update of title, summary, transcript, recording_start_time, recording_end_time, migrated on bank.fathom_calls
  for each row when (
    new.title is distinct from old.title
    or new.summary is distinct from old.summary
    or new.transcript is distinct from old.transcript
    or new.recording_start_time is distinct from old.recording_start_time
    or new.recording_end_time is distinct from old.recording_end_time
    or new.migrated is distinct from old.migrated)
  execute function bank.forget_embeddings('recording');
create trigger forget_deleted_embeddings after delete on bank.fathom_calls
  for each row execute function bank.forget_embeddings('recording');
create trigger move_embeddings after update of vault_id on bank.fathom_calls
  for each row when (new.vault_id is distinct from old.vault_id) execute function bank.move_embeddings('recording');
create trigger forget_embeddings after update of title, body, archived_at on bank.notes
  for each row when (
    new.title is distinct from old.title
    or new.body is distinct from old.body
    or new.archived_at is distinct from old.archived_at)
  execute function bank.forget_embeddings('note');
create trigger forget_deleted_embeddings after delete on bank.notes
  for each row execute function bank.forget_embeddings('note');
create trigger move_embeddings after update of vault_id on bank.notes
  for each row when (new.vault_id is distinct from old.vault_id) execute function bank.move_embeddings('note');
create trigger forget_embeddings after update of title, description, archived_at on bank.tasks
  for each row when (
    new.title is distinct from old.title
    or new.description is distinct from old.description
    or new.archived_at is distinct from old.archived_at)
  execute function bank.forget_embeddings('task');
create trigger forget_deleted_embeddings after delete on bank.tasks
  for each row execute function bank.forget_embeddings('task');
create trigger move_embeddings after update of vault_id on bank.tasks
  for each row when (new.vault_id is distinct from old.vault_id) execute function bank.move_embeddings('task');
create trigger forget_embeddings after update of title, archived_at on bank.chats
  for each row when (
    new.title is distinct from old.title
    or new.archived_at is distinct from old.archived_at)
  execute function bank.forget_embeddings('chat');
create trigger forget_deleted_embeddings after delete on bank.chats
  for each row execute function bank.forget_embeddings('chat');
create trigger move_embeddings after update of vault_id on bank.chats
  for each row when (new.vault_id is distinct from old.vault_id) execute function bank.move_embeddings('chat');
create trigger forget_embeddings after update of body, archived_at on bank.comments
  for each row when (
    new.body is distinct from old.body
    or new.archived_at is distinct from old.archived_at)
  execute function bank.forget_embeddings('comment');
create trigger forget_deleted_embeddings after delete on bank.comments
  for each row execute function bank.forget_embeddings('comment');
create trigger move_embeddings after update of vault_id on bank.comments
  for each row when (new.vault_id is distinct from old.vault_id) execute function bank.move_embeddings('comment');
create trigger forget_embeddings after update of body, archived_at on bank.chat_messages
  for each row when (
    new.body is distinct from old.body
    or new.archived_at is distinct from old.archived_at)
  execute function bank.forget_embeddings('chat_message');
create trigger forget_deleted_embeddings after delete on bank.chat_messages
  for each row execute function bank.forget_embeddings('chat_message');
create trigger move_embeddings after update of vault_id on bank.chat_messages
  for each row when (new.vault_id is distinct from old.vault_id) execute function bank.move_embeddings('chat_message');
create trigger place_added after insert on bank.vault_entries referencing new table as changed
  for each statement execute function bank.place_embeddings();
create trigger place_moved after update on bank.vault_entries referencing new table as changed
  for each statement execute function bank.place_embeddings();
create trigger place_removed after delete on bank.vault_entries referencing old table as changed
  for each statement execute function bank.place_embeddings();
