/** Parameters of each: the bank's id, and a JSON list of CallRow. A row that is there already and equal is not written. */

const ROWS = `json_to_recordset($2::json) as c(
  id uuid, legacy_id bigint, title text, started_at timestamptz, ended_at timestamptz, duration_seconds int,
  participants text[], invitees jsonb, vaults text[], legacy_transcript jsonb, transcript jsonb,
  summary text, language text, url text)`;

export const UPSERT_LEGACY = `
insert into bank.fathom_calls as f (bank_id, id, vault_id, title, recording_start_time, recording_end_time,
  calendar_invitees, transcript, transcript_language, summary, url)
select $1, c.legacy_id, c.vaults[1], c.title, c.started_at, c.ended_at,
  c.invitees, c.legacy_transcript, c.language, c.summary, c.url
from ${ROWS}
where c.legacy_transcript is not null
on conflict (bank_id, id) do update set
  vault_id = excluded.vault_id, title = excluded.title, recording_start_time = excluded.recording_start_time,
  recording_end_time = excluded.recording_end_time, calendar_invitees = excluded.calendar_invitees,
  transcript = excluded.transcript, transcript_language = excluded.transcript_language, summary = excluded.summary,
  url = excluded.url
where (f.vault_id, f.title, f.recording_start_time, f.recording_end_time, f.calendar_invitees, f.transcript,
       f.transcript_language, f.summary, f.url)
  is distinct from (excluded.vault_id, excluded.title, excluded.recording_start_time, excluded.recording_end_time,
       excluded.calendar_invitees, excluded.transcript, excluded.transcript_language, excluded.summary, excluded.url)`;

export const UPSERT_RECORDINGS = `
insert into bank.recordings as r (bank_id, id, legacy_id, title, started_at, duration_seconds, participants, transcript,
  summary, language, url)
select $1, c.id, c.legacy_id, c.title, c.started_at, c.duration_seconds, c.participants, c.transcript,
  c.summary, c.language, c.url
from ${ROWS}
where c.transcript is not null
on conflict (bank_id, id) do update set
  legacy_id = excluded.legacy_id, title = excluded.title, started_at = excluded.started_at,
  duration_seconds = excluded.duration_seconds, participants = excluded.participants, transcript = excluded.transcript,
  summary = excluded.summary, language = excluded.language, url = excluded.url, updated_at = now()
where (r.legacy_id, r.title, r.started_at, r.duration_seconds, r.participants, r.transcript, r.summary, r.language, r.url)
  is distinct from (excluded.legacy_id, excluded.title, excluded.started_at, excluded.duration_seconds,
       excluded.participants, excluded.transcript, excluded.summary, excluded.language, excluded.url)`;

export const ADD_ENTRIES = `
insert into bank.vault_entries (bank_id, vault_id, recording_id)
select $1, vault, c.id from ${ROWS}, unnest(c.vaults) vault
where c.transcript is not null
on conflict do nothing`;

export const REMOVE_ENTRIES = `
delete from bank.vault_entries e using ${ROWS}
where c.transcript is not null and e.bank_id = $1 and e.recording_id = c.id and not e.vault_id = any (c.vaults)`;
