-- What sessions of older clients watch (docs/adr/0033). Each function asks for the bank and the subject of the assertion in force: a session
-- is of one subject of one bank, and its id alone opens nothing.

-- Makes room before a session gets a row: those whose time has come go, all beyond 64 of a subject end, first those that have no stream and
-- were not used for long. A bank keeps 2,000 rows, of those that ended 256 for each subject.
create or replace function bank.tidy_sessions(p_bank text, p_subject text) returns void
  language plpgsql set search_path = pg_catalog
as $$
begin
  delete from bank.sessions s where s.bank_id = p_bank and s.expires_at <= clock_timestamp();
  update bank.sessions s set ended = true, uris = '{}', feed = null
   where s.bank_id = p_bank and s.id in (
     select o.id from bank.sessions o
      where o.bank_id = p_bank and o.subject = p_subject and not o.ended
      order by exists (select from bank.feeds f where f.id = o.feed and f.expires_at > clock_timestamp()) desc, o.touched_at desc
     offset 63);
  delete from bank.sessions s where s.bank_id = p_bank and s.id in (
    select o.id from bank.sessions o
     where o.bank_id = p_bank and o.subject = p_subject and o.ended order by o.touched_at desc offset 255);
  delete from bank.sessions s where s.bank_id = p_bank and s.id in (
    select o.id from bank.sessions o where o.bank_id = p_bank order by o.touched_at desc offset 1999);
end
$$;

-- The caller's session, locked until the end of the transaction, with a row from now on; nothing where it is over, or is another's.
create or replace function bank.take_session(p_session uuid) returns setof bank.sessions
  language plpgsql set search_path = pg_catalog
as $$
declare
  my_bank constant text := bank.me();
  my_subject constant text := bank.subject();
begin
  if my_bank is null or my_subject is null then
    raise exception 'a session needs a valid assertion' using errcode = 'insufficient_privilege';
  end if;
  perform bank.refuse_moving(my_bank, true);
  if not exists (select from bank.sessions s where s.bank_id = my_bank and s.id = p_session) then
    perform bank.tidy_sessions(my_bank, my_subject);
  end if;
  return query
    insert into bank.sessions as s (bank_id, id, subject, expires_at)
      values (my_bank, p_session, my_subject, clock_timestamp() + interval '25 hours')
      on conflict (bank_id, id) do update
        set touched_at = clock_timestamp(), expires_at = excluded.expires_at
        where s.subject = excluded.subject and not s.ended
      returning s.*;
end
$$;

-- Ends what the session's stream hears, here or at another replica, which is told to look.
create or replace function bank.end_session_feed(p_session bank.sessions) returns void
  language plpgsql set search_path = pg_catalog
as $$
begin
  delete from bank.feeds f where f.bank_id = p_session.bank_id and f.id = p_session.feed;
  if found then
    perform pg_notify(k.channel, '') from bank.bank_keys k where k.bank_id = p_session.bank_id;
  end if;
end
$$;

-- Watches a URI from now on. Answers watched, full (it watches 256), or over.
create or replace function bank.watch(p_session uuid, p_uri text) returns text
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  session bank.sessions;
begin
  if octet_length(p_uri) > 200 then
    raise exception 'a URI has at most 200 bytes' using errcode = 'invalid_parameter_value';
  end if;
  select * into session from bank.take_session(p_session);
  if session.id is null then return 'over'; end if;
  if p_uri = any (session.uris) then return 'watched'; end if;
  if cardinality(session.uris) >= 256 then return 'full'; end if;
  update bank.sessions s set uris = s.uris || p_uri where s.bank_id = session.bank_id and s.id = session.id;
  return 'watched';
end
$$;

-- Doesn't watch it any more. Answers unwatched, also where it didn't before, or over.
create or replace function bank.unwatch(p_session uuid, p_uri text) returns text
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  session bank.sessions;
begin
  select * into session from bank.take_session(p_session);
  if session.id is null then return 'over'; end if;
  update bank.sessions s set uris = array_remove(s.uris, p_uri) where s.bank_id = session.bank_id and s.id = session.id;
  return 'unwatched';
