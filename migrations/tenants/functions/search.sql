-- Full-text search over the five entities. As with calls, what finds looks past row-level security, applies the bank and the
-- vaults of the caller itself and returns keys and ranks only (ADR 6); what tells about the keys reads under the policies.

-- What is searched of the entities, as one relation. Where the kind is a parameter, the other tables aren't looked at.
create or replace view bank.searched_entities with (security_invoker = true) as
  select 'notes'::text as kind, t.bank_id, t.id, t.vault_id, t.created_at, t.archived_at, t.language, t.document from bank.notes t
  union all
  select 'tasks', t.bank_id, t.id, t.vault_id, t.created_at, t.archived_at, t.language, t.document from bank.tasks t
  union all
  select 'comments', t.bank_id, t.id, t.vault_id, t.created_at, t.archived_at, t.language, t.document from bank.comments t
  union all
  select 'chats', t.bank_id, t.id, t.vault_id, t.created_at, t.archived_at, t.language, t.document from bank.chats t
  union all
  select 'chat_messages', t.bank_id, t.id, t.vault_id, t.created_at, t.archived_at, t.language, t.document from bank.chat_messages t;

-- The query as each language reads it, so that a stem is that language's and -without is exact: one row for all
-- configurations that read it alike, none for those that find no word in it that an index could serve.
create or replace function bank.readings(p_query text, p_language text default null)
  returns table (query tsquery, configs text[])
  language plpgsql immutable rows 3 set search_path = pg_catalog
as $$
begin
  return query
    select (array_agg(r.query))[1], array_agg(r.config::text)
      from (
        select c.config, websearch_to_tsquery(c.config, p_query) as query
          from unnest(case when p_language is not null then array[bank.text_config(p_language)] else array[
            'english', 'german', 'french', 'spanish', 'italian', 'portuguese', 'dutch', 'swedish', 'danish', 'norwegian', 'finnish',
            'russian', 'turkish', 'hungarian', 'simple']::regconfig[] end) c (config)
      ) r
     where querytree(r.query) not in ('', 'T')
     group by r.query::text;
end
$$;

-- The newest p_amount rows of a kind that match, newest first, by the index of words.
--   p_scopes: <bank>, or <bank>/<vault> for each vault; p_archived: null for both
create or replace function bank.matches_by_index(
  p_kind text, p_query text, p_language text, p_scopes text[],
  p_from timestamptz, p_to timestamptz, p_archived boolean, p_amount int, out ids uuid[], out ranks real[]
)
  language plpgsql stable set search_path = pg_catalog set enable_seqscan = off set enable_sort = on
as $$
begin
  select array_agg(m.id), array_agg(ts_rank(m.document, m.query, 1)) into ids, ranks
    from (
      select t.id, t.document, q.query
        from (
          select r.query, array(select s || ':' || c from unnest(p_scopes) s, unnest(r.configs) c) as scopes
            from bank.readings(p_query, p_language) r
        ) q
       cross join lateral (
         select t.id, t.created_at, t.document from bank.searched_entities t
          where t.kind = p_kind and t.document @@ q.query and bank.entity_scopes(t.bank_id, t.vault_id, t.language) && q.scopes
            and t.created_at >= p_from and t.created_at < p_to
            and (p_archived is null or (t.archived_at is not null) = p_archived)
            and (p_language is null or bank.plain_language(t.language) = p_language)
          offset 0
       ) t
       order by t.created_at desc, t.id desc limit p_amount
    ) m;
end
$$;

-- The ids alone: what bank.match_entities before called. It goes with what servers of that release call.
create or replace function bank.newest_matches(
  p_table text, p_query text, p_language text, p_bank text, p_vaults text[],
  p_from timestamptz, p_to timestamptz, p_archived text, p_amount int
) returns uuid[]
  language plpgsql stable set search_path = pg_catalog
as $$
declare
  found constant record := bank.matches_by_index(p_table, p_query, p_language,
    case when p_vaults is null then array[p_bank] else array(select p_bank || '/' || v from unnest(p_vaults) v) end,
    coalesce(p_from, '-infinity'), coalesce(p_to, 'infinity'), case p_archived when 'exclude' then false when 'only' then true end, p_amount);
