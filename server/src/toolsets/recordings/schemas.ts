import { VAULT_ID_PATTERN } from '@bankhouse/core';
import { z } from 'zod';
import { ToolError } from '../../mcp/tool-error.ts';
import { isRecordingId } from '../shared/ids.ts';
import { isDay, isWhen, toInstant, toStart } from '../shared/when.ts';

const when = (description: string) =>
  z
    .string()
    .max(40)
    .refine(isWhen, { message: 'it must be a date such as 2026-05-01 or an instant such as 2026-05-01T09:30:00Z' })
    .optional()
    .meta({ description, examples: ['2026-05-01', '2026-05-01T09:30:00Z'] });

/** Filters that lists and searches share. */
export const filterShape = {
  from: when('Only recordings that began at this instant or later. A plain date means its midnight, UTC.'),
  to: when('Only recordings that began before this instant. A plain date includes that whole day, UTC.'),
  participant: z
    .string()
    .trim()
    .min(1)
    .max(320)
    .optional()
    .meta({ description: 'Only recordings with this participant: e-mail address or name.' }),
  vaultId: z
    .string()
    .regex(VAULT_ID_PATTERN, { message: 'it must be a vault id, as list_vaults gives it' })
    .optional()
    .meta({ description: 'Only recordings in this vault.' }),
};

export const recordingId = z
  .string()
  .max(64)
  .refine(isRecordingId, { message: 'it must be a recording id, as list_recordings and search_recordings give it' })
  .meta({ description: 'Of the recording.' });

export interface Filters {
  from?: string | undefined;
  to?: string | undefined;
  participant?: string | undefined;
  vaultId?: string | undefined;
}

/** Filters in the database's terms: a half-open range of instants, null where nothing is asked. */
export type FilterValues = [from: string | null, to: string | null, participant: string | null, vaultId: string | null];

/** @throws ToolError `invalid_range` */
export function filterValues({ from, to, participant, vaultId }: Filters): FilterValues {
  const start = from === undefined ? null : toStart(from);
  const end = to === undefined ? null : isDay(to) ? dayAfter(to) : to;
  if (start !== null && end !== null && Date.parse(start) >= Date.parse(end)) {
    throw new ToolError(
      'invalid_range',
      `from (${from}) is not before to (${to}).`,
      'Send a from that is earlier than to.',
      {
        field: 'from',
      },
    );
  }
  return [start, end, participant ?? null, vaultId ?? null];
}

function dayAfter(day: string): string {
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + 1);
  return date.toISOString();
}

const MAX_PARTICIPANTS = 20;

const briefShape = {
  id: z.string(),
  title: z.string().nullable(),
  startedAt: z.string().meta({ description: 'Instant, UTC (RFC 3339).' }),
  durationSeconds: z.number().nullable(),
  participants: z
    .array(z.string())
    .meta({ description: `E-mail addresses or names, at most ${MAX_PARTICIPANTS} of them.` }),
  participantCount: z.int(),
  vaultIds: z.array(z.string()),
  language: z.string().nullable(),
};

/** A recording as lists show it. */
export const briefSchema = z.object(briefShape);
export type Brief = z.infer<typeof briefSchema>;
export { briefShape };

export interface RecordingRow {
  id: string;
  source: 'legacy' | 'recording';
  title: string | null;
  started_at: string;
  duration_seconds: number | null;
  participants: string[] | null;
  vault_ids: string[] | null;
  language: string | null;
}

export function toBrief(row: RecordingRow): Brief {
  const participants = row.participants ?? [];
  return {
    id: row.id,
    title: row.title,
    startedAt: toInstant(row.started_at),
    durationSeconds: row.duration_seconds,
    participants: participants.slice(0, MAX_PARTICIPANTS),
    participantCount: participants.length,
    vaultIds: row.vault_ids ?? [],
    language: row.language,
  };
}
