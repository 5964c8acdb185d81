import { describe, expect, it } from 'vitest';
import { parseArguments } from '../src/mcp/arguments.ts';
import { ToolError } from '../src/mcp/tool-error.ts';
import type { Tool } from '../src/mcp/toolset.ts';
import { planGroups } from '../src/toolsets/workspace/query/aggregate.ts';
import { QUERYABLES } from '../src/toolsets/workspace/query/fields.ts';
import { asMeantQuery } from '../src/toolsets/workspace/query/meant.ts';
import { planRows } from '../src/toolsets/workspace/query/rows.ts';
import type { QueryInput } from '../src/toolsets/workspace/query/schema.ts';
import { ALL_TOOLSETS } from './fixtures.ts';

type Args = Record<string, unknown>;

const ID = '0b9e3c1a-0000-4000-8000-000000000001';
const OTHER = '0b9e3c1a-0000-4000-8000-000000000002';
const TOOLS = new Map<string, Tool>(ALL_TOOLSETS.flatMap(({ tools }) => tools).map((tool) => [tool.name, tool]));

function parsed(name: string, args: unknown): Args {
  const tool = TOOLS.get(name);
  if (tool?.place !== 'local') throw new Error(`no tool ${name}`);
  return parseArguments(tool, args) as Args;
}

/** What a call that works is understood as, and a query planned. */
function understood(name: string, args: unknown): Args {
  const input = parsed(name, args);
  if (name !== 'query') return input;
  const queryable = QUERYABLES.get((input as QueryInput).kind);
  if (queryable === undefined) throw new Error('no kind');
  const meant = asMeantQuery(input as QueryInput, queryable.fields);
  const { groupBy, aggregate, ...rest } = meant;
  const asked = {
    filter: undefined,
    having: undefined,
    sort: undefined,
    select: undefined,
    cursor: undefined,
    ...rest,
  };
  if (groupBy === undefined && aggregate === undefined) planRows(queryable, asked, 'https://issuer.test');
  else planGroups(queryable, { ...asked, groupBy: groupBy ?? [], aggregate: aggregate ?? [] }, 'https://issuer.test');
  return meant as unknown as Args;
}

function refused(name: string, args: unknown): ToolError {
  try {
    understood(name, args);
  } catch (error) {
    if (error instanceof ToolError) return error;
    throw error;
  }
  throw new Error('It was taken.');
}

const KINDS = ['note', 'task', 'comment', 'chat', 'chat_message'];
const required: Readonly<Record<string, Args>> = {
  note: { title: 'A' },
  task: { title: 'A' },
  comment: { parentKind: 'note', parentId: ID, body: 'B' },
  chat: { title: 'A' },
  chat_message: { chatId: ID, body: 'B' },
};
const idWord = (kind: string) => `${kind.replace('_m', 'M')}Id`;