begin
  return coalesce(found.ids, '{}');
end
$$;

-- Keys of the rows that match, of each kind a page of its own: p_limit rows after the first p_offsets[n] of p_kinds[n].
-- Ranking unpacks a document, so it is bounded as in 0008: matches of a kind are taken newest first in blocks of 50, and
-- sorted by rank within their block. Pages of one kind fit together, and all of them together hold every match once.
-- A word that many rows have is found among the newest 250 rows, in the order of an index; only where those hold too few and are not all,
-- the index of words is asked, whose every match has to be read and sorted. Statements are planned once a connection.
--   p_language: only rows in that language, read in it; p_archived: exclude, include or only
create or replace function bank.match_entities(
  p_query text, p_kinds text[], p_offsets int[], p_limit int, p_vault text default null,
  p_from timestamptz default null, p_to timestamptz default null, p_archived text default 'exclude',
  p_language text default null
) returns table (kind text, place int, id uuid, rank real)
  language plpgsql stable security definer rows 50
  set search_path = pg_catalog set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_sort = off set jit = off
as $$
#variable_conflict use_column
declare
  block constant int := 50;
  newest constant int := 250;
  me constant text := bank.me();
  vaults constant text[] := bank.vaults_to_search(p_vault);
  -- queries[n] is for rows in configs[n]
  configs regconfig[];
  queries tsquery[];
  from_at constant timestamptz := coalesce(p_from, '-infinity');
  to_at constant timestamptz := coalesce(p_to, 'infinity');
  archived constant boolean := case p_archived when 'exclude' then false when 'only' then true end;
  wanted text;
  skip int;
  first int;
  amount int;
  seen int;
  ids uuid[];
  ranks real[];
begin
  if me is null or cardinality(vaults) = 0 then return; end if;
  select array_agg(c.config::regconfig), array_agg(r.query) into configs, queries
    from bank.readings(p_query, p_language) r cross join lateral unnest(r.configs) c (config);
  if configs is null then return; end if;
  for n in 1 .. cardinality(p_kinds) loop
    wanted := p_kinds[n];
    skip := greatest(p_offsets[n], 0);
    first := skip / block * block;
    amount := (skip + greatest(p_limit, 0) + block - 1) / block * block;
    if vaults is null then
      select count(*), array_agg(m.id) filter (where m.rank is not null), array_agg(m.rank) filter (where m.rank is not null)
        into seen, ids, ranks
        from (
          select r.id, case when r.document @@ r.query then ts_rank(r.document, r.query, 1) end as rank
            from (
              select t.id, t.document, queries[array_position(configs, bank.text_config(t.language))] as query
                from bank.searched_entities t
               where t.kind = wanted and t.bank_id = me and t.created_at >= from_at and t.created_at < to_at
                 and (archived is null or (t.archived_at is not null) = archived)
                 and (p_language is null or bank.plain_language(t.language) = p_language)
               order by t.created_at desc, t.id desc limit newest
            ) r offset 0
        ) m;
    else
      select count(*), array_agg(m.id) filter (where m.rank is not null), array_agg(m.rank) filter (where m.rank is not null)
        into seen, ids, ranks
        from (
          select r.id, case when r.document @@ r.query then ts_rank(r.document, r.query, 1) end as rank
            from (
              select t.id, t.document, queries[array_position(configs, bank.text_config(t.language))] as query
                from unnest(vaults) v cross join lateral (
                  select t.id, t.created_at, t.language, t.document from bank.searched_entities t
                   where t.kind = wanted and t.bank_id = me and t.vault_id = v and t.created_at >= from_at and t.created_at < to_at
                     and (archived is null or (t.archived_at is not null) = archived)
                     and (p_language is null or bank.plain_language(t.language) = p_language)
                   order by t.created_at desc, t.id desc limit newest
                ) t
               order by t.created_at desc, t.id desc limit newest
            ) r offset 0
        ) m;
    end if;
    if seen = newest and coalesce(cardinality(ids), 0) < amount then
      select i.ids, i.ranks into ids, ranks
        from bank.matches_by_index(wanted, p_query, p_language,
          case when vaults is null then array[me] else array(select me || '/' || v from unnest(vaults) v) end,
          from_at, to_at, archived, amount) i;
    end if;
    return query
      select wanted, (row_number() over (order by (m.place - 1) / block, m.rank desc, m.place))::int + first, m.id, m.rank
        from unnest(ids[first + 1 : amount], ranks[first + 1 : amount]) with ordinality as m (id, rank, place)
       order by 2 limit p_limit offset skip - first;
  end loop;
