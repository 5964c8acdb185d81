-- Notes, tasks, comments, chats and their messages (R3.1). server/src/entities/ says what tools make of these columns; a test compares
-- the two.

-- The language proper of a tag such as en-GB (RFC 5646); en where there is none.
create function bank.plain_language(p_language text) returns text
  language sql immutable parallel safe
return lower(split_part(coalesce(nullif(p_language, ''), 'en'), '-', 1));

-- The text search configuration of a language tag (RFC 5646): english where there is none, simple where it isn't known.
create function bank.text_config(p_language text) returns regconfig
  language sql immutable parallel safe
return case bank.plain_language(p_language)
  when 'en' then 'pg_catalog.english'::regconfig
  when 'de' then 'pg_catalog.german'::regconfig
  when 'fr' then 'pg_catalog.french'::regconfig
  when 'es' then 'pg_catalog.spanish'::regconfig
  when 'it' then 'pg_catalog.italian'::regconfig
  when 'pt' then 'pg_catalog.portuguese'::regconfig
  when 'nl' then 'pg_catalog.dutch'::regconfig
  when 'sv' then 'pg_catalog.swedish'::regconfig
  when 'da' then 'pg_catalog.danish'::regconfig
  when 'no' then 'pg_catalog.norwegian'::regconfig
  when 'fi' then 'pg_catalog.finnish'::regconfig
  when 'ru' then 'pg_catalog.russian'::regconfig
  when 'tr' then 'pg_catalog.turkish'::regconfig
  when 'hu' then 'pg_catalog.hungarian'::regconfig
  when 'ro' then 'pg_catalog.romanian'::regconfig
  else 'pg_catalog.simple'::regconfig
end;

-- Title (weight A), words of second rank (B) and body (D) in the row's language.
create function bank.text_document(p_language text, p_title text, p_second text[], p_body text) returns tsvector
  language sql immutable parallel safe
return setweight(to_tsvector(bank.text_config(p_language), coalesce(p_title, '')), 'A')
    || setweight(to_tsvector(bank.text_config(p_language), coalesce(array_to_string(p_second, ' '), '')), 'B')
    || to_tsvector(bank.text_config(p_language), coalesce(p_body, ''));

-- <bank>:<configuration>, and <bank>/<vault>:<configuration> for a row in a vault: what a search looks into. They stand in
-- the index beside the document, and a search has no other condition that an index could serve: see 0008 for why.
create function bank.entity_scopes(p_bank text, p_vault text, p_language text) returns text[]
  language sql immutable parallel safe
return case
  when p_vault is null then array[p_bank || ':' || bank.text_config(p_language)]
  else array[p_bank || ':' || bank.text_config(p_language), p_bank || '/' || p_vault || ':' || bank.text_config(p_language)]
end;

-- What triggers below do is said in ../functions/entities.sql; until then, nothing.
create function bank.stamp() returns trigger language plpgsql as $$begin return new; end$$;
create function bank.check_recording() returns trigger language plpgsql as $$begin return new; end$$;
create function bank.follow_chat() returns trigger language plpgsql as $$begin return new; end$$;
create function bank.follow_parent() returns trigger language plpgsql as $$begin return new; end$$;
create function bank.move_children() returns trigger language plpgsql as $$begin return null; end$$;
create function bank.delete_comments() returns trigger language plpgsql as $$begin return null; end$$;
create function bank.follow_migration() returns trigger language plpgsql as $$begin return null; end$$;
create function bank.follow_recording() returns trigger language plpgsql as $$begin return null; end$$;
create function bank.follow_fathom_call() returns trigger language plpgsql as $$begin return null; end$$;

create table bank.notes (
  bank_id text collate "C" not null references bank.banks,
  id uuid not null default gen_random_uuid(),
  -- null: in no vault, so only for callers who may see all
  vault_id text collate "C",
  version int not null default 1 check (version > 0),
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null,
  updated_at timestamptz not null default clock_timestamp(),
  updated_by text not null,
  archived_at timestamptz,
  status text collate "C" not null default 'draft' check (status in ('draft', 'final')),
  title text not null check (length(title) between 1 and 300),
  body text not null default '' check (length(body) <= 100000),
  pinned boolean not null default false,
  tags text[] not null default '{}' check (cardinality(tags) <= 20),
  -- a call, by the id that bank.get_recording takes
  recording_id text collate "C",
  language text collate "C" check (language ~ '^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}$'),
  document tsvector not null generated always as (bank.text_document(language, title, tags, body)) stored,
  primary key (bank_id, id),
  foreign key (bank_id, vault_id) references bank.vaults
);

