import { BANK_CONDITIONS, createLogger } from '@bankhouse/core';
import { ApiError, systemClock } from '@bankhouse/kube';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BankKind, CLEANUP, CONDITIONS, UPKEEP } from '../src/bank/index.ts';
import { fails, holds, starting, waits } from '../src/decide/verdict.ts';
import {
  conditionsOf,
  createReconciler,
  runSteps,
  type Step,
  StepFailure,
  type StepResult,
  stepOf,
  summarize,
  toConditions,
  verdictsOf,
} from '../src/reconcile/index.ts';

/** Steps a → b → c, and d beside them. */
interface Letters {
  snapshot: object;
  condition: 'A' | 'B' | 'C' | 'D';
  deps: Record<string, () => Promise<StepResult<string>>>;
  outputs: { a: string; b: string; c: string; d: string };
}
const letter = stepOf<Letters>();
const fine = (output: string) => async () => ({ kind: 'done', output }) as const;
const steps: Step<Letters>[] = [
  letter({ name: 'a', condition: 'A', needs: [], run: (_, __, deps) => (deps.a ?? fine('a'))() }),
  letter({ name: 'b', condition: 'B', needs: ['a'], run: (_, __, deps) => (deps.b ?? fine('b'))() }),
  letter({ name: 'c', condition: 'C', needs: ['b'], run: (_, __, deps) => (deps.c ?? fine('c'))() }),
  letter({ name: 'd', condition: 'D', needs: ['a'], run: (_, __, deps) => (deps.d ?? fine('d'))() }),
];

async function statuses(deps: Letters['deps']): Promise<Record<string, string>> {
  const { ended } = await runSteps<Letters>(steps, {}, deps);
  return Object.fromEntries([...verdictsOf(ended)].map(([type, { status, reason }]) => [type, `${status} ${reason}`]));
}

const refused = () => Promise.reject(new ApiError({ status: 403, reason: 'Forbidden', message: 'no' }));

describe('K11: whatever becomes of a step shows in its own condition', () => {
  const rows = [
    { sentence: 'all hold', deps: {}, expected: { A: 'True Done', B: 'True Done', C: 'True Done', D: 'True Done' } },
    {
      sentence: 'one that is refused holds up those that need it, and no other',
      deps: { b: refused },
      expected: { A: 'True Done', B: 'False RequestRefused', C: 'Unknown Waiting', D: 'True Done' },
    },
    {
      sentence: 'one that raises what it did not foresee',
      deps: { d: () => Promise.reject(new TypeError('x is undefined')) },
      expected: { A: 'True Done', B: 'True Done', C: 'True Done', D: 'False StepFailed' },
    },
    {
      sentence: 'one that says itself how it failed',
      deps: { a: () => Promise.reject(new StepFailure(fails('Busy', 'x'), 'retry')) },
      expected: { A: 'False Busy', B: 'Unknown Waiting', C: 'Unknown Waiting', D: 'Unknown Waiting' },
    },
    {
      sentence: 'one that waits',
      deps: { b: async () => ({ kind: 'waits', verdict: starting('Starts', 'x') }) as const },
      expected: { A: 'True Done', B: 'False Starts', C: 'Unknown Waiting', D: 'True Done' },
    },
    {
      sentence: 'one that is done, though its condition does not hold',
      deps: { b: async () => ({ kind: 'done', output: 'b', verdict: starting('Starts', 'x') }) as const },
      expected: { A: 'True Done', B: 'False Starts', C: 'True Done', D: 'True Done' },
    },
  ];
  test.each(rows)('$sentence', async ({ deps, expected }) => {
    expect(await statuses(deps as Letters['deps'])).toEqual(expected);
  });

  test('of a bank, every step, whichever fails', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: UPKEEP.length - 1 }), async (failing) => {
        const list = UPKEEP.map((step, index) => ({
          ...step,
          run: () => (index === failing ? refused() : Promise.resolve({ kind: 'done', output: undefined } as const)),
        }));
        const { ended } = await runSteps<BankKind>(list, {} as never, {} as never);
        const blamed = [...verdictsOf(ended)].filter(([, { status }]) => status === 'False').map(([type]) => type);
        expect(blamed).toEqual([UPKEEP[failing]?.condition].filter((condition) => condition !== undefined));
        expect(summarize(ended, 'x').reason).toBe('RequestRefused');
      }),
    );
  });

  test('a bank has the conditions that its steps speak for, in their order, and Ready', () => {
    expect([...CONDITIONS, 'Ready']).toEqual(BANK_CONDITIONS);
    expect(conditionsOf(CLEANUP).filter((type) => !CONDITIONS.includes(type))).toEqual([]);
  });
});

