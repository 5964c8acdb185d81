-- Full-text search over calls: ../tables/0004 says how it is found.

-- Weeks since 1970. (A function that can't become part of the statement that calls it is in plpgsql, which keeps its plan;
-- one in SQL is planned at every call.)
create or replace function bank.week_number(p_at timestamptz) returns int
  language plpgsql immutable
as $$
begin
  return floor(extract(epoch from p_at) / 604800)::int;
end
$$;

create or replace function bank.scopes_of(p_bank text, p_vaults text[], p_started_at timestamptz) returns text[]
  language plpgsql immutable set search_path = pg_catalog
as $$
declare
  plain constant text[] := array[p_bank] || array(select p_bank || '/' || v from unnest(p_vaults) v order by v);
  week constant text := '@' || bank.week_number(p_started_at);
begin
  return plain || array(select s || week from unnest(plain) s);
end
$$;

-- What stands in front of a passage in a document: a word that nobody says.
create or replace function bank.passage_mark() returns text
  language sql immutable
return 'x0passage0x';

-- The document of a call, from the texts of its segments. Passages have about 200 characters, and at most 250 are marked
-- because a tsvector keeps 255 positions of a word. What is said after the first 250,000 characters (five hours) is not
-- found: a tsvector has a maximal size.
create or replace function bank.build_document(
  p_config regconfig, p_title text, p_summary text, p_texts text[],
  out document tsvector, out passage_positions int[], out passage_segments int[]
)
  language plpgsql immutable set search_path = pg_catalog
as $$
declare
  body text;
  total constant bigint := (select sum(length(t) + 1) from unnest(p_texts) t);
  size constant bigint := greatest(200, total / 250 + 1);
begin
  select string_agg(bank.passage_mark() || ' ' || p.words, ' ' order by p.first_segment),
         coalesce(array_agg(p.first_segment order by p.first_segment), '{}')
    into body, passage_segments
    from (
      select min(s.seq)::int as first_segment, string_agg(s.words, ' ' order by s.seq) as words
        from (
          select seq, words, (sum(length(words) + 1) over (order by seq) - length(words) - 1) / size as passage
            from unnest(p_texts) with ordinality as t (words, seq)
        ) s
       group by s.passage
    ) p;
  document := setweight(to_tsvector(p_config, p_title), 'A')
    || setweight(to_tsvector(p_config, coalesce(p_summary, '')), 'C')
    || to_tsvector(p_config, coalesce(left(body, 250000), ''));
  select coalesce(array_agg(p order by p), '{}') into passage_positions
    from unnest(ts_filter(setweight(document, 'B', array[bank.passage_mark()]), '{b}')) u, unnest(u.positions) p;
  passage_segments := passage_segments[1:cardinality(passage_positions)];
end
$$;

-- The vaults that a call is in, of its document's scopes.
create or replace function bank.vaults_of(p_scopes text[]) returns text[]
  language plpgsql immutable set search_path = pg_catalog
as $$
begin
  return array(
    select v from (select split_part(s, '/', 2) as v from unnest(p_scopes) s where s like '%/%' and s not like '%@%') t
     order by v collate "C"
  );
end
$$;

-- Adds to bank.call_counts what one statement did to documents. First under the empty name, also where nothing changes there: of two
-- transactions that count calls of one bank the later one waits there, and never crosswise.
create or replace function bank.count_calls() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  changed jsonb;
begin
  if bank.copying() then return null; end if;
  -- [{"bank_id", "vaults", "n"}]: how many calls more, or fewer, are in just these vaults.
  if tg_op = 'INSERT' then
    select jsonb_agg(c) into changed from (
      select a.bank_id, bank.vaults_of(a.scopes) as vaults, count(*) as n from after_rows a group by 1, 2) c;
  elsif tg_op = 'DELETE' then
    select jsonb_agg(c) into changed from (
      select b.bank_id, bank.vaults_of(b.scopes) as vaults, -count(*) as n from before_rows b group by 1, 2) c;
  else
    select jsonb_agg(c) into changed from (
      select d.bank_id, d.vaults, sum(d.n) as n from (
        select a.bank_id, bank.vaults_of(a.scopes) as vaults, 1 as n from after_rows a
        union all
        select b.bank_id, bank.vaults_of(b.scopes), -1 from before_rows b
      ) d group by 1, 2 having sum(d.n) <> 0) c;
  end if;
  if changed is null then return null; end if;
  insert into bank.call_counts as c (bank_id, vault_id, combination, vaults, calls)
    select d.bank_id, d.vault_id, sha256(convert_to(array_to_string(d.vaults, ','), 'UTF8')), d.vaults, d.n from (
      select r.bank_id, '' as vault_id, '{}'::text[] as vaults, sum(r.n) as n
        from jsonb_to_recordset(changed) r (bank_id text, n bigint) group by 1
      union all
      select r.bank_id, v, r.vaults, r.n
        from jsonb_to_recordset(changed) r (bank_id text, vaults text[], n bigint) cross join lateral unnest(r.vaults) v
    ) d
     order by d.bank_id collate "C", d.vault_id collate "C", 3
    on conflict (bank_id, vault_id, combination) do update set calls = c.calls + excluded.calls;
  return null;
