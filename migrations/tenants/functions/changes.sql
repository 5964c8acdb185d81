-- What changed, and who may hear of it (R3.11). docs/adr/0009 says why it is as it is.

-- Keeps the newest 10,000 changes of a bank, and those for an hour. Of writers at once one does it, and none waits.
create or replace function bank.prune_changes(p_bank text) returns void
  language plpgsql set search_path = pg_catalog
as $$
declare
  horizon xid8;
begin
  insert into bank.change_floors (bank_id) values (p_bank) on conflict do nothing;
  perform from bank.change_floors where bank_id = p_bank for update skip locked;
  if not found then return; end if;
  select c.xid into horizon from bank.changes c
   where c.bank_id = p_bank order by c.xid desc, c.seq desc offset 10000 limit 1;
  with gone as (
    delete from bank.changes c
     where c.bank_id = p_bank and (c.xid <= horizon or c.at < clock_timestamp() - interval '1 hour')
     returning c.xid
  )
  update bank.change_floors f set pruned = greatest(f.pruned, (select max(g.xid) from gone g))
   where f.bank_id = p_bank and exists (select from gone);
end
$$;

-- Writes down what one statement did to rows of one kind: one change a row, or a single one for more than 100. While a bank is frozen for
-- a move it is refused instead, whoever wrote. A bank without a key has no readers, so nothing is kept of what is erased with it. Nobody is
-- notified while nobody listens, because commits that notify go one after the other, over all banks.
create or replace function bank.record_changes(p_kind text, p_seen bank.change_seen[]) returns void
  language plpgsql set search_path = pg_catalog
as $$
declare
  concerned text;
  due boolean;
begin
  if p_seen is null then return; end if;
  for concerned in select distinct s.bank_id from unnest(p_seen) s loop
    perform bank.refuse_moving(concerned, true);
    continue when not exists (select from bank.bank_keys k where k.bank_id = concerned);
    with added as (
      insert into bank.changes (bank_id, kind, id, vaults_before, vaults_after)
        select concerned, p_kind, s.id, s.before, s.after from unnest(p_seen) s
         where cardinality(p_seen) <= 100 and s.bank_id = concerned
        union all
        select concerned, p_kind, null, v.all_vaults, v.all_vaults from (
          select array(select distinct u from unnest(p_seen) s, unnest(s.before || s.after) u where s.bank_id = concerned)
            as all_vaults
        ) v
         where cardinality(p_seen) > 100
      returning seq
    )
    select bool_or(seq % 128 = 0) into due from added;
    if due then perform bank.prune_changes(concerned); end if;
    if exists (select from bank.feeds f where f.bank_id = concerned and f.expires_at > clock_timestamp()) then
      perform pg_notify(k.channel, '') from bank.bank_keys k where k.bank_id = concerned;
    end if;
  end loop;
end
$$;

-- Notes, tasks, comments, chats and their messages: in one vault or none.
create or replace function bank.entity_changed() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  seen bank.change_seen[];
begin
  if bank.copying() then return null; end if;
  if tg_op = 'INSERT' then
    select array_agg(row(a.bank_id, a.id, null, array_remove(array[a.vault_id], null))::bank.change_seen)
      into seen from after_rows a;
  elsif tg_op = 'DELETE' then
    select array_agg(row(b.bank_id, b.id, array_remove(array[b.vault_id], null), null)::bank.change_seen)
      into seen from before_rows b;
  else
    select array_agg(row(bank_id, id,
        case when b.version is not null then array_remove(array[b.vault_id], null) end,
        case when a.version is not null then array_remove(array[a.vault_id], null) end)::bank.change_seen)
      into seen from before_rows b full join after_rows a using (bank_id, id);
  end if;
  perform bank.record_changes(tg_table_name, seen);
  return null;
end
$$;

