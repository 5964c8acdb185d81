import type { Transaction } from '../../database/transaction.ts';
import type { Recording } from './get-recording.ts';
import { fetchTranscript, transcriptLine } from './get-transcript.ts';
import { formatDuration } from './text.ts';

const SEGMENTS_A_PAGE = 500;

/** A call to be read: its facts, its summary and its transcript, of which the beginning where it is longer than `characters`. */
export async function callMarkdown(tx: Transaction, recording: Recording, characters: number): Promise<string> {
  const { text, more } = await transcriptUpTo(tx, recording.id, characters);
  const end = more ? '\n(It goes on: use the tool get_transcript.)\n' : '';
  return `${heading(recording)}\n## Transcript\n\n${text === '' ? '(none)' : text}\n${end}`;
}

async function transcriptUpTo(
  tx: Transaction,
  id: string,
  characters: number,
): Promise<{ text: string; more: boolean }> {
  const lines: string[] = [];
  let length = 0;
  let after: number | null = null;
  for (;;) {
    const page = await fetchTranscript(tx, { id, from: null, to: null, after, limit: SEGMENTS_A_PAGE });
    for (const segment of page.segments) {
      const line = transcriptLine(segment);
      length += line.length;
      if (length > characters && lines.length > 0) return { text: lines.join('\n\n'), more: true };
      lines.push(line);
      after = segment.seq;
    }
    if (!page.more) return { text: lines.join('\n\n'), more: false };
  }
}

function heading(recording: Recording): string {
  const facts = [
    `Id: \`${recording.id}\``,
    `Began ${recording.startedAt}, ${formatDuration(recording.durationSeconds)}`,
    `Participants: ${recording.participants.join(', ')}`,
    `Vaults: ${recording.vaultIds.join(', ')}`,
    ...(recording.url === null ? [] : [`Link: ${recording.url}`]),
  ];
  return `# ${recording.title ?? '(no title)'}\n\n${facts.map((fact) => `- ${fact}`).join('\n')}\n\n${recording.summary ?? ''}\n`;
}
