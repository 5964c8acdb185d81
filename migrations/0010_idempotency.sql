-- Keys of creations (R3.1): a call that is sent again, because its answer was lost, finds the row that the first one made.
-- The row and its key are written in one statement, so that one is never there without the other.

create table bank.idempotency_keys (
  bank_id text collate "C" not null default bank.me() references bank.banks,
  -- whose key it is: another caller's same word is another key
  subject text not null default bank.subject(),
  key text not null check (length(key) between 1 and 200),
  -- table of the row
  entity text collate "C" not null,
  -- SHA-256 of the arguments
  digest bytea not null check (octet_length(digest) = 32),
  -- no foreign key: a row that was deleted since is told from one that was never made
  row_id uuid not null default gen_random_uuid(),
  created_at timestamptz not null default clock_timestamp(),
  primary key (bank_id, subject, key)
);
create index idempotency_keys_oldest on bank.idempotency_keys (bank_id, created_at);

alter table bank.idempotency_keys enable row level security;
alter table bank.idempotency_keys force row level security;
create policy all_banks on bank.idempotency_keys to bankhouse_data using (true) with check (true);
create policy own_keys on bank.idempotency_keys for select to bankhouse_bank
  using (bank_id = (select bank.me()) and subject = (select bank.subject()));
create policy own_keys_insert on bank.idempotency_keys for insert to bankhouse_bank
  with check (bank_id = (select bank.me()) and subject = (select bank.subject()) and (select bank.may_write()));
create policy own_keys_update on bank.idempotency_keys for update to bankhouse_bank
  using (bank_id = (select bank.me()) and subject = (select bank.subject()) and (select bank.may_write()))
  with check (bank_id = (select bank.me()) and subject = (select bank.subject()) and (select bank.may_write()));
grant select, insert, update, delete on bank.idempotency_keys to bankhouse_data;
grant select (bank_id, subject, key, entity, digest, row_id, created_at), insert (key, entity, digest),
  update (entity, digest, row_id, created_at) on bank.idempotency_keys to bankhouse_bank;

-- How long a key is kept.
create function bank.idempotency_window() returns interval
  language sql immutable
return interval '24 hours';

-- Every new key sweeps a few old ones of its bank out, whoever's they are, so that none needs a job of its own.
create function bank.sweep_idempotency_keys() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  delete from bank.idempotency_keys k
   where (k.bank_id, k.subject, k.key) in (
     select o.bank_id, o.subject, o.key from bank.idempotency_keys o
      where o.bank_id = new.bank_id and o.created_at < clock_timestamp() - bank.idempotency_window()
      order by o.created_at limit 20 for update skip locked
   );
  return null;
end
$$;
create trigger sweep after insert on bank.idempotency_keys
  for each row execute function bank.sweep_idempotency_keys();

grant create on schema bank to bankhouse_data;
alter function bank.idempotency_window() owner to bankhouse_data;
alter function bank.sweep_idempotency_keys() owner to bankhouse_data;
revoke create on schema bank from bankhouse_data;

revoke all on all functions in schema bank from public;
grant execute on function bank.idempotency_window() to bankhouse_bank;
