-- Ordering databases for banks of their own. Which database that is says the placement that was written down with the id, and nobody else.

-- The database that a placement names on this server; null for one that names none.
create or replace function control.database_of(p_placement text) returns text
  language sql immutable set search_path = pg_catalog
  return substring(p_placement from '^platform/(bank_[0-9a-f]{24})$');

-- The further server that a placement names (docs/adr/0034); null for one on the platform's own.
create or replace function control.server_of(p_placement text) returns text
  language sql immutable set search_path = pg_catalog
  return substring(p_placement from '^secret:([a-z0-9][-a-z0-9.]*)(?:/bank_[0-9a-f]{24})?$');

-- The database that a placement on a further server names; null for the common one there.
create or replace function control.own_database_there(p_placement text) returns text
  language sql immutable set search_path = pg_catalog
  return substring(p_placement from '^secret:[a-z0-9][-a-z0-9.]*/(bank_[0-9a-f]{24})$');

-- Where the rows of a Bank are, whether it lives or its rows are kept; null for an id that is not this Bank's.
create or replace function control.placement_of(p_id text, p_uid text) returns text
  language plpgsql stable security definer set search_path = pg_catalog
as $$
begin
  return (select b.placement from control.bank_ids b where b.id = p_id and b.uid = p_uid);
end
$$;

-- Orders the database of a Bank, unless it is ordered or there. Answers {"name", "generation": null while it is not made, "problem"}; for a Bank
-- in the common database: BH001. The common database of a further server is ordered by who keeps it, and only asked about here.
create or replace function control.want_database(p_id text, p_uid text) returns jsonb
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
declare
  place constant text := (
    select b.placement from control.bank_ids b where b.id = p_id and b.uid = p_uid and b.retained_at is null);
  wanted constant text := control.database_of(place);
begin
  if control.server_of(place) is not null then return control.want_there(place, p_id); end if;
  if wanted is null then
    raise exception 'the id % has no database of its own', p_id using errcode = 'BH001';
  end if;
  insert into control.databases (name, bank_id) values (wanted, p_id) on conflict (name) do nothing;
  return (
    select jsonb_build_object('name', d.name, 'generation', d.generation, 'problem', d.problem)
      from control.databases d where d.name = wanted
  );
end
$$;

-- The same on a further server.
create or replace function control.want_there(p_placement text, p_id text) returns jsonb
  language plpgsql set search_path = pg_catalog
as $$
declare
  there constant text := control.server_of(p_placement);
  own constant text := control.own_database_there(p_placement);
  found_database control.server_databases;
begin
  if own is not null then
    insert into control.server_databases (server, name, bank_id) values (there, own, p_id) on conflict (server, name) do nothing;
  end if;
  select * into found_database from control.server_databases d where d.server = there and d.name = coalesce(own, 'bankhouse');
  return jsonb_build_object(
    'name', coalesce(own, 'bankhouse'), 'generation', found_database.generation, 'problem', found_database.problem);
end
$$;

-- Orders that the database of a retained id goes, whose rows are erased, and keeps what was erased: the first word of it counts.
--   p_receipt: what admin.erase_bank answered there; null: only asks, also while its Bank lives
-- Answers {"receipt": null while it is not to go, "dropped", "generation", "problem"}; null for an id that has none. Asked about an id in
-- the common database of a further server, it tells of that one, which never goes.
create or replace function control.drop_database(p_id text, p_uid text, p_receipt jsonb default null) returns jsonb
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
declare
  place constant text := (
    select b.placement from control.bank_ids b
     where b.id = p_id and b.uid = p_uid and (p_receipt is null or b.retained_at is not null));
  going constant text := control.database_of(place);
begin
  if control.server_of(place) is not null then return control.drop_there(place, p_id, p_receipt); end if;
  if going is null then return null; end if;
  if p_receipt is not null then
    insert into control.databases as d (name, bank_id, receipt) values (going, p_id, p_receipt)
      on conflict (name) do update set receipt = excluded.receipt where d.receipt is null;
  end if;
  return (
    select jsonb_build_object('receipt', d.receipt, 'dropped', d.dropped_at is not null, 'generation', d.generation, 'problem', d.problem)
      from control.databases d where d.name = going
  );
end
$$;

-- The same on a further server.
create or replace function control.drop_there(p_placement text, p_id text, p_receipt jsonb) returns jsonb
  language plpgsql set search_path = pg_catalog
as $$
declare
  there constant text := control.server_of(p_placement);
  going constant text := control.own_database_there(p_placement);
begin
  if p_receipt is not null then
    if going is null then return null; end if;
    insert into control.server_databases as d (server, name, bank_id, receipt) values (there, going, p_id, p_receipt)
      on conflict (server, name) do update set receipt = excluded.receipt where d.receipt is null;
  end if;
  return (
    select jsonb_build_object('receipt', d.receipt, 'dropped', d.dropped_at is not null, 'generation', d.generation, 'problem', d.problem)
      from control.server_databases d where d.server = there and d.name = coalesce(going, 'bankhouse')
  );
end
$$;

-- As control.due_ids, with the placement that the rows are in.
create or replace function control.due_placements(p_now timestamptz, p_limit int) returns table (id text, uid text, placement text)
  language plpgsql stable security definer rows 10 set search_path = pg_catalog
as $$
begin
  return query
    select b.id::text, b.uid, b.placement from control.bank_ids b
     where b.erase_after <= p_now order by b.erase_after, b.id limit p_limit;
end
$$;
