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

create function control.stamp_xid() returns trigger language plpgsql as $$begin return new; end$$;
create trigger stamp_xid before insert or update on control.revoked_tokens
  for each row execute function control.stamp_xid();
create trigger stamp_xid before insert or update on control.bank_epochs
  for each row execute function control.stamp_xid();

-- Feeds end with their tokens where the tenants' rows are in this database, too (../functions/revocations.sql).
create function control.mirror_revocation() returns trigger language plpgsql as $$begin return null; end$$;
create function control.mirror_epoch() returns trigger language plpgsql as $$begin return null; end$$;
create trigger mirror after insert or update on control.revoked_tokens
  for each row execute function control.mirror_revocation();
create trigger mirror after insert or update on control.bank_epochs
  for each row execute function control.mirror_epoch();

grant select, insert, update, delete on control.revoked_tokens, control.bank_epochs to bankhouse_control;
grant select on control.revoked_tokens, control.bank_epochs to bankhouse_gateway;
