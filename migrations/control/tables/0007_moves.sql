-- Banks that are on their way into another placement (docs/adr/0023), or have just come there and left something behind. Which database a
-- bank is in says control.bank_ids.placement alone; it changes in one statement (control.switch_placement).

create table control.moves (
  bank_id text collate "C" primary key,
  -- of the Bank that is moved
  uid text not null,
  source text not null,
  target text not null check (target <> source),
  -- of the try in force: an earlier one that still goes on switches nothing
  move uuid not null,
  begun_at timestamptz not null default now(),
  -- since when the bank is at the target; what is left at the source goes then
  switched_at timestamptz
);
