-- Keys of creations (R3.1) and of batches (R3.9): a call that is sent again, because its answer was lost, finds what the first one made.
-- The row and its key are written in one transaction, so that one is never there without the other.

create function bank.sweep_idempotency_keys() returns trigger language plpgsql as $$begin return null; end$$;

create table bank.idempotency_keys (
  bank_id text collate "C" not null references bank.banks,
  -- whose key it is, issuer and sub: another caller's same word is another key
  subject text not null,
  key text not null check (length(key) between 1 and 200),
  -- table of the row, or batch
  entity text collate "C" not null,
  -- SHA-256 of the arguments
  digest bytea not null check (octet_length(digest) = 32),
  -- no foreign key: a row that was deleted since is told from one that was never made
  row_id uuid not null default gen_random_uuid(),
  created_at timestamptz not null default clock_timestamp(),
  -- What a batch answered; null for a creation, whose row is told. It names rows of the vaults that its token opened, so it is kept
  -- with these, for a token of the same caller that opens all of them.
  outcome jsonb,
  outcome_all_vaults boolean,
  outcome_vaults text[],
  primary key (bank_id, subject, key)
);
create index idempotency_keys_oldest on bank.idempotency_keys (bank_id, created_at);

alter table bank.idempotency_keys enable row level security;
alter table bank.idempotency_keys force row level security;
create policy all_banks on bank.idempotency_keys to bankhouse_data using (true) with check (true);
create policy own_keys on bank.idempotency_keys for select to bankhouse_api
  using (bank_id = (select bank.me()) and subject = (select bank.subject()));
create policy own_keys_insert on bank.idempotency_keys for insert to bankhouse_api
  with check (bank_id = (select bank.me()) and subject = (select bank.subject()) and (select bank.may_write()));
create policy own_keys_update on bank.idempotency_keys for update to bankhouse_api
  using (bank_id = (select bank.me()) and subject = (select bank.subject()) and (select bank.may_write()))
  with check (bank_id = (select bank.me()) and subject = (select bank.subject()) and (select bank.may_write()));
grant select, insert, update, delete on bank.idempotency_keys to bankhouse_data;
grant select, insert on bank.idempotency_keys to bankhouse_api;
grant update (entity, digest, row_id, created_at, outcome, outcome_all_vaults, outcome_vaults) on bank.idempotency_keys
  to bankhouse_api;

create trigger sweep after insert on bank.idempotency_keys
  for each row execute function bank.sweep_idempotency_keys();
