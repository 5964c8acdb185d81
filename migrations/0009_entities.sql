-- Notes, tasks, comments, chats and their messages (R3.1): written by the bank's own role, under its policies (R1.6).
-- server/src/entities/ says what tools make of these columns.

-- Title (weight A), words of second rank (B) and body (D) in the row's language.
create function bank.text_document(p_language text, p_title text, p_second text[], p_body text) returns tsvector
  language sql immutable parallel safe
return setweight(to_tsvector(bank.text_config(p_language), coalesce(p_title, '')), 'A')
    || setweight(to_tsvector(bank.text_config(p_language), coalesce(array_to_string(p_second, ' '), '')), 'B')
    || to_tsvector(bank.text_config(p_language), coalesce(p_body, ''));

create table bank.notes (
  bank_id text collate "C" not null default bank.me() references bank.banks,
  id uuid not null default gen_random_uuid(),
  -- null: in no vault, so only for callers who may see all
  vault_id text collate "C",
  version int not null default 1 check (version > 0),
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null default bank.subject(),
  updated_at timestamptz not null default clock_timestamp(),
  updated_by text not null default bank.subject(),
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
  bank_id text collate "C" not null default bank.me() references bank.banks,
  id uuid not null default gen_random_uuid(),
  vault_id text collate "C",
  version int not null default 1 check (version > 0),
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null default bank.subject(),
  updated_at timestamptz not null default clock_timestamp(),
  updated_by text not null default bank.subject(),
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
  bank_id text collate "C" not null default bank.me() references bank.banks,
  id uuid not null default gen_random_uuid(),
  vault_id text collate "C",
  version int not null default 1 check (version > 0),
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null default bank.subject(),
  updated_at timestamptz not null default clock_timestamp(),
  updated_by text not null default bank.subject(),
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
  bank_id text collate "C" not null default bank.me() references bank.banks,
  id uuid not null default gen_random_uuid(),
  -- the chat's own, kept by triggers
  vault_id text collate "C",
  version int not null default 1 check (version > 0),
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null default bank.subject(),
  updated_at timestamptz not null default clock_timestamp(),
  updated_by text not null default bank.subject(),
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
  bank_id text collate "C" not null default bank.me() references bank.banks,
  id uuid not null default gen_random_uuid(),
  -- the parent's own, kept by triggers; of a recording in several vaults, one of them
  vault_id text collate "C",
  version int not null default 1 check (version > 0),
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null default bank.subject(),
  updated_at timestamptz not null default clock_timestamp(),
  updated_by text not null default bank.subject(),
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

create index comments_parent on bank.comments (bank_id, parent_type, parent_id, created_at desc, id desc);
create index chat_messages_chat on bank.chat_messages (bank_id, chat_id, created_at desc, id desc);
create index tasks_due on bank.tasks (bank_id, due_at, id) where due_at is not null;

do $$
declare
  wanted text;
begin
  foreach wanted in array array['notes', 'tasks', 'comments', 'chats', 'chat_messages'] loop
    execute format('create index %1$s_newest on bank.%1$I (bank_id, created_at desc, id desc)', wanted);
    execute format('create index %1$s_changed on bank.%1$I (bank_id, updated_at desc, id desc)', wanted);
    execute format('create index %1$s_vault on bank.%1$I (bank_id, vault_id, created_at desc, id desc)', wanted);
    execute format('alter table bank.%I enable row level security', wanted);
    execute format('alter table bank.%I force row level security', wanted);
    execute format('create policy all_banks on bank.%I to bankhouse_data using (true) with check (true)', wanted);
    execute format('grant select, insert, update, delete on bank.%I to bankhouse_data', wanted);
    execute format('grant select, insert on bank.%I to bankhouse_bank', wanted);
    -- By column and without DELETE: who has either on the table as a whole may lock it, against every bank.
    execute format('grant update (%2$s) on bank.%1$I to bankhouse_bank', wanted, (
      select string_agg(quote_ident(attname), ', ') from pg_catalog.pg_attribute
       where attrelid = format('bank.%I', wanted)::regclass and attnum > 0 and attgenerated = ''
         and attname <> all (array[
           'bank_id', 'id', 'version', 'created_at', 'created_by', 'updated_at', 'updated_by'
         ]::name[])
    ));
    execute format(
      $f$create policy own_vaults on bank.%1$I for select to bankhouse_bank
           using (%2$s);
         create policy own_vaults_insert on bank.%1$I for insert to bankhouse_bank
           with check (%2$s and (select bank.may_write()));
         create policy own_vaults_update on bank.%1$I for update to bankhouse_bank
           using (%2$s and (select bank.may_write())) with check (%2$s and (select bank.may_write()))$f$,
      wanted,
      'bank_id = (select bank.me()) and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[]))'
    );
  end loop;
  foreach wanted in array array['notes', 'tasks', 'chats'] loop
    execute format(
      'create index %1$s_recording on bank.%1$I (bank_id, recording_id) where recording_id is not null', wanted);
  end loop;
end
$$;

-- Deletes rows of one of these tables, of those that the caller may change, and gives the ids of the deleted.
--   p_version: only a row that is at this version
create function bank.delete_rows(p_table text, p_ids uuid[], p_version int default null) returns setof uuid
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  my_bank constant text := bank.me();
  scope constant record := bank.open_assertion();
begin
  if p_table is null or p_table <> all (array['notes', 'tasks', 'comments', 'chats', 'chat_messages']) then
    raise exception 'rows of % are not deleted here', p_table using errcode = 'insufficient_privilege';
  end if;
  if my_bank is null or not scope.may_write then return; end if;
  return query execute format(
    'delete from bank.%I where bank_id = $1 and id = any ($2) and ($3 or vault_id = any ($4))
       and ($5 is null or version = $5) returning id', p_table
  ) using my_bank, p_ids, scope.all_vaults, scope.vaults, p_version;
end
$$;

-- Who wrote and when, and the version that update and patch compare: never what a bank's server claims. For sessions that
-- stand for no bank (the importer) the values given are kept.
create function bank.stamp() returns trigger
  language plpgsql set search_path = pg_catalog
as $$
declare
  subject text;
begin
  if bank.me() is null then return new; end if;
  subject := bank.subject();
  if tg_op = 'INSERT' then
    new.version := 1;
    new.created_at := clock_timestamp();
    new.created_by := subject;
    new.updated_at := new.created_at;
  else
    if (new.bank_id, new.id) is distinct from (old.bank_id, old.id) then
      raise exception 'a row keeps its bank and its id' using errcode = 'insufficient_privilege';
    end if;
    new.version := old.version + 1;
    new.created_at := old.created_at;
    new.created_by := old.created_by;
    new.updated_at := clock_timestamp();
  end if;
  new.updated_by := coalesce(subject, old.updated_by);
  return new;
end
$$;

-- A row names only a call that its writer may see, by the call's present id.
create function bank.check_recording() returns trigger
  language plpgsql set search_path = pg_catalog
as $$
declare
  wanted constant text := new.recording_id;
begin
  if wanted is null or bank.me() is null then return new; end if;
  if tg_op = 'UPDATE' and wanted is not distinct from old.recording_id then return new; end if;
  select r.id into new.recording_id from bank.get_recording(wanted) r;
  if not found then
    raise exception 'there is no such recording'
      using errcode = 'foreign_key_violation', constraint = 'recording_visible';
  end if;
  return new;
end
$$;

-- A message is in its chat's vault. FOR SHARE: a chat that is being moved takes along what is just being written.
create function bank.follow_chat() returns trigger
  language plpgsql set search_path = pg_catalog
as $$
declare
  chat_status text;
begin
  if bank.me() is null then return new; end if;
  if tg_op = 'UPDATE' and new.chat_id <> old.chat_id then
    raise exception 'a message stays in its chat' using errcode = 'check_violation', constraint = 'chat_messages_stay';
  end if;
  select c.vault_id, c.status into new.vault_id, chat_status from bank.chats c
   where c.bank_id = new.bank_id and c.id = new.chat_id for share;
  if not found then
    raise exception 'there is no such chat' using errcode = 'foreign_key_violation', constraint = 'chat_messages_chat';
  end if;
  if tg_op = 'INSERT' and chat_status = 'closed' then
    raise exception 'the chat is closed' using errcode = 'check_violation', constraint = 'chat_messages_closed';
  end if;
  return new;
end
$$;

-- A comment is in its parent's vault.
create function bank.follow_parent() returns trigger
  language plpgsql set search_path = pg_catalog
as $$
declare
  vaults text[];
  wanted constant text := new.vault_id;
begin
  if bank.me() is null then return new; end if;
  if tg_op = 'UPDATE' and (new.parent_type, new.parent_id) is distinct from (old.parent_type, old.parent_id) then
    raise exception 'a comment stays with its parent' using errcode = 'check_violation', constraint = 'comments_stay';
  end if;
  if new.parent_type = 'recording' then
    if tg_op = 'UPDATE' and new.vault_id is not distinct from old.vault_id then return new; end if;
    select r.id, r.vault_ids into new.parent_id, vaults from bank.get_recording(new.parent_id) r;
    if not found then
      raise exception 'there is no such recording' using errcode = 'foreign_key_violation', constraint = 'comments_parent';
    end if;
    if wanted is null and cardinality(vaults) < 2 then
      new.vault_id := vaults[1];
    elsif wanted is null or wanted <> all (vaults) then
      raise exception 'the recording is in the vaults %: name one of them', array_to_string(vaults, ', ')
        using errcode = 'check_violation', constraint = 'comments_vault_ambiguous',
              detail = array_to_json(vaults)::text;
    end if;
    return new;
  end if;
  if new.parent_id !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    raise exception 'there is no such parent' using errcode = 'foreign_key_violation', constraint = 'comments_parent';
  end if;
  case new.parent_type
    when 'note' then
      select p.vault_id into new.vault_id from bank.notes p
       where p.bank_id = new.bank_id and p.id = new.parent_id::uuid for share;
    when 'task' then
      select p.vault_id into new.vault_id from bank.tasks p
       where p.bank_id = new.bank_id and p.id = new.parent_id::uuid for share;
    else
      select p.vault_id into new.vault_id from bank.chats p
       where p.bank_id = new.bank_id and p.id = new.parent_id::uuid for share;
  end case;
  if not found then
    raise exception 'there is no such parent' using errcode = 'foreign_key_violation', constraint = 'comments_parent';
  end if;
  if wanted is not null and wanted is distinct from new.vault_id then
    raise exception 'a comment is in the vault of its parent'
      using errcode = 'check_violation', constraint = 'comments_vault_of_parent';
  end if;
  return new;
end
$$;

do $$
declare
  wanted text;
begin
  -- Names order triggers of one kind: what sets the vault comes before what policies then check.
  foreach wanted in array array['notes', 'tasks', 'comments', 'chats', 'chat_messages'] loop
    execute format('create trigger stamp before insert or update on bank.%I
      for each row execute function bank.stamp()', wanted);
  end loop;
  foreach wanted in array array['notes', 'tasks', 'chats'] loop
    execute format('create trigger check_recording before insert or update of recording_id on bank.%I
      for each row execute function bank.check_recording()', wanted);
  end loop;
end
$$;
create trigger follow_chat before insert or update of chat_id, vault_id on bank.chat_messages
  for each row execute function bank.follow_chat();
create trigger follow_parent before insert or update of parent_type, parent_id, vault_id on bank.comments
  for each row execute function bank.follow_parent();

-- What is below a row goes where the row goes, and ends with it, also what its mover could not see.
create function bank.move_children() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  update bank.comments c set vault_id = new.vault_id
   where c.bank_id = new.bank_id and c.parent_type = tg_argv[0] and c.parent_id = new.id::text
     and c.vault_id is distinct from new.vault_id;
  if tg_argv[0] = 'chat' then
    update bank.chat_messages m set vault_id = new.vault_id
     where m.bank_id = new.bank_id and m.chat_id = new.id and m.vault_id is distinct from new.vault_id;
  end if;
  return null;
end
$$;
create function bank.delete_comments() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  parent text;
begin
  if tg_argv[0] = 'recording' then
    parent := old.call_id;
  else
    parent := old.id::text;
  end if;
  delete from bank.comments c
   where c.bank_id = old.bank_id and c.parent_type = tg_argv[0] and c.parent_id = parent;
  return null;
end
$$;
do $$
declare
  kind text;
begin
  foreach kind in array array['note', 'task', 'chat'] loop
    execute format('create trigger move_children after update of vault_id on bank.%I
      for each row when (new.vault_id is distinct from old.vault_id)
      execute function bank.move_children(%L)', kind || 's', kind);
    execute format('create trigger delete_comments after delete on bank.%I
      for each row execute function bank.delete_comments(%L)', kind || 's', kind);
  end loop;
end
$$;
create trigger delete_comments after delete on bank.recordings
  for each row execute function bank.delete_comments('recording');
create trigger delete_comments after delete on bank.fathom_calls
  for each row execute function bank.delete_comments('recording');

-- A migrated call has a new id: what names the old one follows.
create function bank.follow_migration() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  former constant text := 'fathom-' || new.legacy_id;
begin
  update bank.comments c set parent_id = new.call_id
   where c.bank_id = new.bank_id and c.parent_type = 'recording' and c.parent_id = former;
  update bank.notes n set recording_id = new.call_id where n.bank_id = new.bank_id and n.recording_id = former;
  update bank.tasks t set recording_id = new.call_id where t.bank_id = new.bank_id and t.recording_id = former;
  update bank.chats c set recording_id = new.call_id where c.bank_id = new.bank_id and c.recording_id = former;
  return null;
end
$$;
create trigger follow_migration after insert or update of legacy_id on bank.recordings
  for each row when (new.legacy_id is not null) execute function bank.follow_migration();

-- A comment does not stay behind in a vault that its recording has left, nor outside of all when it has come into one.
create function bank.follow_recording() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  entry constant record := case when tg_op = 'DELETE' then old else new end;
  present constant text[] := array(
    select e.vault_id from bank.vault_entries e
     where e.bank_id = entry.bank_id and e.recording_id = entry.recording_id order by e.vault_id
  );
begin
  if cardinality(present) = 0 then return null; end if;
  update bank.comments c set vault_id = present[1]
   where c.bank_id = entry.bank_id and c.parent_type = 'recording' and c.parent_id = entry.recording_id::text
     and (c.vault_id is null or c.vault_id <> all (present));
  return null;
end
$$;
create constraint trigger follow_recording after insert or update of vault_id or delete on bank.vault_entries
  deferrable initially deferred for each row execute function bank.follow_recording();

create function bank.follow_fathom_call() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  update bank.comments c set vault_id = new.vault_id
   where c.bank_id = new.bank_id and c.parent_type = 'recording' and c.parent_id = new.call_id
     and c.vault_id is distinct from new.vault_id;
  return null;
end
$$;
create trigger follow_fathom_call after update of vault_id on bank.fathom_calls
  for each row when (new.vault_id is distinct from old.vault_id) execute function bank.follow_fathom_call();

grant create on schema bank to bankhouse_data;
alter function bank.delete_rows(text, uuid[], int) owner to bankhouse_data;
alter function bank.move_children() owner to bankhouse_data;
alter function bank.delete_comments() owner to bankhouse_data;
alter function bank.follow_migration() owner to bankhouse_data;
alter function bank.follow_recording() owner to bankhouse_data;
alter function bank.follow_fathom_call() owner to bankhouse_data;
revoke create on schema bank from bankhouse_data;

revoke all on all functions in schema bank from public;
grant execute on function bank.text_document(text, text, text[], text), bank.lowered(text[])
  to bankhouse_bank, bankhouse_data;
grant execute on function bank.delete_rows(text, uuid[], int) to bankhouse_bank;
