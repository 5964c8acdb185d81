-- What sessions of banks' login roles say (docs/adr/0036). A bank server has a few dozen statements, whose values are parameters, so a session
-- that said anything else is not one of a server of ours: it computes, sorts, floods or looks around by itself. Postgres shows the
-- last text of a session, also when it rests, to members of its role.

-- The texts of bank servers as Postgres shows them, which is so far as track_activity_query_size goes; and what pgbouncer says by itself.
create or replace function admin.shown_statements() returns text[]
  language sql stable parallel safe
return (
  select array_agg(left(t.sent, pg_size_bytes(current_setting('track_activity_query_size'))::int - 1))
    from unnest(admin.server_statements() || array['', ';', 'select 1', 'DISCARD ALL']) t(sent)
);

-- Whether a text that is not among those has the form of one that holds a value: a channel, or settings that pgbouncer hands on.
create or replace function admin.is_shown_form(p_query text) returns boolean
  language sql immutable parallel safe
return p_query ~ '^unlisten \*; listen "bankhouse_[0-9a-f]{48}"$' or p_query ~ '^(SET [A-Za-z_]{1,40}=''[^'']*'';)+$';
