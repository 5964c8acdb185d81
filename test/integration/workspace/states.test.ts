/** The state machines behind process_* (R3.1): every action from every state. */
import { describe, expect, it } from 'vitest';
import { shared } from '../../harness/shared.ts';
import { callError } from '../server/support.ts';
import { checked, type Entry, KINDS, micros, NOBODY, startWorkspace, type Workspace } from './support.ts';

let { client, parents } = {} as Workspace;
shared(startWorkspace, (workspace) => {
  ({ client, parents } = workspace);
});

interface Machine {
  /** Actions that lead from the first state to each. */
  readonly ways: Readonly<Record<string, readonly string[]>>;
  /** What each action makes of each state; what is not here is refused. */
  readonly table: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const MACHINES: Readonly<Record<string, Machine>> = {
  note: {
    ways: { draft: [], final: ['finalize'] },
    table: { finalize: { draft: 'final' }, reopen: { final: 'draft' } },
  },
  task: {
    ways: { open: [], in_progress: ['start'], done: ['complete'], cancelled: ['cancel'] },
    table: {
      start: { open: 'in_progress' },
      complete: { open: 'done', in_progress: 'done' },
      cancel: { open: 'cancelled', in_progress: 'cancelled' },
      reopen: { in_progress: 'open', done: 'open', cancelled: 'open' },
    },
  },
  comment: {
    ways: { open: [], resolved: ['resolve'] },
    table: { resolve: { open: 'resolved' }, reopen: { resolved: 'open' } },
  },
  chat: {
    ways: { open: [], closed: ['close'] },
    table: { close: { open: 'closed' }, reopen: { closed: 'open' } },
  },
  chat_message: {
    ways: { sent: [], pinned: ['pin'], redacted: ['redact'] },
    table: {
      pin: { sent: 'pinned' },
      unpin: { pinned: 'sent' },
      redact: { sent: 'redacted', pinned: 'redacted' },
    },
  },
};

type Processed = Entry & { actions: string[] };

const rows = KINDS.flatMap((kind) => {
  const { ways, table } = MACHINES[kind.name] as Machine;
  return Object.keys(table).flatMap((action) =>
    Object.keys(ways).map((from) => ({ kind, name: kind.name, action, from, to: table[action]?.[from] ?? 'refused' })),
  );
});

/** An entry in this state. */
async function inState({ kind, from }: Pick<(typeof rows)[number], 'kind' | 'from'>): Promise<Entry> {
  let entry = await checked(client, `create_${kind.name}`, kind.least(parents));
  for (const action of MACHINES[kind.name]?.ways[from] ?? []) {
    entry = await checked(client, `process_${kind.name}`, { id: entry.id, action });
  }
  return entry;
}

const actionsFrom = (name: string, state: string) =>
  Object.entries(MACHINES[name]?.table ?? {})
    .filter(([, ways]) => ways[state] !== undefined)
    .map(([action]) => action);

describe.each(rows)('$action of a $name that is $from', (row) => {
  const { name, action, from, to } = row;
  const tool = `process_${name}`;

  it(`is ${to}`, async () => {
    const { id, version } = await inState(row);
    if (to === 'refused') {
      const error = await callError(client, tool, { id, action });
      expect(error).toMatchObject({ code: 'invalid_transition', field: 'action', retryable: false });
      const possible = actionsFrom(name, from);
      expect(error.text).toContain(
        possible.length === 0 ? 'No action leads on from there.' : `Possible now: ${possible.join(', ')}.`,
      );
      expect(await checked(client, `get_${name}`, { id })).toMatchObject({ version, status: from });
    } else {
      const processed = await checked<Processed>(client, tool, { id, action, version });
      expect(processed).toMatchObject({ status: to, version: version + 1, actions: actionsFrom(name, to) });
      expect(await checked(client, `get_${name}`, { id })).toMatchObject({ status: to, version: version + 1 });
    }
  });
});

describe('an action', () => {
  it.each(KINDS)('on a $name that is not there says so', async ({ name }) => {
    const action = Object.keys(MACHINES[name]?.table ?? {})[0];
    expect(await callError(client, `process_${name}`, { id: NOBODY, action })).toMatchObject({
      code: 'not_found',
      field: 'id',
    });
  });

  it('on another version than the present one is refused', async () => {
    const { id } = await checked(client, 'create_task', { title: 'x' });
    expect(await callError(client, 'process_task', { id, action: 'start', version: 2 })).toMatchObject({
      code: 'stale_version',
    });
  });

  it('sets when a task was completed, and forgets it when the task is opened again', async () => {
    const { id } = await checked(client, 'create_task', { title: 'x' });
    const done = await checked(client, 'process_task', { id, action: 'complete' });
    const { completedAt } = await checked(client, 'get_task', { id });
    expect(micros(completedAt)).toBeLessThanOrEqual(micros(done.updatedAt));
    expect(Date.now() - Date.parse(String(completedAt))).toBeLessThan(60_000);
    await checked(client, 'process_task', { id, action: 'reopen' });
    expect(await checked(client, 'get_task', { id })).toMatchObject({ completedAt: null, status: 'open' });
  });

  it('of ten callers at once is done once', async () => {
    const { id } = await checked(client, 'create_task', { title: 'x' });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, () => checked(client, 'process_task', { id, action: 'start' })),
    );
    const failures = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(failures).toHaveLength(9);
    for (const { reason } of failures) expect(String(reason)).toContain('invalid_transition');
    expect(await checked(client, 'get_task', { id })).toMatchObject({ version: 2, status: 'in_progress' });
  });
});
