-- Meaning of texts as vectors (R3.12).

create or replace function bank.text_digest(p_text text) returns bytea
  language sql immutable strict parallel safe
return sha256(convert_to(p_text, 'UTF8'));

-- Cosine similarity of two vectors of length 1 and of as many dimensions, -1 to 1. Chooses how it is computed from now on:
-- by pgvector where the extension is there (or this role may create it), else in plain SQL, about ten times as slow. Both
-- compare every row, so both find the same. The migration job calls it each time, so an extension that came later counts
-- from then on.
create or replace function bank.choose_similarity() returns text
  language plpgsql set search_path = pg_catalog
as $$
declare
  home text;
begin
  if exists (select from pg_available_extensions where name = 'vector' and installed_version is null) then
    begin
      create schema if not exists bankhouse_extensions;
      create extension vector with schema bankhouse_extensions;
    exception when insufficient_privilege or feature_not_supported then
      null;
    end;
  end if;
  select n.nspname into home
    from pg_extension e join pg_namespace n on n.oid = e.extnamespace
   where e.extname = 'vector' and has_schema_privilege(n.oid, 'usage');
  if home is not null then
    -- Bound when it is made, so that a bank's role needs no right on the extension's schema.
    execute format(
      $f$create or replace function bank.similarity(p_a real[], p_b real[]) returns double precision
           language sql immutable strict parallel safe
           return - (p_a::%1$I.vector operator(%1$I.<#>) p_b::%1$I.vector)$f$,
      home
    );
    return 'pgvector';
  end if;
  create or replace function bank.similarity(p_a real[], p_b real[]) returns double precision
    language plpgsql immutable strict parallel safe
  as $f$
  begin
    return (
      select pg_catalog.sum(t.a operator(pg_catalog.*) t.b)
        from (select pg_catalog.unnest(p_a) as a, pg_catalog.unnest(p_b) as b) t
    );
  end
  $f$;
  return 'plain SQL';
end
$$;

-- In plain SQL, where nothing better is found; before what calls it.
do $$
begin
  perform bank.choose_similarity();
end
$$;

-- What can be embedded; the kind's plural is the name of a table.
create or replace function bank.check_kind(p_kind text) returns void
  language plpgsql immutable set search_path = pg_catalog
as $$
begin
  if p_kind is null or p_kind <> all (array['recording', 'note', 'task', 'comment', 'chat', 'chat_message']) then
    raise exception 'nothing of the kind % is embedded', p_kind using errcode = 'invalid_parameter_value';
  end if;
end
$$;

-- What of an item is embedded, in passages of about 1,800 characters, 62 of them at most; nothing for an item that isn't
-- there, is archived or has no text. Of a recording, title and summary are the first, and what was said follows.
create or replace function bank.item_passages(p_bank text, p_kind text, p_id text)
  returns table (passage int, start_seconds numeric, end_seconds numeric, body text)
  language plpgsql stable rows 20 set search_path = pg_catalog
as $$
#variable_conflict use_column
declare
  is_uuid constant boolean := p_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
  -- Most endpoints take no more than 8,192 tokens at once.
  longest constant int := 8000;
  recording uuid;
  legacy bigint;
  words text;
  size int;
begin
  if p_kind = 'recording' then
    if is_uuid then recording := p_id::uuid; end if;
    legacy := bank.legacy_id(p_id);
    return query
      with call as (
        select r.title, r.summary from bank.recordings r where r.bank_id = p_bank and r.id = recording
        union all
        select f.title, f.summary from bank.fathom_calls f where f.bank_id = p_bank and f.id = legacy and not f.migrated
      ), said as (
        select s.* from bank.recordings r cross join lateral bank.recording_segments(r.transcript) s
         where r.bank_id = p_bank and r.id = recording
        union all
        select s.* from bank.fathom_calls f cross join lateral bank.fathom_segments(
            f.transcript, extract(epoch from f.recording_end_time - f.recording_start_time)) s
         where f.bank_id = p_bank and f.id = legacy and not f.migrated
      ), lines as (
        select s.seq, s.start_seconds, s.end_seconds, concat(nullif(s.speaker, '') || ': ', s.text) as line from said s
      ), sizes as (
        select greatest(1800, sum(length(l.line) + 1) / 60 + 1)::int as size from lines l
      ), pieces as (
        select l.seq, n, l.start_seconds, l.end_seconds, substr(l.line, n * z.size + 1, z.size) as words, z.size
          from lines l, sizes z, generate_series(0, greatest(length(l.line) - 1, 0) / z.size) n
      ), placed as (
        select p.*, (sum(length(p.words) + 1) over (order by p.seq, p.n) - length(p.words) - 1) / p.size as place
          from pieces p
      ), texts (place, start_seconds, end_seconds, body) as (
        select -1, null::numeric, null::numeric, concat_ws(E'\n', c.title, nullif(c.summary, '')) from call c
        union all
        select p.place, min(p.start_seconds), max(p.end_seconds), string_agg(p.words, E'\n' order by p.seq, p.n)
          from placed p group by p.place
      )
      select (row_number() over (order by t.place) - 1)::int, t.start_seconds, t.end_seconds, left(t.body, longest)
        from texts t where t.body ~ '\S' order by 1;
    return;
  end if;
  if not is_uuid then return; end if;
  case p_kind
    when 'note' then
      select concat_ws(E'\n', n.title, nullif(n.body, '')) into words from bank.notes n
       where n.bank_id = p_bank and n.id = p_id::uuid and n.archived_at is null;
    when 'task' then
      select concat_ws(E'\n', t.title, nullif(t.description, '')) into words from bank.tasks t
       where t.bank_id = p_bank and t.id = p_id::uuid and t.archived_at is null;
    when 'chat' then
      select c.title into words from bank.chats c
       where c.bank_id = p_bank and c.id = p_id::uuid and c.archived_at is null;
    when 'comment' then
      select c.body into words from bank.comments c
       where c.bank_id = p_bank and c.id = p_id::uuid and c.archived_at is null;
    when 'chat_message' then
      select m.body into words from bank.chat_messages m
       where m.bank_id = p_bank and m.id = p_id::uuid and m.archived_at is null;
    else return;
  end case;
  size := greatest(1800, length(words) / 60 + 1);
  return query
    select (row_number() over (order by t.n) - 1)::int, null::numeric, null::numeric, t.body
      from (
        select n, substr(words, n * size + 1, size) as body
          from generate_series(0, greatest(length(words) - 1, 0) / size) n
      ) t
     where t.body ~ '\S' order by 1;
end
$$;

-- The newest items that the caller may see and that have no embedding of this model, with their passages: of each kind
-- among the last 500 that match, and so many that they have at most p_inputs passages together. A last row of nulls says
-- that there are more.
create or replace function api.unembedded(
  p_model text, p_dimensions int, p_kinds text[], p_vault text, p_from timestamptz, p_to timestamptz, p_inputs int
) returns table (kind text, item_id text, passage int, digest text, body text)
  language plpgsql stable security definer rows 20 set search_path = pg_catalog set client_min_messages = warning
as $$
#variable_conflict use_column
declare
  look_at constant int := 500;
  caller constant record := bank.caller();
  my_bank constant text := caller.bank;
  candidates text := '';
  wanted text;
  item record;
  bodies text[];
  taken int := 0;
begin
  foreach wanted in array p_kinds loop
    perform bank.check_kind(wanted);
    candidates := candidates || case when candidates = '' then '' else ' union all ' end || case wanted
      when 'recording' then
        '(select ''recording'' as kind, m.call_id as item_id, m.started_at as changed
            from bank.match_calls($4, $5, null, $3, null, null, $6) m)'
      -- Of some vaults, in each by itself: nothing of another one is read.
      else format(
        case when caller.all_vaults then '(select %1$L as kind, i.id::text as item_id, i.updated_at as changed from bank.%2$I i
             where i.bank_id = $1 %3$s)'
           else '(select %1$L as kind, i.id::text as item_id, i.updated_at as changed from unnest($9::text[]) v cross join lateral (
             select i.id, i.updated_at from bank.%2$I i where i.bank_id = $1 and i.vault_id = v %3$s) i
             order by i.updated_at desc limit $6)' end,
        wanted, wanted || 's', 'and i.archived_at is null and ($3 is null or i.vault_id = $3) and ($4 is null or i.created_at >= $4)
             and ($5 is null or i.created_at < $5) order by i.updated_at desc limit $6')
    end;
  end loop;
  if candidates = '' or not caller.may_see then return; end if;
  for item in execute format(
    'select c.kind, c.item_id from (%s) c
      where not exists (
        select from bank.embeddings e
         where e.bank_id = $1 and e.kind = c.kind and e.item_id = c.item_id and e.passage = 0
           and e.model = $2 and e.dimensions = $7)
      order by c.changed desc limit $8', candidates
  ) using my_bank, p_model, p_vault, p_from, p_to, look_at, p_dimensions, p_inputs + 1, caller.vaults loop
    bodies := array(select p.body from bank.item_passages(my_bank, item.kind, item.item_id) p order by p.passage);
    taken := taken + cardinality(bodies);
    if taken > p_inputs then
      return query select null::text, null::text, null::int, null::text, null::text;
      return;
    end if;
    return query
      select item.kind, item.item_id, t.place::int - 1, encode(bank.text_digest(t.body), 'hex'), t.body
        from unnest(bodies) with ordinality t (body, place);
  end loop;
