/** What the conformance suite expects a server to hold, as a toolset on our serving stack. Only these tests enable it. */
import {
  type CallContext,
  definePrompt,
  defineTool,
  type Prompt,
  type ResourceProvider,
  type Tool,
  type ToolAnswer,
  ToolError,
  type Toolset,
} from '@bankhouse/server';
import { z } from 'zod';

/** One red pixel. */
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
/** No sound at all: the header of a WAV file. */
const WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=';
const IMAGE = { type: 'image' as const, data: PNG, mimeType: 'image/png' };

const embedded = (uri: string, mimeType: string, text: string) => ({
  type: 'resource' as const,
  resource: { uri, mimeType, text },
});

function tool(name: string, run: (context: CallContext) => ToolAnswer<object>): Tool {
  return defineTool({
    name,
    title: name,
    description: `Fixture of the conformance suite: ${name}.`,
    // The gateway's catalogue doesn't have it, and lets such a one read.
    access: 'read',
    input: z.object({}),
    output: z.object({}),
    run: async (_args, context) => run(context),
  });
}

const says = (text: string, content: NonNullable<ToolAnswer<object>['content']> = []): ToolAnswer<object> => ({
  structured: {},
  text,
  content,
});

const tools: Tool[] = [
  tool('test_simple_text', () => says('This is a simple text response for testing.')),
  tool('test_image_content', () => says('An image:', [IMAGE])),
  tool('test_audio_content', () => says('A sound:', [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }])),
  tool('test_embedded_resource', () =>
    says('A resource:', [embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')]),
  ),
  tool('test_multiple_content_types', () =>
    says('Multiple content types test:', [
      IMAGE,
      embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
    ]),
  ),
  tool('test_error_handling', () => {
    throw new ToolError('invalid_argument', 'This tool intentionally returns an error for testing.', 'Expect it.');
  }),
  // Called without a level for logs, and with the capability for questions: nothing may come but the answer.
  tool('test_logging_tool', () => says('Nothing is logged to clients.')),
  tool('test_streaming_elicitation', () => says('Nothing is asked.')),
];

const resources: ResourceProvider = {
  templates: [{ uriTemplate: 'test://template/{id}/data', name: 'template', mimeType: 'application/json' }],
  list: () =>
    Promise.resolve({
      resources: [
        { uri: 'test://static-text', name: 'static-text', mimeType: 'text/plain' },
        { uri: 'test://static-binary', name: 'static-binary', mimeType: 'image/png' },
      ],
    }),
  async read(uri) {
    if (uri === 'test://static-text') return { uri, mimeType: 'text/plain', text: 'This is static text.' };
    if (uri === 'test://watched-resource') return { uri, mimeType: 'text/plain', text: 'This never changes.' };
    if (uri === 'test://static-binary') return { uri, mimeType: 'image/png', blob: PNG };
    const id = /^test:\/\/template\/(\w+)\/data$/.exec(uri)?.[1];
    if (id === undefined) return undefined;
    return { uri, mimeType: 'application/json', text: JSON.stringify({ id, templateTest: true }) };
  },
};

const user = (text: string) => ({ role: 'user' as const, content: { type: 'text' as const, text } });
const required = (description: string) => z.string().meta({ description });

const prompts: Prompt[] = [
  definePrompt({
    name: 'test_simple_prompt',
    title: 'Simple',
    description: 'A prompt without arguments.',
    uses: [],
    input: z.object({}),
    complete: {},
    messages: () => Promise.resolve([user('This is a simple prompt for testing.')]),
  }),
  definePrompt({
    name: 'test_prompt_with_arguments',
    title: 'With arguments',
    description: 'A prompt with two arguments.',
    uses: [],
    input: z.object({ arg1: required('First'), arg2: required('Second') }),
    complete: { arg1: (typed) => ({ values: ['test', 'testing'].filter((value) => value.startsWith(typed)) }) },
    messages: ({ arg1, arg2 }) => Promise.resolve([user(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)]),
  }),
  definePrompt({
    name: 'test_prompt_with_embedded_resource',
    title: 'With a resource',
    description: 'A prompt that embeds a resource.',
    uses: [],
    input: z.object({ resourceUri: required('What to embed') }),
    complete: {},
    messages: ({ resourceUri }) =>
      Promise.resolve([
        { role: 'user', content: embedded(resourceUri, 'text/plain', 'Embedded resource content for testing.') },
        user('Please process the embedded resource above.'),
      ]),
  }),
  definePrompt({
    name: 'test_prompt_with_image',
    title: 'With an image',
    description: 'A prompt with an image.',
    uses: [],
    input: z.object({}),
    complete: {},
    messages: () => Promise.resolve([{ role: 'user', content: IMAGE }, user('Please analyze the image above.')]),
  }),
];

export const fixtures: Toolset = { name: 'fixtures', instructions: '', tools, resources: [resources], prompts };
