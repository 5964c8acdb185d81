import { BankhouseError } from '@bankhouse/core';
import type { Tool as ListedTool } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { ObjectSchema, Tool } from './toolset.ts';

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
    inputSchema: slimmed(tool),
    annotations: {
      ...(readOnlyHint === true ? { readOnlyHint } : {}),
      ...(readOnlyHint === true || destructiveHint !== false ? {} : { destructiveHint }),
      ...(readOnlyHint === true || idempotentHint !== true ? {} : { idempotentHint }),
    },
  };
}

/** Words of others are theirs: what they left out or in has its reasons. */
function slimmed(tool: Tool): ObjectSchema {
  return tool.place === 'remote' ? tool.inputSchema : (slim(inputSchemaOf(tool), keepsNull(tool)) as ObjectSchema);
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

function outputOf(tool: Tool): Pick<ListedTool, 'outputSchema'> {
  if (tool.place === 'local') return { outputSchema: jsonSchema(tool.output, 'output') };
  return tool.place === 'remote' && tool.outputSchema !== undefined ? { outputSchema: tool.outputSchema } : {};
}

/** JSON schemas of arguments, made when they are first needed. */
const inputSchemas = new WeakMap<Tool, ObjectSchema>();

export function inputSchemaOf(tool: Tool): ObjectSchema {
  const known = inputSchemas.get(tool) ?? makeInputSchema(tool);
  inputSchemas.set(tool, known);
  return known;
}

function makeInputSchema(tool: Tool): ObjectSchema {
  switch (tool.place) {
    case 'local':
      return jsonSchema(tool.input, 'input');
    case 'remote':
      return tool.inputSchema;
    case 'forward':
      return tool.inputSchema();
  }
}

/** A tool with all that can be said of it, for docs/tools.md. */
export function describeTool(tool: Tool): ListedTool {
  return {
    name: tool.name,
    title: tool.title,
    description: tool.description,
    inputSchema: inputSchemaOf(tool),
    ...outputOf(tool),
    annotations: {
      title: tool.title,
      readOnlyHint: tool.access === 'read',
      openWorldHint: tool.place === 'remote',
      ...(tool.access === 'read' ? { idempotentHint: true, destructiveHint: false } : {}),
      ...tool.annotations,
    },
  };
}

/**
 * Lists of tools are sent to models, so nothing in them is there for its own sake: no `$schema`, since 2020-12 is MCP's default;
 * no bounds of JavaScript's integers; and answers may grow, so they are not closed.
 */
export function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): ObjectSchema {
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
  return made as ObjectSchema;
}
