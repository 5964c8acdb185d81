import { describe, expect, test } from 'vitest';
import { WorkQueue } from '../src/queue.ts';
import { startWorkers } from '../src/workers.ts';
import { FakeClock } from './fake-clock.ts';

function setUp() {
  const clock = new FakeClock();
  return { clock, queue: new WorkQueue(clock) };
}

/** What waits, taken in order. */
async function drain(queue: WorkQueue): Promise<(string | undefined)[]> {
  const keys = [];
  while (queue.length > 0) keys.push(await queue.take());
  return keys;
}

describe('the queue', () => {
  test('a key that is added twice is taken once', async () => {
    const { queue } = setUp();
    for (const key of ['a', 'b', 'a']) queue.add(key);
    expect(await drain(queue)).toEqual(['a', 'b']);
  });

  test('what somebody changed comes before what was listed', async () => {
    const { queue } = setUp();
    queue.add('listed', 'low');
    queue.add('changed');
    expect(await drain(queue)).toEqual(['changed', 'listed']);
  });

  test('a listed key that changes moves up and stays one', async () => {
    const { queue } = setUp();
    queue.add('a', 'low');
    queue.add('b', 'low');
    queue.add('b');
    expect(await drain(queue)).toEqual(['b', 'a']);
  });

  test('a key added while it is worked on comes once more, when that is done', async () => {
    const { queue } = setUp();
    queue.add('a');
    expect(await queue.take()).toBe('a');
    queue.add('a');
    queue.add('a', 'low');
    expect(queue.length).toBe(0);
    queue.done('a');
    expect(await drain(queue)).toEqual(['a']);
  });

  test('who takes from an empty queue waits', async () => {
    const { queue } = setUp();
    const taken = queue.take();
    queue.add('a');
    expect(await taken).toBe('a');
  });

  test('of several delays the earliest counts', async () => {
    const { clock, queue } = setUp();
    queue.addAfter('a', 500);
    queue.addAfter('a', 100);
    queue.addAfter('a', 900);
    clock.advance(99);
    expect(queue.length).toBe(0);
    clock.advance(1);
    expect(await drain(queue)).toEqual(['a']);
    queue.done('a');
    clock.advance(10_000);
    expect(queue.length).toBe(0);
  });

  test('a key that is taken forgets its delay', async () => {
    const { clock, queue } = setUp();
    queue.addAfter('a', 500);
    queue.add('a');
    await queue.take();
    expect(clock.pending).toBe(0);
  });

  test('backoff doubles from 5 ms to 300 s for each key apart, and begins anew after success', () => {
    const { queue } = setUp();
    const delays = Array.from({ length: 20 }, () => queue.retry('a'));
    expect(delays.slice(0, 4)).toEqual([5, 10, 20, 40]);
    expect(delays.at(-1)).toBe(300_000);
    expect(queue.retry('b')).toBe(5);
    queue.forget('a');
    expect(queue.retry('a')).toBe(5);
  });

  test.each([
    { sentence: 'not sooner than a server asked for', bounds: { atLeast: 7_000 }, expected: 7_000 },
    { sentence: 'not later than at most', bounds: { atMost: 3 }, expected: 3 },
    {
      sentence: 'what a server asked for before what we would like',
      bounds: { atLeast: 7_000, atMost: 3 },
      expected: 7_000,
    },
  ])('K8: a retry comes $sentence', ({ bounds, expected }) => {
    const { clock, queue } = setUp();
    expect(queue.retry('a', bounds)).toBe(expected);
    clock.advance(expected - 1);
    expect(queue.length).toBe(0);
    clock.advance(1);
    expect(queue.length).toBe(1);
  });

  test('a closed queue sends its takers home, takes nothing in, and leaves no timer', async () => {
    const { clock, queue } = setUp();
    queue.addAfter('later', 100);
    const taken = queue.take();
    queue.close();
    expect(await taken).toBeUndefined();
    queue.add('a');
    queue.addAfter('b', 1);
    expect(await queue.take()).toBeUndefined();
    expect(clock.pending).toBe(0);
  });
});

