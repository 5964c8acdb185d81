-- Login roles of a bank that is gone from here, once nothing else is left of it: a server that has not heard of the move is told so then, and not
-- that there is nothing.
alter table bank.moves add column roles name[];
alter table bank.moves alter roles set statistics 0;
