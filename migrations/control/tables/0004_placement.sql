-- bankhouse: short lock, one row a bank
-- Where a bank's rows are, as operator/src/placement names it: the truth of it, whatever its class says by now. What was there before is
-- in the platform's own database.
alter table control.bank_ids add column placement text not null default 'platform' check (placement <> '');