create table bank.tasks (
  bank_id text collate "C" not null references bank.banks,
  id uuid not null default gen_random_uuid(),
  vault_id text collate "C",
  version int not null default 1 check (version > 0),
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null,
  updated_at timestamptz not null default clock_timestamp(),
  updated_by text not null,
  archived_at timestamptz,
  status text collate "C" not null default 'open' check (status in ('open', 'in_progress', 'done', 'cancelled')),
  title text not null check (length(title) between 1 and 300),
  description text not null default '' check (length(description) <= 100000),
  priority text collate "C" not null default 'normal' check (priority in ('low', 'normal', 'high', 'urgent')),
  due_at timestamptz,
  assignee text check (length(assignee) between 1 and 320),
  tags text[] not null default '{}' check (cardinality(tags) <= 20),
  recording_id text collate "C",
  completed_at timestamptz,
  language text collate "C" check (language ~ '^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}$'),
  document tsvector not null generated always as (bank.text_document(language, title, tags, description)) stored,
  primary key (bank_id, id),
  foreign key (bank_id, vault_id) references bank.vaults,
  check ((status = 'done') = (completed_at is not null))
);

create table bank.chats (
  bank_id text collate "C" not null references bank.banks,
  id uuid not null default gen_random_uuid(),
  vault_id text collate "C",
  version int not null default 1 check (version > 0),
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null,
  updated_at timestamptz not null default clock_timestamp(),
  updated_by text not null,
  archived_at timestamptz,
  status text collate "C" not null default 'open' check (status in ('open', 'closed')),
  title text not null check (length(title) between 1 and 300),
  participants text[] not null default '{}' check (cardinality(participants) <= 50),
  tags text[] not null default '{}' check (cardinality(tags) <= 20),
  recording_id text collate "C",
  language text collate "C" check (language ~ '^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}$'),
  document tsvector not null generated always as (bank.text_document(language, title, tags || participants, '')) stored,
  primary key (bank_id, id),
  foreign key (bank_id, vault_id) references bank.vaults
);

create table bank.chat_messages (
  bank_id text collate "C" not null references bank.banks,
  id uuid not null default gen_random_uuid(),
  -- the chat's own, kept by triggers
  vault_id text collate "C",
  version int not null default 1 check (version > 0),
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null,
  updated_at timestamptz not null default clock_timestamp(),
  updated_by text not null,
  archived_at timestamptz,
  status text collate "C" not null default 'sent' check (status in ('sent', 'pinned', 'redacted')),
  chat_id uuid not null,
  role text collate "C" not null default 'user' check (role in ('user', 'assistant', 'system')),
  author text check (length(author) between 1 and 320),
  body text not null check (length(body) <= 100000),
  reply_to uuid,
  language text collate "C" check (language ~ '^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}$'),
  document tsvector not null generated always as (bank.text_document(language, '', '{}', body)) stored,
  primary key (bank_id, id),
  unique (bank_id, chat_id, id),
  foreign key (bank_id, vault_id) references bank.vaults,
  constraint chat_messages_chat foreign key (bank_id, chat_id) references bank.chats on delete cascade,
  constraint chat_messages_reply_to foreign key (bank_id, chat_id, reply_to)
    references bank.chat_messages (bank_id, chat_id, id) on delete set null (reply_to)
    -- an import brings messages in the order of their ids
    deferrable,
  constraint chat_messages_redacted check ((status = 'redacted') = (body = ''))
);

create table bank.comments (
  bank_id text collate "C" not null references bank.banks,
  id uuid not null default gen_random_uuid(),
  -- the parent's own, kept by triggers; of a recording in several vaults, one of them
  vault_id text collate "C",
  version int not null default 1 check (version > 0),
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null,
  updated_at timestamptz not null default clock_timestamp(),
  updated_by text not null,
  archived_at timestamptz,
  status text collate "C" not null default 'open' check (status in ('open', 'resolved')),
  parent_type text collate "C" not null check (parent_type in ('recording', 'note', 'task', 'chat')),
  parent_id text collate "C" not null,
  body text not null check (length(body) between 1 and 100000),
  language text collate "C" check (language ~ '^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}$'),
  document tsvector not null generated always as (bank.text_document(language, '', '{}', body)) stored,
  primary key (bank_id, id),
  foreign key (bank_id, vault_id) references bank.vaults
);

