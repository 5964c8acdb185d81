-- The planner's statistics are over the rows of all banks, and EXPLAIN shows a bank's role the estimates made of them: whether a
-- text is frequent elsewhere could be asked by guessing it (operators that are leakproof, such as = on text, use statistics
-- under a policy too). What people write is in columns of the database's own collation, ids and words of ours in "C": of the
-- former none are kept. No query of ours is planned by them, since each is about one bank.
do $$
declare
  written record;
begin
  for written in
    select c.oid::regclass as relation, a.attname
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relnamespace = 'bank'::regnamespace and c.relkind = 'r' and a.atttypid = 'text'::regtype
       and a.attcollation = 'pg_catalog.default'::regcollation
  loop
    execute format('alter table %s alter %I set statistics 0', written.relation, written.attname);
  end loop;
end
$$;
