import { BankhouseError } from '@bankhouse/core';
import type { GetPromptResult, Prompt as ListedPrompt, ListPromptsResult } from '@modelcontextprotocol/server';
import { parseInput } from './arguments.ts';
import type { CallContext, Prompt, Toolset } from './toolset.ts';

/** The prompts of these toolsets that speak only of tools which are offered, by name. */
export function promptsOf(
  toolsets: readonly Toolset[],
  tools: { has(name: string): boolean },
): ReadonlyMap<string, Prompt> {
  const prompts = new Map<string, Prompt>();
  for (const prompt of toolsets.flatMap((toolset) => toolset.prompts ?? [])) {
    if (prompts.has(prompt.name)) throw new BankhouseError('toolset_clash', `Two prompts are named ${prompt.name}.`);
    if (prompt.uses.every((tool) => tools.has(tool))) prompts.set(prompt.name, prompt);
  }
  return prompts;
}

/** The whole answer to prompts/list. */
export function listPrompts(prompts: Iterable<Prompt>): ListPromptsResult {
  return { prompts: [...prompts].map(listPrompt) };
}

function listPrompt({ name, title, description, input }: Prompt): ListedPrompt {
  return {
    name,
    title,
    description,
    arguments: Object.entries(input.shape).map(([argument, schema]) => {
      const meta = schema.meta();
      return {
        name: argument,
        ...(meta?.title === undefined ? {} : { title: meta.title }),
        ...(meta?.description === undefined ? {} : { description: meta.description }),
        required: !schema.safeParse(undefined).success,
      };
    }),
  };
}

/**
 * The prompt with the bank's rows in it. Clients with a form send '' for a field that was left empty: it counts as not given.
 *
 * @throws ToolError
 */
export async function fillPrompt(
  prompt: Prompt,
  given: Readonly<Record<string, string>> | undefined,
  context: CallContext,
): Promise<GetPromptResult> {
  const filled = Object.fromEntries(Object.entries(given ?? {}).filter(([, value]) => value !== ''));
  const args = parseInput(prompt.input, filled, `the prompt ${prompt.name}`);
  return { description: prompt.title, messages: await prompt.messages(args, context) };
}
