import type { LocalTool } from '../../../mcp/toolset.ts';
import { ENTITY_TOOLS } from '../entity-tools.ts';
import { entryTools } from '../entry-tools.ts';
import { makeBatchTool } from './batch-tool.ts';

/** Every tool of the entities that writes, in one transaction. */
export const batchTool: LocalTool = makeBatchTool(ENTITY_TOOLS, entryTools({ recordings: false }));