end
$$;

-- It is over from now on, with its stream. One that was never written down is, too: its id must not open anything any more.
create or replace function bank.end_session(p_session uuid) returns void
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  session bank.sessions;
begin
  select * into session from bank.take_session(p_session);
  if session.id is null then return; end if;
  perform bank.end_session_feed(session);
  update bank.sessions s set ended = true, uris = '{}', feed = null where s.bank_id = session.bank_id and s.id = session.id;
end
$$;

-- Opens the feed of the session's stream as bank.open_feed does, in place of the one that it had: a client is told each thing once. Nothing
-- where the session is over. server says where positions mean something: in databases of one server.
create or replace function bank.open_session_feed(
  p_session uuid, out feed uuid, out "position" text, out channel text, out uris text[], out server text
)
  language plpgsql security definer set search_path = pg_catalog
as $$
declare
  session bank.sessions;
  opened record;
begin
  select * into session from bank.take_session(p_session);
  if session.id is null then return; end if;
  perform bank.end_session_feed(session);
  opened := bank.open_feed();
  update bank.sessions s set feed = opened.feed where s.bank_id = session.bank_id and s.id = session.id;
  feed := opened.feed;
  "position" := opened."position";
  channel := opened.channel;
  uris := session.uris;
  server := md5((select c.system_identifier::text from pg_control_system() c));
end
$$;

-- What the sessions of these feeds watch now: [{"feed": place in p_feeds, "uris": […]}]. As with bank.read_feeds, a feed's id is the key.
create or replace function bank.watched(p_feeds uuid[]) returns jsonb
  language sql stable security definer set search_path = pg_catalog
return coalesce((
  select jsonb_agg(jsonb_build_object('feed', w.place - 1, 'uris', to_jsonb(s.uris)))
    from unnest(p_feeds) with ordinality w (id, place)
    join bank.sessions s on s.bank_id = bank.me() and s.feed = w.id and not s.ended
), '[]');

-- Whether the caller's session has ended. That of another subject is not told about.
create or replace function bank.session_is_over(p_session uuid) returns boolean
  language sql stable security definer set search_path = pg_catalog
return exists (
  select from bank.sessions s where s.bank_id = bank.me() and s.id = p_session and s.subject = bank.subject() and s.ended);

create or replace function api.watch(p_session uuid, p_uri text) returns text
  language plpgsql security definer set search_path = pg_catalog set client_min_messages = warning
as $$
begin
  perform bank.enter();
  return bank.watch(p_session, p_uri);
end
$$;

create or replace function api.unwatch(p_session uuid, p_uri text) returns text
  language plpgsql security definer set search_path = pg_catalog set client_min_messages = warning
as $$
begin
  perform bank.enter();
  return bank.unwatch(p_session, p_uri);
end
$$;

create or replace function api.end_session(p_session uuid) returns void
  language plpgsql security definer set search_path = pg_catalog set client_min_messages = warning
as $$
begin
  perform bank.enter();
  perform bank.end_session(p_session);
end
$$;

create or replace function api.open_session_feed(
  p_session uuid, out feed uuid, out "position" text, out channel text, out uris text[], out server text
)
  language plpgsql security definer set search_path = pg_catalog set client_min_messages = warning
as $$
begin
  perform bank.enter();
  select o.feed, o."position", o.channel, o.uris, o.server into feed, "position", channel, uris, server
    from bank.open_session_feed(p_session) o;
end
$$;

create or replace function api.watched(p_feeds uuid[]) returns jsonb
  language plpgsql stable security definer set search_path = pg_catalog set client_min_messages = warning
as $$
begin
  perform bank.enter();
  if cardinality(p_feeds) > 1000 then
    raise exception 'at most 1000 feeds are read at once' using errcode = 'invalid_parameter_value';
  end if;
  return bank.watched(p_feeds);
end
$$;

create or replace function api.session_is_over(p_session uuid) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog set client_min_messages = warning
as $$
begin
  perform bank.enter();
  return bank.session_is_over(p_session);
end
$$;
