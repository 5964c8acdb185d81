-- Databases that banks have of their own (docs/adr/0028). The operator orders one, and orders it gone, by functions; who keeps them
-- (control/src/databases), as the migrating role, makes, migrates and drops them, and writes down what it did.

create table control.databases (
  name text collate "C" primary key check (name ~ '^bank_[0-9a-f]{24}$'),
  -- for the rows of which id
  bank_id text collate "C" not null,
  ordered_at timestamptz not null default now(),
  -- of the tenants' part that it was brought to last; null: it is not made yet
  generation int,
  migrated_at timestamptz,
  -- what keeps it from being what it should be, in a sentence for people
  problem text,
  -- what was erased in it, as admin.erase_bank answered: from then on it is to go
  receipt jsonb,
  dropped_at timestamptz,
  check (dropped_at is null or receipt is not null)
);
