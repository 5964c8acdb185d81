-- Revocation: control writes, every gateway reads what is new (docs/adr/0014).

create table control.revoked_tokens (
  jti text primary key,
  -- from then on the row says nothing that the token's own exp does not
  expires_at timestamptz not null,
  revoked_at timestamptz not null default now(),
  xid xid8 not null
);
create index revoked_tokens_expiry on control.revoked_tokens (expires_at);
create index revoked_tokens_new on control.revoked_tokens (xid);

-- Tokens of a bank that were issued before the instant are refused.
create table control.bank_epochs (
  bank_id text collate "C" primary key,
  not_before timestamptz not null,
  xid xid8 not null
);
create index bank_epochs_new on control.bank_epochs (xid);

grant select, insert, update, delete on control.revoked_tokens, control.bank_epochs to bankhouse_control;
grant select on control.revoked_tokens, control.bank_epochs to bankhouse_gateway;

-- xid is the transaction that last changed a row, whoever it was. All transactions before pg_snapshot_xmin of a snapshot are
-- over, so a reader that asks for rows from there on the next time misses none, in whatever order transactions commit.
create function control.stamp_xid() returns trigger
  language plpgsql set search_path = pg_catalog
as $$
begin
  new.xid := pg_current_xact_id();
  return new;
end
$$;
create trigger stamp_xid before insert or update on control.revoked_tokens
  for each row execute function control.stamp_xid();
create trigger stamp_xid before insert or update on control.bank_epochs
  for each row execute function control.stamp_xid();

-- Banks that exist, for discovery (R1.7).
create policy directory on bank.banks for select to bankhouse_control using (retained_at is null);
create policy directory on bank.vaults for select to bankhouse_control using (true);
grant select (id, display_name, type, retained_at) on bank.banks to bankhouse_control;
grant select on bank.vaults to bankhouse_control;

create view control.bank_directory with (security_invoker = true) as
  select b.id, b.display_name, b.type, coalesce(
      (select jsonb_agg(jsonb_build_object('id', v.id, 'displayName', v.display_name) order by v.id)
         from bank.vaults v where v.bank_id = b.id), '[]'::jsonb) as vaults
    from bank.banks b
   where b.retained_at is null;
grant select on control.bank_directory to bankhouse_control;

revoke all on all functions in schema control from public;
