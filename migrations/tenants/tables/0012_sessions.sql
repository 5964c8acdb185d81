-- Sessions of clients of MCP 2025-11-25 and before: what one watches is kept here, so that any replica can tell of it. A session has a row
-- from when it first watches, listens or ends; until then its id, sealed by the bank server, is all there is. docs/adr/0033 says why.

create table bank.sessions (
  bank_id text collate "C" not null,
  id uuid not null,
  -- who began it: issuer and sub; it is nobody else's
  subject text not null,
  -- what it watches, as the client wrote it
  uris text[] not null default '{}' check (cardinality(uris) <= 256),
  -- by its client, or to make room for others: it is not begun again
  ended boolean not null default false,
  -- of its stream, the latest one; it may be over by itself
  feed uuid,
  touched_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  primary key (bank_id, id)
);
create index sessions_subject on bank.sessions (bank_id, subject, touched_at);

alter table bank.sessions enable row level security;
alter table bank.sessions force row level security;
create policy all_banks on bank.sessions to bankhouse_data using (true) with check (true);
grant select, insert, update, delete on bank.sessions to bankhouse_data;
-- As for other words of callers (0010_estimates.sql): the commonest of all banks choose no plan.
alter table bank.sessions
  alter subject set statistics 0,
  alter uris set statistics 0;
