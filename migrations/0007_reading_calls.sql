-- Reading calls, for the roles of banks (R1.2).
--
-- Functions that start with match_ look past row-level security: they apply the bank and the vaults of the caller themselves
-- and return keys only. Everything else runs as the caller and reads rows under their policies, so each row is checked
-- twice. They exist because conditions such as @@ and @> are not leakproof and so never use an index under a policy.

-- Segments of bank.recordings.transcript; seq counts from 1.
create function bank.recording_segments(p_transcript jsonb)
  returns table (seq int, start_seconds numeric, end_seconds numeric, speaker text, text text)
  language sql immutable rows 300
begin atomic
  select ordinality::int, (s ->> 'start')::numeric, (s ->> 'end')::numeric, s ->> 'speaker', s ->> 'text'
    from jsonb_array_elements(p_transcript) with ordinality as e (s, ordinality);
end;

-- Segments of bank.fathom_calls.transcript: Fathom says when each begins, so it ends where the next one begins.
create function bank.fathom_segments(p_transcript jsonb, p_duration_seconds numeric)
  returns table (seq int, start_seconds numeric, end_seconds numeric, speaker text, text text)
  language sql immutable rows 300
begin atomic
  select ordinality::int, begins,
         greatest(begins, coalesce(lead(begins) over (order by ordinality), p_duration_seconds)),
         s -> 'speaker' ->> 'display_name', s ->> 'text'
    from jsonb_array_elements(p_transcript) with ordinality as e (s, ordinality)
    cross join lateral (select extract(epoch from (s ->> 'timestamp')::interval) as begins) as t;
end;

-- Vaults to look into: null means every call of the bank; an empty list, none.
create function bank.vaults_to_search(p_vault text) returns text[]
  language plpgsql stable set search_path = pg_catalog
as $$
declare
  scope constant record := bank.open_assertion();
begin
  if scope.all_vaults then
    return case when p_vault is null then null else array[p_vault] end;
  end if;
  return case when p_vault is null then scope.vaults when p_vault = any (scope.vaults) then array[p_vault] else '{}' end;
end
$$;

