-- What erasures erased. Written by control.forget_id alone; no role may change a receipt or remove it, and none holds what was in the bank.
create table control.deletion_receipts (
  id bigint generated always as identity primary key,
  bank_id text collate "C" not null,
  uid text not null,
  -- namespace/name of the Bank
  owner text not null,
  erased_at timestamptz not null default clock_timestamp(),
  -- {"<table>": {"rows": n, "keys": SHA-256 over its primary keys}} as bank.digest_of says
  tables jsonb not null check (jsonb_typeof(tables) = 'object')
);
create index deletion_receipts_bank on control.deletion_receipts (bank_id, id desc);

create function control.refuse_change() returns trigger language plpgsql as $$begin return null; end$$;
create trigger append_only before update or delete on control.deletion_receipts
  for each row execute function control.refuse_change();
create trigger append_only_as_a_whole before truncate on control.deletion_receipts
  for each statement execute function control.refuse_change();

grant select on control.deletion_receipts to bankhouse_control;