end
$$;

-- Whether every vector is a plain list of numbers and of length 1. One of another length would be closest to every question,
-- and one with a gap or of two dimensions would make every comparison fail.
create or replace function bank.are_units(p_vectors text[]) returns boolean
  language sql immutable strict parallel safe
return (
  select bool_and(array_ndims(t.v) = 1 and n.filled = cardinality(t.v) and abs(n.square - 1) < 0.001)
    from (select w.vector::real[] as v from unnest(p_vectors) w (vector)) t
   cross join lateral (select sum(e::float8 * e::float8) as square, count(e) as filled from unnest(t.v) e) n
);

-- Keeps the embeddings of whole items; each item counts only when its passages have exactly these texts now, when its vectors
-- are of length 1, and when the caller may see it. The item is locked meanwhile, so that it neither changes nor moves unseen. Answers how many were kept.
--   p_vaults: of the caller; null: all
--   the arrays belong together, one entry per passage: hexadecimal SHA-256 of the text, and the vector as {…}
create or replace function bank.store_embeddings(
  p_bank text, p_vaults text[], p_model text, p_kinds text[], p_ids text[], p_passages int[], p_digests text[],
  p_vectors text[]
) returns int
  language plpgsql set search_path = pg_catalog
as $$
declare
  item record;
  item_vaults text[];
  item_at timestamptz;
  kept int := 0;
