-- Revocation: control writes, every gateway hears of it and reads it.

create table control.revoked_tokens (
  jti text primary key,
  -- from then on the row says nothing that the token's own exp does not
  expires_at timestamptz not null,
  revoked_at timestamptz not null default now()
);
create index revoked_tokens_expiry on control.revoked_tokens (expires_at);

-- Tokens of a bank that were issued before the instant are refused.
create table control.bank_epochs (
  bank_id text collate "C" primary key,
  not_before timestamptz not null
);

grant select, insert, update, delete on control.revoked_tokens, control.bank_epochs to bankhouse_control;
grant select on control.revoked_tokens, control.bank_epochs to bankhouse_gateway;

-- A notification is a hint to read the tables again and no more: every role that may connect, a bank's too, can send and
-- hear notifications, so a listener must not believe the payload.
create function control.notify_revocation() returns trigger
  language plpgsql set search_path = pg_catalog
as $$
begin
  perform pg_notify('bankhouse_revocations', case tg_table_name
    when 'revoked_tokens' then jsonb_build_object('jti', to_jsonb(new) ->> 'jti',
      'exp', ceil(extract(epoch from (to_jsonb(new) ->> 'expires_at')::timestamptz))::bigint)
    else jsonb_build_object('bank', to_jsonb(new) ->> 'bank_id',
      'notBefore', ceil(extract(epoch from (to_jsonb(new) ->> 'not_before')::timestamptz))::bigint)
  end::text);
  return null;
end
$$;
create trigger notify_revocation after insert or update on control.revoked_tokens
  for each row execute function control.notify_revocation();
create trigger notify_revocation after insert or update on control.bank_epochs
  for each row execute function control.notify_revocation();

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
