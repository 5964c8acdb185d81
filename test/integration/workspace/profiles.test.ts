/** The tools that stand for others do what those do, on real rows: `*_entry` of compact, `call_tool` of search. */
import type { Client } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, callError } from '../server/support.ts';
import { type Args, IN_SALES, NOBODY, startWorkspace, type Workspace } from './support.ts';

let workspace: Workspace;
beforeAll(async () => {
  workspace = await startWorkspace();
}, 120_000);
afterAll(() => workspace?.[Symbol.asyncDispose]());

interface Answer {
  id: string;
  version: number;
  status: string;
  text: string;
}

type Call = (name: string, args: Args) => Promise<Answer & Args>;
const itself = (name: string, args: Args) => call<Answer & Args>(workspace.client as Client, name, args);
const throughCallTool: Call = (name, args) => itself('call_tool', { name, arguments: args });

/** Per kind: what it is made of, what is changed, how it goes on. */
const KINDS: [kind: string, made: () => Args, changed: Args, action: string, status: string][] = [
  ['note', () => ({ title: 'A', body: 'B' }), { title: 'C' }, 'finalize', 'final'],
  ['task', () => ({ title: 'A', priority: 'high' }), { title: 'C' }, 'complete', 'done'],
  ['comment', () => ({ parentKind: 'recording', parentId: IN_SALES, body: 'B' }), { body: 'C' }, 'resolve', 'resolved'],
  ['chat', () => ({ title: 'A', participants: ['ann'] }), { title: 'C' }, 'close', 'closed'],
  ['chat_message', () => ({ chatId: workspace.parents.chat, body: 'B' }), { body: 'C' }, 'pin', 'pinned'],
];

describe.each<[string, Call]>([
  ['by kind', itself],
  ['by kind through call_tool', throughCallTool],
])('an entry, %s,', (_way, ask) => {
  it.each(KINDS)('%s is made, read, changed, moved on, archived, listed and deleted', async (...row) => {
    const [kind, made, changed, action, status] = row;
    const { id } = await ask('create_entry', { kind, ...made() });
    expect(await ask('get_entry', { kind, id })).toMatchObject({ id, version: 1, ...made() });
    expect(await ask('get_entry', { kind, id })).toEqual(await itself(`get_${kind}`, { id }));
    expect(await ask('patch_entry', { kind, id, version: 1, ...changed })).toMatchObject({ version: 2 });
    expect(await ask('process_entry', { kind, id, action })).toMatchObject({ status });
    await ask('archive_entry', { kind, id });
    const listed = await ask('list_entries', { kind, archived: 'only' });
    expect(listed[`${kind}s`]).toEqual([expect.objectContaining({ id, ...changed })]);
    expect(listed).toEqual(await itself(`list_${kind}s`, { archived: 'only' }));
    await ask('delete_entry', { kind, id });
    const gone = await callError(workspace.client, 'get_entry', { kind, id });
    expect(gone).toEqual(await callError(workspace.client, `get_${kind}`, { id }));
  });
});

describe('recordings', () => {
  it('are listed and read as entries', async () => {
    const { text, ...listed } = await itself('list_entries', { kind: 'recording', vaultId: 'sales' });
    expect(listed.recordings).toHaveLength(2);
    expect(text).toBe((await itself('list_recordings', { vaultId: 'sales' })).text);
    expect(await itself('get_entry', { kind: 'recording', id: IN_SALES })).toMatchObject({ title: 'A call' });
  });
});

describe('a batch', () => {
  it('takes the tools by kind, and refers to what they answer', async () => {
    const { results } = await call<{ results: { tool: string; result: Answer }[] }>(workspace.client, 'batch', {
      operations: [
        { tool: 'create_entry', arguments: { kind: 'chat', title: 'Renewal' }, as: 'chat' },
        { tool: 'create_entry', arguments: { kind: 'chat_message', chatId: { $result: 'chat.id' }, body: 'Hello' } },
        { tool: 'process_chat', arguments: { id: { $result: 'chat.id' }, action: 'close' } },
      ],
    });
    expect(results.map(({ tool }) => tool)).toEqual(['create_chat', 'create_chat_message', 'process_chat']);
  });

  it('says which operation by kind failed, and undoes all', async () => {
    const error = await callError(workspace.client, 'batch', {
      operations: [
        { tool: 'create_entry', arguments: { kind: 'note', title: 'Undone' } },
        { tool: 'delete_entry', arguments: { kind: 'note', id: NOBODY } },
      ],
    });
    expect(error).toMatchObject({
      code: 'batch_failed',
      text: expect.stringContaining('operations[1] (delete_entry)'),
    });
    expect((await itself('search', { query: 'Undone' })).results).toEqual([]);
  });
});
