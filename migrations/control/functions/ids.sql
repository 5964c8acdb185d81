-- Giving ids away. Every error is BH001 and names no other tenant.

create or replace function control.end_tokens(p_id text) returns void
  language plpgsql set search_path = pg_catalog
as $$
begin
  insert into control.bank_epochs as e (bank_id, not_before) values (p_id, clock_timestamp())
    on conflict (bank_id) do update set not_before = greatest(e.not_before, excluded.not_before);
end
$$;

-- Gives an id to a Bank: 'claimed', when it was free; 'held', when this Bank has it already; 'returned', when its rows were kept for it: for
-- the same namespace and name, in the same life of the namespace. With another incarnation tokens of the former one end. Rows whose time to
-- be erased has come are not given back: their owner waits until they are (object_in_use).
--   p_vaults: [{"id", "displayName"}]
create or replace function control.claim_id(
  p_id text, p_uid text, p_owner text, p_namespace_uid text, p_display_name text, p_type text, p_vaults jsonb
) returns text
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
declare
  was control.bank_ids;
  outcome text;
begin
  insert into control.bank_ids (id, uid, owner, namespace_uid, display_name, type, vaults)
    values (p_id, p_uid, p_owner, p_namespace_uid, p_display_name, p_type, p_vaults)
    on conflict (id) do nothing;
  if found then return 'claimed'; end if;
  select * into was from control.bank_ids where id = p_id for update;
  if was.id is null then return control.claim_id(p_id, p_uid, p_owner, p_namespace_uid, p_display_name, p_type, p_vaults); end if;
  if was.uid = p_uid and was.retained_at is null then
    outcome := 'held';
  elsif was.retained_at is not null and (was.owner, was.namespace_uid) = (p_owner, p_namespace_uid) then
    if was.erase_after <= clock_timestamp() then
      raise exception 'the rows of the id % are being erased', p_id using errcode = 'object_in_use', hint = 'Wait for it.';
    end if;
    outcome := 'returned';
    perform control.end_tokens(p_id);
  else
    raise exception 'the id % is taken', p_id using errcode = 'BH001';
  end if;
  update control.bank_ids
     set uid = p_uid, display_name = p_display_name, type = p_type, vaults = p_vaults, retained_at = null, erase_after = null
   where id = p_id
     and (uid, display_name, type, vaults, retained_at) is distinct from (p_uid, p_display_name, p_type, p_vaults, null::timestamptz);
  return outcome;
end
$$;

-- The same for a Bank whose rows shall be in a placement, which is written down with an id that was free. An id that is held or returned keeps
-- the one that its rows are in. Answers {"outcome": as above, "placement": where the rows are or are to be made}.
create or replace function control.claim_id(
  p_id text, p_uid text, p_owner text, p_namespace_uid text, p_display_name text, p_type text, p_vaults jsonb, p_placement text
) returns jsonb
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
declare
  outcome constant text := control.claim_id(p_id, p_uid, p_owner, p_namespace_uid, p_display_name, p_type, p_vaults);
  place text;
begin
  if outcome = 'claimed' then
    update control.bank_ids set placement = p_placement where id = p_id;
  end if;
  select b.placement into place from control.bank_ids b where b.id = p_id;
  return jsonb_build_object('outcome', outcome, 'placement', place);
end
$$;

-- A Bank is gone: the id is kept for its owner. Its tokens end. Repeating it is harmless; the time to erase is what was said last.
--   p_erase_after: null: never by itself
create or replace function control.release_id(p_id text, p_uid text, p_erase_after timestamptz) returns boolean
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
begin
  update control.bank_ids
     set retained_at = coalesce(retained_at, clock_timestamp()), erase_after = p_erase_after
   where id = p_id and uid = p_uid;
  if not found then return false; end if;
  perform control.end_tokens(p_id);
  return true;
end
$$;

-- Retained ids whose time to be erased has come, the longest due first.
create or replace function control.due_ids(p_now timestamptz, p_limit int) returns table (id text, uid text)
  language plpgsql stable security definer rows 10 set search_path = pg_catalog
as $$
begin
  return query
    select b.id::text, b.uid from control.bank_ids b
     where b.erase_after <= p_now order by b.erase_after, b.id limit p_limit;
end
$$;

-- A retained id is free again, its rows being erased, and its database, if it had one of its own, dropped: tokens of it must not open a later
-- one, and a receipt says what was erased.
--   p_receipt: what admin.erase_bank answered
-- Answers the receipt's number; null for an id that isn't retained for this incarnation, as when it is repeated.
create or replace function control.forget_id(p_id text, p_uid text, p_receipt jsonb) returns bigint
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
declare
  was control.bank_ids;
  receipt bigint;
begin
  delete from control.bank_ids where id = p_id and uid = p_uid and retained_at is not null returning * into was;
  if was.id is null then return null; end if;
  -- Whoever is given the id next is given the rows that are there. (In a database of the tenants' own, the operator sees to it.)
  if to_regclass('bank.banks') is not null then
    if exists (select from bank.banks b where b.id = p_id) then
      raise exception 'the rows of the id % are still there', p_id using errcode = 'object_in_use', hint = 'Erase them first.';
    end if;
  end if;
  -- Its own one, and such as it was moved out of.
  if exists (select from control.databases d where d.bank_id = p_id and d.dropped_at is null)
     or exists (select from control.server_databases d where d.bank_id = p_id and d.dropped_at is null) then
    raise exception 'the database of the id % is still there', p_id using errcode = 'object_in_use', hint = 'Drop it first.';
  end if;
  delete from control.databases d where d.bank_id = p_id;
  delete from control.server_databases d where d.bank_id = p_id;
  perform control.end_tokens(p_id);
  insert into control.deletion_receipts (bank_id, uid, owner, tables)
    values (p_id, p_uid, was.owner, p_receipt -> 'tables') returning id into receipt;
  return receipt;
end
$$;
