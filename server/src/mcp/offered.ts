import { createHash } from 'node:crypto';
import { BUILT_IN_CATALOGUE, type CatalogueTool, type SentCatalogue, writeCatalogue } from '@bankhouse/core';
import { describeTool } from './listing.ts';
import type { Surface } from './surface.ts';
import type { Tool } from './toolset.ts';

/** What a catalogue has of a tool. */
export function catalogueTool(tool: Tool): CatalogueTool {
  const digest = createHash('sha256')
    .update(JSON.stringify(describeTool(tool)))
    .digest('hex');
  return { access: tool.access, digest: `sha256:${digest}` };
}

/** Of our own tools it is known, and held to them by a test: to make all their schemas takes longer than a pod takes for many calls. */
function offeredTool(tool: Tool): CatalogueTool {
  const known = tool.place === 'remote' ? undefined : BUILT_IN_CATALOGUE.tools.get(tool.name);
  return known?.access === tool.access ? known : catalogueTool(tool);
}

/** All that a bank offers, for its gateway (ADR 37): made when it is first asked for, and anew when there are other tools. */
export function offeredCatalogue({ tools, prompts, resourceTemplates }: Surface): () => SentCatalogue {
  return tools.derived((all) =>
    writeCatalogue({
      tools: all.map((tool) => [tool.name, offeredTool(tool)] as const),
      prompts: prompts.keys(),
      resources: resourceTemplates.map(({ uriTemplate }) => uriTemplate),
    }),
  );
}
