-- Banks, their login roles, their seal keys, their vaults.

create table bank.banks (
  id text collate "C" primary key check (id ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'),
  -- uid of the Bank whose id this is: its incarnation, to which keys and roles are bound
  uid text not null check (uid <> ''),
  display_name text not null,
  type text not null check (type in ('personal', 'business')),
  created_at timestamptz not null default now(),
  -- since when nobody has access, the rows being kept
  retired_at timestamptz,
  -- tokens that were issued before it open no feed (control's bank_epochs, where control is in the same database)
  tokens_not_before timestamptz
);

create table bank.login_roles (
  role name primary key,
  bank_id text collate "C" not null references bank.banks,
  -- digest over the credentials in force, so that the operator knows whether to set them again
  credential_digest text not null,
  created_at timestamptz not null default now(),
  -- how often the watchdog ended a session of this role, and when last
  strikes int not null default 0 check (strikes >= 0),
  struck_at timestamptz,
  -- since when it may not log in, and why
  quarantined_at timestamptz,
  quarantined_for text
);
create index login_roles_bank on bank.login_roles (bank_id);

-- Keys of the database seal. Two generations during a rotation.
create table bank.bank_keys (
  bank_id text collate "C" not null references bank.banks,
  generation int not null check (generation between 1 and 999999999),
  key bytea not null check (octet_length(key) >= 32),
  -- where changes are announced: LISTEN and NOTIFY are open to every role, so nobody else can guess it
  channel text collate "C" not null
    generated always as ('bankhouse_' || left(encode(bank.hmac_sha256('changes'::bytea, key), 'hex'), 48)) stored,
  primary key (bank_id, generation)
);

create table bank.vaults (
  bank_id text collate "C" not null references bank.banks,
  id text collate "C" not null check (id ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'),
  display_name text not null,
  primary key (bank_id, id)
);

-- Tokens that were revoked and would open a feed still. Written by control's triggers, where control is in the same database.
create table bank.revoked_tokens (
  jti text primary key,
  expires_at timestamptz not null
);
create index revoked_tokens_expiry on bank.revoked_tokens (expires_at);

-- Policies are a second lock: what is in schema api names bank and vaults itself, and bankhouse_api sees no more than they say.
alter table bank.banks enable row level security;
alter table bank.banks force row level security;
alter table bank.login_roles enable row level security;
alter table bank.login_roles force row level security;
alter table bank.bank_keys enable row level security;
alter table bank.bank_keys force row level security;
alter table bank.vaults enable row level security;
alter table bank.vaults force row level security;
alter table bank.revoked_tokens enable row level security;
alter table bank.revoked_tokens force row level security;
create policy all_banks on bank.banks to bankhouse_data using (true) with check (true);
create policy all_banks on bank.login_roles to bankhouse_data using (true) with check (true);
create policy all_banks on bank.bank_keys to bankhouse_data using (true) with check (true);
create policy all_banks on bank.vaults to bankhouse_data using (true) with check (true);
create policy all_banks on bank.revoked_tokens to bankhouse_data using (true) with check (true);
grant select, insert, update, delete on bank.banks, bank.login_roles, bank.bank_keys, bank.vaults, bank.revoked_tokens
  to bankhouse_data;

create policy all_roles on bank.login_roles for select to bankhouse_watchdog using (true);
grant select (role, bank_id) on bank.login_roles to bankhouse_watchdog;

create policy own_vaults on bank.vaults for select to bankhouse_api
  using (
    bank_id = (select bank.me())
    and ((select bank.all_vaults()) or id = any ((select bank.vault_scope())::text[]))
  );
grant select on bank.vaults to bankhouse_api;
