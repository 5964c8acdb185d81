-- Calls: the old table, the new one, and the vaults that a new one is in.

-- Immutable, so that generated columns can use them.
create function bank.lowered(p_texts text[]) returns text[]
  language sql immutable strict
return array(select lower(t) from unnest(p_texts) t);

-- E-mail addresses, or names where there is none, of Fathom's calendar_invitees: [{"name", "email"}].
create function bank.invited(p_invitees jsonb) returns text[]
  language plpgsql immutable strict
as $$
begin
  return array(
    select coalesce(nullif(i ->> 'email', ''), i ->> 'name')
      from jsonb_array_elements(p_invitees) i
     where coalesce(nullif(i ->> 'email', ''), i ->> 'name') is not null
  );
end
$$;

-- What triggers below do is said in ../functions/calls.sql; until then, nothing.
create function bank.fill_entry() returns trigger language plpgsql as $$begin return new; end$$;
create function bank.require_vault() returns trigger language plpgsql as $$begin return null; end$$;
create function bank.mark_migrated() returns trigger language plpgsql as $$begin return null; end$$;
create function bank.pass_legacy_id() returns trigger language plpgsql as $$begin return null; end$$;

-- As Fathom's export had it. Superseded row by row: a migrated call has a row in bank.recordings that links here.
create table bank.fathom_calls (
  bank_id text collate "C" not null references bank.banks,
  id bigint not null,
  -- null: in no vault, so only for callers who may see all
  vault_id text collate "C",
  title text not null,
  recording_start_time timestamptz not null,
  recording_end_time timestamptz not null,
  calendar_invitees jsonb not null default '[]' check (jsonb_typeof(calendar_invitees) = 'array'),
  -- [{"speaker": {"display_name", "matched_calendar_invitee_email"}, "text", "timestamp": "00:05:32"}]
  transcript jsonb not null default '[]' check (jsonb_typeof(transcript) = 'array'),
  transcript_language text,
  summary text,
  url text,
  -- kept by a trigger on bank.recordings: whether a row there links here. A policy reads it, because under a policy
  -- NOT EXISTS would see only the recordings that the caller may see.
  migrated boolean not null default false,
  call_id text collate "C" not null generated always as ('fathom-' || id) stored,
  participant_keys text[] not null generated always as (bank.lowered(bank.invited(calendar_invitees))) stored,
  primary key (bank_id, id),
  foreign key (bank_id, vault_id) references bank.vaults,
  check (recording_end_time >= recording_start_time)
);
create index fathom_calls_newest
  on bank.fathom_calls (bank_id, recording_start_time desc, call_id desc) where not migrated;
create index fathom_calls_newest_by_vault
  on bank.fathom_calls (bank_id, vault_id, recording_start_time desc, call_id desc) where not migrated;
-- Under its id, which can be guessed, nothing of another vault is touched.
create index fathom_calls_by_id on bank.fathom_calls (bank_id, call_id, vault_id) where not migrated;
create index fathom_calls_participants on bank.fathom_calls using gin (bank_id, participant_keys);

create table bank.recordings (
  bank_id text collate "C" not null references bank.banks,
  id uuid not null default gen_random_uuid(),
  -- the row of bank.fathom_calls that this call was migrated from
  legacy_id bigint,
  title text not null,
  started_at timestamptz not null,
  duration_seconds int not null check (duration_seconds >= 0),
  -- e-mail addresses, or names where there is none
  participants text[] not null default '{}',
  -- [{"start", "end", "speaker", "text"}], seconds from the beginning
  transcript jsonb not null default '[]' check (jsonb_typeof(transcript) = 'array'),
  summary text,
  language text,
  url text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  call_id text collate "C" not null generated always as (id::text) stored,
  participant_keys text[] not null generated always as (bank.lowered(participants)) stored,
  primary key (bank_id, id),
  unique (bank_id, legacy_id),
  unique (bank_id, id, started_at),
  foreign key (bank_id, legacy_id) references bank.fathom_calls
);
create index recordings_newest on bank.recordings (bank_id, started_at desc, call_id desc);
create index recordings_participants on bank.recordings using gin (bank_id, participant_keys);

