import { BankhouseError } from '@bankhouse/core';
import type { Tool as ListedTool } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { ObjectSchema, Tool } from './toolset.ts';

/**
 * A tool as tools/list gives it, in as few tokens as say the same to a model (P8): no output schema, which is a third of the list and which
 * nobody needs to call a tool; no bounds of length, which an error names; of hints those that say more than their default.
 *
 * @param options.titled with the title, which is for people alone
 */
export function listTool(tool: Tool, options: { titled: boolean } = { titled: true }): ListedTool {
  const { readOnlyHint, destructiveHint, idempotentHint } = describeTool(tool).annotations ?? {};
  const annotations = {
    ...(readOnlyHint === true ? { readOnlyHint } : {}),
    ...(readOnlyHint === true || destructiveHint !== false ? {} : { destructiveHint }),
    ...(readOnlyHint === true || idempotentHint !== true ? {} : { idempotentHint }),
  };
  return {
    name: tool.name,
    ...(options.titled ? { title: tool.title } : {}),
    description: tool.description,
    inputSchema: slimmed(tool),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
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
/** What is no limit to anybody. */
const LARGE = 1000;
/** A longer list of values is told in words, where there are any. */
const MANY_VALUES = 20;

type Json = Readonly<Record<string, unknown>>;

function slim(schema: unknown, keepNull: boolean): unknown {
  if (Array.isArray(schema)) return schema.map((each) => slim(each, keepNull));
  if (typeof schema !== 'object' || schema === null) return schema;
  const { anyOf, properties, ...rest } = schema as Json;
  const kept: Json = Object.fromEntries(
    Object.entries(rest)
      .filter(([name, value]) => isSaid(name, value, rest))
      .map(([name, value]) => [name, slimmedValue(name, value, { keepNull, schema: rest })]),
  );
  const fields =
    properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties as Json).map(([name, value]) => [name, slim(toldByName(name, value), keepNull)]),
          ),
        };
  if (!Array.isArray(anyOf)) return { ...kept, ...fields };
  const [only, ...others] = keepNull ? withNull(anyOf) : anyOf.filter(({ type }) => type !== 'null');
  return others.length === 0
    ? { ...(slim(only, keepNull) as object), ...kept, ...fields }
    : { ...kept, ...fields, anyOf: slim(anyOf, keepNull) };
}

/** A type that can be null, as one schema. */
function withNull(anyOf: readonly Json[]): readonly Json[] {
  const [first, second, ...others] = anyOf;
  if (second?.type !== 'null' || others.length > 0 || typeof first?.type !== 'string') return anyOf;
  return [{ ...first, type: [first.type, 'null'] }];
}

/** Nothing is said twice, by a bound and by the words beside it. */
function isSaid(name: string, value: unknown, { description }: Json): boolean {
  switch (name) {
    case 'maximum':
      return Number(value) <= LARGE && !String(description).includes(` ${String(value)}`);
    case 'default':
      return !isEmpty(value);
    case 'enum':
      return description === undefined || (value as unknown[]).length <= MANY_VALUES;
    default:
      return !UNSAID.has(name);
  }
}

/** Without a description that is the name again. */
function toldByName(name: string, schema: unknown): unknown {
  const { description, ...rest } = schema as Json;
  return typeof description === 'string' && description.toLowerCase() === `${name}.` ? rest : schema;
}

/** What anybody takes something that is left out for. */
function isEmpty(value: unknown): boolean {
  return value === '' || value === false || (Array.isArray(value) && value.length === 0);
}

function slimmedValue(
  name: string,
  value: unknown,
  { keepNull, schema }: { keepNull: boolean; schema: Json },
): unknown {
  if (name === 'items' || name === 'not') return slim(value, keepNull);
  if (name !== 'type' || keepNull || !Array.isArray(value) || /\bnull\b/.test(String(schema.description))) return value;
  const [only, ...others] = value.filter((type) => type !== 'null');
  return others.length === 0 ? only : value;
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
