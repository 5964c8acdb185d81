import { z } from 'zod';
import type { Transaction } from '../../database/transaction.ts';
import { defineTool } from '../../mcp/toolset.ts';
import { fromCharacter, moreText, nextCharacter, partOf } from '../shared/budget.ts';
import { resourceUri } from '../shared/uris.ts';
import { briefShape, type RecordingRow, recordingId, toBrief } from './schemas.ts';
import { GET_RECORDING, recordingNotFound } from './sql.ts';
import { briefLine } from './text.ts';

export const recordingSchema = z.object({
  ...briefShape,
  participants: z
    .array(z.string())
    .meta({ description: 'E-mail addresses or names; participantCount says how many there are.' }),
  source: z.enum(['legacy', 'recording']).meta({ description: 'Which of the two stores holds it.' }),
  summary: z.string().nullable(),
  url: z.string().nullable().meta({ description: 'Where the recording can be played.' }),
  resourceUri: z.string().meta({ description: 'The recording as an MCP resource.' }),
});
export type Recording = z.infer<typeof recordingSchema>;

/** Of everybody in a call, as many as leave room for its summary. */
const PARTICIPANTS_CHARACTERS = 12_000;

function shownParticipants(all: readonly string[]): string[] {
  let characters = 0;
  const over = all.findIndex((one) => {
    characters += JSON.stringify(one).length + 2;
    return characters > PARTICIPANTS_CHARACTERS;
  });
  return over < 0 ? [...all] : all.slice(0, over);
}

/** The recording, or undefined where there is none that the caller may see. The legacy id of a migrated call finds it too. */
export async function fetchRecording(tx: Transaction, bank: string, id: string): Promise<Recording | undefined> {
  const [row] = await tx.rows<RecordingRow & { summary: string | null; url: string | null }>(GET_RECORDING, [id]);
  if (row === undefined) return undefined;
  return {
    ...toBrief(row),
    participants: shownParticipants(row.participants ?? []),
    source: row.source,
    summary: row.summary,
    url: row.url,
    resourceUri: resourceUri(bank, 'recordings', row.id),
  };
}

export const getRecording = defineTool({
  name: 'get_recording',
  title: 'Get a recording',
  description:
    'Gives one recording: title, time, all participants, vaults, summary, link. The words that were spoken come from get_transcript.',
  coveredBy: 'get_entry',
  access: 'read',
  input: z.strictObject({ id: recordingId, fromCharacter }),
  output: z.object({ ...recordingSchema.shape, nextCharacter }),
  async run(args, { tx, bank }) {
    const recording = await fetchRecording(tx, bank, args.id);
    if (recording === undefined) throw recordingNotFound(args.id);
    const { participants, url } = recording;
    const told = [
      briefLine(recording),
      `participants: ${participants.join(', ')}`,
      ...(url === null ? [] : [`url: ${url}`]),
      `resource: ${recording.resourceUri}`,
    ].join('\n');
    const whole = recording.summary ?? '';
    const beside = Math.max(JSON.stringify({ ...recording, summary: '' }).length, told.length);
    const part = partOf(whole, args.fromCharacter, beside);
    return {
      structured: {
        ...recording,
        summary: recording.summary === null ? null : part.text,
        ...(part.next === undefined ? {} : { nextCharacter: part.next }),
      },
      text: `${told}\n\n${recording.summary === null ? '(no summary)' : part.text}${moreText(part, whole)}`,
    };
  },
});