-- The query over the old table and the new, as text with parameters $1 bank, $2 from, $3 to, $4 participant, $5 vaults,
-- $6 and $7 the last row of the page before, $8 limit. Each half is ordered and limited by an index of its own; a call that
-- was migrated counts once: what NOT EXISTS (a new row that links here) would say stands on the legacy row (ADR 7), in its indexes.
create function bank.calls_query(
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
  if p_by_vault then
    recordings := 'select distinct on (e.started_at, e.recording_id) e.recording_id, null::bigint as legacy_id, e.started_at,
        e.recording_id::text collate "C" as call_id from unnest($5::text[]) as v cross join lateral (
        select e.recording_id, e.started_at from bank.vault_entries e'
      || case when p_participant
           then ' join bank.recordings r on r.bank_id = e.bank_id and r.id = e.recording_id' else '' end
      || ' where e.bank_id = $1 and e.vault_id = v'
      || format(conditions, 'e.started_at', 'e.recording_id::text collate "C"', 'r.participant_keys')
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

-- Keys of the calls that the caller may see, newest first: one of recording_id and legacy_id is null.
create function bank.match_calls(
  p_from timestamptz, p_to timestamptz, p_participant text, p_vault text,
  p_before_started_at timestamptz, p_before_id text, p_limit int
) returns table (recording_id uuid, legacy_id bigint, started_at timestamptz, call_id text)
  language plpgsql stable security definer rows 20 set search_path = pg_catalog set plan_cache_mode = force_custom_plan
as $$
declare
  vaults constant text[] := bank.vaults_to_search(p_vault);
begin
  if cardinality(vaults) = 0 then return; end if;
  return query execute bank.calls_query(
    vaults is not null, p_from is not null, p_to is not null, p_participant is not null,
    p_before_started_at is not null, true
  ) using bank.me(), p_from, p_to, p_participant, vaults, p_before_started_at, coalesce(p_before_id, ''), p_limit;
end
$$;

create function bank.count_recordings(
  p_from timestamptz default null, p_to timestamptz default null, p_participant text default null,
  p_vault text default null
) returns bigint
  language plpgsql stable security definer set search_path = pg_catalog
as $$
declare
  vaults constant text[] := bank.vaults_to_search(p_vault);
  amount bigint := 0;
begin
  if cardinality(vaults) = 0 then return 0; end if;
  execute format('select count(*) from (%s) c', bank.calls_query(
    vaults is not null, p_from is not null, p_to is not null, p_participant is not null, false, false
  )) into amount using bank.me(), p_from, p_to, p_participant, vaults;
  return amount;
end
$$;

-- What is told about calls, given their keys; as the caller, under the policies. In no order. The transcript, in the form of
-- its table, is last; it is not unpacked unless somebody looks at it.
create function bank.describe_calls(p_recordings uuid[], p_legacy bigint[])
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
create function bank.get_unified_recordings(
  p_from timestamptz default null, p_to timestamptz default null, p_participant text default null,
  p_vault text default null, p_before_started_at timestamptz default null, p_before_id text default null,
  p_limit int default null
) returns table (
    id text, source text, title text, started_at timestamptz, duration_seconds int, participants text[],
    vault_ids text[], summary text, language text, url text
  )
  language plpgsql stable rows 20 set search_path = pg_catalog
as $$
declare
  recordings uuid[];
  legacy bigint[];
begin
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

-- Keys of one call under the policies. The legacy id of a migrated call leads to its new row.
create function bank.resolve_call(p_id text, out recording_id uuid, out legacy_id bigint)
  language plpgsql stable set search_path = pg_catalog
as $$
begin
  if p_id ~ '^fathom-[0-9]{1,18}$' then
    legacy_id := substr(p_id, 8)::bigint;
    select r.id into recording_id from bank.recordings r
     where r.bank_id = (select bank.me()) and r.legacy_id = resolve_call.legacy_id;
    if found then legacy_id := null; end if;
  elsif p_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    recording_id := p_id::uuid;
  end if;
end
$$;

create function bank.get_recording(p_id text)
  returns table (
    id text, source text, title text, started_at timestamptz, duration_seconds int, participants text[],
    vault_ids text[], summary text, language text, url text
  )
  language plpgsql stable rows 1 set search_path = pg_catalog
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
create function bank.get_transcript(p_id text, p_from_seconds numeric default null, p_to_seconds numeric default null)
  returns table (seq int, start_seconds numeric, end_seconds numeric, speaker text, text text)
  language plpgsql stable rows 300 set search_path = pg_catalog
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

-- Calls by vault, for the vaults that the caller may see.
create function bank.match_vaults() returns table (vault_id text, calls bigint)
  language plpgsql stable security definer rows 10 set search_path = pg_catalog
as $$
declare
  vaults constant text[] := bank.vaults_to_search(null);
begin
  return query
    select c.vault_id::text, sum(c.calls)::bigint
      from (
        select e.vault_id, count(*) as calls from bank.vault_entries e where e.bank_id = (select bank.me()) group by e.vault_id
        union all
        select f.vault_id, count(*) from bank.fathom_calls f
         where f.bank_id = (select bank.me()) and f.vault_id is not null
           and not f.migrated
         group by f.vault_id
      ) c
     where vaults is null or c.vault_id = any (vaults)
     group by c.vault_id;
end
$$;

create function bank.list_vaults() returns table (id text, display_name text, recordings bigint)
  language plpgsql stable rows 10 set search_path = pg_catalog
as $$
begin
  return query
    select v.id::text, v.display_name, coalesce(m.calls, 0)
      from bank.vaults v left join bank.match_vaults() m on m.vault_id = v.id
     order by v.id;
end
$$;

grant create on schema bank to bankhouse_data;
alter function bank.vaults_to_search(text) owner to bankhouse_data;
alter function bank.calls_query(boolean, boolean, boolean, boolean, boolean, boolean) owner to bankhouse_data;
alter function bank.match_calls(timestamptz, timestamptz, text, text, timestamptz, text, int) owner to bankhouse_data;
alter function bank.match_vaults() owner to bankhouse_data;
alter function bank.count_recordings(timestamptz, timestamptz, text, text) owner to bankhouse_data;
revoke create on schema bank from bankhouse_data;

revoke all on all functions in schema bank from public;
grant execute on function
  bank.match_calls(timestamptz, timestamptz, text, text, timestamptz, text, int),
  bank.count_recordings(timestamptz, timestamptz, text, text),
  bank.match_vaults(),
  bank.recording_segments(jsonb),
  bank.fathom_segments(jsonb, numeric),
  bank.invited(jsonb),
  bank.describe_calls(uuid[], bigint[]),
  bank.get_unified_recordings(timestamptz, timestamptz, text, text, timestamptz, text, int),
  bank.resolve_call(text),
  bank.get_recording(text),
  bank.get_transcript(text, numeric, numeric),
  bank.list_vaults()
  to bankhouse_bank;
grant execute on function bank.recording_segments(jsonb), bank.fathom_segments(jsonb, numeric) to bankhouse_data;
