-- Calls: what triggers keep right about them, and how they are read (R1.2).
--
-- Functions that start with match_ look past row-level security: they apply the bank and the vaults of the caller themselves
-- and return keys only. What tells about keys runs as bankhouse_api and reads rows under their policies, so each row is checked
-- twice. They exist because conditions such as @@ and @> are not leakproof and so never use an index under a policy.

create or replace function bank.fill_entry() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  if bank.copying() then return new; end if;
  select r.started_at, r.legacy_id into new.started_at, new.legacy_id
    from bank.recordings r where r.bank_id = new.bank_id and r.id = new.recording_id;
  if not found then
    raise exception 'there is no recording % in bank %', new.recording_id, new.bank_id
      using errcode = 'foreign_key_violation';
  end if;
  return new;
end
$$;

create or replace function bank.pass_legacy_id() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  if bank.copying() then return null; end if;
  update bank.vault_entries e set legacy_id = new.legacy_id where e.bank_id = new.bank_id and e.recording_id = new.id;
  return null;
end
$$;

-- A recording in no vault would be lost to everyone with a vault-limited token: refused when the transaction ends.
create or replace function bank.require_vault() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  bank text;
  subject uuid;
begin
  if bank.copying() then return null; end if;
  if tg_table_name = 'recordings' then
    bank := new.bank_id;
    subject := new.id;
  else
    bank := old.bank_id;
    subject := old.recording_id;
  end if;
  if exists (select from bank.recordings r where r.bank_id = bank and r.id = subject)
     and not exists (select from bank.vault_entries e where e.bank_id = bank and e.recording_id = subject) then
    raise exception 'recording % of bank % is in no vault', subject, bank
      using errcode = 'check_violation', constraint = 'recordings_in_a_vault',
            hint = 'Insert a row into bank.vault_entries in the same transaction.';
  end if;
  return null;
end
$$;

create or replace function bank.mark_migrated() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  if bank.copying() then return null; end if;
  if tg_op <> 'INSERT' and old.legacy_id is not null then
    update bank.fathom_calls f set migrated = false
     where f.bank_id = old.bank_id and f.id = old.legacy_id
       and not exists (select from bank.recordings r where r.bank_id = f.bank_id and r.legacy_id = f.id);
  end if;
  if tg_op <> 'DELETE' and new.legacy_id is not null then
    update bank.fathom_calls f set migrated = true
     where f.bank_id = new.bank_id and f.id = new.legacy_id and not f.migrated;
  end if;
  return null;
end
$$;

-- Segments of bank.recordings.transcript; seq counts from 1.
create or replace function bank.recording_segments(p_transcript jsonb)
  returns table (seq int, start_seconds numeric, end_seconds numeric, speaker text, text text)
  language sql immutable rows 300
begin atomic
  select ordinality::int, (s ->> 'start')::numeric, (s ->> 'end')::numeric, s ->> 'speaker', s ->> 'text'
    from jsonb_array_elements(p_transcript) with ordinality as e (s, ordinality);
end;

-- Segments of bank.fathom_calls.transcript: Fathom says when each begins, so it ends where the next one begins.
create or replace function bank.fathom_segments(p_transcript jsonb, p_duration_seconds numeric)
  returns table (seq int, start_seconds numeric, end_seconds numeric, speaker text, text text)
  language sql immutable rows 300
begin atomic
  select ordinality::int, begins,
         greatest(begins, coalesce(lead(begins) over (order by ordinality), p_duration_seconds)),
         s -> 'speaker' ->> 'display_name', s ->> 'text'
    from jsonb_array_elements(p_transcript) with ordinality as e (s, ordinality)
    cross join lateral (select extract(epoch from (s ->> 'timestamp')::interval) as begins) as t;
end;

-- Vaults to look into, of those that bank.enter has written down: null means every call of the bank; an empty list, none.
create or replace function bank.vaults_to_search(p_vault text) returns text[]
  language plpgsql stable set search_path = pg_catalog
as $$
declare
  vaults constant text[] := case when not bank.all_vaults() then bank.vault_scope() end;
