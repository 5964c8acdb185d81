/** What the list of tools costs a model in each profile, before it has done anything (P8). */
import { TOOL_PROFILES, type ToolProfile } from '@bankhouse/core';
import { encode } from 'gpt-tokenizer';
import { describe, expect, it } from 'vitest';
import { buildSurface } from '../src/mcp/surface.ts';
import type { Tool } from '../src/mcp/toolset.ts';
import { toolsetsNamed } from '../src/toolsets/index.ts';
import { ALL_TOOLSETS } from './fixtures.ts';

const { tools } = buildSurface(ALL_TOOLSETS);
const ALL = ALL_TOOLSETS.flatMap((toolset) => toolset.tools);
const namesIn = (profile: ToolProfile) => tools.list(profile).tools.map(({ name }) => name);

describe('the list of tools', () => {
  it.each<[ToolProfile, number, number]>([
    ['full', 51, 9000],
    ['compact', 16, 4000],
    ['search', 2, 1500],
  ])('of %s has %i tools and at most %i tokens', (profile, count, budget) => {
    const list = tools.list(profile);
    expect(list.tools).toHaveLength(count);
    expect(encode(JSON.stringify(list)).length).toBeLessThanOrEqual(budget);
  });

  it.each(TOOL_PROFILES)('of %s has names that no client drops, with a prefix of its own too (P9)', (profile) => {
    const longest = 'mcp__'.length + 'bankhouse-'.length + 24 + '__'.length;
    for (const name of namesIn(profile)) {
      expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
      expect(name.length + longest).toBeLessThanOrEqual(64);
    }
  });

  it('of compact leaves nothing out but what another tool there does', () => {
    const missing = ALL.filter(
      (tool) => namesIn('full').includes(tool.name) && !namesIn('compact').includes(tool.name),
    );
    expect(missing).toHaveLength(43);
    for (const { coveredBy } of missing) expect(namesIn('compact')).toContain(coveredBy);
  });

  it('of compact, for a bank of calls alone, has what reads calls', () => {
    const list = buildSurface(toolsetsNamed(['recordings'])).tools.list('compact').tools;
    expect(list.map(({ name }) => name)).toEqual([
      'list_vaults',
      'list_recordings',
      'get_recording',
      'get_transcript',
      'search_recordings',
    ]);
  });

  it('of compact, for a bank without calls, has no kind that is not there', () => {
    const list = buildSurface(toolsetsNamed(['workspace'])).tools.list('compact').tools;
    const kind = list.find(({ name }) => name === 'get_entry')?.inputSchema.properties?.kind;
    expect(kind).toEqual({ type: 'string', enum: ['note', 'task', 'comment', 'chat', 'chat_message'] });
  });

  it('of search is the same, whatever the bank offers', () => {
    expect(buildSurface([]).tools.list('search')).toEqual(tools.list('search'));
  });

  it('names no tool that can not be called, in whatever profile', () => {
    for (const name of TOOL_PROFILES.flatMap(namesIn)) expect(tools.has(name)).toBe(true);
  });
});

describe('a tool of compact', () => {
  const ID = '0b9e3c1a-0000-4000-8000-000000000001';
  const called = (name: string, args: unknown): [string, unknown] => {
    const meant = tools.meant(tools.get(name) as Tool, args);
    return [meant.tool.name, meant.args];
  };

  it.each<[string, unknown, string, unknown]>([
    ['list_entries', { kind: 'chat_message', chatId: ID }, 'list_chat_messages', { chatId: ID }],
    ['list_entries', { kind: 'recording', from: '2026-05-01' }, 'list_recordings', { from: '2026-05-01' }],
    ['get_entry', { kind: 'recording', id: 'fathom-1' }, 'get_recording', { id: 'fathom-1' }],
    ['get_entry', { kind: 'note', id: ID }, 'get_note', { id: ID }],
    [
      'create_entry',
      { kind: 'task', title: 'x', dueAt: '2026-05-01' },
      'create_task',
      { title: 'x', dueAt: '2026-05-01' },
    ],
    [
      'update_entry',
      { kind: 'chat', id: ID, version: 1, title: 'x' },
      'update_chat',
      { id: ID, version: 1, title: 'x' },
    ],
    ['patch_entry', { kind: 'comment', id: ID, version: 1 }, 'patch_comment', { id: ID, version: 1 }],
    ['delete_entry', { kind: 'note', id: ID }, 'delete_note', { id: ID }],
    ['archive_entry', { kind: 'note', id: ID }, 'archive_note', { id: ID }],
    ['process_entry', { kind: 'task', id: ID, action: 'start' }, 'process_task', { id: ID, action: 'start' }],
    ['get_entry', { type: 'Notes', id: ID }, 'get_note', { id: ID }],
    ['create_entry', { entity: 'todo', title: 'x' }, 'create_task', { title: 'x' }],
  ])('%s with %j is %s', (name, args, tool, rest) => {
    expect(called(name, args)).toEqual([tool, rest]);
  });

  it.each<[string, unknown, RegExp]>([
    ['without a kind', {}, /kind: Invalid option: expected one of "note"/],
    ['of a kind that is not there', { kind: 'recipe' }, /kind: /],
    ['that would write calls', { kind: 'recording', title: 'x' }, /kind: /],
  ])('create_entry %s says so', (_sentence, args, message) => {
    expect(() => called('create_entry', args)).toThrow(message);
  });

  it('says what it takes of all kinds, with the values of each', () => {
    const listed = tools.list('compact').tools;
    const of = (name: string) => listed.find((tool) => tool.name === name)?.inputSchema;
    expect(Object.keys(of('create_entry')?.properties ?? {})).toEqual(
      expect.arrayContaining([
        'kind',
        'title',
        'body',
        'priority',
        'parentKind',
        'chatId',
        'replyTo',
        'idempotencyKey',
      ]),
    );
    expect(of('create_entry')?.required).toEqual(['kind']);
    expect(of('patch_entry')?.required).toEqual(['kind', 'id', 'version']);
    expect(of('process_entry')?.properties?.action).toMatchObject({
      enum: expect.arrayContaining(['finalize', 'complete', 'resolve', 'close', 'redact']),
    });
  });
});
