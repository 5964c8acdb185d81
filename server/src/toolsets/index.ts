import type { Toolset } from '../mcp/toolset.ts';
import { recordings } from './recordings/index.ts';
import { workspace } from './workspace/index.ts';

/** Every toolset that a bank can offer, by name. A new one is a folder here and a line in this table. */
const ALL = { recordings, workspace } satisfies Record<string, Toolset>;

export type ToolsetName = keyof typeof ALL;
export const TOOLSET_NAMES = Object.keys(ALL) as ToolsetName[];

export function toolsetsNamed(names: readonly ToolsetName[]): Toolset[] {
  return names.map((name) => ALL[name]);
}