describe('K13: a queue that is fair by group', () => {
  const fair = (groupLimit?: number) => {
    const groupOf = (key: string) => key.split('/')[0] ?? '';
    return new WorkQueue(new FakeClock(), { groupOf, ...(groupLimit === undefined ? {} : { groupLimit }) });
  };
  const many = (group: string, count: number) => Array.from({ length: count }, (_, index) => `${group}/${index}`);

  test('a group of ten thousand delays the one key of another by one turn', async () => {
    const queue = fair();
    for (const key of many('flood', 10_000)) queue.add(key);
    queue.add('quiet/0');
    expect([await queue.take(), await queue.take()]).toEqual(['flood/0', 'quiet/0']);
  });

  test('groups take turns, each in its own order', async () => {
    const queue = fair();
    for (const key of ['a/0', 'a/1', 'a/2', 'b/0', 'c/0', 'b/1']) queue.add(key);
    expect(await drain(queue)).toEqual(['a/0', 'b/0', 'c/0', 'a/1', 'b/1', 'a/2']);
  });

  test('a group at its limit is passed over until one of its keys is done', async () => {
    const queue = fair(2);
    for (const key of [...many('a', 3), 'b/0']) queue.add(key);
    expect([await queue.take(), await queue.take(), await queue.take()]).toEqual(['a/0', 'b/0', 'a/1']);
    const next = queue.take();
    queue.done('a/0');
    expect(await next).toBe('a/2');
  });

  test('what is low has every fourth turn, however much is high', async () => {
    const queue = fair();
    for (const key of many('low', 100)) queue.add(key, 'low');
    for (const key of many('high', 100)) queue.add(key);
    const taken = [];
    for (let turn = 0; turn < 40; turn += 1) taken.push(await queue.take());
    expect(taken.filter((key) => key?.startsWith('low/'))).toHaveLength(10);
  });
});

describe('workers', () => {
  test('several keys at a time, never two on one key', async () => {
    const { clock, queue } = setUp();
    const running = new Set<string>();
    let most = 0;
    let finished = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    const workers = startWorkers({
      queue,
      count: 3,
      clock,
      onError: () => {},
      async work(key) {
        expect(running.has(key)).toBe(false);
        running.add(key);
        most = Math.max(most, running.size);
        if (finished < 10) queue.add(key);
        await Promise.resolve();
        running.delete(key);
        finished += 1;
        if (finished === 20) resolve();
        return finished < 20 ? { kind: 'requeueAfter', ms: 0 } : { kind: 'done' };
      },
    });
    for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
    const tick = setInterval(() => clock.advance(1), 0);
    await promise;
    clearInterval(tick);
    await workers.stop(1000);
    expect(most).toBe(3);
  });

  test.each([
    {
      sentence: 'what throws is told and tried again',
      work: () => Promise.reject(new Error('x')),
      errors: 1,
      after: 5,
    },
    { sentence: 'retry comes after the backoff', work: async () => ({ kind: 'retry' }) as const, errors: 0, after: 5 },
    {
      sentence: 'requeueAfter comes after its time',
      work: async () => ({ kind: 'requeueAfter', ms: 70 }) as const,
      errors: 0,
      after: 70,
    },
  ])('$sentence', async ({ work, errors, after }) => {
    const { clock, queue } = setUp();
    let told = 0;
    let calls = 0;
    const workers = startWorkers({
      queue,
      count: 1,
      clock,
      onError: () => {
        told += 1;
      },
      work: (key) => {
        calls += 1;
        return key === 'end' ? Promise.resolve({ kind: 'done' }) : work();
      },
    });
    queue.add('a');
    await new Promise(setImmediate);
    expect({ calls, told, waiting: clock.pending }).toEqual({ calls: 1, told: errors, waiting: 1 });
    clock.advance(after - 1);
    await new Promise(setImmediate);
    expect(calls).toBe(1);
    clock.advance(1);
    await new Promise(setImmediate);
    expect(calls).toBe(2);
    await workers.stop(1000);
  });
});
