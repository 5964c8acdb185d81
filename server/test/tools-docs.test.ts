import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { toolsMarkdown } from '../src/docs/tools.ts';
import { defineTool } from '../src/mcp/toolset.ts';

const nothing = () => Promise.reject(new Error('not run'));
const create = defineTool({
  name: 'create_thing',
  title: 'Create a thing',
  description: 'Makes a thing.',
  access: 'write',
  annotations: { destructiveHint: false, idempotentHint: false },
  input: z.strictObject({
    name: z.string().min(1).max(9).meta({ description: 'A name | a title.' }),
    size: z.int().min(1).default(3),
    kind: z.enum(['a', 'b']).nullish(),
    tags: z.array(z.string()).max(2).default([]),
    note: z.string().default(''),
  }),
  output: z.object({ id: z.string() }),
  run: nothing,
});
const patch = defineTool({
  ...create,
  name: 'patch_thing',
  annotations: { destructiveHint: true, idempotentHint: true },
  input: z.strictObject({ name: z.string().optional() }),
});
const list = defineTool({ ...create, name: 'list_things', access: 'read', annotations: {}, input: z.strictObject({}) });

const short = defineTool({ ...list, name: 'get_thing', listedIn: ['compact'] });

describe('docs/tools.md', () => {
  const page = toolsMarkdown(
    [{ name: 'things', instructions: 'It has things.', tools: [create, patch, list, short], resources: [] }],
    (text) => JSON.parse(text).tools.length * 1000,
  );

  it.each([
    ['a toolset with its instructions', '## things\n\nIt has things.\n'],
    ['a tool with what it does', '### create_thing\n\nMakes a thing.\n\nWrites. Answers `id`.\n'],
    ['bounds, and a bar that ends no cell', '| `name` | text, 1 to 9 characters | required | A name \\| a title. |'],
    ['a default', '| `size` | whole number, at least 1 | default `3` |  |'],
    ['values', '| `kind` | `a`, `b` or null |  |  |'],
    ['a list', '| `tags` | list of text, at most 2 entries | default `[]` |  |'],
    ['an empty default', '| `note` | text | default `""` |  |'],
    [
      'what create says, for patch',
      'can destroy, may be repeated. Answers `id`.\n\n| argument | type | | |\n| --- | --- | --- | --- |\n| `name` | text |  | A name \\| a title. |',
    ],
    ['what each profile costs', '| 3 | 3,000 |\n'],
    ['what compact costs', '| 4 | 4,000 |\n'],
    ['a tool that the default leaves out', 'Reads. Answers `id`. Listed in `compact` alone.'],
    ['the tools that find and call others', '### call_tool\n'],
    ['a tool without arguments', '### list_things\n\nMakes a thing.\n\nReads. Answers `id`.\n\nNo arguments.\n'],
  ])('has %s', (_sentence, text) => {
    expect(page).toContain(text);
  });
});