describe('a pass', () => {
  test('runs side by side what needs nothing of each other', async () => {
    const begun: string[] = [];
    const both = Promise.withResolvers<void>();
    const waitForBoth = (name: string) => async () => {
      begun.push(name);
      if (begun.length === 2) both.resolve();
      await both.promise;
      return { kind: 'done', output: name } as const;
    };
    const { outputs } = await runSteps<Letters>(steps, {}, { b: waitForBoth('b'), d: waitForBoth('d') });
    expect(outputs).toEqual({ a: 'a', b: 'b', c: 'c', d: 'd' });
  });

  test('hands a step the outputs of those that it needs, and no other', async () => {
    let given: object = {};
    const list = [
      ...steps.slice(0, 2),
      letter({
        name: 'c',
        needs: ['b'],
        run: async (_, seen) => {
          given = seen;
          return { kind: 'done', output: 'c' };
        },
      }),
    ];
    await runSteps<Letters>(list, {}, {});
    expect(given).toEqual({ b: 'b' });
  });

  const outcome = (deps: Letters['deps'], resync?: number) =>
    createReconciler<Letters>({
      gather: () => ({}),
      lists: [steps],
      steps: () => steps,
      deps,
      clock: { ...systemClock, random: () => 0.5 },
      logger: createLogger({ component: 'test', level: 'fatal' }),
      ...(resync === undefined ? {} : { resync }),
    })('x');
  const failure = (next: 'retry' | 'wait' | 'stall', cause?: unknown) => () =>
    Promise.reject(new StepFailure(fails('X', 'x'), next, { cause }));
  const slowDown = new ApiError({ status: 429, reason: 'TooManyRequests', message: 'x', retryAfterSeconds: 4 });
  const again = (ms: number) => async () => ({ kind: 'done', output: 'x', again: ms }) as const;
  test.each([
    { sentence: 'done', deps: {}, expected: { kind: 'done' } },
    { sentence: 'done, with a resync', deps: {}, resync: 1_000, expected: { kind: 'requeueAfter', ms: 1_100 } },
    {
      sentence: 'the soonest that a step asked for',
      deps: { a: again(70), b: again(50) },
      resync: 1_000,
      expected: { kind: 'requeueAfter', ms: 50 },
    },
    { sentence: 'a failure', deps: { a: refused }, expected: { kind: 'retry' } },
    { sentence: 'a failure that a person has to mend', deps: { a: failure('stall') }, expected: { kind: 'done' } },
    { sentence: 'a failure that something else ends', deps: { a: failure('wait') }, expected: { kind: 'done' } },
    {
      sentence: 'K8: a server that asks for time',
      deps: { a: () => Promise.reject(slowDown) },
      expected: { kind: 'retry', atLeast: 6_000 },
    },
    {
      sentence: 'K8: the same, told in words of ours',
      deps: { a: failure('retry', slowDown) },
      expected: { kind: 'retry', atLeast: 6_000 },
    },
  ])('that ends with $sentence', async ({ deps, resync, expected }) => {
    expect(await outcome(deps as Letters['deps'], resync)).toEqual(expected);
  });

  test('is refused at the start with a step before one that it needs', () => {
    const wrong = [steps[1], steps[0]] as Step<Letters>[];
    expect(() =>
      createReconciler<Letters>({ gather: () => ({}), lists: [wrong], steps: () => wrong } as never),
    ).toThrow('The step b needs a, which does not come before it.');
  });
});

describe('conditions', () => {
  const [then, now] = ['2026-01-01T00:00:00Z', '2026-02-02T00:00:00Z'];
  const before = [{ type: 'Ready', status: 'False' as const, reason: 'A', message: 'a', lastTransitionTime: then }];
  test.each([
    { sentence: 'another reason does not move the time', verdict: fails('B', 'b'), time: then },
    { sentence: 'another status does', verdict: holds('B', 'b'), time: now },
    { sentence: 'nor does what nobody knows yet', verdict: waits('b'), time: now },
  ])('$sentence', ({ verdict, time }) => {
    const { status, reason, message } = verdict;
    expect(toConditions(before, [['Ready', verdict]], 3, now)).toEqual([
      { type: 'Ready', status, reason, message, observedGeneration: 3, lastTransitionTime: time },
    ]);
  });
});
