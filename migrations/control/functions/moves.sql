-- Moving banks between placements (docs/adr/0023): which are under way, and the one moment in which a bank's placement changes.

create or replace function control.move_as_json(p_move control.moves) returns jsonb
  language sql stable set search_path = pg_catalog
return case when p_move.bank_id is not null then jsonb_build_object('id', p_move.bank_id, 'uid', p_move.uid, 'move', p_move.move,
  'source', p_move.source, 'target', p_move.target, 'switched', p_move.switched_at is not null) end;

-- All moves that are not over.
create or replace function control.moves_under_way() returns setof jsonb
  language sql stable security definer rows 10 set search_path = pg_catalog
begin atomic
  select control.move_as_json(m) from control.moves m order by m.begun_at, m.bank_id;
end;

-- The move of a Bank; null where none is under way.
create or replace function control.move_of(p_id text, p_uid text) returns jsonb
  language sql stable security definer set search_path = pg_catalog
begin atomic
  select control.move_as_json(m) from control.moves m where m.bank_id = p_id and m.uid = p_uid;
end;

-- Begins a try to move a Bank, which takes the place of an earlier one. One that was switched, or goes elsewhere, is left as it is. Answers the
-- move that is in force; null: the Bank is there already. For a Bank that has not got the id: BH001.
create or replace function control.begin_move(p_id text, p_uid text, p_target text, p_move uuid) returns jsonb
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
declare
  place text;
  under_way control.moves;
begin
  select b.placement into place from control.bank_ids b where b.id = p_id and b.uid = p_uid and b.retained_at is null for update;
  if place is null then
    raise exception 'the id % is not this Bank''s', p_id using errcode = 'BH001';
  end if;
  select * into under_way from control.moves m where m.bank_id = p_id for update;
  if under_way.bank_id is null and place = p_target then return null; end if;
  if under_way.switched_at is null and coalesce(under_way.target, p_target) = p_target then
    insert into control.moves as m (bank_id, uid, source, target, move) values (p_id, p_uid, place, p_target, p_move)
      on conflict (bank_id) do update set uid = excluded.uid, move = excluded.move
      returning * into under_way;
  end if;
  return control.move_as_json(under_way);
end
$$;

-- Orders the database of a bank's own that a move goes into, unless it is ordered or there. Answers as control.want_database, with "told":
-- whether it knows what was revoked; null where the move goes into the platform's common database.
create or replace function control.want_target(p_id text, p_uid text) returns jsonb
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
declare
  target constant text := (select m.target from control.moves m where m.bank_id = p_id and m.uid = p_uid);
  wanted constant text := control.database_of(target);
begin
  if control.server_of(target) is not null then return control.want_target_there(target, p_id); end if;
  if wanted is null then return null; end if;
  -- What was dropped under the name is over. What is being dropped goes first.
  delete from control.databases d where d.name = wanted and d.dropped_at is not null;
  insert into control.databases (name, bank_id) values (wanted, p_id) on conflict (name) do nothing;
  return (
    select jsonb_build_object('name', d.name, 'generation', case when d.receipt is null then d.generation end, 'problem', d.problem,
        'told', d.told is not null or not exists (select from control.revoked_tokens r where r.expires_at > clock_timestamp())
          and not exists (select from control.bank_epochs e where e.bank_id = p_id))
      from control.databases d where d.name = wanted
  );
end
$$;

-- The same on a further server. Its common one is told of the bank's epoch when the bank is there: it is said again then.
create or replace function control.want_target_there(p_target text, p_id text) returns jsonb
  language plpgsql set search_path = pg_catalog
as $$
declare
  there constant text := control.server_of(p_target);
  own constant text := control.own_database_there(p_target);
  found_database control.server_databases;
begin
  delete from control.server_databases d where d.server = there and d.name = own and d.dropped_at is not null;
  perform control.want_there(p_target, p_id);
  select * into found_database from control.server_databases d where d.server = there and d.name = coalesce(own, 'bankhouse');
  return jsonb_build_object('name', coalesce(own, 'bankhouse'),
    'generation', case when found_database.receipt is null then found_database.generation end, 'problem', found_database.problem,
    'told', found_database.told is not null or not exists (select from control.revoked_tokens r where r.expires_at > clock_timestamp())
      and not exists (select from control.bank_epochs e where own is not null and e.bank_id = p_id));
end
$$;

-- The moment: from now on the Bank is at the target. False where this try is not the one in force, or the Bank is gone.
create or replace function control.switch_placement(p_id text, p_uid text, p_move uuid) returns boolean
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
declare
  switched control.moves;
begin
  perform from control.bank_ids b where b.id = p_id for update;
  update control.moves m set switched_at = clock_timestamp() from control.bank_ids b
   where m.bank_id = p_id and m.uid = p_uid and m.move = p_move and m.switched_at is null
     and b.id = m.bank_id and b.uid = m.uid and b.retained_at is null and b.placement = m.source
   returning m.* into switched;
  if switched.bank_id is null then return false; end if;
  update control.bank_ids set placement = switched.target where id = p_id;
  -- Said again, to whichever database the bank is in now.
  update control.bank_epochs set not_before = not_before where bank_id = p_id;
  return true;
end
$$;

-- Orders that a database which is not a bank's any more goes, with all that is in it.
create or replace function control.drop_left(p_placement text) returns void
  language plpgsql set search_path = pg_catalog
as $$
begin
  update control.databases d set receipt = '{"rowsDeleted": 0, "tables": {}}'
   where d.name = control.database_of(p_placement) and d.receipt is null
     and not exists (select from control.bank_ids b where b.placement = p_placement);
  update control.server_databases d set receipt = '{"rowsDeleted": 0, "tables": {}}'
   where d.server = control.server_of(p_placement) and d.name = control.own_database_there(p_placement) and d.receipt is null
     and not exists (select from control.bank_ids b where b.placement = p_placement);
end
$$;

-- The Bank stays where it is; a database that was made for it goes. False where none is under way, or it was switched.
create or replace function control.call_off_move(p_id text, p_uid text) returns boolean
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
declare
  over control.moves;
begin
  delete from control.moves m where m.bank_id = p_id and m.uid = p_uid and m.switched_at is null returning * into over;
  if over.bank_id is null then return false; end if;
  perform control.drop_left(over.target);
  return true;
end
$$;

-- Nothing of the Bank is left at the source but a database of its own, which goes. Repeating it is harmless.
create or replace function control.finish_move(p_id text, p_uid text) returns void
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
declare
  over control.moves;
begin
  delete from control.moves m where m.bank_id = p_id and m.uid = p_uid and m.switched_at is not null returning * into over;
  if over.bank_id is not null then perform control.drop_left(over.source); end if;
end
$$;
