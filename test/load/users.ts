/** R3.13: people at work, each with a token and a connection of their own, who think between calls. */
import { createRandom, type Random } from '@bankhouse/client';
import { type Latencies, summarize } from './measure.ts';
import { openWire, type Wire } from './wire.ts';

export interface UsersOptions {
  url: string;
  caFile: string;
  users: number;
  warmUpMs: number;
  durationMs: number;
  token(user: number): Promise<string>;
  /** Told once of each kind of error. */
  onError(message: string): void;
}

/** Between the answer to one call and the next call, in milliseconds. */
export const THINK_MS = { least: 500, most: 1500 };

interface User {
  readonly wire: Wire;
  readonly random: Random;
  recording?: string;
  note?: { id: string; version: number };
  task?: { id: string; status: string };
}

interface Doing {
  readonly weight: number;
  readonly tool: string;
  /** Undefined: nothing to do it with yet. */
  args(user: User): Record<string, unknown> | undefined;
  learn?(user: User, result: Record<string, unknown>): void;
}

const WORDS = ['pricing', 'contract', 'onboarding', 'renewal', 'security review', '"next steps"'];

/** Two thirds read recordings and lists, a third write. */
const DOINGS: readonly Doing[] = [
  {
    weight: 20,
    tool: 'list_recordings',
    args: () => ({}),
    learn(user, result) {
      user.recording = user.random.pick(result.recordings as { id: string }[]).id;
    },
  },
  { weight: 12, tool: 'search_recordings', args: (user) => ({ query: user.random.pick(WORDS) }) },
  {
    weight: 8,
    tool: 'get_recording',
    args: ({ recording }) => (recording === undefined ? undefined : { recordingId: recording }),
  },
  {
    weight: 6,
    tool: 'get_transcript',
    args: ({ recording }) =>
      recording === undefined ? undefined : { recordingId: recording, fromSeconds: 60, toSeconds: 180 },
  },
  { weight: 12, tool: 'list_tasks', args: () => ({}) },
  { weight: 8, tool: 'list_notes', args: () => ({}) },
  { weight: 3, tool: 'search', args: (user) => ({ query: user.random.pick(WORDS) }) },
  {
    weight: 3,
    tool: 'query',
    args: () => ({ kind: 'task', groupBy: [{ field: 'status' }], aggregate: [{ function: 'count', as: 'n' }] }),
  },
  {
    weight: 9,
    tool: 'create_note',
    args: ({ recording }) => ({ title: 'What they want', body: 'A lower price. '.repeat(20), recordingId: recording }),
    learn(user, result) {
      user.note = result as unknown as { id: string; version: number };
    },
  },
  {
    weight: 7,
    tool: 'patch_note',
    args: ({ note }) => note && { id: note.id, version: note.version, pinned: true },
    learn(user, result) {
      user.note = result as unknown as { id: string; version: number };
    },
  },
  {
    weight: 7,
    tool: 'create_task',
    args: () => ({ title: 'Send the offer', priority: 'high', dueAt: '2027-01-15T09:00:00Z' }),
    learn(user, result) {
      user.task = result as unknown as { id: string; status: string };
    },
  },
  {
    weight: 5,
    tool: 'process_task',
    args: ({ task }) => task && { id: task.id, action: task.status === 'done' ? 'reopen' : 'complete' },
    learn(user, result) {
      user.task = result as unknown as { id: string; status: string };
    },
  },
];
const TOTAL = DOINGS.reduce((sum, { weight }) => sum + weight, 0);

export async function runUsers(options: UsersOptions): Promise<Latencies & { byTool: Map<string, Latencies> }> {
  const samples = new Map<string, number[]>(DOINGS.map(({ tool }) => [tool, []]));
  const told = new Set<string>();
  let errors = 0;
  const tokens: string[] = [];
  for (let user = 0; user < options.users; user++) tokens.push(await options.token(user));
  const measureFrom = performance.now() + options.warmUpMs;
  const end = measureFrom + options.durationMs;

  const live = async (number: number): Promise<void> => {
    const headers = { authorization: `Bearer ${tokens[number]}` };
    const wire = openWire(options.url, () => headers, { connections: 1, caFile: options.caFile });
    const user: User = { wire, random: createRandom(`user ${number}`) };
    const think = (least: number) =>
      new Promise((resolve) => setTimeout(resolve, least + user.random.next() * (THINK_MS.most - THINK_MS.least)));
    await think(0);
    while (performance.now() < end) {
      const doing = choose(user);
      const args = doing.args(user);
      if (args === undefined) continue;
      const began = performance.now();
      try {
        const result = await wire.ask(doing.tool, args);
        const took = performance.now() - began;
        if (began >= measureFrom) samples.get(doing.tool)?.push(took);
        doing.learn?.(user, result);
      } catch (error) {
        errors++;
        const message = error instanceof Error ? error.message : String(error);
        if (!told.has(doing.tool)) options.onError(message);
        told.add(doing.tool);
      }
      await think(THINK_MS.least);
    }
    await wire.close();
  };
  await Promise.all(tokens.map((_, number) => live(number)));
  const byTool = new Map([...samples].map(([tool, taken]) => [tool, summarize(taken, 0, options.durationMs)]));
  return { ...summarize([...samples.values()].flat(), errors, options.durationMs), byTool };
}

function choose(user: User): Doing {
  let at = user.random.next() * TOTAL;
  for (const doing of DOINGS) {
    at -= doing.weight;
    if (at < 0) return doing;
  }
  return DOINGS[0] as Doing;
}