/** Slips that are understood (T3, T4): each call, and what it is taken for. */
const UNDERSTOOD: [slip: string, tool: string, given: Args, meant: Args][] = [
  // Old words of ours.
  ...['list_recordings', 'search_recordings', 'search', 'semantic_search'].flatMap((tool): typeof UNDERSTOOD => {
    const query = tool === 'list_recordings' ? {} : { query: 'x' };
    return [
      ['the old word vault', tool, { ...query, vault: 'sales' }, { vaultId: 'sales' }],
      ['vault_id in snake case', tool, { ...query, vault_id: 'sales' }, { vaultId: 'sales' }],
      ['VaultID in another case', tool, { ...query, VaultID: 'sales' }, { vaultId: 'sales' }],
      [
        'vault and vaultId that say the same',
        tool,
        { ...query, vault: 'sales', vaultId: 'sales' },
        { vaultId: 'sales' },
      ],
      ['vaultId null', tool, { ...query, vaultId: null }, {}],
      ['vaultId empty', tool, { ...query, vaultId: '' }, {}],
      ['limit as text', tool, { ...query, limit: '7' }, { limit: 7 }],
      ['limit null', tool, { ...query, limit: null }, {}],
      ['max_results', tool, { ...query, max_results: 3 }, { limit: 3 }],
      ['from null and to empty', tool, { ...query, from: null, to: '' }, {}],
      [
        'since and until',
        tool,
        { ...query, since: '2026-05-01', until: '2026-06-01' },
        { from: '2026-05-01', to: '2026-06-01' },
      ],
      ['startDate', tool, { ...query, startDate: '2026-05-01' }, { from: '2026-05-01' }],
    ];
  }),
  ['limit as the word null', 'list_notes', { limit: 'null' }, { limit: 20 }],
  ['a truth as the word null', 'list_notes', { pinned: 'null' }, {}],
  ['one of some values as the word null', 'list_notes', { archived: 'null' }, { archived: 'exclude' }],
  ['cursor null', 'list_recordings', { cursor: null }, {}],
  ['cursor empty', 'list_recordings', { cursor: '' }, {}],
  ['nextCursor as argument', 'list_recordings', { nextCursor: 'abc' }, { cursor: 'abc' }],
  ['page_token', 'list_recordings', { page_token: 'abc' }, { cursor: 'abc' }],
  ['includeTotal as text', 'list_recordings', { includeTotal: 'true' }, { includeTotal: true }],
  ['include_total in capitals', 'list_recordings', { include_total: 'True' }, { includeTotal: true }],
  ['includeTotal null', 'list_recordings', { includeTotal: null }, { includeTotal: false }],
  [
    'participants in the plural',
    'list_recordings',
    { participants: ['ann@example.com'] },
    { participant: 'ann@example.com' },
  ],
  ['speaker', 'search_recordings', { query: 'x', speaker: 'Ann' }, { participant: 'Ann' }],
  ['q', 'search_recordings', { q: 'renewal' }, { query: 'renewal' }],
  ['a number as query', 'search_recordings', { query: 2026 }, { query: '2026' }],
  ['recordingId of get_recording', 'get_recording', { recordingId: ID }, { id: ID }],
  ['recording_id', 'get_recording', { recording_id: ID }, { id: ID }],
  ['call_id', 'get_recording', { call_id: ID }, { id: ID }],
  ['recordingId of get_transcript', 'get_transcript', { recordingId: ID }, { id: ID }],
  ['meeting', 'get_transcript', { meeting: ID }, { id: ID }],
  [
    'seconds as text',
    'get_transcript',
    { id: ID, fromSeconds: '12.5', toSeconds: '60' },
    { fromSeconds: 12.5, toSeconds: 60 },
  ],
  ['from_seconds', 'get_transcript', { id: ID, from_seconds: 5 }, { fromSeconds: 5 }],
  ['start', 'get_transcript', { id: ID, start: 5, end: 9 }, { fromSeconds: 5, toSeconds: 9 }],
  ['toSeconds null', 'get_transcript', { id: ID, toSeconds: null }, {}],
  // Searching.
  [
    'kinds in the plural',
    'search',
    { query: 'x', kinds: ['notes', 'chat_messages'] },
    { kinds: ['note', 'chat_message'] },
  ],
  ['kind for kinds', 'search', { query: 'x', kind: 'note' }, { kinds: ['note'] }],
  ['kind in the plural', 'search', { query: 'x', kind: 'recordings' }, { kinds: ['recording'] }],
  ['kinds as one text', 'search', { query: 'x', kinds: 'notes, tasks' }, { kinds: ['note', 'task'] }],
  ['kinds as JSON', 'search', { query: 'x', kinds: '["notes"]' }, { kinds: ['note'] }],
  ['kinds in capitals', 'search', { query: 'x', kinds: ['Note'] }, { kinds: ['note'] }],
  ['a blank in a kind', 'search', { query: 'x', kinds: ['chat messages'] }, { kinds: ['chat_message'] }],
  ['calls', 'search', { query: 'x', kinds: ['calls'] }, { kinds: ['recording'] }],
  ['messages', 'search', { query: 'x', kinds: ['messages'] }, { kinds: ['chat_message'] }],
  ['types', 'search', { query: 'x', types: ['note'] }, { kinds: ['note'] }],
  ['kinds null', 'search', { query: 'x', kinds: null }, {}],
  ['archived in capitals', 'search', { query: 'x', archived: 'Include' }, { archived: 'include' }],
  ['top_k', 'semantic_search', { query: 'x', top_k: '5' }, { limit: 5 }],
  ['threshold as text', 'semantic_search', { query: 'x', threshold: '0.5' }, { minScore: 0.5 }],
  ['kinds in the plural', 'semantic_search', { query: 'x', kinds: ['tasks'] }, { kinds: ['task'] }],
  ['entity for kind', 'suggest', { entity: 'notes', id: ID }, { kind: 'note', id: ID }],
  ['vault', 'suggest', { text: 'x', vault: 'sales' }, { vaultId: 'sales' }],
  ['kind null beside text', 'suggest', { text: 'x', kind: null, id: null }, { text: 'x' }],
  ['kind in the plural', 'tag', { kind: 'Tasks', id: ID }, { kind: 'task' }],
  ['apply as text', 'tag', { kind: 'note', id: ID, apply: 'false' }, { apply: false }],
  ['one candidate', 'tag', { kind: 'note', id: ID, candidates: 'renewal' }, { candidates: ['renewal'] }],
  // Query.
  ['entity in the plural', 'query', { entity: 'notes' }, { kind: 'note' }],
  ['kind in the plural', 'query', { kind: 'chat_messages' }, { kind: 'chat_message' }],
  ['table', 'query', { table: 'tasks' }, { kind: 'task' }],
  [
    'a filter as JSON',
    'query',
    { kind: 'task', filter: '{"field":"status","op":"eq","value":"open"}' },
    { filter: { field: 'status', op: 'eq', value: 'open' } },
  ],
  [
    'where',
    'query',
    { kind: 'task', where: { field: 'status', op: 'eq', value: 'open' } },
    { filter: { field: 'status', op: 'eq', value: 'open' } },
  ],
  [
    'operator and a sign',
    'query',
    { kind: 'recording', filter: { field: 'durationSeconds', operator: '>=', value: '60' } },
    { filter: { field: 'durationSeconds', op: 'gte', value: 60 } },
  ],
  [
    'a field in snake case',
    'query',
    { kind: 'task', filter: { field: 'due_at', op: 'lt', value: '2026-05-01' } },
    { filter: { field: 'dueAt', op: 'lt', value: '2026-05-01' } },
  ],
  [
    'vault in a filter',
    'query',
    { kind: 'note', filter: { field: 'vault', op: '=', value: 'sales' } },
    { filter: { field: 'vaultId', op: 'eq', value: 'sales' } },
  ],
  [
    'tag in a filter',
    'query',
    { kind: 'note', filter: { field: 'tag', op: 'has', value: 'x' } },
    { filter: { field: 'tags', op: 'has', value: 'x' } },
  ],
  [
    'a value in capitals',
    'query',
    { kind: 'task', filter: { field: 'status', op: 'in', value: ['Open', 'In Progress'] } },
    { filter: { field: 'status', op: 'in', value: ['open', 'in_progress'] } },
  ],
  [
    'a boolean as text',
    'query',
    { kind: 'note', filter: { field: 'pinned', op: 'eq', value: 'true' } },
    { filter: { field: 'pinned', op: 'eq', value: true } },
  ],
  [
    'is_null with text',
    'query',
    { kind: 'task', filter: { field: 'assignee', op: 'is_null', value: 'true' } },
    { filter: { field: 'assignee', op: 'isNull', value: true } },
  ],
  [
    'starts_with',
    'query',
    { kind: 'note', filter: { field: 'title', op: 'starts_with', value: 'A' } },
    { filter: { field: 'title', op: 'startsWith', value: 'A' } },
  ],
  [
    'slips deep in a tree',
    'query',
    { kind: 'note', filter: { or: [{ not: { column: 'Title', op: 'like', values: 'A' } }] } },
    { filter: { or: [{ not: { field: 'title', op: 'contains', value: 'A' } }] } },
  ],
  [
    'a value that is null in a filter',
    'query',
    { entity: 'task', filter: { and: [{ field: 'assignee', op: 'isNull', value: 'false' }] } },
    { filter: { and: [{ field: 'assignee', op: 'isNull', value: false }] } },
  ],
  ['filter null', 'query', { kind: 'note', filter: null }, {}],
  ['sort as text', 'query', { kind: 'note', sort: 'title' }, { sort: [{ field: 'title', direction: 'asc' }] }],
  [
    'orderBy with DESC',
    'query',
    { kind: 'note', orderBy: [{ field: 'created_at', direction: 'DESC' }] },
    { sort: [{ field: 'createdAt', direction: 'desc' }] },
  ],
  [
    'one sort key that is no list',
    'query',
    { kind: 'note', sort: { field: 'title', order: 'desc' } },
    { sort: [{ field: 'title', direction: 'desc' }] },
  ],
  ['fields for select', 'query', { kind: 'note', fields: ['id', 'Title'] }, { select: ['id', 'title'] }],
  ['one field for select', 'query', { kind: 'note', select: 'title' }, { select: ['title'] }],
  ['group_by as text', 'query', { kind: 'task', group_by: 'status' }, { groupBy: [{ field: 'status' }] }],
  ['aggregates as names', 'query', { kind: 'task', aggregates: ['count'] }, { aggregate: [{ function: 'count' }] }],
  ['limit as text', 'query', { kind: 'task', limit: '100' }, { limit: 100 }],
  ['tz', 'query', { kind: 'task', tz: 'Europe/Berlin' }, { timeZone: 'Europe/Berlin' }],
  // Writing.
  ['content for body', 'create_note', { title: 'A', content: 'B' }, { body: 'B' }],
  ['name for title', 'create_task', { name: 'A' }, { title: 'A' }],
  ['due_date', 'create_task', { title: 'A', due_date: '2026-05-01' }, { dueAt: '2026-05-01' }],
  ['body of a task', 'create_task', { title: 'A', body: 'B' }, { description: 'B' }],
  ['priority in capitals', 'create_task', { title: 'A', priority: 'HIGH' }, { priority: 'high' }],
  ['priority null', 'create_task', { title: 'A', priority: null }, { priority: 'normal' }],
  ['assigned_to', 'create_task', { title: 'A', assigned_to: 'ann' }, { assignee: 'ann' }],
  ['one tag', 'create_note', { title: 'A', tags: 'x' }, { tags: ['x'] }],
  ['tags as JSON', 'create_note', { title: 'A', tags: '["x","y"]' }, { tags: ['x', 'y'] }],
  ['tags null', 'create_note', { title: 'A', tags: null }, { tags: [] }],
  ['pinned as text', 'create_note', { title: 'A', pinned: 'true' }, { pinned: true }],
  ['a number as title', 'create_note', { title: 2026 }, { title: '2026' }],
  ['call for recordingId', 'create_note', { title: 'A', call: ID }, { recordingId: ID }],
  [
    'kind for parentKind',
    'create_comment',
    { kind: 'notes', parent_id: ID, text: 'B' },
    { parentKind: 'note', parentId: ID, body: 'B' },
  ],
  [
    'the old word parentType',
    'create_comment',
    { parentType: 'task', parentId: ID, body: 'B' },
    { parentKind: 'task', parentId: ID, body: 'B' },
  ],
  ['the old word parentType, in a list', 'list_comments', { parentType: 'tasks' }, { parentKind: 'task' }],
  [
    'the old word parentType, in a filter, a sort and a selection',
    'query',
    {
      kind: 'comment',
      filter: { field: 'parentType', op: 'eq', value: 'Note' },
      sort: [{ field: 'parentType', direction: 'asc' }],
      select: ['id', 'parentType'],
    },
    {
      filter: { field: 'parentKind', op: 'eq', value: 'note' },
      sort: [{ field: 'parentKind', direction: 'asc' }],
      select: ['id', 'parentKind'],
    },
  ],
  [
    'the old word parentType, in a group',
    'query',
    { kind: 'comment', groupBy: [{ field: 'parentType' }] },
    { groupBy: [{ field: 'parentKind' }] },
  ],
  ['chat_id', 'create_chat_message', { chat_id: ID, content: 'B' }, { chatId: ID, body: 'B' }],
  ['role in capitals', 'create_chat_message', { chatId: ID, body: 'B', role: 'Assistant' }, { role: 'assistant' }],
  ['patch with body null', 'patch_note', { id: ID, version: 1, body: null }, { body: '' }],
  ['patch with tags null', 'patch_note', { id: ID, version: 1, tags: null }, { tags: [] }],
  ['patch with vaultId null, which empties', 'patch_note', { id: ID, version: 1, vaultId: null }, { vaultId: null }],
  [
    "patch with title null, which can't be",
    'patch_note',
    { id: ID, version: 1, title: null, body: 'B' },
    { body: 'B' },
  ],
  ['archived of a list as text', 'list_notes', { archived: 'Only' }, { archived: 'only' }],
  ['tags of a list', 'list_notes', { tags: ['x'] }, { tag: 'x' }],
  ['status with a blank', 'list_tasks', { status: 'In progress' }, { status: 'in_progress' }],
  ['order_by', 'list_tasks', { order_by: 'Newest' }, { sort: 'newest' }],
  ['an action in capitals', 'process_task', { id: ID, action: 'Complete' }, { action: 'complete' }],
  [
    'args and name in a batch',
    'batch',
    { operations: [{ name: 'create_note', args: { title: 'A' } }] },
    { operations: [{ tool: 'create_note', arguments: { title: 'A' } }] },
  ],
  [
    'operations as JSON',
    'batch',
    { operations: '[{"tool":"create_note","arguments":"{\\"title\\":\\"A\\"}"}]' },
    { operations: [{ tool: 'create_note', arguments: { title: 'A' } }] },
  ],
  [
    'dry_run as text',
    'batch',
    { operations: [{ tool: 'create_note', arguments: {} }], dry_run: 'true' },
    { dryRun: true },
  ],
  // Of every kind.
  ...KINDS.flatMap((kind): typeof UNDERSTOOD => [
    ['the kind before Id', `get_${kind}`, { [idWord(kind)]: ID }, { id: ID }],
    ['snake case', `get_${kind}`, { [`${kind}_id`]: ID }, { id: ID }],
    ['uuid', `get_${kind}`, { uuid: ID.toUpperCase() }, { id: ID }],
    ['version as text', `patch_${kind}`, { id: ID, version: '3', language: 'de' }, { version: 3 }],
    ['language null, which empties', `patch_${kind}`, { id: ID, version: 3, language: null }, { language: null }],
    ['expected_version', `delete_${kind}`, { id: ID, expected_version: 2 }, { version: 2 }],
    ['version null', `delete_${kind}`, { id: ID, version: null }, { id: ID }],
    ['archived as text', `archive_${kind}`, { id: ID, archived: 'false' }, { archived: false }],
    ['vault of a list', `list_${kind}s`, { vault: 'sales' }, { vaultId: 'sales' }],
    ['page_size as text', `list_${kind}s`, { page_size: '5' }, { limit: 5 }],
    ['an empty cursor', `list_${kind}s`, { cursor: '' }, { limit: 20 }],
    ['idempotency_key', `create_${kind}`, { ...required[kind], idempotency_key: 'k1' }, { idempotencyKey: 'k1' }],
    ['lang', `create_${kind}`, { ...required[kind], lang: 'de' }, { language: 'de' }],
    ['idempotencyKey null', `create_${kind}`, { ...required[kind], idempotencyKey: null }, required[kind] ?? {}],
  ]),
];

