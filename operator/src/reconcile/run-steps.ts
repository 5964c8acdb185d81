import { messageOf } from '@bankhouse/core';
import { isApiError, retryAfterOf } from '@bankhouse/kube';
import { fails, holds, type Verdict, waits } from '../decide/verdict.ts';
import { type Kind, type Step, StepFailure } from './step.ts';

/** A step after the pass. */
export interface Ended<K extends Kind> {
  step: Step<K>;
  verdict: Verdict;
  /** It was not begun, because a step that it needs is not done. */
  isBlocked: boolean;
}

/** What a pass found out. */
export interface Report<K extends Kind> {
  /** In the order of the list. */
  ended: readonly Ended<K>[];
  /** Of the steps that are done. */
  outputs: Readonly<Partial<K['outputs']>>;
  /** Errors of steps that are to be tried again, in the order of the list. */
  errors: readonly unknown[];
  /** The soonest that a step asked for, in milliseconds. */
  again: number | undefined;
}

type Settled = {
  isDone: boolean;
  output?: unknown;
  verdict: Verdict;
  isBlocked: boolean;
  again?: number | undefined;
  error?: unknown;
};

const HOLDS = holds('Done', 'Done.');

/** Runs steps, each as soon as those that it needs are done; one that fails holds up only those that need it. Never rejects. */
export async function runSteps<K extends Kind>(
  steps: readonly Step<K>[],
  snapshot: Readonly<K['snapshot']>,
  deps: K['deps'],
): Promise<Report<K>> {
  const begun = new Map<string, Promise<Settled>>();
  for (const step of steps) {
    const needed = step.needs.map((name) => begun.get(name) as Promise<Settled>);
    begun.set(step.name, settle(step, steps, needed, snapshot, deps));
  }
  const all = await Promise.all(steps.map(({ name }) => begun.get(name) as Promise<Settled>));
  const outputs: Record<string, unknown> = {};
  for (const [index, { isDone, output }] of all.entries()) if (isDone) outputs[steps[index]?.name ?? ''] = output;
  const agains = all.flatMap(({ again }) => again ?? []);
  return {
    ended: all.map(({ verdict, isBlocked }, index) => ({ step: steps[index] as Step<K>, verdict, isBlocked })),
    outputs: outputs as Partial<K['outputs']>,
    errors: all.flatMap(({ error }) => (error === undefined ? [] : [error])),
    again: agains.length === 0 ? undefined : Math.min(...agains),
  };
}

async function settle<K extends Kind>(
  step: Step<K>,
  steps: readonly Step<K>[],
  needed: readonly Promise<Settled>[],
  snapshot: Readonly<K['snapshot']>,
  deps: K['deps'],
): Promise<Settled> {
  const before = await Promise.all(needed);
  const missing = step.needs.find((_, index) => before[index]?.isDone !== true);
  if (missing !== undefined) {
    const blocker = steps.find(({ name }) => name === missing);
    return { isDone: false, isBlocked: true, verdict: waits(`Waits for ${blocker?.condition ?? missing}.`) };
  }
  const given = Object.fromEntries(step.needs.map((name, index) => [name, before[index]?.output]));
  try {
    const result = await step.run(snapshot, given as Partial<K['outputs']>, deps);
    const { again } = result;
    if (result.kind === 'waits') return { isDone: false, isBlocked: false, verdict: result.verdict, again };
    return { isDone: true, isBlocked: false, output: result.output, verdict: result.verdict ?? HOLDS, again };
  } catch (error) {
    const retry = error instanceof StepFailure ? error.next === 'retry' : true;
    return { isDone: false, isBlocked: false, verdict: verdictOf(error), ...(retry ? { error } : {}) };
  }
}

function verdictOf(error: unknown): Verdict {
  if (error instanceof StepFailure) return error.verdict;
  const sentence = `${messageOf(error)}. The operator tries again by itself.`;
  return fails(isApiError(error) ? 'RequestRefused' : 'StepFailed', sentence);
}

/** How long the API server asked to be left alone, by the errors of a pass, in milliseconds. */
export function retryAfterOfAll(errors: readonly unknown[]): number {
  return Math.max(0, ...errors.map((error) => retryAfterOf(error instanceof StepFailure ? error.cause : error)));
}
