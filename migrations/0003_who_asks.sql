-- Who asks, and for what: the bank by the login role, the vaults by an assertion whose seal is checked here.
-- A policy calls these as (select bank.me()): an InitPlan, evaluated once a statement.

-- The bank that the connection's login role stands for; null for every other role. Inside SECURITY DEFINER current_user is
-- the function's owner, while session_user stays the role that logged in.
-- (plpgsql and not sql: it keeps its plan for the session.)
create function bank.me() returns text
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
create function bank.open_assertion(
  out state text, out all_vaults boolean, out vaults text[], out subject text, out scopes text[]
)
  language plpgsql stable security definer set search_path = pg_catalog
as $$
declare
  sealed constant text := current_setting('bankhouse.assertion', true);
  my_bank constant text := bank.me();
  parts text[];
  signed bytea;
  seal_key bytea;
  payload jsonb;
  age bigint;
begin
  all_vaults := false;
  vaults := '{}';
  scopes := '{}';
  if coalesce(sealed, '') = '' then
    state := 'absent';
    return;
  end if;
  state := 'malformed';
  if octet_length(sealed) > 8192 then return; end if;
  parts := regexp_match(sealed, '^([0-9]{1,9})\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})$');
  if parts is null then return; end if;

  state := 'forged';
  select k.key into seal_key from bank.bank_keys k where k.bank_id = my_bank and k.generation = parts[1]::int;
  if seal_key is null then return; end if;
  signed := convert_to(parts[1] || '.' || parts[2], 'UTF8');
  -- Both sides go through the HMAC once more, so that the time of the comparison says nothing about the right value.
  if bank.hmac_sha256(bank.hmac_sha256(signed, seal_key), seal_key)
     <> bank.hmac_sha256(bank.base64url_decode(parts[3]), seal_key) then
    return;
  end if;

  begin
    payload := convert_from(bank.base64url_decode(parts[2]), 'UTF8')::jsonb;
    if payload ->> 'bank' is distinct from my_bank then return; end if;
    age := floor(extract(epoch from clock_timestamp()))::bigint - (payload ->> 'iat')::bigint;
    case jsonb_typeof(payload -> 'vaults')
      when 'null' then all_vaults := true;
      when 'array' then vaults := array(select jsonb_array_elements_text(payload -> 'vaults'));
    end case;
    subject := payload ->> 'sub';
    scopes := array(select jsonb_array_elements_text(payload -> 'scopes'));
    state := case when age is null then 'malformed' when age between -5 and 300 then 'valid' else 'expired' end;
  exception when data_exception or invalid_text_representation or case_not_found then
    state := 'malformed';
  end;
  if state <> 'valid' or not scopes && array['mcp:read', 'mcp:write'] then
    all_vaults := false;
    vaults := '{}';
  end if;
  if state <> 'valid' then
    subject := null;
    scopes := '{}';
  end if;
end
$$;

-- Base64 in the alphabet for URLs and without padding (RFC 4648 section 5).
create function bank.base64url_decode(p_text text) returns bytea
  language sql immutable strict
return decode(
  translate(p_text, '-_', '+/') || repeat('=', (4 - length(p_text) % 4) % 4),
  'base64'
);

-- Whether the caller may see every vault of its bank, also what is in none.
create function bank.all_vaults() returns boolean
  language plpgsql stable security definer set search_path = pg_catalog
as $$
begin
  return (select o.all_vaults from bank.open_assertion() o);
end
$$;

-- The vaults that the caller may see; empty when it may see all or none.
create function bank.vault_scope() returns text[]
  language plpgsql stable security definer set search_path = pg_catalog
as $$
begin
  return (select o.vaults from bank.open_assertion() o);
end
$$;

-- Whether the caller may change what it may see.
create function bank.may_write() returns boolean
  language plpgsql stable security definer set search_path = pg_catalog
as $$
begin
  return (select 'mcp:write' = any (o.scopes) from bank.open_assertion() o);
end
$$;

-- Who calls: sub of the token; null without a valid assertion.
create function bank.subject() returns text
  language plpgsql stable security definer set search_path = pg_catalog
as $$
begin
  return (select o.subject from bank.open_assertion() o);
end
$$;

-- Why a caller sees what it sees: absent, malformed, forged, expired or valid. Without it an expired assertion looks
-- like an empty bank.
create function bank.assertion_state() returns text
  language plpgsql stable security definer set search_path = pg_catalog
as $$
begin
  return (select o.state from bank.open_assertion() o);
end
$$;

grant create on schema bank to bankhouse_data;
alter function bank.me() owner to bankhouse_data;
alter function bank.open_assertion() owner to bankhouse_data;
alter function bank.base64url_decode(text) owner to bankhouse_data;
alter function bank.all_vaults() owner to bankhouse_data;
alter function bank.vault_scope() owner to bankhouse_data;
alter function bank.may_write() owner to bankhouse_data;
alter function bank.subject() owner to bankhouse_data;
alter function bank.assertion_state() owner to bankhouse_data;
revoke create on schema bank from bankhouse_data;

revoke all on all functions in schema bank from public;
grant execute on function bank.me(), bank.all_vaults(), bank.vault_scope(), bank.may_write(), bank.subject(),
  bank.assertion_state() to bankhouse_bank;