/** Slips that can't be understood: the answer has the right name (T4). */
const REFUSED: [slip: string, tool: string, given: unknown, names: RegExp][] = [
  ['a slip of the finger', 'list_recordings', { partcipant: 'Ann' }, /partcipant.*did you mean participant/],
  ['a word in common', 'list_recordings', { vaultNumber: 3 }, /did you mean vaultId/],
  ['two words for one thing', 'list_recordings', { vault: 'sales', vaultId: 'hr' }, /"vault".*did you mean vaultId/],
  [
    'a name that nothing is like',
    'list_recordings',
    { zzz: 1 },
    /"zzz".*Arguments of list_recordings: from, to, participant, vaultId/s,
  ],
  ['an argument of another tool', 'get_recording', { id: ID, fromSeconds: 3 }, /Arguments of get_recording: id/],
  ['a missing argument', 'get_recording', {}, /id: it is missing/],
  ['null for what is needed', 'get_recording', { id: null }, /id: it is missing/],
  ['a list for arguments', 'list_vaults', [], /object/],
  ['a text that is no number', 'list_recordings', { limit: 'many' }, /limit/],
  ['a number with more', 'list_recordings', { limit: '20 rows' }, /limit/],
  ['a truth that is none', 'list_recordings', { includeTotal: 'perhaps' }, /includeTotal/],
  ['two values for one', 'list_recordings', { participant: ['Ann', 'Ben'] }, /participant/],
  ['limit over what can be', 'list_recordings', { limit: '1000' }, /limit.*100/],
  ['an unknown kind', 'search', { query: 'x', kinds: ['invoices'] }, /kinds\.0.*note.*recording/],
  ['an unknown kind', 'query', { kind: 'invoice' }, /kind.*note.*recording/],
  ['a text that is no filter', 'query', { kind: 'note', filter: 'title = A' }, /filter.*"field"/],
  ['an unknown field', 'query', { kind: 'note', filter: { field: 'colour', op: 'eq', value: 1 } }, /colour.*title/s],
  ['a field of another kind', 'query', { kind: 'note', select: ['dueAt'] }, /dueAt.*pinned/s],
  [
    'an operator that it has not',
    'query',
    { kind: 'note', filter: { field: 'pinned', op: 'like', value: 'x' } },
    /pinned.*eq, ne/s,
  ],
  ['an aggregate that is none', 'query', { kind: 'note', aggregate: ['median'] }, /aggregate.*count/s],
  ['no field to change', 'query', { kind: 'note', sort: 'colour desc' }, /colour.*title/s],
  ['an unknown tool in a batch', 'batch', { operations: [{ tool: 'create_invoice', arguments: {} }] }, /create_note/],
  ['no operations', 'batch', {}, /operations: it is missing/],
  ['an action that is none', 'process_task', { id: ID, action: 'explode' }, /action.*complete/],
  ['a status that is none', 'list_tasks', { status: 'late' }, /status.*in_progress/],
  ['no id to tag', 'tag', { kind: 'note' }, /id: it is missing/],
  ...KINDS.flatMap((kind): typeof REFUSED => [
    ['no id', `get_${kind}`, {}, /id: it is missing/],
    ['two ids', `get_${kind}`, { id: ID, [`${kind}_id`]: OTHER }, new RegExp(`"${kind}_id".*did you mean id`)],
    ['no version', `patch_${kind}`, { id: ID, language: 'de' }, /version: it is missing/],
    ['a typing error', `list_${kind}s`, { vaultld: 'sales' }, /did you mean vaultId/],
    ['a typing error', `create_${kind}`, { ...required[kind], langauge: 'de' }, /did you mean language/],
    [
      'what only the process tool sets',
      `patch_${kind}`,
      { id: ID, version: 1, status: 'x' },
      new RegExp(`Arguments of patch_${kind}: `),
    ],
  ]),
];

