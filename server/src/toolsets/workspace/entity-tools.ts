import { ENTITIES } from '../../entities/index.ts';
import type { LocalTool } from '../../mcp/toolset.ts';
import { archiveTool } from './operations/archive.ts';
import { createTool } from './operations/create.ts';
import { deleteTool } from './operations/delete.ts';
import { getTool } from './operations/get.ts';
import { listTool } from './operations/list.ts';
import { patchTool } from './operations/patch.ts';
import { processTool } from './operations/process.ts';
import { updateTool } from './operations/update.ts';

const OPERATIONS = [listTool, getTool, createTool, updateTool, patchTool, deleteTool, archiveTool, processTool];

/** The forty tools of R3.1: every operation for every entity. */
export const ENTITY_TOOLS: readonly LocalTool[] = ENTITIES.flatMap((entity) => OPERATIONS.map((tool) => tool(entity)));
