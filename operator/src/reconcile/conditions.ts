import type { Condition } from '@bankhouse/core';
import { fails, holds, type Verdict } from '../decide/verdict.ts';
import type { Ended } from './run-steps.ts';
import type { Kind } from './step.ts';

/** Each condition as the first of its steps that does not hold, else as the last of them; in the order of the list. */
export function verdictsOf<K extends Kind>(ended: readonly Ended<K>[]): Map<K['condition'], Verdict> {
  const verdicts = new Map<K['condition'], Verdict>();
  for (const { step, verdict } of ended) {
    if (step.condition === undefined) continue;
    const before = verdicts.get(step.condition);
    if (before === undefined || before.status === 'True') verdicts.set(step.condition, verdict);
  }
  return verdicts;
}

/** `Ready` is as the first step that does not hold, whether or not it speaks for a condition. */
export function summarize<K extends Kind>(ended: readonly Ended<K>[], message: string): Verdict {
  const first = ended.find(({ verdict }) => verdict.status !== 'True');
  if (first === undefined) return holds('Ready', message);
  const { reason, message: said, inProgress, isShared } = first.verdict;
  return {
    ...fails(reason, said),
    ...(inProgress === true ? { inProgress } : {}),
    ...(isShared === true ? { isShared } : {}),
  };
}

/**
 * Verdicts as conditions. `lastTransitionTime` moves with the status and with nothing else.
 *
 * @param now RFC 3339
 */
export function toConditions(
  previous: readonly Condition[],
  verdicts: Iterable<readonly [type: string, verdict: Verdict]>,
  generation: number,
  now: string,
): Condition[] {
  return [...verdicts].map(([type, { status, reason, message }]) => {
    const before = previous.find((condition) => condition.type === type);
    return {
      type,
      status,
      reason,
      message,
      observedGeneration: generation,
      lastTransitionTime: before?.status === status ? before.lastTransitionTime : now,
    };
  });
}
