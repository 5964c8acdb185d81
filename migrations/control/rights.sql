-- Who owns each function of control and who may call it; applied after the functions, each time. What mirrors into the tenants' tables is
-- bankhouse_data's; everything else is the migrating role's. What the operator may call are those about ids,
-- databases of banks' own, and moves.

do $$
begin
  grant create on schema control to bankhouse_data;
  alter function control.mirror_revocation() owner to bankhouse_data;
  alter function control.mirror_epoch() owner to bankhouse_data;
  revoke create on schema control from bankhouse_data;
  revoke all on all functions in schema control from public;
  grant execute on function
    control.claim_id(text, text, text, text, text, text, jsonb),
    control.claim_id(text, text, text, text, text, text, jsonb, text), control.release_id(text, text, timestamptz),
    control.due_ids(timestamptz, int), control.due_placements(timestamptz, int), control.forget_id(text, text, jsonb),
    control.placement_of(text, text), control.want_database(text, text), control.drop_database(text, text, jsonb),
    control.moves_under_way(), control.move_of(text, text), control.begin_move(text, text, text, uuid), control.want_target(text, text),
    control.switch_placement(text, text, uuid), control.call_off_move(text, text), control.finish_move(text, text)
    to bankhouse_operator;
end
$$;
