import { z } from 'zod';
import { ANSWER_CHARACTERS, fitting } from '../toolsets/shared/budget.ts';
import { parseMeant } from './arguments.ts';
import type { ArgumentSchema } from './leniency.ts';
import { jsonSchema, listTool } from './listing.ts';
import { type Ranking, rankingOf } from './ranking.ts';
import { defineForwarding, type ForwardingTool, type RemoteTool, type Tool } from './toolset.ts';

const MAX_FOUND = 20;
/** For the words around what is found, and what JSON puts around names. */
const AROUND = 2000;

const findInput = z.strictObject({
  query: z.string().trim().min(1).max(200).meta({ description: 'What you want to do, in a few words.' }),
  limit: z
    .int()
    .min(1)
    .max(MAX_FOUND)
    .default(5)
    .meta({ description: `1 to ${MAX_FOUND}.` }),
});

/**
 * The catalogue as a tool, for clients that list no more than it and `call_tool`. Nothing of it comes from the database, so it holds no
 * connection, as a tool of another server.
 *
 * @param catalogue all tools that are worth finding, as they are now
 */
export function findTools(catalogue: () => FoundTools): RemoteTool {
  return {
    name: 'find_tools',
    title: 'Find tools',
    description:
      'Finds tools of this server by words, best first, with the arguments that they take. Call one by call_tool.',
    access: 'read',
    annotations: { openWorldHint: false },
    listedIn: ['search'],
    place: 'remote',
    get inputSchema() {
      return jsonSchema(findInput, 'input');
    },
    async call(args) {
      const { query, limit } = parseMeant(findInput, args, {
        whose: 'find_tools',
        listed: () => jsonSchema(findInput, 'input') as ArgumentSchema,
        meaning: { idWords: [] },
      });
      const found = catalogue();
      const ranked = found.find(query);
      const best = ranked.slice(0, limit).map(({ name, description, access, inputSchema }) => {
        return { name, description, access, inputSchema };
      });
      const lines = best.map((each) => JSON.stringify(each));
      const count = fitting(best, lines);
      const tools = best.slice(0, count);
      const names = (ranked.length === 0 ? found.tools : ranked.slice(count)).map(({ name }) => name);
      const others = fittingNames(names, AROUND + JSON.stringify(tools).length);
      const first = tools.length === 0 ? 'No tool has these words.' : `${tools.length} tools:`;
      return {
        content: [
          {
            type: 'text',
            text: [
              first,
              ...lines.slice(0, count),
              ...(others.length === 0 ? [] : [`Others: ${others.join(', ')}.`]),
            ].join('\n'),
          },
        ],
        structuredContent: { tools, others },
      };
    },
  };
}

/** The first of them, as far as an answer has room beside what is in it already. */
function fittingNames(names: readonly string[], used: number): string[] {
  let room = ANSWER_CHARACTERS - used;
  return names.filter((name) => {
    room -= JSON.stringify(name).length + 1;
    return room > 0;
  });
}

export type FoundTools = Ranking<ReturnType<typeof entryOf>>;

/** What find_tools looks through; to make it takes milliseconds. */
export function foundAmong(tools: readonly Tool[]): FoundTools {
  return rankingOf(tools.map(entryOf));
}

function entryOf(tool: Tool) {
  const { inputSchema } = listTool(tool);
  const { name, title, description, access } = tool;
  return { name, title, description, access, inputSchema, words: Object.keys(inputSchema.properties ?? {}) };
}

const callInput = z.strictObject({
  name: z.string().min(1).max(128).meta({ description: 'Of the tool, as find_tools gives it.' }),
  arguments: z.looseObject({}).default({}).meta({ description: 'That it takes.' }),
});

/** Any tool by its name. */
export const callTool: ForwardingTool = defineForwarding({
  name: 'call_tool',
  title: 'Call a tool',
  description: 'Calls a tool of this server, as if it were called itself.',
  access: 'either',
  listedIn: ['search'],
  input: callInput,
  inputSchema: () => jsonSchema(callInput, 'input'),
  forward: ({ name, arguments: args }) => ({ tool: name, args }),
});