end
$$;

create or replace function bank.index_recording() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  if bank.copying() then return null; end if;
  insert into bank.search_documents as d (
      bank_id, recording_id, call_id, started_at, scopes, participant_keys, language, document, passage_positions, passage_segments)
    select r.bank_id, r.id, r.call_id, r.started_at,
           bank.scopes_of(r.bank_id, array(
             select e.vault_id from bank.vault_entries e where e.bank_id = r.bank_id and e.recording_id = r.id), r.started_at),
           r.participant_keys, bank.plain_language(r.language), b.document, b.passage_positions, b.passage_segments
      from bank.recordings r,
           bank.build_document(bank.text_config(r.language), r.title, r.summary,
             array(select s.text from bank.recording_segments(r.transcript) s order by s.seq)) b
     where r.bank_id = new.bank_id and r.id = new.id
    on conflict (recording_id, bank_id) do update set
      started_at = excluded.started_at, scopes = excluded.scopes, participant_keys = excluded.participant_keys,
      language = excluded.language, document = excluded.document, passage_positions = excluded.passage_positions,
      passage_segments = excluded.passage_segments;
  return null;
end
$$;

create or replace function bank.remember_language() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  if bank.copying() then return null; end if;
  insert into bank.search_languages (bank_id, language)
    select distinct n.bank_id, n.language from new_rows n
     where not exists (select from bank.search_languages l where l.bank_id = n.bank_id and l.language = n.language)
    on conflict do nothing;
  return null;
end
$$;

create or replace function bank.index_vaults() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  entry constant record := case when tg_op = 'DELETE' then old else new end;
  vaults text[];
begin
  if bank.copying() then return null; end if;
  -- Of two transactions that change the vaults of one call, the later one waited in bank.place_embeddings and sees what the other did.
  vaults := array(
    select e.vault_id from bank.vault_entries e
     where e.bank_id = entry.bank_id and e.recording_id = entry.recording_id
  );
  update bank.search_documents d set scopes = bank.scopes_of(d.bank_id, vaults, d.started_at)
   where d.bank_id = entry.bank_id and d.recording_id = entry.recording_id
     and d.scopes <> bank.scopes_of(d.bank_id, vaults, d.started_at);
  return null;
end
$$;

create or replace function bank.index_fathom_call() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  if bank.copying() then return null; end if;
  delete from bank.search_documents d using bank.fathom_calls f
   where f.bank_id = new.bank_id and f.id = new.id and f.migrated
     and d.bank_id = f.bank_id and d.legacy_id = f.id;
  insert into bank.search_documents as d (
      bank_id, legacy_id, call_id, started_at, scopes, participant_keys, language, document, passage_positions, passage_segments)
    select f.bank_id, f.id, f.call_id, f.recording_start_time, bank.scopes_of(f.bank_id, array_remove(array[f.vault_id::text], null), f.recording_start_time),
           f.participant_keys, bank.plain_language(f.transcript_language), b.document, b.passage_positions, b.passage_segments
      from bank.fathom_calls f,
           bank.build_document(bank.text_config(f.transcript_language), f.title, f.summary,
             array(select s.text from bank.fathom_segments(f.transcript, 0) s order by s.seq)) b
     where f.bank_id = new.bank_id and f.id = new.id and not f.migrated
    on conflict (legacy_id, bank_id) do update set
      started_at = excluded.started_at, scopes = excluded.scopes, participant_keys = excluded.participant_keys,
      language = excluded.language, document = excluded.document, passage_positions = excluded.passage_positions,
      passage_segments = excluded.passage_segments;
  return null;
