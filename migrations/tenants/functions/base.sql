-- Who asks, and for what: the bank by the login role, the vaults by an assertion whose seal is checked here. What is in schema api asks
-- once and names bank and vaults in its statements; policies ask again, as (select bank.me()): an InitPlan, evaluated once a statement.

-- The bank that the connection's login role stands for; null for every other role. Inside SECURITY DEFINER current_user is
-- the function's owner, while session_user stays the role that logged in.
-- (plpgsql and not sql: it keeps its plan for the session.)
create or replace function bank.login_bank() returns text
  language plpgsql stable security definer set search_path = pg_catalog
as $$
begin
  return (select bank_id from bank.login_roles where role = session_user);
end
$$;

-- Opens the sealed assertion in the setting bankhouse.assertion: <generation>.<payload>.<mac>, as core/src/assertion.ts
-- makes it. state is absent, malformed, forged, expired or valid; anything but valid sees nothing. The clock is the wall's
-- and not the transaction's, so that a transaction held open does not keep an assertion alive.
-- A caller without mcp:read or mcp:write (an operator's handshake) sees no vault either.
-- (It is opened several times a statement, so its microseconds count: no regular expression, no query but for the key.)
create or replace function bank.open_assertion(
  out state text, out all_vaults boolean, out vaults text[], out subject text, out may_write boolean
)
  language plpgsql stable security definer set search_path = pg_catalog
as $$
declare
  sealed constant text := current_setting('bankhouse.assertion', true);
  my_bank constant text := bank.login_bank();
  key_generation constant text := split_part(sealed, '.', 1);
  content constant text := split_part(sealed, '.', 2);
  mac constant text := split_part(sealed, '.', 3);
  signed bytea;
  seal_key bytea;
  payload jsonb;
  age bigint;
begin
  all_vaults := false;
  vaults := '{}';
  may_write := false;
  if coalesce(sealed, '') = '' then
    state := 'absent';
    return;
  end if;
  state := 'malformed';
  if octet_length(sealed) > 8192
     or length(sealed) <> length(key_generation) + length(content) + length(mac) + 2
     or length(key_generation) not between 1 and 9 or translate(key_generation, '0123456789', '') <> ''
     or length(mac) <> 43 or not bank.is_base64url(mac) or content = '' then
    return;
  end if;

  state := 'forged';
  select k.key into seal_key from bank.bank_keys k
   where k.bank_id = my_bank and k.generation = key_generation::int;
  if seal_key is null then return; end if;
  signed := convert_to(key_generation || '.' || content, 'UTF8');
  -- Both sides go through the HMAC once more, so that the time of the comparison says nothing about the right value.
  if bank.hmac_sha256(bank.hmac_sha256(signed, seal_key), seal_key)
     <> bank.hmac_sha256(bank.base64url_decode(mac), seal_key) then
    return;
  end if;

  begin
    payload := convert_from(bank.base64url_decode(content), 'UTF8')::jsonb;
    if payload ->> 'bank' is distinct from my_bank then return; end if;
    age := floor(extract(epoch from clock_timestamp()))::bigint - (payload ->> 'iat')::bigint;
    case jsonb_typeof(payload -> 'vaults')
      when 'null' then all_vaults := true;
      when 'array' then vaults := array(select jsonb_array_elements_text(payload -> 'vaults'));
    end case;
    state := case when age is null then 'malformed' when age between -5 and 300 then 'valid' else 'expired' end;
  exception when data_exception or invalid_text_representation or case_not_found then
    state := 'malformed';
  end;
  if state = 'valid' then
    subject := (payload ->> 'iss') || ' ' || (payload ->> 'sub');
    may_write := coalesce(payload -> 'scopes' ? 'mcp:write', false);
  end if;
  if state <> 'valid' or not (may_write or coalesce(payload -> 'scopes' ? 'mcp:read', false)) then
    all_vaults := false;
    vaults := '{}';
  end if;
end
$$;

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

-- Makes out who calls and what it may see, and writes it down for the rest of the function of schema api that asks: in the setting
-- bankhouse.scope, which each of these empties when it begins (it is set in its header) and has back when it ends. So nobody outside can set
-- it for them. Policies read it from there: when a policy's question is asked, and whether at all, depends on what a plan looked at
-- before, so answering must leave no trace, as reading a table or calling a function that is counted does (D1). Answers the bank.
create or replace function bank.enter() returns text
  language plpgsql stable security definer set search_path = pg_catalog
as $$
declare
  opened constant record := bank.open_assertion();
  my_bank constant text := bank.login_bank();
begin
  perform set_config('bankhouse.scope', jsonb_build_object(
    'bank', my_bank, 'all', opened.all_vaults, 'vaults', array(select distinct v from unnest(opened.vaults) v)::text,
    'subject', opened.subject, 'write', opened.may_write)::text, true);
  return my_bank;
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

-- Who asks and what it may see, for functions in schema api. may_see is false where nothing can be seen: no bank, no valid assertion, no
-- scope, or no vault.
create or replace function bank.caller(
  out bank text, out all_vaults boolean, out vaults text[], out subject text, out may_see boolean, out may_write boolean
)
  language plpgsql stable security definer set search_path = pg_catalog
as $$
declare
  entered constant text := bank.enter();
begin
  bank := entered;
  all_vaults := bank.all_vaults();
  vaults := bank.vault_scope();
  subject := bank.subject();
  may_see := bank is not null and (all_vaults or cardinality(vaults) > 0);
  may_write := bank is not null and bank.may_write();
end
$$;

-- The same for what writes.
create or replace function bank.writer(out bank text, out all_vaults boolean, out vaults text[], out subject text)
  language plpgsql stable security definer set search_path = pg_catalog
as $$
declare
  caller constant record := bank.caller();
begin
  if not caller.may_write then
    raise exception 'the caller may not write' using errcode = 'insufficient_privilege';
  end if;
  bank := caller.bank;
  all_vaults := caller.all_vaults;
  vaults := caller.vaults;
  subject := caller.subject;
end
$$;

-- Why a caller sees what it sees: absent, malformed, forged, expired or valid. Without it an expired assertion looks
-- like an empty bank.
create or replace function api.assertion_state() returns text
  language plpgsql stable security definer set search_path = pg_catalog set client_min_messages = warning
  set bankhouse.scope = ''
as $$
declare
  opened constant record := bank.open_assertion();
begin
  return opened.state;
end
$$;

-- An instant as tools give it: RFC 3339 in UTC, with microseconds, so that a cursor is exact.
create or replace function bank.instant(p_at timestamptz) returns text
  language sql immutable strict parallel safe
return to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