describe('a slip is understood', () => {
  it.each(UNDERSTOOD)('%s: %s %j', (_slip, tool, given, meant) => {
    expect(understood(tool, given)).toMatchObject(meant);
  });

  it('without an argument more than is meant', () => {
    expect(parsed('list_recordings', { vault: null, from: '', limit: '7' })).toEqual({ limit: 7, includeTotal: false });
    expect(parsed('patch_note', { id: ID, version: 1, title: null, body: null })).toEqual({
      id: ID,
      version: 1,
      body: '',
    });
  });
});

describe('a slip is answered with the right name', () => {
  it.each(REFUSED)('%s: %s %j', (_slip, tool, given, names) => {
    const { code, message, remedy } = refused(tool, given);
    expect(code).toBe('invalid_argument');
    expect(`${message} ${remedy}`).toMatch(names);
  });
});

it('more than 200 slips are looked at', () => expect(UNDERSTOOD.length + REFUSED.length).toBeGreaterThan(200));

describe('what fits stays as it is', () => {
  it.each<[string, Args]>([
    ['create_note', { title: '  20 ', body: 'true', tags: ['notes'] }],
    ['create_note', { title: 'null', body: '' }],
    ['patch_note', { id: ID, version: 1, body: '' }],
    ['search', { query: '20', kinds: ['note'] }],
  ])('%s %j', (tool, given) => {
    const { title, ...rest } = given;
    expect(parsed(tool, given)).toMatchObject({
      ...rest,
      ...(title === undefined ? {} : { title: String(title).trim() }),
    });
  });

  it('a text that is empty, beside a slip', () => {
    expect(parsed('patch_note', { id: ID, version: '1', body: '' })).toEqual({ id: ID, version: 1, body: '' });
  });
});

describe('what goes beyond bounds is not guessed at, and refused in words', () => {
  const words = (amount: number) => Object.fromEntries(Array.from({ length: amount }, (_, at) => [`word${at}`, 1]));

  it.each<[string, string, Args, RegExp]>([
    [
      'operations as text, nested deeper than a body may be',
      'batch',
      { operations: `[{"tool":"create_note","arguments":{"body":${'['.repeat(65)}${']'.repeat(65)}}}]` },
      /operations/,
    ],
    ['more words than any tool has', 'create_note', { title: 'A', text: 'B', ...words(200) }, /"text"/],
    ['a word that is longer than any name', 'list_notes', { [`vault${'_'.repeat(1000)}`]: 'sales' }, /vault_+"/],
  ])('%s: %s', (_slip, tool, given, words) => {
    const { code, message } = refused(tool, given);
    expect(code).toBe('invalid_argument');
    expect(message).toMatch(words);
    expect(message.length).toBeLessThan(2000);
  });

  it.each(['constructor', '__proto__', 'toString'])('a truth called %s', (word) => {
    const { message } = refused('archive_note', { id: ID, archived: word });
    expect(message).toBe('archived: Invalid input: expected boolean, received string.');
  });
});
