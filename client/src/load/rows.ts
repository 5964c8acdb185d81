import { createHash } from 'node:crypto';
import type { Call } from '../recordings/format.ts';
import { uuidOf } from '../recordings/uuid.ts';

/** A call as the two tables want it; column names are the database's. */
export interface CallRow {
  id: string;
  legacy_id: number | null;
  title: string;
  started_at: string;
  ended_at: string;
  duration_seconds: number;
  participants: string[];
  invitees: { name: string; email: string }[];
  vaults: string[];
  legacy_transcript: unknown[] | null;
  transcript: unknown[] | null;
  summary: string;
  language: string;
  url: string | null;
}

/** The row of a call; a call without id gets one made of bank, start and title, so that importing it again changes nothing. */
export function toRow(bank: string, call: Call): CallRow {
  const ended = new Date(Date.parse(call.startedAt) + call.durationSeconds * 1000).toISOString();
  return {
    id: call.id ?? derivedId(bank, call),
    legacy_id: call.legacyId ?? null,
    title: call.title,
    started_at: call.startedAt,
    ended_at: ended,
    duration_seconds: call.durationSeconds,
    participants: call.participants,
    invitees: call.participants.map(toInvitee),
    vaults: call.vaults,
    legacy_transcript: call.source === 'recording' ? null : call.transcript.map(toFathomSegment),
    transcript: call.source === 'legacy' ? null : call.transcript,
    summary: call.summary,
    language: call.language,
    url: call.url ?? null,
  };
}

function derivedId(bank: string, call: Call): string {
  const text = `${bank}\n${call.legacyId ?? ''}\n${call.startedAt}\n${call.title}`;
  return uuidOf(createHash('sha256').update(text).digest(), 8);
}

function toInvitee(participant: string): { name: string; email: string } {
  return participant.includes('@')
    ? { name: participant.split('@')[0] ?? '', email: participant }
    : { name: participant, email: '' };
}

function toFathomSegment(segment: Call['transcript'][number]): unknown {
  return { speaker: { display_name: segment.speaker }, text: segment.text, timestamp: clock(segment.start) };
}

/** Seconds as `HH:MM:SS`. */
function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  return [whole / 3600, (whole / 60) % 60, whole % 60]
    .map((part) => String(Math.floor(part)).padStart(2, '0'))
    .join(':');
}