end
$$;

-- A query for any of the words, to mark them wherever they stand; what tsquery takes for syntax is escaped.
create or replace function bank.any_word(p_config regconfig, p_query text) returns tsquery
  language plpgsql immutable parallel safe
as $$
begin
  return coalesce((
    select string_agg('''' || replace(replace(w, '\', '\\'), '''', '''''') || '''', ' | ')
      from unnest(tsvector_to_array(to_tsvector(p_config, p_query))) w
  ), '')::tsquery;
end
$$;

-- The query as each language of the bank's documents reads it, so that a stem is its language's and -without is exact.
--   any_of: what at least matches, for the index; exact: whether any_of alone decides. Looking a phrase up unpacks each
--   document that has its words, so any_of has the words only, except beside a "not", where that would lose matches.
create or replace function bank.read_query(
  p_bank text, p_query text, p_language text,
  out languages text[], out queries tsquery[], out any_of tsquery, out exact boolean
)
  language plpgsql stable set search_path = pg_catalog
as $$
declare
  way record;
  words text;
begin
  exact := true;
  for way in
    select l.language, websearch_to_tsquery(bank.text_config(l.language), p_query) as query
      from (
        select bank.plain_language(p_language) as language where p_language is not null
        union all
        select s.language from bank.search_languages s where s.bank_id = p_bank and p_language is null
      ) l
  loop
    -- Only words that may not occur, or only such as "the": no index could serve it.
    continue when querytree(way.query) in ('', 'T');
    languages := languages || way.language;
    queries := queries || way.query;
    words := way.query::text;
    if words ~ ' <(-|[0-9]+)> ' and words !~ '!' then
      exact := false;
      way.query := regexp_replace(words, ' <(-|[0-9]+)> ', ' & ', 'g')::tsquery;
    end if;
    any_of := case when any_of is null then way.query else any_of || way.query end;
  end loop;
  exact := exact and cardinality(languages) = 1 and p_language is null;
end
$$;

-- Ids of the newest p_amount documents in one of the scopes that match, newest first. p_reading: of bank.read_query. Statements
-- are planned once a connection, except for a participant, whom the index should find too.
create or replace function bank.newest_documents(
  p_reading record, p_scopes text[], p_from timestamptz, p_to timestamptz, p_participant text, p_amount int
) returns bigint[]
  language plpgsql stable set search_path = pg_catalog
as $$
declare
  any_of constant tsquery := p_reading.any_of;
  languages constant text[] := p_reading.languages;
  queries constant tsquery[] := p_reading.queries;
  ids bigint[];
begin
  if p_participant is not null then
    execute 'select array(select d.id from (
        select d.id, d.document, d.language from bank.search_documents d
         where d.document @@ $1 and d.scopes && $2 and d.participant_keys @> array[lower($5)]
           and ($3 is null or d.started_at >= $3) and ($4 is null or d.started_at < $4)
         order by d.started_at desc, d.call_id desc offset 0
      ) d where d.document @@ ($8::tsquery[])[array_position($7::text[], d.language)] limit $6)'
      into ids using any_of, p_scopes, p_from, p_to, p_participant, p_amount, languages, queries;
    return ids;
  end if;
  if p_reading.exact then
    return array(
      select d.id from bank.search_documents d
       where d.document @@ any_of and d.scopes && p_scopes
         and (p_from is null or d.started_at >= p_from) and (p_to is null or d.started_at < p_to)
       order by d.started_at desc, d.call_id desc limit p_amount
    );
  end if;
  -- From the newest on, and no further than needed.
  return array(
    select d.id
      from (
        select d.id, d.document, d.language from bank.search_documents d
         where d.document @@ any_of and d.scopes && p_scopes
           and (p_from is null or d.started_at >= p_from) and (p_to is null or d.started_at < p_to)
         order by d.started_at desc, d.call_id desc offset 0
      ) d
     where d.document @@ queries[array_position(languages, d.language)] limit p_amount
  );
end
$$;

