import type { ResourceProvider } from '../../mcp/toolset.ts';
import { fetchRecording, type Recording } from './get-recording.ts';
import { fetchTranscript, transcriptLine } from './get-transcript.ts';
import { listCursors } from './list-recordings.ts';
import { filterValues, type RecordingRow, toBrief } from './schemas.ts';
import { LIST_RECORDINGS, LIST_VAULTS } from './sql.ts';
import { briefLine, formatDuration } from './text.ts';
import { parseUri, recordingUri, vaultUri } from './uris.ts';

const PAGE = 50;
const TRANSCRIPT_SEGMENTS = 500;
const MIME_TYPE = 'text/markdown';
const NO_FILTER = filterValues({});

interface VaultRow {
  id: string;
  display_name: string;
  recordings: number;
}

/** A vault reads as its newest recordings. */
export const vaultResources: ResourceProvider = {
  templates: [
    {
      uriTemplate: 'bankhouse://{bank}/vaults/{id}',
      name: 'vault',
      title: 'Vault',
      description: 'A vault and its newest recordings.',
      mimeType: MIME_TYPE,
    },
  ],
  async list(_cursor, { tx, bank }) {
    const rows = await tx.rows<VaultRow>(LIST_VAULTS);
    return {
      resources: rows.map((row) => ({
        uri: vaultUri(bank, row.id),
        name: row.id,
        title: row.display_name,
        description: `Vault with ${row.recordings} recordings.`,
        mimeType: MIME_TYPE,
      })),
    };
  },
  async read(uri, { tx, bank }) {
    const target = parseUri(uri, bank);
    if (target?.kind !== 'vault') return undefined;
    const vault = (await tx.rows<VaultRow>(LIST_VAULTS)).find((row) => row.id === target.id);
    if (vault === undefined) return undefined;
    const newest = await tx.rows<RecordingRow>(LIST_RECORDINGS, [
      ...filterValues({ vault: vault.id }),
      null,
      null,
      PAGE,
    ]);
    const lines = newest.map((row) => `- ${briefLine(toBrief(row))}`);
    const text = `# ${vault.display_name}\n\nVault \`${vault.id}\`, ${vault.recordings} recordings. The newest:\n\n${lines.join('\n')}\n`;
    return { uri, mimeType: MIME_TYPE, text };
  },
};

/** A recording reads as its facts, its summary and the beginning of its transcript. */
export const recordingResources: ResourceProvider = {
  templates: [
    {
      uriTemplate: 'bankhouse://{bank}/recordings/{id}',
      name: 'recording',
      title: 'Recording',
      description: 'A recording with its summary and transcript.',
      mimeType: MIME_TYPE,
    },
  ],
  async list(cursor, { tx, bank }) {
    const after = cursor === undefined ? [null, null] : listCursors.decode(cursor, NO_FILTER);
    const rows = await tx.rows<RecordingRow>(LIST_RECORDINGS, [...NO_FILTER, ...after, PAGE + 1]);
    const page = rows.slice(0, PAGE);
    const last = page.at(-1);
    return {
      resources: page.map((row) => ({
        uri: recordingUri(bank, row.id),
        name: row.id,
        title: row.title ?? '(no title)',
        description: briefLine(toBrief(row)),
        mimeType: MIME_TYPE,
      })),
      ...(rows.length > PAGE && last !== undefined
        ? { nextCursor: listCursors.encode([last.started_at, last.id], NO_FILTER) }
        : {}),
    };
  },
  async read(uri, { tx, bank }) {
    const target = parseUri(uri, bank);
    if (target?.kind !== 'recording') return undefined;
    const recording = await fetchRecording(tx, bank, target.id);
    if (recording === undefined) return undefined;
    const { segments, more } = await fetchTranscript(tx, {
      id: recording.id,
      from: null,
      to: null,
      after: null,
      limit: TRANSCRIPT_SEGMENTS,
    });
    const transcript = segments.map(transcriptLine).join('\n\n');
    return {
      uri,
      mimeType: MIME_TYPE,
      text: `${heading(recording)}\n## Transcript\n\n${transcript === '' ? '(none)' : transcript}\n${more ? '\n(It goes on: use the tool get_transcript.)\n' : ''}`,
    };
  },
};

function heading(recording: Recording): string {
  const facts = [
    `Began ${recording.startedAt}, ${formatDuration(recording.durationSeconds)}`,
    `Participants: ${recording.participants.join(', ')}`,
    `Vaults: ${recording.vaultIds.join(', ')}`,
    ...(recording.url === null ? [] : [`Link: ${recording.url}`]),
  ];
  return `# ${recording.title ?? '(no title)'}\n\n${facts.map((fact) => `- ${fact}`).join('\n')}\n\n${recording.summary ?? ''}\n`;
}
