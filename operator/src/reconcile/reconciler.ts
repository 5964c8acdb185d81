import { type Logger, messageOf } from '@bankhouse/core';
import { type Clock, isApiError, type KubeObject, type Outcome } from '@bankhouse/kube';
import type { Verdict } from '../decide/verdict.ts';
import { toConditions, verdictsOf } from './conditions.ts';
import { type Report, retryAfterOfAll, runSteps } from './run-steps.ts';
import { checkSteps, type Kind, type Step } from './step.ts';

type WithStatus = KubeObject & { status?: { conditions?: Condition[] | undefined } | undefined };
type Condition = Parameters<typeof toConditions>[0][number];

/** What a pass concluded, for the status. */
export interface Conclusion<K extends Kind> {
  snapshot: Readonly<K['snapshot']>;
  report: Report<K>;
  /** By the steps' conditions, in their order. */
  verdicts: ReadonlyMap<K['condition'], Verdict>;
  /** Makes conditions of verdicts, for the object as it was. */
  toConditions(verdicts: Iterable<readonly [string, Verdict]>): Condition[];
}

/** Writes the status if it differs, and nothing else; says whether it did. Only a kind whose objects have a status has it. */
export type StatusWriter<K extends Kind> = (conclusion: Conclusion<K>) => Promise<'configured' | 'unchanged'>;

/**
 * One pass over one object, the same for every kind: gather a frozen snapshot, run the steps, write the status if it differs.
 * There is no branching on what event arrived.
 *
 * @param gather `undefined`: the object is gone, or nothing is to be done for it
 * @param object the one whose conditions the steps speak for; none for what has no status
 * @param steps the list for this snapshot; every list is checked when the reconciler is made
 * @param lists all lists that `steps` chooses from
 */
export function createReconciler<K extends Kind>(kind: {
  gather(key: string): Readonly<K['snapshot']> | undefined;
  steps(snapshot: Readonly<K['snapshot']>): readonly Step<K>[];
  lists: readonly (readonly Step<K>[])[];
  object?(snapshot: Readonly<K['snapshot']>): WithStatus;
  writeStatus?: StatusWriter<K>;
  /** So often an object without news is looked at again, in milliseconds, for what no watch tells; absent: never. */
  resync?: number;
  deps: K['deps'];
  clock: Clock;
  logger: Logger;
}): (key: string) => Promise<Outcome> {
  for (const list of kind.lists) checkSteps(list);
  return async (key) => {
    const snapshot = kind.gather(key);
    if (snapshot === undefined) return { kind: 'done' };
    const report = await runSteps(kind.steps(snapshot), snapshot, kind.deps);
    const isNews = await conclude(kind, snapshot, report);
    const [error] = report.errors;
    // The same failure on every try is said once, as in the status.
    if (error !== undefined) kind.logger[isNews ? 'warn' : 'debug']({ key, reason: messageOf(error) }, 'pass failed');
    return outcomeOf(report, kind);
  };
}

async function conclude<K extends Kind>(
  kind: Parameters<typeof createReconciler<K>>[0],
  snapshot: Readonly<K['snapshot']>,
  report: Report<K>,
): Promise<boolean> {
  const object = kind.object?.(snapshot);
  if (kind.writeStatus === undefined || object === undefined) return report.errors.length > 0;
  const now = new Date(kind.clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
  const generation = object.metadata.generation ?? 1;
  try {
    const written = await kind.writeStatus({
      snapshot,
      report,
      verdicts: verdictsOf(report.ended),
      toConditions: (verdicts) => toConditions(object.status?.conditions ?? [], verdicts, generation, now),
    });
    return written !== 'unchanged';
  } catch (error) {
    // Deleted meanwhile: the watch brings what is to be done.
    if (isApiError(error, 'not_found')) return true;
    throw error;
  }
}

function outcomeOf<K extends Kind>(
  { errors, again }: Report<K>,
  { clock, resync }: { clock: Clock; resync?: number },
): Outcome {
  if (errors.length > 0) {
    const asked = retryAfterOfAll(errors);
    // Spread, or all that were refused together would come back together.
    return { kind: 'retry', ...(asked === 0 ? {} : { atLeast: Math.round(asked * (1 + clock.random())) }) };
  }
  if (again !== undefined) return { kind: 'requeueAfter', ms: again };
  if (resync === undefined) return { kind: 'done' };
  return { kind: 'requeueAfter', ms: Math.round(resync * (1 + 0.2 * clock.random())) };
}