-- Indexes end with the vault: a caller of some vaults reads nothing of the others, not even to pass it over.
create index notes_newest on bank.notes (bank_id, created_at desc, id desc, vault_id);
create index notes_changed on bank.notes (bank_id, updated_at desc, id desc, vault_id);
create index notes_vault on bank.notes (bank_id, vault_id, created_at desc, id desc);
create index notes_search on bank.notes
  using gin (document, bank.entity_scopes(bank_id, vault_id, language)) with (gin_pending_list_limit = 512);
create index tasks_newest on bank.tasks (bank_id, created_at desc, id desc, vault_id);
create index tasks_changed on bank.tasks (bank_id, updated_at desc, id desc, vault_id);
create index tasks_vault on bank.tasks (bank_id, vault_id, created_at desc, id desc);
create index tasks_search on bank.tasks
  using gin (document, bank.entity_scopes(bank_id, vault_id, language)) with (gin_pending_list_limit = 512);
create index chats_newest on bank.chats (bank_id, created_at desc, id desc, vault_id);
create index chats_changed on bank.chats (bank_id, updated_at desc, id desc, vault_id);
create index chats_vault on bank.chats (bank_id, vault_id, created_at desc, id desc);
create index chats_search on bank.chats
  using gin (document, bank.entity_scopes(bank_id, vault_id, language)) with (gin_pending_list_limit = 512);
create index chat_messages_newest on bank.chat_messages (bank_id, created_at desc, id desc, vault_id);
create index chat_messages_changed on bank.chat_messages (bank_id, updated_at desc, id desc, vault_id);
create index chat_messages_vault on bank.chat_messages (bank_id, vault_id, created_at desc, id desc);
create index chat_messages_search on bank.chat_messages
  using gin (document, bank.entity_scopes(bank_id, vault_id, language)) with (gin_pending_list_limit = 512);
create index comments_newest on bank.comments (bank_id, created_at desc, id desc, vault_id);
create index comments_changed on bank.comments (bank_id, updated_at desc, id desc, vault_id);
create index comments_vault on bank.comments (bank_id, vault_id, created_at desc, id desc);
create index comments_search on bank.comments
  using gin (document, bank.entity_scopes(bank_id, vault_id, language)) with (gin_pending_list_limit = 512);
create index notes_recording on bank.notes (bank_id, recording_id, vault_id) where recording_id is not null;
create index tasks_recording on bank.tasks (bank_id, recording_id, vault_id) where recording_id is not null;
create index chats_recording on bank.chats (bank_id, recording_id, vault_id) where recording_id is not null;
create index comments_parent on bank.comments (bank_id, parent_type, parent_id, created_at desc, id desc, vault_id);
create index chat_messages_chat on bank.chat_messages (bank_id, chat_id, created_at desc, id desc, vault_id);
create index tasks_due on bank.tasks (bank_id, due_at, id, vault_id) where due_at is not null;

do $$
begin
  alter table bank.notes alter document set compression lz4;
  alter table bank.tasks alter document set compression lz4;
  alter table bank.chats alter document set compression lz4;
  alter table bank.chat_messages alter document set compression lz4;
  alter table bank.comments alter document set compression lz4;
exception when feature_not_supported then
  null;
end
$$;

alter table bank.notes enable row level security;
alter table bank.notes force row level security;
create policy all_banks on bank.notes to bankhouse_data using (true) with check (true);
alter table bank.tasks enable row level security;
alter table bank.tasks force row level security;
create policy all_banks on bank.tasks to bankhouse_data using (true) with check (true);
alter table bank.chats enable row level security;
alter table bank.chats force row level security;
create policy all_banks on bank.chats to bankhouse_data using (true) with check (true);
alter table bank.chat_messages enable row level security;
alter table bank.chat_messages force row level security;
create policy all_banks on bank.chat_messages to bankhouse_data using (true) with check (true);
alter table bank.comments enable row level security;
alter table bank.comments force row level security;
create policy all_banks on bank.comments to bankhouse_data using (true) with check (true);
grant select, insert, update, delete on bank.notes, bank.tasks, bank.chats, bank.chat_messages, bank.comments
  to bankhouse_data;

-- The second lock under what is in schema api: rows of the caller's bank and vaults, changed where the assertion writes.
create policy own_vaults on bank.notes for select to bankhouse_api
  using (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])));
create policy own_vaults_insert on bank.notes for insert to bankhouse_api
  with check (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()));
create policy own_vaults_update on bank.notes for update to bankhouse_api
  using (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()))
  with check (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()));
create policy own_vaults_delete on bank.notes for delete to bankhouse_api
  using (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()));
create policy own_vaults on bank.tasks for select to bankhouse_api
  using (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])));
create policy own_vaults_insert on bank.tasks for insert to bankhouse_api
  with check (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()));
