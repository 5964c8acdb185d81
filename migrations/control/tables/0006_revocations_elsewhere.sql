-- Databases of banks' own are told what was revoked by who keeps them (docs/adr/0028): all that this snapshot sees; null: nothing yet.
alter table control.databases add column told pg_snapshot;
