-- Full-text search over the five entities. As with calls, what finds looks past row-level security, applies the bank and the
-- vaults of the caller itself and returns keys and ranks only (ADR 6); what tells about the keys reads under the policies.

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
          from (
            select distinct bank.text_config(l) as config
              from unnest(case when p_language is null
                then array['en', 'de', 'fr', 'es', 'it', 'pt', 'nl', 'sv', 'da', 'no', 'fi', 'ru', 'tr', 'hu', 'ro', 'xx']
                else array[p_language] end) l
          ) c
      ) r
     where querytree(r.query) not in ('', 'T')
     group by r.query::text;
end
$$;

-- Ids of the newest p_amount rows of a table that match, newest first, as the owner.
--   p_scopes: <bank>, or <bank>/<vault> for each vault; p_archived: exclude, include or only
-- A word that many rows have is found among the newest 250 rows; only where those hold too few the index is asked, whose
-- every match would have to be read and sorted.
create or replace function bank.newest_matches(
  p_table text, p_query text, p_language text, p_bank text, p_vaults text[],
  p_from timestamptz, p_to timestamptz, p_archived text, p_amount int
) returns uuid[]
  language plpgsql stable set search_path = pg_catalog
as $$
declare
  newest constant int := 250;
  among constant text := concat(
    case when p_from is not null then ' and t.created_at >= $4' end,
    case when p_to is not null then ' and t.created_at < $5' end,
    case p_archived when 'exclude' then ' and t.archived_at is null' when 'only' then ' and t.archived_at is not null' end,
    case when p_language is not null then ' and bank.plain_language(t.language) = $6' end
  );
  last_ones constant text := ' order by t.created_at desc, t.id desc limit $7';
  seen int;
  ids uuid[];
begin
  execute format(
    case when p_vaults is null
      then 'with recent as materialized (
          select t.id, t.created_at, bank.text_config(t.language)::text as config, t.document
            from bank.%1$I t where t.bank_id = $1 %2$s %3$s)'
      else 'with recent as materialized (
          select t.* from unnest($3::text[]) v cross join lateral (
            select t.id, t.created_at, bank.text_config(t.language)::text as config, t.document
              from bank.%1$I t where t.bank_id = $1 and t.vault_id = v %2$s %3$s) t %3$s)'
    end
    || ', found as (
        select t.id, t.created_at from recent t
          join bank.readings($2, $6) q on case when t.config = any (q.configs) then t.document @@ q.query end)
      select (select count(*) from recent), array(select f.id from found f order by f.created_at desc, f.id desc limit $8)',
    p_table, among, last_ones
  ) into seen, ids using p_bank, p_query, p_vaults, p_from, p_to, p_language, newest, p_amount;
  if seen < newest or cardinality(ids) >= p_amount then return ids; end if;
  execute format(
    'select array(
       select m.id from bank.readings($2, $6) q
        cross join lateral (
          select t.id, t.created_at from bank.%1$I t
           where t.document @@ q.query
             and bank.entity_scopes(t.bank_id, t.vault_id, t.language)
                 && array(select s || '':'' || c from unnest($3::text[]) s, unnest(q.configs) c) %2$s %3$s
        ) m
        order by m.created_at desc, m.id desc limit $7)',
    p_table, among, last_ones
  ) into ids using p_bank, p_query,
    case when p_vaults is null then array[p_bank] else array(select p_bank || '/' || v from unnest(p_vaults) v) end,
    p_from, p_to, p_language, p_amount;
  return ids;
end
$$;

-- Keys of the rows that match, of each kind a page of its own: p_limit rows after the first p_offsets[n] of p_kinds[n].
-- Ranking unpacks a document, so it is bounded as in 0008: matches of a kind are taken newest first in blocks of 50, and
-- sorted by rank within their block. Pages of one kind fit together, and all of them together hold every match once.
--   p_language: only rows in that language, read in it; p_archived: exclude, include or only
create or replace function bank.match_entities(
  p_query text, p_kinds text[], p_offsets int[], p_limit int, p_vault text default null,
  p_from timestamptz default null, p_to timestamptz default null, p_archived text default 'exclude',
  p_language text default null
) returns table (kind text, place int, id uuid, rank real)
  language plpgsql stable security definer rows 50 set search_path = pg_catalog set enable_seqscan = off set jit = off
as $$
#variable_conflict use_column
declare
  block constant int := 50;
  kinds constant text[] := array['notes', 'tasks', 'comments', 'chats', 'chat_messages'];
  me constant text := bank.me();
  vaults constant text[] := bank.vaults_to_search(p_vault);
  wanted record;
  first_block int;
  amount int;
  ids uuid[];
begin
  if me is null or cardinality(vaults) = 0 then return; end if;
  for wanted in select k.kind, greatest(k.skip, 0) as skip from unnest(p_kinds, p_offsets) k (kind, skip) loop
    continue when (wanted.kind = any (kinds)) is not true;
    first_block := wanted.skip / block;
    amount := ((wanted.skip + greatest(p_limit, 0) + block - 1) / block) * block;
    ids := bank.newest_matches(
      wanted.kind, p_query, p_language, me, vaults, p_from, p_to, p_archived, amount);
    return query execute format(
      'select %1$L, (row_number() over (order by (m.place - 1) / $3, m.rank desc, m.place))::int + $5, m.id, m.rank
         from (
           select t.id, i.place, ts_rank(t.document, q.query, 1) as rank
             from unnest($2[$5 + 1 : $6]) with ordinality as i (id, place)
             join bank.%1$I t on t.bank_id = $1 and t.id = i.id
             join bank.readings($7, $8) q on bank.text_config(t.language)::text = any (q.configs)
         ) m
        order by 2 limit $9 offset $4 - $5', wanted.kind)
      using me, ids, block, wanted.skip, first_block * block, amount, p_query, p_language, p_limit;
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
