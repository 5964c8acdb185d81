-- What changed, and who may hear of it (R3.11). Triggers write bank.changes; a bank server reads it through a feed that was
-- opened under a valid assertion and keeps its limits; a notification says that there is something to read, and nothing else.
-- docs/adr/0009 says why.

-- What triggers below do is said in ../functions/changes.sql; until then, nothing.
create function bank.entity_changed() returns trigger language plpgsql as $$begin return null; end$$;
create function bank.fathom_call_changed() returns trigger language plpgsql as $$begin return null; end$$;
create function bank.recording_changed() returns trigger language plpgsql as $$begin return null; end$$;
create function bank.entries_changed() returns trigger language plpgsql as $$begin return null; end$$;
create function bank.vault_changed() returns trigger language plpgsql as $$begin return null; end$$;

create type bank.change_seen as (bank_id text, id text, before text[], after text[]);

create table bank.changes (
  bank_id text collate "C" not null,
  -- the transaction: what a snapshot tells apart is what its reader has seen and what not
  xid xid8 not null default pg_current_xact_id(),
  seq bigint not null generated always as identity,
  at timestamptz not null default clock_timestamp(),
  -- as in bankhouse://<bank>/<kind>/<id>
  kind text collate "C" not null,
  -- null: many rows of this kind at once
  id text collate "C",
  -- vaults that the row was in and is in; empty: in none; null: there was, or is, no row. Of many rows: what any was or is in.
  vaults_before text[],
  vaults_after text[],
  primary key (bank_id, xid, seq)
);

-- The newest transaction of which a change was pruned: a reader that has not seen it may have missed something.
create table bank.change_floors (
  bank_id text collate "C" primary key,
  pruned xid8 not null default '0'
);

-- Who listens: an assertion's limits, as they were when it was valid. The id is the only key to a feed.
create table bank.feeds (
  id uuid primary key default gen_random_uuid(),
  bank_id text collate "C" not null,
  subject text not null,
  jti text not null,
  asserted_at timestamptz not null,
  all_vaults boolean not null,
  vaults text[] not null,
  opened_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null
);
create index feeds_bank on bank.feeds (bank_id, opened_at);

alter table bank.changes enable row level security;
alter table bank.changes force row level security;
create policy all_banks on bank.changes to bankhouse_data using (true) with check (true);
alter table bank.change_floors enable row level security;
alter table bank.change_floors force row level security;
create policy all_banks on bank.change_floors to bankhouse_data using (true) with check (true);
alter table bank.feeds enable row level security;
alter table bank.feeds force row level security;
create policy all_banks on bank.feeds to bankhouse_data using (true) with check (true);
grant select, insert, update, delete on bank.changes, bank.change_floors, bank.feeds to bankhouse_data;

create trigger record_insert after insert on bank.notes referencing new table as after_rows
  for each statement execute function bank.entity_changed();
create trigger record_update after update on bank.notes referencing old table as before_rows new table as after_rows
  for each statement execute function bank.entity_changed();
create trigger record_delete after delete on bank.notes referencing old table as before_rows
  for each statement execute function bank.entity_changed();
create trigger record_insert after insert on bank.tasks referencing new table as after_rows
  for each statement execute function bank.entity_changed();
create trigger record_update after update on bank.tasks referencing old table as before_rows new table as after_rows
  for each statement execute function bank.entity_changed();
create trigger record_delete after delete on bank.tasks referencing old table as before_rows
  for each statement execute function bank.entity_changed();
create trigger record_insert after insert on bank.comments referencing new table as after_rows
  for each statement execute function bank.entity_changed();
create trigger record_update after update on bank.comments referencing old table as before_rows new table as after_rows
  for each statement execute function bank.entity_changed();
create trigger record_delete after delete on bank.comments referencing old table as before_rows
  for each statement execute function bank.entity_changed();
create trigger record_insert after insert on bank.chats referencing new table as after_rows
  for each statement execute function bank.entity_changed();
create trigger record_update after update on bank.chats referencing old table as before_rows new table as after_rows
  for each statement execute function bank.entity_changed();
create trigger record_delete after delete on bank.chats referencing old table as before_rows
  for each statement execute function bank.entity_changed();
create trigger record_insert after insert on bank.chat_messages referencing new table as after_rows
  for each statement execute function bank.entity_changed();
create trigger record_update after update on bank.chat_messages referencing old table as before_rows new table as after_rows
  for each statement execute function bank.entity_changed();
create trigger record_delete after delete on bank.chat_messages referencing old table as before_rows
  for each statement execute function bank.entity_changed();
create trigger record_insert after insert on bank.fathom_calls referencing new table as after_rows
  for each statement execute function bank.fathom_call_changed();
create trigger record_update after update on bank.fathom_calls referencing old table as before_rows new table as after_rows
  for each statement execute function bank.fathom_call_changed();
create trigger record_delete after delete on bank.fathom_calls referencing old table as before_rows
  for each statement execute function bank.fathom_call_changed();
create trigger record_insert after insert on bank.recordings referencing new table as after_rows
  for each statement execute function bank.recording_changed();
create trigger record_update after update on bank.recordings referencing old table as before_rows new table as after_rows
  for each statement execute function bank.recording_changed();
create trigger record_delete after delete on bank.recordings referencing old table as before_rows
  for each statement execute function bank.recording_changed();
create trigger record_insert after insert on bank.vault_entries referencing new table as after_rows
  for each statement execute function bank.entries_changed();
create trigger record_update after update on bank.vault_entries referencing old table as before_rows new table as after_rows
  for each statement execute function bank.entries_changed();
create trigger record_delete after delete on bank.vault_entries referencing old table as before_rows
  for each statement execute function bank.entries_changed();
create trigger record_insert after insert on bank.vaults referencing new table as after_rows
  for each statement execute function bank.vault_changed();
create trigger record_update after update on bank.vaults referencing old table as before_rows new table as after_rows
  for each statement execute function bank.vault_changed();
create trigger record_delete after delete on bank.vaults referencing old table as before_rows
  for each statement execute function bank.vault_changed();
