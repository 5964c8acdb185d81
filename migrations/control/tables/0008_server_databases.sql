-- Databases on further servers, which the chart names (docs/adr/0034): of each the common one, and those that banks have of their own there.
-- As control.databases, whose rows are on the platform's own server; beside it, since an older release takes every row there for one of these.

create table control.server_databases (
  server text collate "C" not null check (server ~ '^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$'),
  name text collate "C" not null check (name = 'bankhouse' or name ~ '^bank_[0-9a-f]{24}$'),
  -- for the rows of which id; null: the common one of the server
  bank_id text collate "C",
  ordered_at timestamptz not null default now(),
  generation int,
  migrated_at timestamptz,
  problem text,
  receipt jsonb,
  dropped_at timestamptz,
  told pg_snapshot,
  primary key (server, name),
  check ((bank_id is null) = (name = 'bankhouse')),
  check (dropped_at is null or receipt is not null),
  check (bank_id is not null or receipt is null)
);
