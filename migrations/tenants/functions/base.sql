-- Who asks, and for what: the bank by the login role, the vaults by an assertion whose seal is checked here. What is in schema api asks
-- once and names bank and vaults in its statements; policies ask again, as (select bank.me()): an InitPlan, evaluated once a statement.

-- Opens the sealed assertion in the setting bankhouse.assertion: <generation>.<payload>.<mac>, as core/src/assertion.ts
-- makes it. state is absent, malformed, forged, expired or valid; anything but valid sees nothing. The clock is the wall's
-- and not the transaction's, so that a transaction held open does not keep an assertion alive: it ends 60 seconds after it was
-- sealed, or with its token (5 seconds later, as at the gateway, since clocks differ). What has begun goes on.
-- An assertion that is not for reading or writing (an operator's handshake) sees no vault either.
-- For functions that act as bankhouse_data, whose search_path it has. (Every call of a tool begins with it, so its microseconds count: no
-- regular expression, one query, and no settings of its own.)
create or replace function bank.open_assertion(
  out state text, out all_vaults boolean, out vaults text[], out subject text, out may_write boolean, out bank text
)
  language plpgsql stable
as $$
declare
  sealed constant text := current_setting('bankhouse.assertion', true);
  -- generation, payload, MAC
  part constant text[] := string_to_array(left(sealed, 8193), '.');
  in_form constant boolean := coalesce(
    octet_length(sealed) <= 8192 and cardinality(part) = 3
    and length(part[1]) between 1 and 9 and translate(part[1], '0123456789', '') = ''
    and length(part[3]) = 43 and bank.is_base64url(part[3]) and part[2] <> '', false);
  seal_key bytea;
  payload jsonb;
  age bigint;
  expires numeric;
  accesses text[];
begin
  select l.bank_id, k.key into bank, seal_key
    from bank.login_roles l
    left join bank.bank_keys k on k.bank_id = l.bank_id and k.generation = case when in_form then part[1]::int end
   where l.role = session_user;
  all_vaults := false;
  vaults := '{}';
  may_write := false;
  if not in_form then
    state := case when coalesce(sealed, '') = '' then 'absent' else 'malformed' end;
    return;
  end if;
  -- Both sides are hashed with the key, so that the time of the comparison says nothing about the right value.
  if seal_key is null
     or sha256(seal_key || bank.hmac_sha256(convert_to(part[1] || '.' || part[2], 'UTF8'), seal_key))
        <> sha256(seal_key || bank.base64url_decode(part[3])) then
    state := 'forged';
    return;
  end if;

  begin
    payload := convert_from(bank.base64url_decode(part[2]), 'UTF8')::jsonb;
    age := floor(extract(epoch from clock_timestamp()))::bigint - (payload ->> 'iat')::bigint;
    if jsonb_typeof(payload -> 'exp') = 'number' then expires := (payload ->> 'exp')::numeric; end if;
  exception when data_exception or invalid_text_representation then
    age := null;
  end;
  state := case
    when payload is null then 'malformed'
    when payload ->> 'bank' is distinct from bank then 'forged'
    when age is null or coalesce(jsonb_typeof(payload -> 'vaults'), '') not in ('null', 'array')
      or payload ? 'access' and expires is null then 'malformed'
    when age between -5 and 60 and coalesce((payload ->> 'iat')::bigint + age <= expires + 5, true) then 'valid'
    else 'expired'
  end;
  if state <> 'valid' then return; end if;
  subject := (payload ->> 'iss') || ' ' || (payload ->> 'sub');
  accesses := bank.accesses_of(payload);
  may_write := 'write' = any (accesses);
  if accesses = '{}' then return; end if;
  all_vaults := payload -> 'vaults' = 'null';
  if not all_vaults then vaults := array(select distinct v from jsonb_array_elements_text(payload -> 'vaults') v); end if;
end
$$;

-- What an assertion is for, by its payload: read, write, or nothing.
-- One without access is of a gateway before it, and was for whatever its scopes say. That goes with the release after the one that
-- brought access, here as in core/src/assertion.ts.
create or replace function bank.accesses_of(p_payload jsonb) returns text[]
  language sql immutable
return case p_payload ->> 'access'
  when 'write' then '{read,write}'
  when 'read' then '{read}'
  else case when p_payload ? 'access' then '{}' else array_remove(array[
    case when p_payload -> 'scopes' ? 'mcp:read' then 'read' end, case when p_payload -> 'scopes' ? 'mcp:write' then 'write' end], null) end
end;

-- Base64 in the alphabet for URLs and without padding (RFC 4648 section 5).
create or replace function bank.is_base64url(p_text text) returns boolean
  language sql immutable strict
return translate(p_text, 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', '') = '';

create or replace function bank.base64url_decode(p_text text) returns bytea
  language sql immutable strict
return decode(
  translate(p_text, '-_', '+/') || repeat('=', (4 - length(p_text) % 4) % 4),
  'base64'
);

-- Refuses what can't be done here just now, since the bank is on its way into another database (BH003): try again in a moment. Of
-- one that is gone from here the detail says where it is: the URL of that database, without a login.
--   p_write: also what is only frozen
create or replace function bank.refuse_moving(p_id text, p_write boolean) returns void
  language plpgsql stable set search_path = pg_catalog
as $$
declare
  place text;
begin
  select case when m.state = 'gone' then m.moved_to end into place
    from bank.moves m
   where m.id = p_id
     and (m.state in ('gone', 'arriving')
       or p_write and m.state = 'frozen' and coalesce(m.frozen_until > clock_timestamp(), true));
  if found then
    raise exception 'the bank % is being moved', p_id
      using errcode = 'BH003', detail = coalesce(place, ''), hint = 'Try again in a moment.';
  end if;
end
$$;

-- The same where nothing of the bank is left here, not even who it is.
create or replace function bank.refuse_left() returns void
  language plpgsql stable set search_path = pg_catalog
as $$
declare
  gone text;
begin
  select m.id into gone from bank.moves m where m.state = 'gone' and session_user = any (m.roles);
  if found then perform bank.refuse_moving(gone, true); end if;
end
$$;

-- Whether this transaction brings or removes rows of a bank that moves, which are as they are: triggers on tables of banks begin with it
-- and do nothing then. Anybody may write the setting; nobody but the operator logs in as it.
create or replace function bank.copying() returns boolean
  language sql stable
return session_user = 'bankhouse_operator' and coalesce(current_setting('bankhouse.copying', true) = 'on', false);

-- Makes out who calls and what it may see, and writes it down for the policies, in the setting bankhouse.scope. Every function of schema
-- api begins with it, by itself or in bank.caller or bank.writer; whatever somebody else has put into the setting before is gone then, and it
-- says nothing to anybody who may not read a table. Whether and when a policy's question is asked depends on what a plan looked at
-- before, so answering it must leave no trace, as reading a table and calling a function that is counted do (D1).
create or replace function bank.enter(
  out bank text, out all_vaults boolean, out vaults text[], out subject text, out may_write boolean
)
  language plpgsql stable security definer set search_path = pg_catalog
as $$
declare
  opened constant record := bank.open_assertion();
  written text;
begin
  bank := opened.bank;
  all_vaults := opened.all_vaults;
  vaults := opened.vaults;
  subject := opened.subject;
  may_write := opened.may_write;
  -- (Each call of a tool begins here: an expression costs less than a statement.)
  if bank is null then
    perform bank.refuse_left();
  elsif exists (select from bank.moves m where m.id = opened.bank and m.state in ('gone', 'arriving')) then
    perform bank.refuse_moving(opened.bank, false);
  end if;
  written := set_config('bankhouse.scope', json_build_object('bank', bank, 'all', all_vaults, 'vaults', vaults::text,
    'subject', subject, 'write', may_write)::text, true);
end
$$;

-- What policies ask, as expressions that become part of the statement: an InitPlan without any function of ours.

-- The bank that calls; null outside of a call.
create or replace function bank.me() returns text
  language sql stable
return nullif(current_setting('bankhouse.scope', true), '')::jsonb ->> 'bank';

-- Whether the caller may see every vault of its bank, also what is in none.
create or replace function bank.all_vaults() returns boolean
  language sql stable
return coalesce((nullif(current_setting('bankhouse.scope', true), '')::jsonb -> 'all')::boolean, false);

-- The vaults that the caller may see; empty when it may see all or none.
create or replace function bank.vault_scope() returns text[]
  language sql stable
return coalesce((nullif(current_setting('bankhouse.scope', true), '')::jsonb ->> 'vaults')::text[], '{}');

-- Whether the caller may change what it may see.
create or replace function bank.may_write() returns boolean
  language sql stable
return coalesce((nullif(current_setting('bankhouse.scope', true), '')::jsonb -> 'write')::boolean, false);

-- Who calls: issuer and sub of the token, parted by a blank (no URL has one); null without a valid assertion.
create or replace function bank.subject() returns text
  language sql stable
return nullif(current_setting('bankhouse.scope', true), '')::jsonb ->> 'subject';

-- Who asks and what it may see, for functions in schema api, whose search_path it has (each setting of a function costs its calls). may_see is false where nothing can be seen: no bank, no valid assertion, no
-- scope, or no vault.
create or replace function bank.caller(
  out bank text, out all_vaults boolean, out vaults text[], out may_see boolean
)
  language plpgsql stable
as $$
declare
  entered constant record := bank.enter();
begin
  bank := entered.bank;
  all_vaults := entered.all_vaults;
  vaults := entered.vaults;
  may_see := bank is not null and (all_vaults or vaults <> '{}');
end
$$;

-- The same for what writes; refused where the assertion doesn't.
create or replace function bank.writer(out bank text, out all_vaults boolean, out vaults text[], out subject text)
  language plpgsql stable security definer set search_path = pg_catalog
as $$
declare
  entered constant record := bank.enter();
begin
  if entered.bank is null or not entered.may_write then
    raise exception 'the caller may not write' using errcode = 'insufficient_privilege';
  end if;
  perform bank.refuse_moving(entered.bank, true);
  bank := entered.bank;
  all_vaults := entered.all_vaults;
  vaults := entered.vaults;
  subject := entered.subject;
end
$$;

create or replace function bank.state_of_assertion() returns text
  language plpgsql stable security definer set search_path = pg_catalog
as $$
declare
  opened constant record := bank.open_assertion();
begin
  return opened.state;
end
$$;

-- Why a caller sees what it sees: absent, malformed, forged, expired or valid. Without it an expired assertion looks
-- like an empty bank.
create or replace function api.assertion_state() returns text
  language plpgsql stable security definer set search_path = pg_catalog set client_min_messages = warning
as $$
begin
  return bank.state_of_assertion();
end
$$;

-- An instant as tools give it: RFC 3339 in UTC, with microseconds, so that a cursor is exact.
create or replace function bank.instant(p_at timestamptz) returns text
  language sql stable parallel safe
return to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
