import { z } from 'zod';
import { LISTED_A_PAGE, MAX_LISTED, type ResourceProvider } from '../../mcp/toolset.ts';
import { cursorsOf } from '../../paging/cursor.ts';
import { isRecordingId } from '../shared/ids.ts';
import { parseResourceUri, resourceUri } from '../shared/uris.ts';
import { isWhen } from '../shared/when.ts';
import { callMarkdown } from './call-markdown.ts';
import { completeRecordingId, completeVault } from './completers.ts';
import { fetchRecording } from './get-recording.ts';
import { filterValues, type RecordingRow, toBrief } from './schemas.ts';
import { LIST_RECORDINGS, LIST_VAULTS, type VaultRow } from './sql.ts';
import { briefLine } from './text.ts';

const PAGE = 50;
const MIME_TYPE = 'text/markdown';
const NO_FILTER = filterValues({});
/** As long as the tool's page: a client may put a resource into a model's context as it is. */
const TRANSCRIPT_CHARACTERS = 30_000;

/** How many were listed, and where that ended. */
const listCursors = cursorsOf(
  'resources/recordings',
  z.tuple([z.int().min(0), z.string().max(40).refine(isWhen), z.string().refine(isRecordingId)]),
);

/** Every vault, then the lists of vaults and of recordings. A vault reads as its newest recordings. */
export const vaultResources: ResourceProvider = {
  inFront: true,
  templates: [
    {
      uriTemplate: 'bankhouse://{bank}/vaults/{id}',
      name: 'vault',
      title: 'Vault',
      description: 'A vault and its newest recordings.',
      mimeType: MIME_TYPE,
    },
  ],
  complete: { id: completeVault },
  async list(_cursor, { tx, bank }) {
    const rows = await tx.rows<VaultRow>(LIST_VAULTS);
    return {
      resources: [
        ...rows.map((row) => ({
          uri: resourceUri(bank, 'vaults', row.id),
          name: row.id,
          title: row.display_name,
          description: `Vault with ${row.recordings} recordings.`,
          mimeType: MIME_TYPE,
        })),
        {
          uri: resourceUri(bank, 'vaults'),
          name: 'vaults',
          title: 'Vaults',
          description: 'The vaults that you may see.',
          mimeType: MIME_TYPE,
        },
        {
          uri: resourceUri(bank, 'recordings'),
          name: 'recordings',
          title: 'Recordings',
          description: 'The newest recordings of all vaults.',
          mimeType: MIME_TYPE,
        },
      ],
    };
  },
  async read(uri, { tx, bank }) {
    const target = parseResourceUri(uri, bank);
    if (target?.kind !== 'vaults') return undefined;
    const vaults = await tx.rows<VaultRow>(LIST_VAULTS);
    if (target.id === undefined) {
      const lines = vaults.map(
        (row) => `- ${row.display_name}, ${row.recordings} recordings: ${resourceUri(bank, 'vaults', row.id)}`,
      );
      return { uri, mimeType: MIME_TYPE, text: `# Vaults\n\n${lines.join('\n')}\n` };
    }
    const vault = vaults.find((row) => row.id === target.id);
    if (vault === undefined) return undefined;
    const newest = await tx.rows<RecordingRow>(LIST_RECORDINGS, newestOf(vault.id));
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
  complete: { id: completeRecordingId },
  async list(cursor, { tx, bank }) {
    const [listed, ...after] = cursor === undefined ? [0, null, null] : listCursors.decode(cursor, null);
    const rows = await tx.rows<RecordingRow>(LIST_RECORDINGS, [...NO_FILTER, ...after, LISTED_A_PAGE + 1]);
    const page = rows.slice(0, LISTED_A_PAGE);
    const last = page.at(-1);
    const soFar = listed + page.length;
    return {
      resources: page.map((row) => ({
        uri: resourceUri(bank, 'recordings', row.id),
        name: row.id,
        title: row.title ?? '(no title)',
        description: briefLine(toBrief(row)),
        mimeType: MIME_TYPE,
      })),
      ...(rows.length > page.length && soFar < MAX_LISTED && last !== undefined
        ? { nextCursor: listCursors.encode([soFar, last.started_at, last.id], null) }
        : {}),
    };
  },
  async read(uri, { tx, bank }) {
    const target = parseResourceUri(uri, bank);
    if (target?.kind !== 'recordings') return undefined;
    if (target.id === undefined) {
      const newest = await tx.rows<RecordingRow>(LIST_RECORDINGS, newestOf(undefined));
      const lines = newest.map((row) => `- ${briefLine(toBrief(row))}: ${resourceUri(bank, 'recordings', row.id)}`);
      return { uri, mimeType: MIME_TYPE, text: `# The newest recordings\n\n${lines.join('\n') || '(none)'}\n` };
    }
    const recording = await fetchRecording(tx, bank, target.id);
    if (recording === undefined) return undefined;
    return { uri, mimeType: MIME_TYPE, text: await callMarkdown(tx, recording, TRANSCRIPT_CHARACTERS) };
  },
};

function newestOf(vaultId: string | undefined): unknown[] {
  return [...filterValues({ vaultId }), null, null, PAGE];
}
