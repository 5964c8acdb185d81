/** What the forty tools (R3.1) say of themselves, and what they take, without a database. */
import { describe, expect, it } from 'vitest';
import type { Caller } from '../src/caller.ts';
import { ENTITIES } from '../src/entities/index.ts';
import { buildSurface, parseArguments } from '../src/mcp/surface.ts';
import { ENTITY_TOOLS } from '../src/toolsets/workspace/entity-tools.ts';
import { possibleFrom } from '../src/toolsets/workspace/operations/process.ts';
import { entryLine, entryText } from '../src/toolsets/workspace/rows.ts';
import { allowedVault, vaultForNew } from '../src/toolsets/workspace/vaults.ts';

const { toolList } = buildSurface([{ name: 'workspace', instructions: '', tools: ENTITY_TOOLS, resources: [] }]);
const tool = (name: string) => {
  const found = ENTITY_TOOLS.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(name);
  return found;
};
const entity = (name: string) => {
  const found = ENTITIES.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(name);
  return found;
};

describe('the list of tools', () => {
  it('has eight operations for each of five entities', () => {
    const names = ['note', 'task', 'comment', 'chat', 'chat_message'].flatMap((name) => [
      `list_${name}s`,
      ...['get', 'create', 'update', 'patch', 'delete', 'archive', 'process'].map(
        (operation) => `${operation}_${name}`,
      ),
    ]);
    expect(toolList.tools.map(({ name }) => name)).toEqual(names);
  });

  it('is small enough to be sent to a model: 1.3 KB a tool', () => {
    expect(JSON.stringify(toolList).length).toBeLessThan(40 * 1300);
  });

  it.each(toolList.tools)('$name is named and short', (listed) => {
    expect(listed.name).toMatch(/^[a-z_]{1,32}$/);
    expect(listed.description?.length).toBeLessThan(420);
    expect(listed.inputSchema).toMatchObject({ type: 'object' });
    expect(JSON.stringify(listed)).not.toMatch(/\$schema|9007199254740991/);
    expect(listed.annotations?.readOnlyHint).toBe(/^(list|get)_/.test(listed.name) ? true : undefined);
  });
});

describe('arguments', () => {
  it.each<[string, string, Record<string, unknown>, Record<string, unknown>]>([
    ['blanks around a title are taken off', 'create_note', { title: '  x ' }, { title: 'x' }],
    ['blanks in a body are kept', 'create_note', { title: 'x', body: ' y ' }, { body: ' y ' }],
    [
      'an id in capitals',
      'get_note',
      { id: '00000000-0000-4000-8000-0000000000FF' },
      { id: '00000000-0000-4000-8000-0000000000ff' },
    ],
    ['what create leaves out', 'create_task', { title: 'x' }, { description: '', priority: 'normal', tags: [] }],
    [
      'what update leaves out',
      'update_chat',
      { id: '00000000-0000-4000-8000-0000000000ff', version: 1, title: 'x' },
      { participants: [], tags: [] },
    ],
    ['what a list leaves out', 'list_tasks', {}, { limit: 20, sort: 'newest', archived: 'exclude' }],
    ['what archive leaves out', 'archive_note', { id: '00000000-0000-4000-8000-0000000000ff' }, { archived: true }],
    [
      'null in a patch',
      'patch_task',
      { id: '00000000-0000-4000-8000-0000000000ff', version: 1, dueAt: null },
      { dueAt: null },
    ],
  ])('%s', (_sentence, name, given, taken) => {
    expect(parseArguments(tool(name), given)).toMatchObject(taken);
  });

  it('that a patch leaves out stay out, so that nothing is set to a default', () => {
    const id = '00000000-0000-4000-8000-0000000000ff';
    expect(parseArguments(tool('patch_note'), { id, version: 1, title: 'x' })).toEqual({ id, version: 1, title: 'x' });
  });
});