end
$$;

create or replace function api.match_entities(
  p_query text, p_kinds text[], p_offsets int[], p_limit int, p_vault text default null,
  p_from timestamptz default null, p_to timestamptz default null, p_archived text default 'exclude',
  p_language text default null
) returns table (kind text, place int, id uuid, rank real)
  language plpgsql stable security definer rows 50 set search_path = pg_catalog set client_min_messages = warning
as $$
begin
  perform bank.enter();
  return query
    select m.kind, m.place, m.id, m.rank
      from bank.match_entities(p_query, p_kinds, p_offsets, p_limit, p_vault, p_from, p_to, p_archived, p_language) m;
end
$$;

-- What is told about rows, given their kinds and ids; as the caller, under the policies. In no order.
--   snippet: about 40 words with **hits** marked
create or replace function api.describe_matches(p_kinds text[], p_ids uuid[], p_query text)
  returns table (
    kind text, id uuid, vault_id text, status text, created_at timestamptz, archived_at timestamptz, language text,
    title text, parent_kind text, parent_id text, snippet text
  )
  language plpgsql stable security definer rows 20 set search_path = pg_catalog set client_min_messages = warning
as $$
begin
  perform bank.enter();
  return query
    with wanted as materialized (
      select w.kind, w.id from unnest(p_kinds, p_ids) w (kind, id)
    ), found as (
      select 'notes' as kind, n.id, n.vault_id, n.status, n.created_at, n.archived_at, n.language, n.title,
             null as parent_kind, null as parent_id, n.body as words, n.tags as more
        from bank.notes n
       where n.bank_id = (select bank.me()) and n.id in (select w.id from wanted w where w.kind = 'notes')
      union all
      select 'tasks', t.id, t.vault_id, t.status, t.created_at, t.archived_at, t.language, t.title,
             null, null, t.description, t.tags
        from bank.tasks t
       where t.bank_id = (select bank.me()) and t.id in (select w.id from wanted w where w.kind = 'tasks')
      union all
      select 'comments', c.id, c.vault_id, c.status, c.created_at, c.archived_at, c.language, null,
             c.parent_type || 's', c.parent_id, c.body, null
        from bank.comments c
       where c.bank_id = (select bank.me()) and c.id in (select w.id from wanted w where w.kind = 'comments')
      union all
      select 'chats', c.id, c.vault_id, c.status, c.created_at, c.archived_at, c.language, c.title,
             null, null, '', c.tags || c.participants
        from bank.chats c
       where c.bank_id = (select bank.me()) and c.id in (select w.id from wanted w where w.kind = 'chats')
      union all
      select 'chat_messages', m.id, m.vault_id, m.status, m.created_at, m.archived_at, m.language, null,
             'chats', m.chat_id::text, m.body, null
        from bank.chat_messages m
       where m.bank_id = (select bank.me()) and m.id in (select w.id from wanted w where w.kind = 'chat_messages')
    )
    select f.kind, f.id, f.vault_id::text, f.status::text, f.created_at, f.archived_at, f.language::text, f.title,
           f.parent_kind::text, f.parent_id::text,
           ts_headline(
             bank.text_config(f.language),
             concat_ws('. ', f.title, nullif(f.words, ''), nullif(array_to_string(f.more, ', '), '')),
             bank.any_word(bank.text_config(f.language), p_query),
             'StartSel=**, StopSel=**, MaxWords=40, MinWords=20, ShortWord=0'
           )
      from found f;
end
$$;
