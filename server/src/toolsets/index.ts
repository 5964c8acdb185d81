import type { EmbeddingsClient } from '../embeddings/index.ts';
import type { Toolset } from '../mcp/toolset.ts';
import { recordings } from './recordings/index.ts';
import { semantic } from './semantic/index.ts';
import { workspace } from './workspace/index.ts';

/** What toolsets are made with. */
export interface Parts {
  /** Undefined: semantic search is off. */
  readonly embeddings?: EmbeddingsClient | undefined;
}

/** Every toolset that a bank can offer, by name. A new one is a folder here and a line in this table. */
const ALL = {
  recordings: () => recordings,
  workspace: (_parts, names) => workspace({ recordings: names.includes('recordings') }),
  semantic: ({ embeddings }) => semantic(embeddings),
} satisfies Record<string, (parts: Parts, names: readonly string[]) => Toolset>;

export type ToolsetName = keyof typeof ALL;
export const TOOLSET_NAMES = Object.keys(ALL) as ToolsetName[];

export function toolsetsNamed(names: readonly ToolsetName[], parts: Parts = {}): Toolset[] {
  return names.map((name) => ALL[name](parts, names));
}
