-- How far an import has come, and what an erasure erased until its receipt is written down.

-- One row per bank that was imported, or is being: where to go on, so that no row is written twice.
create table bank.imports (
  bank_id text collate "C" primary key references bank.banks,
  -- of the export's header
  exported_bank text not null,
  exported_at text not null,
  -- how many of its rows are in the bank, and its digest after them; '' before the first checkpoint
  imported_rows bigint not null default 0,
  digest text not null default '',
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz
);
alter table bank.imports enable row level security;
alter table bank.imports force row level security;
create policy all_banks on bank.imports to bankhouse_data using (true) with check (true);
grant select, insert, update, delete on bank.imports to bankhouse_data;

-- Incarnations that are over, and what admin.erase_bank erased of them, so that repeating it answers the same: nothing where the rows
-- passed to the next one.
create table bank.erasures (
  uid text primary key,
  erased_at timestamptz not null default clock_timestamp(),
  -- {"<table>": {"rows": n, "keys": SHA-256 over its primary keys}} as bank.digest_of says
  tables jsonb not null check (jsonb_typeof(tables) = 'object')
);
alter table bank.erasures enable row level security;
alter table bank.erasures force row level security;
create policy all_banks on bank.erasures to bankhouse_data using (true) with check (true);
grant select, insert, update, delete on bank.erasures to bankhouse_data;
