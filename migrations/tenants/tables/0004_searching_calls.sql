-- Full-text search over calls. One row of bank.search_documents per call that search can find, kept by triggers when a transaction
-- ends; a legacy call has none once it is migrated. It is a slim table of its own, so that finding never reads a transcript,
-- with one GIN index over all that a search asks for. The planner takes document @@ query for cheap, while it unpacks the
-- document of every row that another condition let through; so a search has no condition that another index could serve.
-- That is why it names the bank within scopes and not by bank_id.

-- What triggers below do is said in ../functions/calls_search.sql; until then, nothing.
create function bank.index_recording() returns trigger language plpgsql as $$begin return null; end$$;
create function bank.remember_language() returns trigger language plpgsql as $$begin return null; end$$;
create function bank.index_vaults() returns trigger language plpgsql as $$begin return null; end$$;
create function bank.count_calls() returns trigger language plpgsql as $$begin return null; end$$;
create function bank.index_fathom_call() returns trigger language plpgsql as $$begin return null; end$$;

create table bank.search_documents (
  id bigint generated always as identity primary key,
  bank_id text collate "C" not null,
  recording_id uuid,
  legacy_id bigint,
  call_id text collate "C" not null,
  started_at timestamptz not null,
  -- <bank> and <bank>/<vault> for each vault that the call is in, and each of these again with @<week>: what a search
  -- looks into is one of these, or a few weeks of one. (A range of dates would collect the calls of all banks.)
  scopes text[] not null,
  participant_keys text[] not null,
  -- the call's, by which the document's words were read
  language text collate "C" not null,
  -- title (weight A), summary (C), transcript (D) with a mark in front of every passage
  document tsvector not null,
  -- of every passage: the position of its mark in the document, and the seq of its first segment
  passage_positions int[] not null,
  passage_segments int[] not null,
  check (num_nonnulls(recording_id, legacy_id) = 1),
  unique (recording_id, bank_id),
  unique (legacy_id, bank_id),
  foreign key (bank_id, recording_id) references bank.recordings on delete cascade,
  foreign key (bank_id, legacy_id) references bank.fathom_calls on delete cascade
);
create index search_documents_all
  on bank.search_documents using gin (document, scopes, participant_keys)
  -- Every search reads the list of pending entries, so it is kept short.
  with (gin_pending_list_limit = 512);
-- Frequencies of words, for the planner's estimates.
alter table bank.search_documents alter document set statistics 400;

-- Languages of a bank's documents: a search that names none reads its words in each of these.
create table bank.search_languages (
  bank_id text collate "C" not null references bank.banks on delete cascade,
  language text collate "C" not null,
  primary key (bank_id, language)
);

do $$
begin
  alter table bank.search_documents alter document set compression lz4;
exception when feature_not_supported then
  null;
end
$$;

alter table bank.search_documents enable row level security;
alter table bank.search_documents force row level security;
alter table bank.search_languages enable row level security;
alter table bank.search_languages force row level security;
create policy all_banks on bank.search_documents to bankhouse_data using (true) with check (true);
create policy all_banks on bank.search_languages to bankhouse_data using (true) with check (true);
grant select, insert, update, delete on bank.search_documents, bank.search_languages to bankhouse_data;

create trigger remember_language after insert on bank.search_documents
  referencing new table as new_rows for each statement execute function bank.remember_language();
create trigger remember_changed_language after update on bank.search_documents
  referencing new table as new_rows for each statement execute function bank.remember_language();
create trigger count_added after insert on bank.search_documents referencing new table as after_rows
  for each statement execute function bank.count_calls();
create trigger count_changed after update on bank.search_documents referencing old table as before_rows new table as after_rows
  for each statement execute function bank.count_calls();
create trigger count_removed after delete on bank.search_documents referencing old table as before_rows
  for each statement execute function bank.count_calls();
create constraint trigger index_recording
  after insert or update of title, summary, transcript, started_at, participants, language on bank.recordings
  deferrable initially deferred for each row execute function bank.index_recording();
create constraint trigger index_vaults after insert or update of vault_id or delete on bank.vault_entries
  deferrable initially deferred for each row execute function bank.index_vaults();
create constraint trigger index_fathom_call
  after insert or update of title, summary, transcript, recording_start_time, calendar_invitees, transcript_language, vault_id,
    migrated
  on bank.fathom_calls
  deferrable initially deferred for each row execute function bank.index_fathom_call();