begin
  perform bank.refuse_moving(p_bank, true);
  for item in
    select t.kind, t.id, array_agg(t.digest order by t.passage) as digests, array_agg(t.vector order by t.passage) as vectors
      from unnest(p_kinds, p_ids, p_passages, p_digests, p_vectors) t (kind, id, passage, digest, vector)
     group by t.kind, t.id order by t.kind, t.id
  loop
    item_at := null;
    perform bank.check_kind(item.kind);
    if item.kind = 'recording' and item.id like 'fathom-%' then
      -- Looked for vault by vault, and locked only then: an old id can be guessed.
      if p_vaults is null or exists (
        select from unnest(p_vaults) v cross join lateral (
          select from bank.fathom_calls f
           where f.bank_id = p_bank and f.call_id = 'fathom-' || bank.legacy_id(item.id) and f.vault_id = v and not f.migrated offset 0) t
      ) then
        select array_remove(array[f.vault_id::text], null), f.recording_start_time into item_vaults, item_at
          from bank.fathom_calls f where f.bank_id = p_bank and f.id = bank.legacy_id(item.id) for share;
      end if;
    elsif item.kind = 'recording' then
      select r.started_at into item_at from bank.recordings r
       where r.bank_id = p_bank and r.id = item.id::uuid for share;
      item_vaults := array(
        select e.vault_id from bank.vault_entries e
         where e.bank_id = p_bank and e.recording_id = item.id::uuid order by e.vault_id
      );
    else
      execute format(
        'select array_remove(array[i.vault_id::text], null), i.created_at from bank.%I i
          where i.bank_id = $1 and i.id = $2 for share', item.kind || 's'
      ) into item_vaults, item_at using p_bank, item.id::uuid;
    end if;
    continue when item_at is null or not (p_vaults is null or item_vaults && p_vaults);
    continue when item.digests <> array(
      select encode(bank.text_digest(p.body), 'hex') from bank.item_passages(p_bank, item.kind, item.id) p order by p.passage
    );
    continue when bank.are_units(item.vectors) is not true;
    delete from bank.embeddings e where e.bank_id = p_bank and e.kind = item.kind and e.item_id = item.id;
    insert into bank.embeddings (bank_id, kind, item_id, passage, vault_ids, at, model, dimensions, digest, embedding)
      select p_bank, item.kind, item.id, t.place::int - 1, item_vaults, item_at, p_model, cardinality(t.vector::real[]),
             decode(t.digest, 'hex'), t.vector::real[]
        from unnest(item.digests, item.vectors) with ordinality t (digest, vector, place);
    kept := kept + 1;
  end loop;
  return kept;
