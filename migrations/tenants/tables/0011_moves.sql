-- Banks that are on their way into another database, or out of this one (docs/adr/0023). A row is there while one is, and stays where one
-- left: nothing of that incarnation is made here again. Empty for nearly every database nearly all the time.

create table bank.moves (
  id text collate "C" primary key,
  -- of the bank that moves: its id may belong to another one later
  uid text not null,
  -- of the try: what an earlier one does is refused
  move uuid not null,
  --   leaving   is copied while it is used
  --   frozen    nothing is written until frozen_until; null: until the move says so
  --   gone      its rows are elsewhere: nothing is read or written
  --   arriving  its rows are being brought: nothing is read or written but by who brings them
  state text not null check (state in ('leaving', 'frozen', 'gone', 'arriving')),
  frozen_until timestamptz,
  -- whether the other database is on the same server, and so has the same roles and counts the same transactions
  same_server boolean not null,
  -- whether it was gone from here before it arrived, as it is again if it arrives after all not
  was_gone boolean not null default false,
  since timestamptz not null default clock_timestamp(),
  check (frozen_until is null or state = 'frozen')
);

alter table bank.moves enable row level security;
alter table bank.moves force row level security;
create policy all_banks on bank.moves to bankhouse_data using (true) with check (true);
grant select, insert, update, delete on bank.moves to bankhouse_data;
create policy all_moves on bank.moves for select to bankhouse_watchdog using (true);
grant select (id, state) on bank.moves to bankhouse_watchdog;
alter table bank.moves alter uid set statistics 0;
