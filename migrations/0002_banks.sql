-- Banks, their login roles, their seal keys, their vaults.

create table bank.banks (
  id text collate "C" primary key check (id ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'),
  -- namespace/name of the Bank that the id belongs to, also after a deletion that kept the rows
  owner text not null check (owner <> ''),
  display_name text not null,
  type text not null check (type in ('personal', 'business')),
  created_at timestamptz not null default now(),
  -- since when there is no Bank, its rows being kept
  retained_at timestamptz
);

create table bank.login_roles (
  role name primary key,
  bank_id text collate "C" not null references bank.banks,
  -- digest over the credentials in force, so that the operator knows whether to set them again
  credential_digest text not null,
  created_at timestamptz not null default now()
);
create index login_roles_bank on bank.login_roles (bank_id);

-- Keys of the database seal. Two generations during a rotation.
create table bank.bank_keys (
  bank_id text collate "C" not null references bank.banks,
  generation int not null check (generation between 1 and 999999999),
  key bytea not null check (octet_length(key) >= 32),
  primary key (bank_id, generation)
);

create table bank.vaults (
  bank_id text collate "C" not null references bank.banks,
  id text collate "C" not null check (id ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'),
  display_name text not null,
  primary key (bank_id, id)
);

-- The roles that see all banks. Everyone else needs a policy of its own.
do $$
declare
  wanted text;
begin
  foreach wanted in array array['banks', 'login_roles', 'bank_keys', 'vaults'] loop
    execute format('alter table bank.%I enable row level security', wanted);
    execute format('alter table bank.%I force row level security', wanted);
    execute format('create policy all_banks on bank.%I to bankhouse_data using (true) with check (true)', wanted);
    execute format('grant select, insert, update, delete on bank.%I to bankhouse_data', wanted);
  end loop;
end
$$;
