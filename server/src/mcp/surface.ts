import { BankhouseError } from '@bankhouse/core';
import type {
  Tool as ListedTool,
  ListPromptsResult,
  ListToolsResult,
  ResourceTemplateType,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { parseMeant } from './arguments.ts';
import { type Completers, completersOf } from './completion.ts';
import type { ArgumentSchema } from './leniency.ts';
import { listPrompts, promptsOf } from './prompts.ts';
import type { Prompt, ResourceProvider, Tool, Toolset } from './toolset.ts';

/** Everything about the toolsets that no request can change, computed once: at the start, or where that takes time, when asked for. */
export interface Surface {
  /** For a model, to follow the bank's name. */
  readonly instructions: string;
  readonly tools: ReadonlyMap<string, Tool>;
  /** The whole answer to tools/list. */
  readonly toolList: ListToolsResult;
  readonly resources: readonly ResourceProvider[];
  readonly resourceTemplates: ResourceTemplateType[];
  readonly prompts: ReadonlyMap<string, Prompt>;
  /** The whole answer to prompts/list. */
  readonly promptList: ListPromptsResult;
  readonly completers: Completers;
}

/** @throws BankhouseError for toolsets that contradict each other: a mistake of ours, found at the start */
export function buildSurface(toolsets: readonly Toolset[]): Surface {
  const tools = new Map<string, Tool>();
  for (const tool of toolsets.flatMap((toolset) => toolset.tools)) {
    if (tools.has(tool.name)) throw new BankhouseError('toolset_clash', `Two tools are named ${tool.name}.`);
    tools.set(tool.name, tool);
  }
  const resources = toolsets
    .flatMap((toolset) => toolset.resources)
    .toSorted((a, b) => Number(b.inFront ?? false) - Number(a.inFront ?? false));
  const prompts = promptsOf(toolsets, tools);
  let toolList: ListToolsResult | undefined;
  return {
    instructions: toolsets
      .map((toolset) => toolset.instructions)
      .filter((sentence) => sentence !== '')
      .join(' '),
    tools,
    get toolList() {
      toolList ??= { tools: [...tools.values()].filter((tool) => tool.hidden !== true).map(listTool) };
      return toolList;
    },
    resources,
    resourceTemplates: resources.flatMap((provider) => [...provider.templates]),
    prompts,
    promptList: listPrompts(prompts.values()),
    completers: completersOf(prompts.values(), resources),
  };
}

/**
 * A tool as tools/list gives it, in as few tokens as say the same to a model (P8): no output schema, which is a third of the list and which
 * nobody needs to call a tool; no bounds of length, which an error names; of hints those that say more than their default.
 */
export function listTool(tool: Tool): ListedTool {
  const { readOnlyHint, destructiveHint, idempotentHint } = describeTool(tool).annotations ?? {};
  return {
    name: tool.name,
    title: tool.title,
    description: tool.description,
    inputSchema: slim(jsonSchema(tool.input, 'input'), keepsNull(tool)) as ListedTool['inputSchema'],
    annotations: {
      ...(readOnlyHint === true ? { readOnlyHint } : {}),
      ...(readOnlyHint === true || destructiveHint !== false ? {} : { destructiveHint }),
      ...(readOnlyHint === true || idempotentHint !== true ? {} : { idempotentHint }),
    },
  };
}

/** Where null says something else than nothing. Elsewhere it is taken, and not worth its tokens. */
function keepsNull({ name }: Tool): boolean {
  return name.startsWith('patch_');
}

const UNSAID = new Set([
  'additionalProperties',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'pattern',
  'examples',
  'minimum',
]);

function slim(schema: unknown, keepNull: boolean): unknown {
  if (Array.isArray(schema)) return schema.map((each) => slim(each, keepNull));
  if (typeof schema !== 'object' || schema === null) return schema;
  const { anyOf, properties, ...rest } = schema as Record<string, unknown>;
  const kept = Object.fromEntries(
    Object.entries(rest)
      .filter(([name, value]) => !UNSAID.has(name) && !(name === 'maximum' && Number(value) > 1000))
      .map(([name, value]) => [name, name === 'items' || name === 'not' ? slim(value, keepNull) : value]),
  );
  const fields =
    properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties as Record<string, unknown>).map(([name, value]) => [name, slim(value, keepNull)]),
          ),
        };
  if (!Array.isArray(anyOf)) return { ...kept, ...fields };
  const [only, ...others] = anyOf.filter((each) => keepNull || (each as { type?: unknown }).type !== 'null');
  return others.length === 0
    ? { ...(slim(only, keepNull) as object), ...kept, ...fields }
    : { ...kept, ...fields, anyOf: slim(anyOf, keepNull) };
}

/** A tool with all that can be said of it, for docs/tools.md. */
export function describeTool(tool: Tool): ListedTool {
  return {
    name: tool.name,
    title: tool.title,
    description: tool.description,
    inputSchema: jsonSchema(tool.input, 'input') as ListedTool['inputSchema'],
    outputSchema: jsonSchema(tool.output, 'output') as NonNullable<ListedTool['outputSchema']>,
    annotations: {
      title: tool.title,
      readOnlyHint: tool.access === 'read',
      openWorldHint: false,
      ...(tool.access === 'read' ? { idempotentHint: true, destructiveHint: false } : {}),
      ...tool.annotations,
    },
  };
}

/**
 * Lists of tools are sent to models, so nothing in them is there for its own sake: no `$schema`, since 2020-12 is MCP's default;
 * no bounds of JavaScript's integers; and answers may grow, so they are not closed.
 */
function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _, ...made } = z.toJSONSchema(schema, {
    io,
    target: 'draft-2020-12',
    unrepresentable: 'throw',
    override({ jsonSchema }) {
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (io === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    },
  });
  if (made.type !== 'object') throw new BankhouseError('toolset_schema', "A tool's schema must describe an object.");
  return made;
}

/** JSON schemas of arguments, made when they are first needed. */
const inputSchemas = new WeakMap<Tool, ArgumentSchema>();

function inputSchemaOf(tool: Tool): ArgumentSchema {
  const known = inputSchemas.get(tool) ?? (jsonSchema(tool.input, 'input') as ArgumentSchema);
  inputSchemas.set(tool, known);
  return known;
}

/** @throws ToolError `invalid_argument` that names every wrong argument, and which there are */
export function parseArguments<I>(tool: Tool<I>, args: unknown): I {
  const any = tool as unknown as Tool;
  return parseMeant(tool.input, args ?? {}, {
    whose: tool.name,
    listed: () => inputSchemaOf(any),
    meaning: { emptied: tool.emptied, idWords: idWordsOf(tool.name) },
  });
}

/** `noteid` and `note` of get_note; a tool about calls takes their other names. */
function idWordsOf(tool: string): string[] {
  const noun = tool.replace(/^[a-z]+_/, '').replaceAll('_', '');
  const nouns = noun === 'recording' || noun === 'transcript' ? ['recording', 'call', 'meeting'] : [noun];
  return [...nouns, ...nouns.map((each) => `${each}id`)];
}
