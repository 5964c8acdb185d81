/** What is in a list of tools that makes a client or its model's maker refuse one tool, or all of them. */

import { TOOL_PROFILES } from '@bankhouse/core';
import { encode } from 'gpt-tokenizer';
import { expect } from 'vitest';
import { type Bank, initialize, LIST, type Listed, type Report } from './bank.ts';

type Schema = Record<string, unknown>;
type Found = readonly [where: string, schema: unknown];

/** Every tool in every profile. */
async function every(bank: Bank): Promise<Listed[]> {
  return (await Promise.all(TOOL_PROFILES.map((profile) => bank.tools(profile)))).flat();
}

/** A schema and all below it, with where each is. */
function* within(schema: unknown, where: string): Generator<Found> {
  yield [where, schema];
  if (typeof schema !== 'object' || schema === null) return;
  const { properties, items, anyOf, oneOf, allOf, not } = schema as Schema;
  for (const [name, one] of Object.entries((properties ?? {}) as Schema)) yield* within(one, `${where}.${name}`);
  for (const [index, one] of [anyOf, oneOf, allOf].flatMap((each) => (each ?? []) as unknown[]).entries()) {
    yield* within(one, `${where}|${index}`);
  }
  for (const one of [items, not]) if (one !== undefined) yield* within(one, `${where}[]`);
}

async function schemas(bank: Bank): Promise<[where: string, schema: Schema][]> {
  const found = (await every(bank)).flatMap(({ name, inputSchema }) => [...within(inputSchema, name)]);
  return found.map(([where, schema]) => [where, schema as Schema]);
}

/** Says where a schema is as it must not be. */
function never(holds: string, source: string | undefined, isBad: (schema: Schema) => boolean, fault = 'P9'): Report {
  return {
    holds,
    fault,
    source,
    async check(bank) {
      const all = await schemas(bank);
      expect(all.length).toBeGreaterThan(200);
      expect(all.filter(([, schema]) => isBad(schema)).map(([where]) => where)).toEqual([]);
    },
  };
}

const typesOf = ({ type }: Schema): unknown[] => (Array.isArray(type) ? type : [type]);
const isOf = (type: string, schema: Schema) => typesOf(schema).includes(type);
const TYPES = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null', undefined];