-- The old calls. One that is migrated is in the vaults of its new row alone.
create or replace function bank.fathom_call_changed() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  seen bank.change_seen[];
begin
  if bank.copying() then return null; end if;
  if tg_op = 'INSERT' then
    select array_agg(row(a.bank_id, a.call_id, null,
        array_remove(array[case when not a.migrated then a.vault_id end], null))::bank.change_seen)
      into seen from after_rows a;
  elsif tg_op = 'DELETE' then
    select array_agg(row(b.bank_id, b.call_id,
        array_remove(array[case when not b.migrated then b.vault_id end], null), null)::bank.change_seen)
      into seen from before_rows b;
  else
    select array_agg(row(bank_id, call_id,
        case when b.title is not null then array_remove(array[case when not b.migrated then b.vault_id end], null) end,
        case when a.title is not null then array_remove(array[case when not a.migrated then a.vault_id end], null) end
      )::bank.change_seen)
      into seen from before_rows b full join after_rows a using (bank_id, call_id);
  end if;
  perform bank.record_changes('recordings', seen);
  return null;
end
$$;

-- The vaults of new calls. An old id leads to the new row, so both have changed.
create or replace function bank.recording_changed() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  seen bank.change_seen[];
begin
  if bank.copying() then return null; end if;
  -- The entries of a row that was just made come after it, and those of a deleted one went before: each tells of itself.
  if tg_op = 'INSERT' then
    select array_agg(row(a.bank_id, i.id, null, '{}'::text[])::bank.change_seen) into seen
      from after_rows a, lateral (values (a.call_id), ('fathom-' || a.legacy_id)) i (id) where i.id is not null;
  elsif tg_op = 'DELETE' then
    select array_agg(row(b.bank_id, i.id, '{}'::text[], null)::bank.change_seen) into seen
      from before_rows b, lateral (values (b.call_id), ('fathom-' || b.legacy_id)) i (id) where i.id is not null;
  else
    select array_agg(row(a.bank_id, i.id, v.vaults, v.vaults)::bank.change_seen) into seen
      from after_rows a left join before_rows b on b.bank_id = a.bank_id and b.id = a.id
     cross join lateral (
        values (a.call_id), ('fathom-' || a.legacy_id),
          (case when b.legacy_id is distinct from a.legacy_id then 'fathom-' || b.legacy_id end)
      ) i (id)
     cross join lateral (
        select array(
          select e.vault_id from bank.vault_entries e where e.bank_id = a.bank_id and e.recording_id = a.id
        ) as vaults
      ) v
     where i.id is not null;
  end if;
  perform bank.record_changes('recordings', seen);
  return null;
end
$$;

create or replace function bank.entries_changed() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  moved bank.change_seen[];
  seen bank.change_seen[];
begin
  if bank.copying() then return null; end if;
  -- First per recording: the vaults that it lost and those that it gained.
  if tg_op = 'INSERT' then
    select array_agg(m::bank.change_seen) into moved from (
      select bank_id, recording_id::text, '{}'::text[], array_agg(vault_id::text) from after_rows group by 1, 2) m;
  elsif tg_op = 'DELETE' then
    select array_agg(m::bank.change_seen) into moved from (
      select bank_id, recording_id::text, array_agg(vault_id::text), '{}'::text[] from before_rows group by 1, 2) m;
  else
    select array_agg(m::bank.change_seen) into moved from (
      select bank_id, recording_id::text,
             coalesce(array_agg(b.vault_id::text) filter (where b.vault_id is not null), '{}'),
             coalesce(array_agg(a.vault_id::text) filter (where a.vault_id is not null), '{}')
        from before_rows b full join after_rows a using (bank_id, recording_id, vault_id) group by 1, 2) m;
  end if;
  if moved is null then return null; end if;
  select array_agg(row(m.bank_id, i.id, s.stayed || m.before,
      case when r.id is not null then s.stayed || m.after end)::bank.change_seen)
    into seen
    from unnest(moved) m
    left join bank.recordings r on r.bank_id = m.bank_id and r.id = m.id::uuid
   cross join lateral (
      select array(
        select e.vault_id::text from bank.vault_entries e
         where e.bank_id = m.bank_id and e.recording_id = m.id::uuid and e.vault_id <> all (m.after)
      ) as stayed
    ) s
   cross join lateral (values (m.id), ('fathom-' || r.legacy_id)) i (id)
   where i.id is not null;
  perform bank.record_changes('recordings', seen);
  return null;
