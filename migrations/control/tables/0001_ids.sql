-- Which Bank an id was given to. An id is given away here and nowhere else: one row per id, of one incarnation of it.

create schema control;
grant usage on schema control to bankhouse_control, bankhouse_gateway, bankhouse_operator;

create table control.bank_ids (
  id text collate "C" primary key check (id ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'),
  -- of the Bank that has it, or had it last
  uid text not null unique check (uid <> ''),
  -- namespace/name of that Bank, and the uid of the namespace: a namespace that was deleted and made again is another one
  owner text not null check (owner <> ''),
  namespace_uid text not null,
  display_name text not null,
  type text not null check (type in ('personal', 'business')),
  -- [{"id", "displayName"}]
  vaults jsonb not null default '[]' check (jsonb_typeof(vaults) = 'array'),
  claimed_at timestamptz not null default now(),
  -- Since when there is no Bank, its rows being kept for the same owner, and from when on they are to be erased; null: never by itself.
  retained_at timestamptz,
  erase_after timestamptz,
  check (erase_after is null or retained_at is not null)
);
create index bank_ids_due on control.bank_ids (erase_after) where erase_after is not null;

-- Banks that exist, for discovery (R1.7).
create view control.bank_directory with (security_invoker = true) as
  select b.id, b.display_name, b.type, b.vaults from control.bank_ids b where b.retained_at is null;
grant select on control.bank_ids, control.bank_directory to bankhouse_control;
