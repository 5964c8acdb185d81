-- Where a bank that is gone from here is now: the URL of the database without a login, so that its server follows at once.
alter table bank.moves add column moved_to text check (moved_to ~ '^postgres(ql)?://[^@/]+/[^@]+$');
alter table bank.moves alter moved_to set statistics 0;
