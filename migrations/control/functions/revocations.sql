-- Revocation: every change of a row has the number of its transaction (docs/adr/0014).

-- xid is the transaction that last changed a row, whoever it was. All transactions before pg_snapshot_xmin of a snapshot are
-- over, so a reader that asks for rows from there on the next time misses none, in whatever order transactions commit.
create or replace function control.stamp_xid() returns trigger
  language plpgsql set search_path = pg_catalog
as $$
begin
  new.xid := pg_current_xact_id();
  return new;
end
$$;
-- Feeds of changes are read by banks' own roles, which see nothing of control: what ends them is passed on (bank.feed_ended). To databases
-- of banks' own, who keeps them passes it on (control/src/databases/revoking.ts).
create or replace function control.mirror_revocation() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  if to_regclass('bank.revoked_tokens') is null then return null; end if;
  delete from bank.revoked_tokens t where t.jti in (
    select o.jti from bank.revoked_tokens o where o.expires_at < clock_timestamp() - interval '1 hour' limit 20 for update skip locked);
  insert into bank.revoked_tokens as t (jti, expires_at) values (new.jti, new.expires_at)
    on conflict (jti) do update set expires_at = greatest(t.expires_at, excluded.expires_at);
  return null;
end
$$;

create or replace function control.mirror_epoch() returns trigger
  language plpgsql security definer set search_path = pg_catalog
as $$
begin
  if to_regclass('bank.banks') is null then return null; end if;
  update bank.banks b set tokens_not_before = greatest(b.tokens_not_before, new.not_before) where b.id = new.bank_id;
  return null;
end
$$;