create table bank.vault_entries (
  bank_id text collate "C" not null,
  vault_id text collate "C" not null,
  recording_id uuid not null,
  -- the recording's own, so that the newest of a vault are an index scan; filled in by a trigger, kept by the foreign key
  started_at timestamptz not null,
  -- the recording's own, so that who asks for an old id touches nothing of another vault; filled in and kept by triggers
  legacy_id bigint,
  primary key (bank_id, recording_id, vault_id),
  foreign key (bank_id, vault_id) references bank.vaults,
  foreign key (bank_id, recording_id, started_at) references bank.recordings (bank_id, id, started_at)
    on update cascade on delete cascade
);
create index vault_entries_newest on bank.vault_entries (bank_id, vault_id, started_at desc, recording_id desc);
create index vault_entries_legacy on bank.vault_entries (bank_id, legacy_id, vault_id) where legacy_id is not null;

-- How many calls there are of each combination of vaults that calls of the bank are in: a row for each of its vaults, so that who may see
-- some vaults is told of them without a look at others, also where a call is in several. Under the empty name and without vaults, how many
-- the bank has. Kept by triggers on bank.search_documents (0004), which has a row for each call.
create table bank.call_counts (
  bank_id text collate "C" not null references bank.banks,
  vault_id text collate "C" not null,
  -- SHA-256 of the combination: all of it could be too long for an index
  combination bytea not null,
  vaults text[] collate "C" not null,
  calls bigint not null,
  primary key (bank_id, vault_id, combination)
);

-- lz4 takes a third of pglz's time to unpack a transcript, where the server was built with it.
do $$
begin
  alter table bank.fathom_calls alter transcript set compression lz4;
  alter table bank.recordings alter transcript set compression lz4;
exception when feature_not_supported then
  null;
end
$$;

alter table bank.fathom_calls enable row level security;
alter table bank.fathom_calls force row level security;
alter table bank.recordings enable row level security;
alter table bank.recordings force row level security;
alter table bank.vault_entries enable row level security;
alter table bank.vault_entries force row level security;
alter table bank.call_counts enable row level security;
alter table bank.call_counts force row level security;
create policy all_banks on bank.fathom_calls to bankhouse_data using (true) with check (true);
create policy all_banks on bank.recordings to bankhouse_data using (true) with check (true);
create policy all_banks on bank.vault_entries to bankhouse_data using (true) with check (true);
create policy all_banks on bank.call_counts to bankhouse_data using (true) with check (true);
grant select, insert, update, delete on bank.fathom_calls, bank.recordings, bank.vault_entries, bank.call_counts
  to bankhouse_data;

-- What a caller may see (R1.6): its bank by login, its vaults by assertion. Read only.
grant select on bank.fathom_calls, bank.recordings, bank.vault_entries to bankhouse_api;
create policy own_vaults on bank.vault_entries for select to bankhouse_api
  using (
    bank_id = (select bank.me())
    and ((select bank.all_vaults()) or vault_id = any ((select bank.vault_scope())::text[]))
  );
-- A recording is visible when one of its vaults is: the entries that the subquery finds are under their own policy.
create policy own_vaults on bank.recordings for select to bankhouse_api
  using (
    bank_id = (select bank.me())
    and (
      (select bank.all_vaults())
      or exists (
        select from bank.vault_entries e
         where e.bank_id = recordings.bank_id and e.recording_id = recordings.id
      )
    )
  );
-- Once a call is migrated, its new row alone says which vaults it is in.
create policy own_vaults on bank.fathom_calls for select to bankhouse_api
  using (
    bank_id = (select bank.me())
    and ((select bank.all_vaults()) or (vault_id = any ((select bank.vault_scope())::text[]) and not migrated))
  );

create trigger fill_entry before insert on bank.vault_entries
  for each row execute function bank.fill_entry();
create constraint trigger recordings_in_a_vault after insert on bank.recordings
  deferrable initially deferred for each row execute function bank.require_vault();
create constraint trigger recordings_stay_in_a_vault after delete or update of recording_id, bank_id on bank.vault_entries
  deferrable initially deferred for each row execute function bank.require_vault();
create trigger mark_migrated after insert or delete or update of bank_id, legacy_id on bank.recordings
  for each row execute function bank.mark_migrated();
create trigger pass_legacy_id after update of legacy_id on bank.recordings
  for each row when (new.legacy_id is distinct from old.legacy_id) execute function bank.pass_legacy_id();
