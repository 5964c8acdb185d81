/** find_tools: words that people use, and the tools that are meant. */
import { createLogger } from '@bankhouse/core';
import { describe, expect, it } from 'vitest';
import { buildSurface } from '../src/mcp/surface.ts';
import type { RemoteTool } from '../src/mcp/toolset.ts';
import { toolsetsNamed } from '../src/toolsets/index.ts';
import { ALL_TOOLSETS, makeAssertion } from './fixtures.ts';

interface Found {
  tools: { name: string; description: string; access: string; inputSchema: { properties: object } }[];
  others: string[];
}

async function find(args: Record<string, unknown>, toolsets = ALL_TOOLSETS) {
  const tool = buildSurface(toolsets).tools.get('find_tools') as RemoteTool;
  const result = await tool.call(args, {
    bank: 'acme',
    caller: { assertion: makeAssertion('acme'), databaseAssertion: '' },
    logger: createLogger({ component: 'test', level: 'silent' }),
    signal: new AbortController().signal,
  });
  const [{ text } = { text: '' }] = result.content as { text: string }[];
  return { ...(result.structuredContent as unknown as Found), text };
}

describe('find_tools', () => {
  it.each<[string, string]>([
    ['create a note', 'create_note'],
    ['add a todo', 'create_task'],
    ['write down a new note', 'create_note'],
    ['mark task as complete', 'process_task'],
    ['rename a chat', 'patch_chat'],
    ['remove a comment', 'delete_comment'],
    ['what was said in a call', 'get_transcript'],
    ['transcript', 'get_transcript'],
    ['find calls by what was said', 'search_recordings'],
    ['list my recordings', 'list_recordings'],
    ['meetings of a participant', 'list_recordings'],
    ['count tasks per week', 'query'],
    ['group by status', 'query'],
    ['search by meaning', 'semantic_search'],
    ['related notes', 'suggest'],
    ['label a note with tags', 'tag'],
    ['several changes in one transaction, all or none', 'batch'],
    ['which vaults are there', 'list_vaults'],
    ['reply in a chat', 'create_chat_message'],
    ['read one task', 'get_task'],
    ['hide a note', 'archive_note'],
    ['NOTE', 'get_note'],
  ])('for "%s" has %s among the first five', async (query, expected) => {
    expect((await find({ query })).tools.map(({ name }) => name)).toContain(expected);
  });

  it('gives what is needed to call a tool, as text and as data', async () => {
    const { tools, text } = await find({ query: 'create note', limit: 1 });
    expect(tools).toMatchObject([
      { name: 'create_note', access: 'write', inputSchema: { type: 'object', properties: { title: {} } } },
    ]);
    expect(text).toContain(JSON.stringify(tools[0]));
  });

  it('names the others that have the words, and all tools where none has', async () => {
    expect((await find({ query: 'note', limit: 1 })).others).toContain('archive_note');
    const none = await find({ query: 'zyzzyva' });
    expect(none.tools).toEqual([]);
    expect(none.others).toHaveLength(51);
    expect(none.text).toMatch(/^No tool has these words\.\nOthers: list_vaults, /);
  });

  it('takes other words for its arguments, and says what it takes', async () => {
    expect((await find({ q: 'create note', max: '1' })).tools).toHaveLength(1);
    await expect(find({ query: 'note', about: 'x' })).rejects.toMatchObject({
      code: 'invalid_argument',
      remedy: 'Arguments of find_tools: query, limit.',
    });
  });

  it('finds nothing that is off', async () => {
    const found = await find({ query: 'semantic search by meaning' }, toolsetsNamed(['recordings', 'semantic']));
    expect([...found.tools.map(({ name }) => name), ...found.others]).not.toContain('semantic_search');
  });

  it('has no answer over 30,000 characters, even with the longest that there are', async () => {
    const { text, tools } = await find({ query: 'note task comment chat message recording query', limit: 20 });
    expect(text.length).toBeLessThanOrEqual(30_000);
    expect(tools.length).toBeGreaterThan(10);
  });

  it('has none either where another server brings thousands of tools', async () => {
    const call = () => Promise.reject(new Error('unused'));
    const tools = Array.from({ length: 3000 }, (_, at): RemoteTool => {
      const name = `other_server_tool_number_${at}`;
      const schema = { type: 'object' as const, properties: {} };
      return { name, title: name, description: 'Orders.', access: 'read', place: 'remote', inputSchema: schema, call };
    });
    const toolsets = [...ALL_TOOLSETS, { name: 'x', instructions: '', tools, resources: [] }];
    for (const query of ['orders', 'zyzzyva']) {
      const { text, ...found } = await find({ query, limit: 20 }, toolsets);
      expect(found.others.length).toBeGreaterThan(500);
      expect(
        [text, JSON.stringify({ tools: found.tools, others: found.others })].map((each) => each.length > 30_000),
      ).toEqual([false, false]);
    }
  });
});