create policy own_vaults_update on bank.tasks for update to bankhouse_api
  using (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()))
  with check (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()));
create policy own_vaults_delete on bank.tasks for delete to bankhouse_api
  using (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()));
create policy own_vaults on bank.chats for select to bankhouse_api
  using (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])));
create policy own_vaults_insert on bank.chats for insert to bankhouse_api
  with check (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()));
create policy own_vaults_update on bank.chats for update to bankhouse_api
  using (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()))
  with check (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()));
create policy own_vaults_delete on bank.chats for delete to bankhouse_api
  using (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()));
create policy own_vaults on bank.chat_messages for select to bankhouse_api
  using (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])));
create policy own_vaults_insert on bank.chat_messages for insert to bankhouse_api
  with check (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()));
create policy own_vaults_update on bank.chat_messages for update to bankhouse_api
  using (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()))
  with check (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()));
create policy own_vaults_delete on bank.chat_messages for delete to bankhouse_api
  using (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()));
create policy own_vaults on bank.comments for select to bankhouse_api
  using (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])));
create policy own_vaults_insert on bank.comments for insert to bankhouse_api
  with check (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()));
create policy own_vaults_update on bank.comments for update to bankhouse_api
  using (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()))
  with check (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()));
create policy own_vaults_delete on bank.comments for delete to bankhouse_api
  using (bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[])) and (select bank.may_write()));
grant select, insert, delete on bank.notes, bank.tasks, bank.chats, bank.chat_messages, bank.comments to bankhouse_api;
grant update (vault_id, archived_at, status, title, body, pinned, tags, recording_id, language) on bank.notes to bankhouse_api;
grant update (vault_id, archived_at, status, title, description, priority, due_at, assignee, tags, recording_id, completed_at, language)
  on bank.tasks to bankhouse_api;
grant update (vault_id, archived_at, status, title, participants, tags, recording_id, language) on bank.chats to bankhouse_api;
grant update (vault_id, archived_at, status, author, body, language) on bank.chat_messages to bankhouse_api;
grant update (vault_id, archived_at, status, body, language) on bank.comments to bankhouse_api;

-- Names order triggers of one kind: what sets the vault comes before what policies then check.
create trigger check_recording before insert or update of recording_id on bank.notes
  for each row execute function bank.check_recording();
create trigger check_recording before insert or update of recording_id on bank.tasks
  for each row execute function bank.check_recording();
create trigger check_recording before insert or update of recording_id on bank.chats
  for each row execute function bank.check_recording();
create trigger follow_chat before insert or update of chat_id, vault_id on bank.chat_messages
  for each row execute function bank.follow_chat();
create trigger follow_parent before insert or update of parent_type, parent_id, vault_id on bank.comments
  for each row execute function bank.follow_parent();
create trigger stamp before insert or update on bank.notes
  for each row execute function bank.stamp();
create trigger stamp before insert or update on bank.tasks
  for each row execute function bank.stamp();
create trigger stamp before insert or update on bank.chats
  for each row execute function bank.stamp();
create trigger stamp before insert or update on bank.chat_messages
  for each row execute function bank.stamp();
create trigger stamp before insert or update on bank.comments
  for each row execute function bank.stamp();

create trigger move_children after update of vault_id on bank.notes
  for each row when (new.vault_id is distinct from old.vault_id) execute function bank.move_children('note');
create trigger delete_comments after delete on bank.notes
  for each row execute function bank.delete_comments('note');
create trigger move_children after update of vault_id on bank.tasks
  for each row when (new.vault_id is distinct from old.vault_id) execute function bank.move_children('task');
create trigger delete_comments after delete on bank.tasks
  for each row execute function bank.delete_comments('task');
create trigger move_children after update of vault_id on bank.chats
  for each row when (new.vault_id is distinct from old.vault_id) execute function bank.move_children('chat');
create trigger delete_comments after delete on bank.chats
  for each row execute function bank.delete_comments('chat');
create trigger delete_comments after delete on bank.recordings
  for each row execute function bank.delete_comments('recording');
create trigger delete_comments after delete on bank.fathom_calls
  for each row execute function bank.delete_comments('recording');
create trigger follow_migration after insert or update of legacy_id on bank.recordings
  for each row when (new.legacy_id is not null) execute function bank.follow_migration();
create constraint trigger follow_recording after insert or update of vault_id or delete on bank.vault_entries
  deferrable initially deferred for each row execute function bank.follow_recording();
create trigger follow_fathom_call after update of vault_id on bank.fathom_calls
  for each row when (new.vault_id is distinct from old.vault_id) execute function bank.follow_fathom_call();