end
$$;

-- Vaults themselves: made and renamed by the operator.
create or replace function bank.vault_changed() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  seen bank.change_seen[];
begin
  if bank.copying() then return null; end if;
  if tg_op <> 'DELETE' then
    select array_agg(row(a.bank_id, a.id, case when tg_op = 'UPDATE' then array[a.id] end, array[a.id])::bank.change_seen)
      into seen from after_rows a;
  else
    select array_agg(row(b.bank_id, b.id, array[b.id], null)::bank.change_seen) into seen from before_rows b;
  end if;
  perform bank.record_changes('vaults', seen);
  return null;
end
$$;

-- Opens a feed for the caller of this transaction, with its limits, until its token expires, for an hour at most. What is committed
-- after the position is heard. (exp is compared as a number: it may be beyond what a timestamp holds.)
-- A bank has at most 1,000; then the oldest makes room, which is one that a server left behind when it died.
create or replace function bank.open_feed(out feed uuid, out "position" text, out channel text)
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  asserted constant record := bank.open_assertion();
  my_bank constant text := bank.me();
  payload jsonb;
begin
  if asserted.state = 'valid' then
    payload := convert_from(
      bank.base64url_decode(split_part(current_setting('bankhouse.assertion'), '.', 2)), 'UTF8')::jsonb;
  end if;
  if not coalesce('read' = any (bank.accesses_of(payload)) and jsonb_typeof(payload -> 'exp') = 'number', false) then
    raise exception 'a feed needs a valid assertion that is for reading, with exp of its token'
      using errcode = 'insufficient_privilege';
  end if;
  perform bank.refuse_moving(my_bank, true);
  delete from bank.feeds f where f.bank_id = my_bank and f.expires_at <= clock_timestamp();
  delete from bank.feeds f where f.id in (
    select o.id from bank.feeds o where o.bank_id = my_bank order by o.opened_at desc offset 999);
  insert into bank.feeds (bank_id, subject, jti, asserted_at, all_vaults, vaults, expires_at)
    values (my_bank, asserted.subject, payload ->> 'jti', to_timestamp((payload ->> 'iat')::bigint), asserted.all_vaults,
            asserted.vaults,
            to_timestamp(least((payload ->> 'exp')::numeric, extract(epoch from clock_timestamp()) + 3600)::float8))
    returning id into feed;
  "position" := pg_current_snapshot();
  channel := (select k.channel from bank.bank_keys k where k.bank_id = my_bank order by k.generation desc limit 1);
end
$$;

-- Why a feed says nothing any more: closed, expired or revoked; null while it does.
create or replace function bank.feed_ended(p_feed bank.feeds) returns text
  language plpgsql stable set search_path = pg_catalog
as $$
begin
  return case
    when p_feed.id is null then 'closed'
    when p_feed.expires_at <= clock_timestamp() then 'expired'
    when exists (select from bank.revoked_tokens r where r.jti = p_feed.jti)
      or exists (select from bank.banks b where b.id = p_feed.bank_id and b.tokens_not_before > p_feed.asserted_at)
      then 'revoked'
  end;
end
$$;

-- What was committed between p_position, from bank.open_feed or the answer before, and now; exactly that, since both are
-- snapshots and the answer is read under the second one. (Numbers of a sequence are taken out of the order of commits.)
--   position  where to go on
--   channel   where changes are announced now
--   behind    something since p_position is no longer kept: whatever was read is to be read again
--   ended     [{"feed": place in p_feeds, "reason": closed | expired | revoked}]
--   changes   [{"kind", "id", "operation": created | updated | deleted | many, "feeds": [places in p_feeds]}], each as its reader
--             sees it: what leaves its vaults is deleted, what comes into them is created. Over 500, and for bulk: one per kind,
--             "many", without id. A vault is updated with what it holds.
create or replace function bank.read_feeds(p_feeds uuid[], p_position text) returns jsonb
  language plpgsql stable security definer set search_path = pg_catalog