end
$$;

-- The same under the caller's assertion. mcp:read suffices: what is kept follows from what it read
-- (docs/adr/0012).
create or replace function bank.keep_embeddings(
  p_model text, p_kinds text[], p_ids text[], p_passages int[], p_digests text[], p_vectors text[]
) returns int
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  vaults constant text[] := bank.vaults_to_search(null);
begin
  if bank.me() is null or cardinality(vaults) = 0 then return 0; end if;
  return bank.store_embeddings(bank.me(), vaults, p_model, p_kinds, p_ids, p_passages, p_digests, p_vectors);
end
$$;

-- An embedding ends with the text that it was made of. Argument: the kind.
create or replace function bank.forget_embeddings() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  item text;
begin
  if bank.copying() then return null; end if;
  if tg_argv[0] = 'recording' then
    item := old.call_id;
  else
    item := old.id::text;
  end if;
  delete from bank.embeddings e where e.bank_id = old.bank_id and e.kind = tg_argv[0] and e.item_id = item;
  return null;
end
$$;

-- It is in its item's vault.
create or replace function bank.move_embeddings() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  item text;
begin
  if bank.copying() then return null; end if;
  if tg_argv[0] = 'recording' then
    item := new.call_id;
  else
    item := new.id::text;
  end if;
  update bank.embeddings e set vault_ids = array_remove(array[new.vault_id::text], null)
   where e.bank_id = new.bank_id and e.kind = tg_argv[0] and e.item_id = item;
  return null;
end
$$;

-- A recording's vaults are rows of their own. The recording's row is locked, as bank.store_embeddings locks it: one of the
-- two waits for the other and sees what it did.
create or replace function bank.place_embeddings() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  if bank.copying() then return null; end if;
  perform from bank.recordings r
    where (r.bank_id, r.id) in (select c.bank_id, c.recording_id from changed c)
    order by r.bank_id, r.id for no key update;
  update bank.embeddings e
     set vault_ids = array(
       select v.vault_id from bank.vault_entries v
        where v.bank_id = e.bank_id and v.recording_id = e.item_id::uuid order by v.vault_id)
   where e.kind = 'recording'
     and (e.bank_id, e.item_id) in (select c.bank_id, c.recording_id::text collate "C" from changed c);
  return null;
end
$$;

-- The passages that are closest to a vector of length 1, the best one of each item, closest first. Every passage that the
-- caller may see and that the filters let through is compared.
--   p_not_kind, p_not_id: an item that is left out
--   p_only: 'open' leaves out tasks that are done or cancelled, 'tagged' leaves out what has no tags
create or replace function bank.nearest(
  p_vector real[], p_model text, p_kinds text[], p_vault text, p_from timestamptz, p_to timestamptz,
  p_not_kind text, p_not_id text, p_only text, p_minimum double precision, p_limit int
) returns table (kind text, item_id text, passage int, score double precision)
  language plpgsql stable rows 20 set search_path = pg_catalog