describe('a definition', () => {
  it.each(ENTITIES)(
    'of a $name has actions between its own states, and sets its own fields',
    ({ statuses, actions, fields }) => {
      for (const { from, to, sets } of Object.values(actions)) {
        expect(statuses).toEqual(expect.arrayContaining([...from, to]));
        expect(fields.map(({ name }) => name)).toEqual(expect.arrayContaining(Object.keys(sets ?? {})));
      }
    },
  );

  it('tells which actions are possible', () => {
    expect(possibleFrom(entity('task'), 'in_progress')).toEqual(['complete', 'cancel', 'reopen']);
    expect(possibleFrom(entity('chat_message'), 'redacted')).toEqual([]);
  });
});

describe('a line about an entry', () => {
  const task = {
    id: 'i',
    version: 3,
    status: 'open',
    archivedAt: null,
    priority: 'normal',
    dueAt: null,
    vaultId: null,
  };

  it.each<[string, Record<string, unknown>, string]>([
    ['says no more than there is', { title: 'Feed' }, 'Feed [open], version 3, id i'],
    [
      'says what is not as usual',
      { title: 'Feed', priority: 'high', vaultId: 'sales' },
      'Feed [open], priority high, vaultId sales, version 3, id i',
    ],
    ['is one line', { title: 'a\nb' }, 'a b [open], version 3, id i'],
    [
      'cuts a long title between characters',
      { title: '😀'.repeat(100) },
      `${'😀'.repeat(79)}… [open], version 3, id i`,
    ],
    [
      'says that it is archived',
      { title: 'Feed', archivedAt: '2026-01-01T00:00:00Z' },
      'Feed [open], archived, version 3, id i',
    ],
  ])('%s', (_sentence, changes, line) => {
    const empty = { description: '', assignee: null, tags: [], recordingId: null, completedAt: null, language: null };
    expect(entryLine(entity('task'), { ...task, ...empty, ...changes })).toBe(line);
  });
});

it('the text about an entry has all that is known of it', () => {
  const chat = {
    id: 'i',
    version: 1,
    status: 'open',
    archivedAt: null,
    title: 'Birds',
    recordingId: null,
    vaultId: 'sales',
    language: null,
  };
  const made = {
    createdAt: '2026-01-01T00:00:00Z',
    createdBy: 'ann',
    updatedAt: '2026-01-02T00:00:00Z',
    updatedBy: 'ben',
  };
  expect(entryText(entity('chat'), { ...chat, ...made, participants: ['Ann', 'Ben'], tags: [] })).toBe(
    'Birds [open], vaultId sales, version 1, id i\nparticipants: Ann, Ben\nmade 2026-01-01T00:00:00Z by ann, changed 2026-01-02T00:00:00Z by ben',
  );
  const note = { ...chat, ...made, title: 'Birds', body: 'They fish.', pinned: true, tags: ['a'] };
  expect(entryText(entity('note'), note)).toMatch(/^Birds \[open\], pinned true, .*\ntags: a\nmade .*\n\nThey fish\.$/);
});

describe('the vault of a new entry', () => {
  const caller = (vaults: string[] | null) => ({ assertion: { vaults } }) as unknown as Caller;

  it.each<[string, string[] | null, string | null | undefined, string | null]>([
    ['is none for who may see all', null, undefined, null],
    ['is the one that is named', null, 'a', 'a'],
    ['is the only one of a token', ['a'], undefined, 'a'],
    ['is one of a token’s', ['a', 'b'], 'b', 'b'],
  ])('%s', (_sentence, vaults, wanted, vault) => {
    expect(vaultForNew(caller(vaults), wanted)).toBe(vault);
  });

  it.each<[string, string[], string | null | undefined, string]>([
    ['must be named among several', ['a', 'b'], undefined, 'invalid_argument'],
    ['is not to be had without any', [], undefined, 'forbidden'],
    ['can not be another’s', ['a'], 'b', 'not_found'],
    ['can not be none', ['a'], null, 'invalid_argument'],
  ])('%s', (_sentence, vaults, wanted, code) => {
    expect(() => vaultForNew(caller(vaults), wanted)).toThrow(expect.objectContaining({ code, field: 'vaultId' }));
  });

  it('may later be any of the token’s', () => {
    expect(allowedVault(caller(['a', 'b']), 'b')).toBe('b');
    expect(allowedVault(caller(null), null)).toBeNull();
    expect(() => allowedVault(caller(['a']), 'b')).toThrow(expect.objectContaining({ code: 'not_found' }));
  });
});