-- The weeks of the caller's newest calls: the last one, and the first that p_amount to twice as many reach back to, null
-- when there are fewer.
create or replace function bank.newest_weeks(p_amount int, out first_week int, out last_week int)
  language plpgsql stable set search_path = pg_catalog
as $$
declare
  my_bank constant text := bank.me();
  firsts timestamptz[] := array[
    (select r.started_at from bank.recordings r where r.bank_id = my_bank
      order by r.started_at desc, r.call_id desc offset p_amount limit 1),
    (select f.recording_start_time from bank.fathom_calls f where f.bank_id = my_bank and not f.migrated
      order by f.recording_start_time desc, f.call_id desc offset p_amount limit 1)
  ];
  lasts timestamptz[] := array[
    (select max(r.started_at) from bank.recordings r where r.bank_id = my_bank),
    (select max(f.recording_start_time) from bank.fathom_calls f where f.bank_id = my_bank and not f.migrated)
  ];
begin
  first_week := bank.week_number(greatest(firsts[1], firsts[2]));
  last_week := bank.week_number(greatest(lasts[1], lasts[2]));
end
$$;

-- These scopes in these weeks.
create or replace function bank.scopes_in_weeks(p_scopes text[], p_first_week int, p_last_week int) returns text[]
  language plpgsql immutable
as $$
begin
  return array(select s || '@' || w from unnest(p_scopes) s, generate_series(p_first_week, p_last_week) w);
end
$$;

-- Keys of a page of the calls that match, with rank and the passage [first_segment, last_segment] that has most of the
-- words (null where only title or summary match).
--
-- Ranking unpacks a document, so it is bounded: matches are taken newest first in blocks of 40, and sorted by rank within
-- their block. A word that many calls have is looked for among the newest calls first, and among more of them only where
-- those are too few: a phrase has to be looked up in each document that has its words.
-- Pages of one search fit together, and all pages together hold every match once.
create or replace function bank.match_documents(
  p_query text, p_from timestamptz, p_to timestamptz, p_participant text, p_vault text, p_limit int, p_offset int,
  p_language text
) returns table (
    place int, recording_id uuid, legacy_id bigint, call_id text, language text, rank real, first_segment int, last_segment int
  )
  language plpgsql stable security definer rows 20
  set search_path = pg_catalog set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  block constant int := 40;
  me constant text := bank.me();
  reading constant record := bank.read_query(me, p_query, p_language);
  words constant text[] := array(
    select distinct w
      from unnest(reading.languages) l, unnest(tsvector_to_array(to_tsvector(bank.text_config(l), p_query))) w
  );
  has_several constant boolean := cardinality(words) > 1;
  vaults constant text[] := bank.vaults_to_search(p_vault);
  scopes constant text[] := case when vaults is null then array[me] else array(select me || '/' || unnest(vaults)) end;
  amount constant int := ((greatest(p_offset, 0) + greatest(p_limit, 0) + block - 1) / block) * block;
  first_block constant int := greatest(p_offset, 0) / block;
  first_week constant int := bank.week_number(p_from);
  to_week constant int := bank.week_number(p_to);
  newest record;
  recent int;
  last_week int;
  -- whether all weeks that are asked for have been looked at
  complete boolean := false;
  ids bigint[] := '{}';