export const SCHEMAS: readonly Report[] = [
  {
    holds: 'tools have names of letters, digits and underscores, without which one client drops them all',
    fault: 'P9',
    source: 'loomle/loomle#168',
    async check(bank) {
      for (const { name } of await every(bank)) expect(name).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
    },
  },
  {
    holds: "names are short enough behind a client's own prefix, which has the name of the server",
    fault: 'P9',
    source: 'anthropics/claude-code#34960',
    async check(bank) {
      for (const { name } of await every(bank)) {
        expect(`mcp__bank-${bank.id.padEnd(24, 'x')}__${name}`.length).toBeLessThanOrEqual(64);
      }
    },
  },
  {
    holds: 'each tool of a list has a name of its own',
    fault: 'P9',
    async check(bank) {
      for (const profile of TOOL_PROFILES) {
        const tools = await bank.tools(profile);
        expect(new Set(tools.map(({ name }) => name)).size).toBe(tools.length);
      }
    },
  },
  {
    holds: 'what a tool is described by is no longer than any maker of models takes',
    source: 'probelabs/probe#9',
    async check(bank) {
      for (const { name, description } of await every(bank)) {
        expect([name, description]).toEqual([name, expect.stringMatching(/^.{20,1024}$/s)]);
      }
    },
  },
  {
    holds: 'the instructions of a bank are no longer than what a client cuts them at',
    source: 'anthropics/claude-code#41593',
    async check(bank) {
      const { json } = await bank.post(initialize('2025-11-25'));
      expect(json.result.instructions).toMatch(/^.{20,2048}$/s);
    },
  },
  {
    holds: 'no schema of arguments has anyOf, oneOf or allOf at the top',
    fault: 'P9',
    source: 'anthropics/claude-code#4886',
    async check(bank) {
      for (const { name, inputSchema } of await every(bank)) {
        expect([name, inputSchema.type]).toEqual([name, 'object']);
        expect(
          Object.keys(inputSchema).filter((key) => ['anyOf', 'oneOf', 'allOf', 'not', 'enum'].includes(key)),
        ).toEqual([]);
      }
    },
  },
  never(
    'an object says its properties, also where it has none',
    'openai/openai-agents-python#449',
    (schema) => isOf('object', schema) && schema.properties === undefined && schema.additionalProperties === undefined,
  ),
  never('a list says what is in it', 't8y2/dbx#6233', (schema) => isOf('array', schema) && schema.items === undefined),
  never(
    'no list and no object can be null beside it',
    'google-gemini/gemini-cli#21094',
    (schema) => isOf('null', schema) && (isOf('array', schema) || isOf('object', schema)),
  ),
  never(
    'nothing has two types but null beside one',
    'github/copilot-cli#4623',
    (schema) => typesOf(schema).filter((type) => type !== 'null').length > 1,
  ),
  never('no schema is a bare true or false', 'github/copilot-cli#4623', (schema) => typeof schema === 'boolean'),
  never(
    'nothing refers to something else, so nothing goes round in a circle',
    'nspady/google-calendar-mcp#134',
    (schema) => Object.keys(schema).some((key) => ['$ref', '$defs', 'definitions', '$dynamicRef'].includes(key)),
  ),
  never('the types are those of JSON Schema', 'nspady/google-calendar-mcp#134', (schema) =>
    typesOf(schema).some((type) => !TYPES.includes(type as string)),
  ),
  never(
    'a text has no format that somebody may not know',
    'google-gemini/gemini-cli#2141',
    (schema) => schema.format !== undefined && schema.format !== 'date-time',
  ),
  never(
    'values to choose from are text',
    'microsoft/azure-devops-mcp#145',
    (schema) => Array.isArray(schema.enum) && schema.enum.some((value) => typeof value !== 'string'),
  ),
  never('properties have names that every maker takes', 'freee/freee-mcp#15', (schema) =>
    Object.keys((schema.properties ?? {}) as Schema).some((name) => !/^[a-zA-Z0-9_-]{1,64}$/.test(name)),
  ),
  never('what is required is there', undefined, ({ required, properties }) =>
    ((required ?? []) as string[]).some((name) => !Object.hasOwn((properties ?? {}) as Schema, name)),
  ),
  {
    holds: 'no list has an output schema, one of which without a type loses clients all the tools',
    fault: 'P8',
    source: 'opentokenz/mcpx#28',
    async check(bank) {
      for (const tool of await every(bank)) expect(tool).not.toHaveProperty('outputSchema');
    },
  },
  ...(
    [
      ['full', 9000, 'anthropics/claude-code#13717'],
      ['compact', 4000, 'modelcontextprotocol/modelcontextprotocol#2808'],
      ['search', 1500, 'G-Core/gcore-mcp-server#14'],
    ] as const
  ).map(
    ([profile, tokens, source]): Report => ({
      holds: `the list in the profile ${profile} takes at most ${tokens} tokens of a model's context`,
      fault: 'P8',
      source,
      async check(bank) {
        expect(encode(JSON.stringify(await bank.tools(profile))).length).toBeLessThanOrEqual(tokens);
      },
    }),
  ),
  {
    holds: 'all tools are on the first page, which many clients read alone, and no cursor follows it',
    fault: 'P2',
    source: 'vercel/ai#19240',
    async check(bank) {
      const { json } = await bank.post(LIST);
      expect(json.result.tools.length).toBeGreaterThan(45);
      expect(json.result).not.toHaveProperty('nextCursor');
    },
  },
  {
    holds: 'a cursor that nobody gave is refused, so nobody reads one page for ever',
    fault: 'P2',
    async check(bank) {
      for (const cursor of ['2', 'eyJvZmZzZXQiOjIwfQ==', 'null', 'undefined']) {
        for (const method of ['tools/list', 'prompts/list', 'resources/list']) {
          expect((await bank.post({ ...LIST, method, params: { cursor } })).json.error.code).toBe(-32602);
        }
      }
    },
  },
  {
    holds:
      'a list that is followed by its cursors ends, with nothing twice, and its last page has no cursor that is empty or null',
    fault: 'P2',
    source: 'DeusData/codebase-memory-mcp#1247',
    async check(bank) {
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const { result } = (
          await bank.post({ ...LIST, method: 'resources/list', params: cursor === undefined ? {} : { cursor } })
        ).json;
        seen.push(...result.resources.map(({ uri }: { uri: string }) => uri));
        cursor = result.nextCursor;
        if ('nextCursor' in result) expect(cursor).toMatch(/./);
      } while (cursor !== undefined);
      expect(new Set(seen).size).toBe(seen.length);
    },
  },
  {
    holds: 'a list that has not changed is the same to the byte, so that a model’s maker keeps it',
    fault: 'P8',
    async check(bank) {
      expect((await bank.post(LIST)).body).toBe((await bank.post(LIST)).body);
    },
  },
];