begin
  return case when p_vault is null then vaults when vaults is null or p_vault = any (vaults) then array[p_vault] else '{}' end;
end
$$;

-- The query over the old table and the new, as text with parameters $1 bank, $2 from, $3 to, $4 participant, $5 vaults,
-- $6 and $7 the last row of the page before, $8 limit. Each half is ordered and limited by an index of its own; a call that
-- was migrated counts once: what NOT EXISTS (a new row that links here) would say stands on the legacy row (ADR 7), in its indexes.
create or replace function bank.calls_query(
  p_by_vault boolean, p_from boolean, p_to boolean, p_participant boolean, p_after boolean, p_ordered boolean
) returns text
  language plpgsql immutable set search_path = pg_catalog
as $$
declare
  -- started, key, participants
  conditions constant text := concat(
    case when p_from then ' and %1$s >= $2' end,
    case when p_to then ' and %1$s < $3' end,
    case when p_participant then ' and %3$s @> array[lower($4)]' end,
    case when p_after then ' and %1$s <= $6 and (%1$s < $6 or %2$s < $7 collate "C")' end
  );
  newest constant text := case when p_ordered then ' order by %1$s desc, %2$s desc limit $8' else '' end;
  recordings text;
  legacy text;
begin
  -- By a participant among some vaults: where the index has the vault beside the participant, and nothing of another vault is read.
  if p_by_vault and p_participant then
    return format('select d.recording_id, d.legacy_id, d.started_at, d.call_id from bank.search_documents d
        where d.scopes && array(select $1 || ''/'' || v from unnest($5::text[]) v)' || conditions || newest,
      'd.started_at', 'd.call_id', 'd.participant_keys');
  end if;
  if p_by_vault then
    recordings := 'select distinct on (e.started_at, e.recording_id) e.recording_id, null::bigint as legacy_id, e.started_at,
        e.recording_id::text collate "C" as call_id from unnest($5::text[]) as v cross join lateral (
        select e.recording_id, e.started_at from bank.vault_entries e where e.bank_id = $1 and e.vault_id = v'
      || format(conditions, 'e.started_at', 'e.recording_id::text collate "C"', 'null')
      || case when p_ordered then ' order by e.started_at desc, e.recording_id desc limit $8' else '' end || ') e';
    legacy := 'select null::uuid, f.id, f.recording_start_time, f.call_id from unnest($5::text[]) as v cross join lateral (
        select f.* from bank.fathom_calls f where f.bank_id = $1 and f.vault_id = v';
  else
    recordings := 'select r.id as recording_id, null::bigint as legacy_id, r.started_at, r.call_id
        from bank.recordings r where r.bank_id = $1'
      || format(conditions || newest, 'r.started_at', 'r.call_id', 'r.participant_keys');
    legacy := 'select null::uuid, f.id, f.recording_start_time, f.call_id from bank.fathom_calls f where f.bank_id = $1';
  end if;
  legacy := legacy
    || ' and not f.migrated'
    || format(conditions || newest, 'f.recording_start_time', 'f.call_id', 'f.participant_keys')
    || case when p_by_vault then ') f' else '' end;
  return format('(%s) union all (%s)', recordings, legacy)
    || case when p_ordered then ' order by started_at desc, call_id desc limit $8' else '' end;
end
$$;

-- What bank.calls_query says where nothing but vaults and a position is asked, written out, so that it is planned once a connection (as
-- bank.newest_page is). p_vaults null: every call
create or replace function bank.newest_calls(
  p_bank text, p_vaults text[], p_before_started_at timestamptz, p_before_id text, p_limit int
) returns table (recording_id uuid, legacy_id bigint, started_at timestamptz, call_id text)
  language plpgsql stable rows 20
  set search_path = pg_catalog set plan_cache_mode = force_generic_plan set enable_sort = off set enable_bitmapscan = off set jit = off
as $$
#variable_conflict use_column
declare
  is_first constant boolean := p_before_started_at is null;
  from_at constant timestamptz := coalesce(p_before_started_at, 'infinity');
  from_id constant text collate "C" := coalesce(p_before_id, '');
begin
  if p_vaults is null then
    return query
      (select r.id as recording_id, null::bigint as legacy_id, r.started_at, r.call_id from bank.recordings r
        where r.bank_id = p_bank and r.started_at <= from_at and (is_first or r.started_at < from_at or r.call_id < from_id)
        order by r.started_at desc, r.call_id desc limit p_limit)
      union all
      (select null::uuid, f.id, f.recording_start_time, f.call_id from bank.fathom_calls f
        where f.bank_id = p_bank and not f.migrated
          and f.recording_start_time <= from_at and (is_first or f.recording_start_time < from_at or f.call_id < from_id)
        order by f.recording_start_time desc, f.call_id desc limit p_limit)
      order by started_at desc, call_id desc limit p_limit;
  else
    return query
      (select distinct on (e.started_at, e.recording_id) e.recording_id, null::bigint as legacy_id, e.started_at,
              e.recording_id::text collate "C" as call_id
         from unnest(p_vaults) v cross join lateral (
           select e.recording_id, e.started_at from bank.vault_entries e
            where e.bank_id = p_bank and e.vault_id = v and e.started_at <= from_at
              and (is_first or e.started_at < from_at or e.recording_id::text < from_id)
            order by e.started_at desc, e.recording_id desc limit p_limit) e)
      union all
      (select null::uuid, f.id, f.recording_start_time, f.call_id from unnest(p_vaults) v cross join lateral (
         select f.id, f.recording_start_time, f.call_id from bank.fathom_calls f
          where f.bank_id = p_bank and f.vault_id = v and not f.migrated
            and f.recording_start_time <= from_at and (is_first or f.recording_start_time < from_at or f.call_id < from_id)
          order by f.recording_start_time desc, f.call_id desc limit p_limit) f)
      order by started_at desc, call_id desc limit p_limit;
  end if;
end
$$;

-- Keys of the calls that the caller may see, newest first: one of recording_id and legacy_id is null.
create or replace function bank.match_calls(
  p_from timestamptz, p_to timestamptz, p_participant text, p_vault text,
  p_before_started_at timestamptz, p_before_id text, p_limit int
) returns table (recording_id uuid, legacy_id bigint, started_at timestamptz, call_id text)
  language plpgsql stable security definer rows 20 set search_path = pg_catalog set plan_cache_mode = force_custom_plan
as $$
declare
  vaults constant text[] := bank.vaults_to_search(p_vault);
begin
  if cardinality(vaults) = 0 then return; end if;
  if p_from is null and p_to is null and p_participant is null then
    return query select * from bank.newest_calls(bank.me(), vaults, p_before_started_at, p_before_id, p_limit);
    return;
  end if;
  return query execute bank.calls_query(
    vaults is not null, p_from is not null, p_to is not null, p_participant is not null,
    p_before_started_at is not null, true
  ) using bank.me(), p_from, p_to, p_participant, vaults, p_before_started_at, coalesce(p_before_id, ''), p_limit;
end
$$;

-- How many calls the caller may see that the filters let through. Without filters what is counted already is told; a call that is in
-- several vaults of the caller counts under the first of them.
create or replace function bank.match_count(p_from timestamptz, p_to timestamptz, p_participant text, p_vault text) returns bigint
  language plpgsql stable security definer set search_path = pg_catalog
as $$
declare
  my_bank constant text := bank.me();
  wanted constant text[] := bank.vaults_to_search(p_vault);
  amount bigint := 0;
begin
  if my_bank is null or cardinality(wanted) = 0 then return 0; end if;
  if p_from is null and p_to is null and p_participant is null then
    return coalesce((
      select sum(c.calls) from bank.call_counts c
       where c.bank_id = my_bank and c.vault_id = any (coalesce(wanted, array[''])) and (c.vault_id = '') = (wanted is null)
         and not exists (select from unnest(c.vaults) o where o < c.vault_id and o = any (wanted))), 0);
  end if;
  execute format('select count(*) from (%s) c', bank.calls_query(
    wanted is not null, p_from is not null, p_to is not null, p_participant is not null, false, false
  )) into amount using my_bank, p_from, p_to, p_participant, wanted;
  return amount;
end
$$;

create or replace function api.count_recordings(
  p_from timestamptz default null, p_to timestamptz default null, p_participant text default null,
  p_vault text default null
) returns bigint
  language plpgsql stable security definer set search_path = pg_catalog set client_min_messages = warning
as $$
begin
  perform bank.enter();
  return bank.match_count(p_from, p_to, p_participant, p_vault);
end
$$;

-- What is told about calls, given their keys; as the caller, under the policies. In no order. The transcript, in the form of
-- its table, is last; it is not unpacked unless somebody looks at it.
create or replace function bank.describe_calls(p_recordings uuid[], p_legacy bigint[])
  returns table (
    id text, source text, title text, started_at timestamptz, duration_seconds int, participants text[],
    vault_ids text[], summary text, language text, url text, transcript jsonb
  )
  language plpgsql stable rows 20 set search_path = pg_catalog
as $$
begin
  return query
    select r.call_id, 'recording', r.title, r.started_at, r.duration_seconds, r.participants,
           array(
             select e.vault_id from bank.vault_entries e
              where e.bank_id = r.bank_id and e.recording_id = r.id order by e.vault_id
           ),
           r.summary, r.language, r.url, r.transcript
      from bank.recordings r
     where r.bank_id = (select bank.me()) and r.id = any (p_recordings)
    union all
    select f.call_id, 'legacy', f.title, f.recording_start_time,
           extract(epoch from f.recording_end_time - f.recording_start_time)::int, bank.invited(f.calendar_invitees),
           array_remove(array[f.vault_id::text], null), f.summary, f.transcript_language, f.url,
           f.transcript
      from bank.fathom_calls f
     where f.bank_id = (select bank.me()) and f.id = any (p_legacy);
end
$$;

-- Every call of the bank that the caller may see, from both tables, once, newest first (R1.2).
--   [p_from, p_to): when it started; p_participant: an e-mail address or name, in any case; p_limit null: all
--   p_before_started_at, p_before_id: the last row of the page before
create or replace function api.get_unified_recordings(
  p_from timestamptz default null, p_to timestamptz default null, p_participant text default null,
  p_vault text default null, p_before_started_at timestamptz default null, p_before_id text default null,
  p_limit int default null
) returns table (
    id text, source text, title text, started_at timestamptz, duration_seconds int, participants text[],
    vault_ids text[], summary text, language text, url text
  )
  language plpgsql stable security definer rows 20 set search_path = pg_catalog set client_min_messages = warning
as $$
declare
  recordings uuid[];
  legacy bigint[];
begin
  perform bank.enter();
  select array_agg(m.recording_id) filter (where m.recording_id is not null),
         array_agg(m.legacy_id) filter (where m.legacy_id is not null)
    into recordings, legacy
    from bank.match_calls(p_from, p_to, p_participant, p_vault, p_before_started_at, p_before_id, p_limit) m;
  return query
    select d.id, d.source, d.title, d.started_at, d.duration_seconds, d.participants, d.vault_ids, d.summary, d.language,
           d.url
      from bank.describe_calls(recordings, legacy) d
     order by d.started_at desc, d.id collate "C" desc;
end
$$;

-- The number in the id of a call of the old table; null for what is no such id.
create or replace function bank.legacy_id(p_id text) returns bigint
  language sql immutable strict parallel safe
return case when p_id ~ '^fathom-[0-9]{1,19}$' and substr(p_id, 8)::numeric <= 9223372036854775807 then substr(p_id, 8)::bigint end;

-- Keys of one call that the caller may see; nulls for any other. The legacy id of a migrated call leads to its new row. An old id can be
-- guessed, so a caller of some vaults looks where only these are.
create or replace function bank.resolve_call(p_id text, out recording_id uuid, out legacy_id bigint)
  language plpgsql stable set search_path = pg_catalog
as $$
declare
  caller constant record := bank.caller();
  old_id constant bigint := bank.legacy_id(p_id);
begin
  if not caller.may_see then return; end if;
  if old_id is null then
    if p_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then recording_id := p_id::uuid; end if;
  elsif caller.all_vaults then
    select r.id into recording_id from bank.recordings r where r.bank_id = caller.bank and r.legacy_id = old_id;
    if recording_id is null then legacy_id := old_id; end if;
  else
    -- Vault by vault: a list of them would be asked of the row, after the index has found it.
    select t.recording_id into recording_id from unnest(caller.vaults) v cross join lateral (
      select e.recording_id from bank.vault_entries e
       where e.bank_id = caller.bank and e.legacy_id = old_id and e.vault_id = v offset 0) t limit 1;
    if recording_id is null then
      select t.id into legacy_id from unnest(caller.vaults) v cross join lateral (
        select f.id from bank.fathom_calls f
         where f.bank_id = caller.bank and f.call_id = 'fathom-' || old_id and f.vault_id = v and not f.migrated offset 0) t limit 1;
    end if;
  end if;
end
$$;

create or replace function api.get_recording(p_id text)
  returns table (
    id text, source text, title text, started_at timestamptz, duration_seconds int, participants text[],
    vault_ids text[], summary text, language text, url text
  )
  language plpgsql stable security definer rows 1 set search_path = pg_catalog set client_min_messages = warning
as $$
declare
  key constant record := bank.resolve_call(p_id);
begin
  return query
    select d.id, d.source, d.title, d.started_at, d.duration_seconds, d.participants, d.vault_ids, d.summary, d.language,
           d.url
      from bank.describe_calls(array[key.recording_id], array[key.legacy_id]) d;
end
$$;

-- Segments that overlap [p_from_seconds, p_to_seconds), in order.
create or replace function api.get_transcript(p_id text, p_from_seconds numeric default null, p_to_seconds numeric default null)
  returns table (seq int, start_seconds numeric, end_seconds numeric, speaker text, text text)
  language plpgsql stable security definer rows 300 set search_path = pg_catalog set client_min_messages = warning
as $$
declare
  key constant record := bank.resolve_call(p_id);
begin
  return query
    select s.* from (
      select s.* from bank.recordings r cross join lateral bank.recording_segments(r.transcript) s
       where r.bank_id = (select bank.me()) and r.id = key.recording_id
      union all
      select s.* from bank.fathom_calls f cross join lateral bank.fathom_segments(
          f.transcript, extract(epoch from f.recording_end_time - f.recording_start_time)) s
       where f.bank_id = (select bank.me()) and f.id = key.legacy_id
    ) s
    where (p_to_seconds is null or s.start_seconds < p_to_seconds)
      and (p_from_seconds is null or s.end_seconds > p_from_seconds or s.start_seconds >= p_from_seconds)
    order by s.seq;
end
$$;

-- Vaults that the caller may see, with how many calls are in each.
create or replace function bank.match_vaults() returns table (vault_id text, display_name text, calls bigint)
  language plpgsql stable security definer rows 10 set search_path = pg_catalog
as $$
declare
  caller constant record := bank.caller();
begin
  if not caller.may_see then return; end if;
  return query
    select v.id::text, v.display_name,
           coalesce((select sum(c.calls) from bank.call_counts c where c.bank_id = v.bank_id and c.vault_id = v.id), 0)::bigint
      from bank.vaults v
     where v.bank_id = caller.bank and (caller.all_vaults or v.id = any (caller.vaults))
     order by v.id;
end
$$;

create or replace function api.list_vaults() returns table (id text, display_name text, recordings bigint)
  language plpgsql stable security definer rows 10 set search_path = pg_catalog set client_min_messages = warning
as $$
begin
  perform bank.enter();
  return query
    select v.id::text, v.display_name, m.calls
      from bank.match_vaults() m join bank.vaults v on v.bank_id = (select bank.me()) and v.id = m.vault_id
     order by v.id;
end
$$;

-- Whether the caller may see a vault of this id. One that it may not see is not looked for.
create or replace function api.vault_exists(p_id text) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog set client_min_messages = warning
as $$
declare
  caller constant record := bank.caller();
begin
  if not caller.may_see or not (caller.all_vaults or coalesce(p_id = any (caller.vaults), false)) then return false; end if;
  return exists (select from bank.vaults v where v.bank_id = caller.bank and v.id = p_id);
end
$$;
