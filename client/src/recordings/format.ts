import { VAULT_ID_PATTERN } from '@bankhouse/core';
import { z } from 'zod';

/** No line of a recordings file is longer than this, in characters. */
export const LINE_MAX_CHARACTERS = 8 * 1024 * 1024;

const segmentSchema = z.strictObject({
  start: z.number().min(0).max(172_800),
  end: z.number().min(0).max(172_800),
  speaker: z.string().min(1).max(200),
  text: z.string().min(1).max(20_000),
});

/**
 * One call as a line of a recordings file (docs/recordings-format.md). Times within the call are seconds from its start.
 * `source` says where it lives: `legacy` only in the old table, `recording` only in the new one, `migrated` in both.
 */
export const callSchema = z
  .strictObject({
    source: z.enum(['recording', 'legacy', 'migrated']).default('recording'),
    id: z.uuid().optional(),
    legacyId: z.int().positive().optional(),
    title: z.string().min(1).max(500),
    startedAt: z.iso.datetime({ offset: true }),
    durationSeconds: z.int().min(0).max(172_800),
    participants: z.array(z.string().min(1).max(255)).max(200).default([]),
    vaults: z.array(z.string().regex(VAULT_ID_PATTERN, 'must be the id of a vault')).max(20).default([]),
    language: z
      .string()
      .regex(/^[a-z]{2}$/, 'must be two letters, such as "en"')
      .default('en'),
    url: z
      .url({ protocol: /^https?$/ })
      .max(2048)
      .optional(),
    summary: z.string().max(50_000).default(''),
    transcript: z.array(segmentSchema).max(50_000).default([]),
  })
  .refine((call) => call.source === 'recording' || call.legacyId !== undefined, {
    path: ['legacyId'],
    message: 'is needed where source is "legacy" or "migrated"',
  })
  .refine((call) => call.source !== 'legacy' || call.vaults.length <= 1, {
    path: ['vaults'],
    message: 'may name at most one vault where source is "legacy"',
  })
  .refine((call) => call.source === 'legacy' || call.vaults.length >= 1, {
    path: ['vaults'],
    message: 'must name at least one vault',
  })
  .refine((call) => new Set(call.vaults).size === call.vaults.length, {
    path: ['vaults'],
    message: 'names a vault twice',
  });

export type Call = z.infer<typeof callSchema>;
export type CallSegment = z.infer<typeof segmentSchema>;

export type ParsedLine = { ok: true; call: Call } | { ok: false; problems: string[] };

/** Reads one line. Problems name the field and what it must be; they never repeat more than a field's name. */
export function parseLine(line: string): ParsedLine {
  if (line.length > LINE_MAX_CHARACTERS) {
    return { ok: false, problems: [`the line has ${line.length} characters; at most ${LINE_MAX_CHARACTERS} are read`] };
  }
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { ok: false, problems: ['the line is not JSON; each line must be one JSON object'] };
  }
  const result = callSchema.safeParse(value);
  if (result.success) return { ok: true, call: result.data };
  return {
    ok: false,
    problems: result.error.issues.slice(0, 5).map((issue) => {
      const field = issue.path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
      return `${field === '' ? 'the object' : field.replace(/^\./, '')}: ${issue.message}`;
    }),
  };
}
