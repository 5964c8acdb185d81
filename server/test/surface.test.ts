import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { completeArgument, completersOf } from '../src/mcp/completion.ts';
import { fillPrompt } from '../src/mcp/prompts.ts';
import { buildSurface } from '../src/mcp/surface.ts';
import { type CallContext, type Completer, definePrompt, defineTool, type Prompt } from '../src/mcp/toolset.ts';
import { toolsetsNamed } from '../src/toolsets/index.ts';
import { completeLanguage, writeIn } from '../src/toolsets/shared/languages.ts';
import { cut, fitsWords, oneLine } from '../src/toolsets/shared/words.ts';

const context = { bank: 'acme' } as CallContext;

function promptNamed(name: string, uses: string[] = [], complete: Completer = () => ({ values: [] })): Prompt {
  return definePrompt({
    name,
    title: `Title of ${name}`,
    description: 'A prompt.',
    uses,
    input: z.strictObject({
      what: z.string().max(5).meta({ title: 'What', description: 'What it is about.' }),
      how: z.string().default('well'),
    }),
    complete: { what: complete },
    messages: ({ what, how }) => Promise.resolve([{ role: 'user', content: { type: 'text', text: `${what} ${how}` } }]),
  });
}

const surfaceOf = (prompts: Prompt[]) =>
  buildSurface([{ name: 'x', instructions: '', tools: [tool], resources: [], prompts }]);
const tool = defineTool({
  name: 'get_thing',
  title: 'Get',
  description: 'Gets.',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({}),
  run: () => Promise.resolve({ structured: {}, text: '' }),
});

describe('a list of prompts', () => {
  it('tells arguments with their descriptions, and which must be given', () => {
    expect(surfaceOf([promptNamed('a')]).promptList).toEqual({
      prompts: [
        {
          name: 'a',
          title: 'Title of a',
          description: 'A prompt.',
          arguments: [
            { name: 'what', title: 'What', description: 'What it is about.', required: true },
            { name: 'how', required: false },
          ],
        },
      ],
    });
  });

  it('leaves out a prompt whose tools are not all offered', () => {
    const surface = surfaceOf([promptNamed('a', ['get_thing']), promptNamed('b', ['get_thing', 'get_nothing'])]);
    expect([...surface.prompts.keys()]).toEqual(['a']);
    expect([...surface.completers.keys()]).toEqual(['ref/prompt a']);
  });

  it('refuses two of one name at the start', () => {
    expect(() => surfaceOf([promptNamed('a'), promptNamed('a')])).toThrow('Two prompts are named a.');
  });

  it('of all toolsets names tools that there are, so that a renamed tool hides no prompt', () => {
    const toolsets = toolsetsNamed(['recordings', 'workspace', 'semantic']);
    const offered = buildSurface(toolsets).prompts;
    expect([...offered.keys()]).toEqual(toolsets.flatMap(({ prompts = [] }) => prompts.map(({ name }) => name)));
  });
});

describe('a prompt', () => {
  it.each<[Record<string, string> | undefined, string]>([
    [{ what: 'cats' }, 'cats well'],
    [{ what: 'cats', how: '' }, 'cats well'],
    [{ what: 'cats', how: 'badly' }, 'cats badly'],
  ])('with %j says "%s"', async (given, text) => {
    const { messages } = await fillPrompt(promptNamed('a'), given, context);
    expect(messages).toEqual([{ role: 'user', content: { type: 'text', text } }]);
  });

  it.each<[Record<string, string> | undefined, string]>([
    [undefined, 'what'],
    [{ what: '' }, 'what'],
    [{ what: 'elephants' }, 'what'],
    [{ what: 'cats', why: 'x' }, 'why'],
  ])('with %j says what is wrong with %s', async (given, field) => {
    await expect(fillPrompt(promptNamed('a'), given, context)).rejects.toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining(field),
    });
  });
});

describe('completion', () => {
  const ask = (complete: Completer, value: string) =>
    completeArgument(
      completersOf([promptNamed('a', [], complete)], []),
      { ref: { type: 'ref/prompt', name: 'a' }, argument: { name: 'what', value } },
      context,
    );

  it('gives at most 100 values and says that there are more', async () => {
    const { completion } = await ask(() => ({ values: Array.from({ length: 150 }, String) }), '');
    expect([completion.values.length, completion.hasMore]).toEqual([100, true]);
  });

  it('asks nobody for what is longer than anything', async () => {
    const { completion } = await ask(() => ({ values: ['found'] }), 'x'.repeat(257));
    expect(completion.values).toEqual([]);
  });

  it('tells what else was given', async () => {
    const { completion } = await completeArgument(
      completersOf([promptNamed('a', [], (_typed, { given }) => ({ values: [given.how ?? ''] }))], []),
      {
        ref: { type: 'ref/prompt', name: 'a' },
        argument: { name: 'what', value: '' },
        context: { arguments: { how: 'so' } },
      },
      context,
    );
    expect(completion.values).toEqual(['so']);
  });
});

describe('words', () => {
  it.each<[string, string, boolean]>([
    ['', 'Anything', true],
    ['ann ren', 'Renewal with Ann', true],
    ['ann bob', 'Renewal with Ann', false],
  ])('"%s" fits "%s": %s', (typed, text, expected) => expect(fitsWords(typed, text)).toBe(expected));

  it('are cut between characters', () => {
    expect(cut('a🙂b', 3)).toBe('a…');
    expect(cut('abc', 3)).toBe('abc');
    expect(oneLine(' a\n\n b\t')).toBe('a b');
  });
});

describe('a language to write in', () => {
  it.each<[string | undefined, string]>([
    [undefined, 'as it is'],
    ['de', 'German'],
    ['pt-BR', 'Brazilian Portuguese'],
    ['Klingon of the north', 'Klingon of the north'],
  ])('%s is named %s', (tag, name) => expect(writeIn(tag, 'as it is')).toBe(name));

  it.each<[string, string[]]>([
    ['ger', ['de']],
    ['FR', ['fr']],
    ['xx', []],
  ])('%s completes to %j', async (typed, values) => {
    expect(await completeLanguage(typed, { ...context, given: {} })).toEqual({ values });
  });
});
