import type { Toolset } from '../../mcp/toolset.ts';
import { getRecording } from './get-recording.ts';
import { getTranscript } from './get-transcript.ts';
import { listRecordings } from './list-recordings.ts';
import { listVaults } from './list-vaults.ts';
import { summarizeCall } from './prompts/summarize-call.ts';
import { recordingResources, vaultResources } from './resources.ts';
import { searchRecordings } from './search-recordings.ts';

export { completeCall, completeVault } from './completers.ts';
export { callArgument, callMaterial, MATERIAL_ONLY, say } from './prompts/call-material.ts';
export { formatDuration } from './text.ts';

/** Calls and their transcripts, read-only (R1.2). */
export const recordings: Toolset = {
  name: 'recordings',
  instructions:
    "It holds recordings of calls with their transcripts, sorted into vaults. To find what was said, use search_recordings; to look through a period or a person's calls, list_recordings; then get_recording for the summary and get_transcript for the words. Times are UTC.",
  tools: [listVaults, listRecordings, getRecording, getTranscript, searchRecordings],
  resources: [vaultResources, recordingResources],
  prompts: [summarizeCall],
};