begin
  if reading.any_of is null or cardinality(scopes) = 0 then return; end if;
  foreach recent in array array[200, 1500] loop
    newest := bank.newest_weeks(recent);
    last_week := least(to_week, newest.last_week);
    exit when newest.first_week is null;
    continue when newest.first_week > last_week;
    ids := bank.newest_documents(
      reading, bank.scopes_in_weeks(scopes, greatest(newest.first_week, first_week), last_week),
      p_from, p_to, p_participant, amount);
    complete := first_week >= newest.first_week;
    exit when complete or cardinality(ids) >= amount;
  end loop;
  if cardinality(ids) < amount and complete is not true then
    ids := bank.newest_documents(
      reading,
      case when last_week - first_week < 200 then bank.scopes_in_weeks(scopes, first_week, last_week) else scopes end,
      p_from, p_to, p_participant, amount);
  end if;
  return query
    with ranked as materialized (
      select t.id, t.place, ts_rank(
               d.document, (reading.queries)[array_position(reading.languages, d.language)], 1) as rank
        from unnest(ids[first_block * block + 1 : amount]) with ordinality as t (id, place)
        join bank.search_documents d on d.id = t.id
       order by (t.place - 1) / block, rank desc, t.place
       limit p_limit offset greatest(p_offset, 0) - first_block * block
    ), page as materialized (
      -- Only now, for the page alone: where in the document its words are.
      select row_number() over (order by (r.place - 1) / block, r.rank desc, r.place)::int as place, r.rank,
             d.recording_id, d.legacy_id, d.call_id, d.language, d.passage_positions, d.passage_segments,
             ts_filter(setweight(d.document, 'B', words), '{b}') as found
        from ranked r join bank.search_documents d on d.id = r.id
    )
    select p.place, p.recording_id, p.legacy_id, p.call_id::text, p.language::text, p.rank, p.passage_segments[best.passage],
           p.passage_segments[best.passage + 1] - 1
      from page p
      left join lateral (
        -- Of one word, its first passage; of several, the one that has most of them.
        select min(position) as position
          from unnest(p.found) u, unnest(u.positions) position
         where not has_several and position >= p.passage_positions[1]
      ) first on not has_several
      left join lateral (
        select width_bucket(position, p.passage_positions) as passage
          from unnest(p.found) u, unnest(u.positions) position
         where has_several and position >= p.passage_positions[1]
         group by 1 order by count(distinct u.lexeme) desc, 1 limit 1
      ) most on has_several
      cross join lateral (
        select coalesce(most.passage, width_bucket(first.position, p.passage_positions)) as passage
      ) best
     order by p.place;
end
$$;

-- Calls that match, as pages that fit together: see bank.match_documents for their order.
--   p_query: words (all of them), "a phrase", or, -without (websearch syntax)
--   p_language: only calls in that language, the query read in it; null: all, each in its own
--   start_seconds: where the snippet's passage begins; null where only title or summary match
--   snippet: about 40 words with **hits** marked; more: whether there are further pages
create or replace function api.search_recordings(
  p_query text, p_from timestamptz default null, p_to timestamptz default null, p_participant text default null,
  p_vault text default null, p_limit int default 20, p_offset int default 0, p_language text default null
) returns table (
    id text, source text, title text, started_at timestamptz, duration_seconds int, participants text[],
    vault_ids text[], language text, url text, rank real, start_seconds numeric, snippet text, more boolean
  )
  language plpgsql stable security definer rows 20 set search_path = pg_catalog set client_min_messages = warning set plan_cache_mode = force_generic_plan
as $$
begin
  perform bank.enter();
  return query
    with matches as materialized (
      select *, count(*) over () > p_limit as more
        from bank.match_documents(p_query, p_from, p_to, p_participant, p_vault, p_limit + 1, p_offset, p_language)
    ), m as materialized (
      select * from matches order by place limit p_limit
    ), w as materialized (
      -- Any of the words, because a passage need not have all of them.
      select l.language, bank.text_config(l.language) as config, bank.any_word(bank.text_config(l.language), p_query) as words
        from (select distinct m.language from m) l
    )
    select d.id, d.source, d.title, d.started_at, d.duration_seconds, d.participants, d.vault_ids, d.language, d.url,
           m.rank,
           case d.source
             when 'recording' then (said.segments -> 0 ->> 'start')::numeric
             else extract(epoch from (said.segments -> 0 ->> 'timestamp')::interval)
           end,
           ts_headline(w.config, coalesce(
               (select string_agg(s ->> 'text', ' ' order by n) from jsonb_array_elements(said.segments) with ordinality t (s, n)),
               concat_ws('. ', d.title, d.summary)
             ), w.words, 'StartSel=**, StopSel=**, MaxWords=40, MinWords=20, ShortWord=0'),
           m.more
      from bank.describe_calls(array(select m.recording_id from m), array(select m.legacy_id from m)) d
      join m on d.id = m.call_id
      join w on w.language = m.language
     cross join lateral (
       -- A path unpacks the transcript once and builds only what is asked for.
       select case when m.first_segment is not null then jsonb_path_query_array(
         d.transcript, format('$[%s to %s]', m.first_segment - 1, coalesce((m.last_segment - 1)::text, 'last'))::jsonpath
       ) end as segments offset 0
     ) said
     order by m.place;
end
$$;
