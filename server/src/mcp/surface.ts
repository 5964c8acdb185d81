import type { ListPromptsResult, ResourceTemplateType } from '@modelcontextprotocol/server';
import { type Completers, completersOf } from './completion.ts';
import { listPrompts, promptsOf } from './prompts.ts';
import { ToolRegistry } from './registry.ts';
import type { Prompt, ResourceProvider, Toolset } from './toolset.ts';

/** What a bank offers. All but the tools is computed once, since only a release changes it. */
export interface Surface {
  /** For a model, to follow the bank's name. */
  readonly instructions: string;
  /** The one part that can change while the server runs. */
  readonly tools: ToolRegistry;
  readonly resources: readonly ResourceProvider[];
  readonly resourceTemplates: ResourceTemplateType[];
  readonly prompts: ReadonlyMap<string, Prompt>;
  /** The whole answer to prompts/list. */
  readonly promptList: ListPromptsResult;
  readonly completers: Completers;
}

/** @throws BankhouseError for toolsets that contradict each other: a mistake of ours, found at the start */
export function buildSurface(toolsets: readonly Toolset[]): Surface {
  const tools = new ToolRegistry(toolsets.flatMap((toolset) => toolset.tools));
  const resources = toolsets
    .flatMap((toolset) => toolset.resources)
    .toSorted((a, b) => Number(b.inFront ?? false) - Number(a.inFront ?? false));
  const prompts = promptsOf(toolsets, tools);
  return {
    instructions: toolsets
      .map((toolset) => toolset.instructions)
      .filter((sentence) => sentence !== '')
      .join(' '),
    tools,
    resources,
    resourceTemplates: resources.flatMap((provider) => [...provider.templates]),
    prompts,
    promptList: listPrompts(prompts.values()),
    completers: completersOf(prompts.values(), resources),
  };
}
