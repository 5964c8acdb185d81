-- Notes, tasks, comments, chats and their messages: what triggers keep right about them, whoever writes.

-- Who wrote and when, and the version that update and patch compare: never what a bank's server claims. For sessions that
-- stand for no bank (the importer) the values given are kept.
create or replace function bank.stamp() returns trigger
  language plpgsql set search_path = pg_catalog
as $$
declare
  subject text;
begin
  if bank.copying() then return new; end if;
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
create or replace function bank.check_recording() returns trigger
  language plpgsql set search_path = pg_catalog
as $$
declare
  wanted constant text := new.recording_id;
begin
  if bank.copying() then return new; end if;
  if wanted is null or bank.me() is null then return new; end if;
  if tg_op = 'UPDATE' and wanted is not distinct from old.recording_id then return new; end if;
  select r.id into new.recording_id from api.get_recording(wanted) r;
  if not found then
    raise exception 'there is no such recording'
      using errcode = 'foreign_key_violation', constraint = 'recording_visible';
  end if;
  return new;
end
$$;

-- A message is in its chat's vault. FOR SHARE: a chat that is being moved takes along what is just being written.
create or replace function bank.follow_chat() returns trigger
  language plpgsql set search_path = pg_catalog
as $$
declare
  chat_status text;
begin
  if bank.copying() then return new; end if;
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
create or replace function bank.follow_parent() returns trigger
  language plpgsql set search_path = pg_catalog
as $$
declare
  vaults text[];
  wanted constant text := new.vault_id;
begin
  if bank.copying() then return new; end if;
  if bank.me() is null then return new; end if;
  if tg_op = 'UPDATE' and (new.parent_type, new.parent_id) is distinct from (old.parent_type, old.parent_id) then
    raise exception 'a comment stays with its parent' using errcode = 'check_violation', constraint = 'comments_stay';
  end if;
  if new.parent_type = 'recording' then
    if tg_op = 'UPDATE' and new.vault_id is not distinct from old.vault_id then return new; end if;
    select r.id, r.vault_ids into new.parent_id, vaults from api.get_recording(new.parent_id) r;
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

-- What is below a row goes where the row goes, and ends with it, also what its mover could not see.
create or replace function bank.move_children() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  if bank.copying() then return null; end if;
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

create or replace function bank.delete_comments() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  parent text;
begin
  if bank.copying() then return null; end if;
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

-- A migrated call has a new id: what names the old one follows.
create or replace function bank.follow_migration() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  former constant text := 'fathom-' || new.legacy_id;
begin
  if bank.copying() then return null; end if;
  update bank.comments c set parent_id = new.call_id
   where c.bank_id = new.bank_id and c.parent_type = 'recording' and c.parent_id = former;
  update bank.notes n set recording_id = new.call_id where n.bank_id = new.bank_id and n.recording_id = former;
  update bank.tasks t set recording_id = new.call_id where t.bank_id = new.bank_id and t.recording_id = former;
  update bank.chats c set recording_id = new.call_id where c.bank_id = new.bank_id and c.recording_id = former;
  return null;
end
$$;

-- A comment does not stay behind in a vault that its recording has left, nor outside of all when it has come into one.
create or replace function bank.follow_recording() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  entry constant record := case when tg_op = 'DELETE' then old else new end;
  present text[];
begin
  if bank.copying() then return null; end if;
  present := array(
    select e.vault_id from bank.vault_entries e
     where e.bank_id = entry.bank_id and e.recording_id = entry.recording_id order by e.vault_id
  );
  if cardinality(present) = 0 then return null; end if;
  update bank.comments c set vault_id = present[1]
   where c.bank_id = entry.bank_id and c.parent_type = 'recording' and c.parent_id = entry.recording_id::text
     and (c.vault_id is null or c.vault_id <> all (present));
  return null;
end
$$;

create or replace function bank.follow_fathom_call() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  if bank.copying() then return null; end if;
  update bank.comments c set vault_id = new.vault_id
   where c.bank_id = new.bank_id and c.parent_type = 'recording' and c.parent_id = new.call_id
     and c.vault_id is distinct from new.vault_id;
  return null;
end
$$;

-- Every new key sweeps a few old ones of its bank out, whoever's they are, so that none needs a job of its own.
create or replace function bank.sweep_idempotency_keys() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  if bank.copying() then return null; end if;
  delete from bank.idempotency_keys k
   where (k.bank_id, k.subject, k.key) in (
     select o.bank_id, o.subject, o.key from bank.idempotency_keys o
      where o.bank_id = new.bank_id and o.created_at < clock_timestamp() - bank.idempotency_window()
      order by o.created_at limit 20 for update skip locked
   );
  return null;
end
$$;

-- How long a key is kept.
create or replace function bank.idempotency_window() returns interval
  language sql immutable
return interval '24 hours';