as $$
declare
  my_bank constant text := bank.me();
  since constant pg_snapshot := p_position::pg_snapshot;
  here constant pg_snapshot := pg_current_snapshot();
  pruned constant xid8 := coalesce((select f.pruned from bank.change_floors f where f.bank_id = my_bank), '0');
  behind constant boolean := pg_snapshot_xmax(since) > pg_snapshot_xmax(here) or pruned >= pg_snapshot_xmax(since)
    or exists (select from pg_snapshot_xip(since) x where x <= pruned and pg_visible_in_snapshot(x, here));
  many boolean;
  ended jsonb;
  changes jsonb;
begin
  if cardinality(p_feeds) > 1000 then
    raise exception 'at most 1000 feeds are read at once' using errcode = 'invalid_parameter_value';
  end if;
  many := (
    select count(*) from (
      select from bank.changes c
       where c.bank_id = my_bank and c.xid >= pg_snapshot_xmin(since) and not pg_visible_in_snapshot(c.xid, since) limit 501
    ) s
  ) > 500;
  with asked as materialized (
    select w.place, f.all_vaults, f.vaults, bank.feed_ended(f) as ended
      from unnest(p_feeds) with ordinality w (id, place) left join bank.feeds f on f.id = w.id and f.bank_id = my_bank
  ), fresh as materialized (
    select distinct c.kind, case when not many then c.id end as id, c.vaults_before, c.vaults_after
      from bank.changes c
     where c.bank_id = my_bank and c.xid >= pg_snapshot_xmin(since) and not pg_visible_in_snapshot(c.xid, since)
  ), told as (
    select c.kind, c.id, a.place,
           case when c.id is null then 'many' when not v.saw then 'created' when not v.sees then 'deleted' else 'updated' end
             as operation
      from fresh c
     cross join asked a
     cross join lateral (
        select coalesce(c.vaults_before is not null and (a.all_vaults or c.vaults_before && a.vaults), false) as saw,
               coalesce(c.vaults_after is not null and (a.all_vaults or c.vaults_after && a.vaults), false) as sees
      ) v
     where a.ended is null and (v.saw or v.sees)
    union all
    select 'vaults', u, a.place, 'updated'
      from fresh c cross join asked a cross join lateral unnest(c.vaults_before || c.vaults_after) u
     where a.ended is null and c.kind = 'recordings' and (a.all_vaults or u = any (a.vaults))
  )
  select (select jsonb_agg(jsonb_build_object('feed', a.place - 1, 'reason', a.ended)) from asked a where a.ended is not null),
         (select jsonb_agg(g) from (
            select t.kind, t.id, t.operation, array_agg(distinct t.place - 1) as feeds from told t group by 1, 2, 3) g)
    into ended, changes;
  return jsonb_build_object(
    'position', here::text,
    'channel', (select k.channel from bank.bank_keys k where k.bank_id = my_bank order by k.generation desc limit 1),
    'behind', behind, 'ended', coalesce(ended, '[]'), 'changes', coalesce(changes, '[]')
  );
end
$$;

create or replace function bank.close_feeds(p_feeds uuid[]) returns void
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  perform bank.refuse_moving(bank.me(), true);
  delete from bank.feeds f where f.bank_id = bank.me() and f.id = any (p_feeds);
end
$$;

create or replace function api.open_feed(out feed uuid, out "position" text, out channel text)
  language plpgsql security definer set search_path = pg_catalog set client_min_messages = warning
as $$
declare
  opened record;
begin
  perform bank.enter();
  opened := bank.open_feed();
  feed := opened.feed;
  "position" := opened."position";
  channel := opened.channel;
end
$$;

create or replace function api.read_feeds(p_feeds uuid[], p_position text) returns jsonb
  language plpgsql stable security definer set search_path = pg_catalog set client_min_messages = warning
as $$
begin
  perform bank.enter();
  return bank.read_feeds(p_feeds, p_position);
end
$$;

create or replace function api.close_feeds(p_feeds uuid[]) returns void
  language plpgsql security definer set search_path = pg_catalog set client_min_messages = warning
as $$
begin
  perform bank.enter();
  perform bank.close_feeds(p_feeds);
end
$$;