as $$
#variable_conflict use_column
begin
  -- A caller of some vaults finds nothing by the index of model and time: it has no vaults in it.
  return query execute format($q$
    -- Materialized, so that no vector of another model is compared, which may have other dimensions.
    with candidates as materialized (
      select e.kind, e.item_id, e.passage, e.embedding
        from bank.embeddings e
       where e.bank_id = (select bank.me()) and %1$s = $2 and e.dimensions = cardinality($1)
         and e.kind = any ($3)
         and ($4 is null or $4 = any (e.vault_ids))
         and ($5 is null or %2$s >= $5) and ($6 is null or %2$s < $6)
         and ($8 is null or (e.kind, e.item_id) <> ($7, $8))
         and case
           when $9 = 'open' and e.kind = 'task' then exists (
             select from bank.tasks t
              where t.bank_id = e.bank_id and t.id = e.item_id::uuid and t.status in ('open', 'in_progress'))
           when $9 = 'tagged' then case e.kind
             when 'note' then exists (
               select from bank.notes n where n.bank_id = e.bank_id and n.id = e.item_id::uuid and n.tags <> '{}')
             when 'task' then exists (
               select from bank.tasks t where t.bank_id = e.bank_id and t.id = e.item_id::uuid and t.tags <> '{}')
             when 'chat' then exists (
               select from bank.chats c where c.bank_id = e.bank_id and c.id = e.item_id::uuid and c.tags <> '{}')
             else false
           end
           else true
         end
    ), best as (
      select distinct on (s.kind, s.item_id) s.*
        from (
          select c.kind, c.item_id, c.passage, bank.similarity(c.embedding, $1) as score from candidates c
        ) s
       order by s.kind, s.item_id, s.score desc, s.passage
    )
    select b.* from best b
     where $10 is null or b.score >= $10
     order by b.score desc, b.kind, b.item_id limit $11$q$,
    case when bank.all_vaults() then 'e.model' else '(e.model || '''')' end,
    case when bank.all_vaults() then 'e.at' else '(e.at + interval ''0'')' end
  ) using p_vector, p_model, p_kinds, p_vault, p_from, p_to, p_not_kind, p_not_id, p_only, p_minimum, p_limit;
end
$$;

-- What is told about passages that were found, in their order. One whose text is another by now is left out.
create or replace function bank.describe_passages(p_kinds text[], p_ids text[], p_passages int[])
  returns table (
    place int, kind text, item_id text, title text, at timestamptz, vault_ids text[], status text, tags text[],
    parent_kind text, parent_id text, start_seconds numeric, end_seconds numeric, body text
  )
  language plpgsql stable rows 20 set search_path = pg_catalog
as $$
#variable_conflict use_column
declare
  my_bank constant text := bank.me();
begin
  return query
    select t.place::int, e.kind, e.item_id, i.title, e.at, e.vault_ids, i.status, i.tags, i.parent_kind, i.parent_id,
           p.start_seconds, p.end_seconds, p.body
      from unnest(p_kinds, p_ids, p_passages) with ordinality t (kind, item_id, passage, place)
      join bank.embeddings e
        on e.bank_id = my_bank and e.kind = t.kind and e.item_id = t.item_id and e.passage = t.passage
     cross join lateral bank.item_passages(my_bank, t.kind, t.item_id) p
      left join lateral (
        select r.title, null as status, null::text[] as tags, null as parent_kind, null as parent_id
          from bank.recordings r
         where r.bank_id = my_bank
           and r.id = case when e.kind = 'recording' and e.item_id not like 'fathom-%' then e.item_id::uuid end
        union all
        select f.title, null, null, null, null from bank.fathom_calls f
         where f.bank_id = my_bank and f.id = case when e.item_id like 'fathom-%' then substr(e.item_id, 8)::bigint end
        union all
        select n.title, n.status, n.tags, 'recording', n.recording_id from bank.notes n
         where n.bank_id = my_bank and n.id = case when e.kind = 'note' then e.item_id::uuid end
        union all
        select k.title, k.status, k.tags, 'recording', k.recording_id from bank.tasks k
         where k.bank_id = my_bank and k.id = case when e.kind = 'task' then e.item_id::uuid end
        union all
        select c.title, c.status, c.tags, 'recording', c.recording_id from bank.chats c
         where c.bank_id = my_bank and c.id = case when e.kind = 'chat' then e.item_id::uuid end
        union all
        select null, c.status, null, c.parent_type, c.parent_id from bank.comments c
         where c.bank_id = my_bank and c.id = case when e.kind = 'comment' then e.item_id::uuid end
        union all
        select null, m.status, null, 'chat', m.chat_id::text from bank.chat_messages m
         where m.bank_id = my_bank and m.id = case when e.kind = 'chat_message' then e.item_id::uuid end
      ) i on true
     where p.passage = t.passage and e.digest = bank.text_digest(p.body)
     order by t.place;
end
$$;

create or replace function api.keep_embeddings(
  p_model text, p_kinds text[], p_ids text[], p_passages int[], p_digests text[], p_vectors text[]
) returns int
  language plpgsql security definer set search_path = pg_catalog set client_min_messages = warning
as $$
begin
  perform bank.enter();
  return bank.keep_embeddings(p_model, p_kinds, p_ids, p_passages, p_digests, p_vectors);
end
$$;

-- The passages of an item that the caller may see, with the vector of each that has one of its present text.
--   p_dimensions null: any
create or replace function api.embedded_item(p_kind text, p_id text, p_model text, p_dimensions int)
  returns table (kind text, id text, passage int, digest text, body text, vector text)
  language plpgsql stable security definer rows 20 set search_path = pg_catalog set client_min_messages = warning
as $$
declare
  my_bank constant text := (bank.enter()).bank;
  key record;
begin
  -- An old id can be guessed, so it is looked up where the caller's vaults are.
  if p_kind = 'recording' then
    key := bank.resolve_call(p_id);
    if key.recording_id::text is distinct from p_id and key.legacy_id is null then return; end if;
  end if;
  return query
    select p_kind, p_id, p.passage, encode(bank.text_digest(p.body), 'hex'), p.body, e.embedding::text
      from bank.item_passages(my_bank, p_kind, p_id) p
      left join bank.embeddings e on e.bank_id = my_bank and e.kind = p_kind and e.item_id = p_id and e.passage = p.passage
        and e.model = p_model and (p_dimensions is null or e.dimensions = p_dimensions) and e.digest = bank.text_digest(p.body)
     order by p.passage;
end
$$;

-- The passages closest to a vector, told: see bank.nearest for the arguments. In order.
create or replace function api.nearest(
  p_vector real[], p_model text, p_kinds text[], p_vault text, p_from timestamptz, p_to timestamptz,
  p_not_kind text, p_not_id text, p_only text, p_minimum double precision, p_limit int
) returns table (
    kind text, id text, title text, at timestamptz, vault_ids text[], status text, tags text[], parent_kind text, parent_id text,
    start_seconds numeric, end_seconds numeric, body text, score double precision
  )
  language plpgsql stable security definer rows 20 set search_path = pg_catalog set client_min_messages = warning
as $$
begin
  perform bank.enter();
  return query
    with found as materialized (
      select n.*, row_number() over (order by n.score desc, n.kind, n.item_id) as place
        from bank.nearest(p_vector, p_model, p_kinds, p_vault, p_from, p_to, p_not_kind, p_not_id, p_only, p_minimum, p_limit) n
    )
    select d.kind, d.item_id, d.title, d.at, d.vault_ids, d.status, d.tags, d.parent_kind, d.parent_id, d.start_seconds, d.end_seconds,
           d.body, f.score
      from bank.describe_passages(
        array(select f.kind from found f order by f.place), array(select f.item_id from found f order by f.place),
        array(select f.passage from found f order by f.place)) d
      join found f on f.kind = d.kind and f.item_id = d.item_id
     order by d.place;
end
$$;
