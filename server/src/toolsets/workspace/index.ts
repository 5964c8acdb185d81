import type { Toolset } from '../../mcp/toolset.ts';
import { batchTool } from './batch/index.ts';
import { ENTITY_TOOLS } from './entity-tools.ts';
import { entryTools } from './entry-tools.ts';
import { followUpsToTasks } from './prompts/follow-ups-to-tasks.ts';
import { weeklyDigest } from './prompts/weekly-digest.ts';
import { queryTool } from './query/index.ts';
import { workspaceResources } from './resources.ts';
import { searchTool } from './search/index.ts';

/**
 * What people and models write down around their calls (R3.1).
 *
 * @param options.recordings whether the bank offers the toolset of calls, too
 */
export function workspace(options: { recordings: boolean }): Toolset {
  return {
    name: 'workspace',
    instructions:
      'It keeps notes, tasks, comments, chats and chat_messages. Every entry has a version: update_* and patch_* need the one that you read, and refuse when somebody was faster. process_* moves an entry on in its states. Archived entries are left out of lists unless asked for. To find words anywhere, use search; to filter, count or sum, query; to change several entries or none, batch.',
    tools: [...ENTITY_TOOLS, ...entryTools(options), batchTool, queryTool, searchTool],
    resources: workspaceResources,
    prompts: [weeklyDigest, followUpsToTasks],
  };
}
