-- What a deletion erased, and how far an import has come.

-- Written by bank.delete_bank alone; no role may change a receipt or remove it, and none holds what was in the bank.
create table control.deletion_receipts (
  id bigint generated always as identity primary key,
  bank_id text collate "C" not null,
  -- namespace/name of the Bank
  owner text not null,
  erased_at timestamptz not null default clock_timestamp(),
  -- {"<table>": {"rows": n, "keys": SHA-256 over its primary keys}} as bank.digest_of says
  tables jsonb not null check (jsonb_typeof(tables) = 'object')
);
create index deletion_receipts_bank on control.deletion_receipts (bank_id, id desc);

create function control.refuse_change() returns trigger
  language plpgsql set search_path = pg_catalog
as $$
begin
  raise exception 'a receipt stays as it was written' using errcode = 'insufficient_privilege';
end
$$;
create trigger append_only before update or delete on control.deletion_receipts
  for each row execute function control.refuse_change();
create trigger append_only_as_a_whole before truncate on control.deletion_receipts
  for each statement execute function control.refuse_change();

grant select on control.deletion_receipts to bankhouse_control;
revoke all on all functions in schema control from public;

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
