-- A receipt is never changed.

create or replace function control.refuse_change() returns trigger
  language plpgsql set search_path = pg_catalog
as $$
begin
  raise exception 'a receipt stays as it was written' using errcode = 'insufficient_privilege';
end
$$;
