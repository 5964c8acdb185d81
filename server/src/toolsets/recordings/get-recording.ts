import { z } from 'zod';
import type { Transaction } from '../../database/transaction.ts';
import { defineTool } from '../../mcp/toolset.ts';
import { resourceUri } from '../shared/uris.ts';
import { briefShape, type RecordingRow, recordingId, toBrief } from './schemas.ts';
import { GET_RECORDING, recordingNotFound } from './sql.ts';
import { briefLine } from './text.ts';

export const recordingSchema = z.object({
  ...briefShape,
  participants: z.array(z.string()).meta({ description: 'E-mail addresses or names, all of them.' }),
  source: z.enum(['legacy', 'recording']).meta({ description: 'Which of the two stores holds it.' }),
  summary: z.string().nullable(),
  url: z.string().nullable().meta({ description: 'Where the recording can be played.' }),
  resourceUri: z.string().meta({ description: 'The recording as an MCP resource.' }),
});
export type Recording = z.infer<typeof recordingSchema>;

/** The recording, or undefined where there is none that the caller may see. The legacy id of a migrated call finds it too. */
export async function fetchRecording(tx: Transaction, bank: string, id: string): Promise<Recording | undefined> {
  const [row] = await tx.rows<RecordingRow & { summary: string | null; url: string | null }>(GET_RECORDING, [id]);
  if (row === undefined) return undefined;
  return {
    ...toBrief(row),
    participants: row.participants ?? [],
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
  access: 'read',
  input: z.strictObject({ id: recordingId }),
  output: recordingSchema,
  async run(args, { tx, bank }) {
    const recording = await fetchRecording(tx, bank, args.id);
    if (recording === undefined) throw recordingNotFound(args.id);
    return { structured: recording, text: `${briefLine(recording)}\n\n${recording.summary ?? '(no summary)'}` };
  },
});
