import { BankhouseError } from '@bankhouse/core';
import type { Verdict } from '../decide/verdict.ts';

/** What is particular to a kind of object; types only. */
export interface Kind {
  /** What a pass decides by, as it was when the pass began. */
  snapshot: object;
  /** Types of the conditions, `Ready` apart. */
  condition: string;
  /** What steps find out for later ones, by the step's name. */
  outputs: object;
  /** What steps act through. */
  deps: object;
}

/**
 * How a step ended. What it raises counts too: a `StepFailure` says itself what follows, anything else is `retry`.
 *
 * | ended                  | its condition | steps that need it | the object comes back              |
 * |------------------------|---------------|--------------------|------------------------------------|
 * | done                   | the verdict   | go on              | after `again`, if given            |
 * | waits                  | the verdict   | wait               | after `again`, if given, or by an event |
 * | raised, `next: retry`  | the verdict   | wait               | after its backoff                  |
 * | raised, `next: wait`   | the verdict   | wait               | when something else wakes it       |
 * | raised, `next: stall`  | the verdict   | wait               | by an event: a person has to act   |
 */
export type StepResult<Output> =
  /** Without a verdict the condition holds, if no other step of it objects. */
  | { kind: 'done'; output: Output; verdict?: Verdict; again?: number }
  | { kind: 'waits'; verdict: Verdict; again?: number };

/** A step's failure that it foresaw, in words for its condition. */
export class StepFailure extends BankhouseError {
  readonly verdict: Verdict;
  readonly next: 'retry' | 'wait' | 'stall';

  constructor(verdict: Verdict, next: 'retry' | 'wait' | 'stall', options?: { cause?: unknown }) {
    super('step_failed', verdict.message, options);
    this.name = 'StepFailure';
    this.verdict = verdict;
    this.next = next;
  }
}

/** One step of a kind's list. Steps that don't need each other run side by side. */
export interface Step<K extends Kind> {
  /** Unique in its list; names its output. */
  readonly name: keyof K['outputs'] & string;
  /** The one condition that it speaks for; a failure of a step without one shows in `Ready` alone. */
  readonly condition: K['condition'] | undefined;
  /** Steps before it in the list that must be done first. */
  readonly needs: readonly (keyof K['outputs'] & string)[];
  run(snapshot: Readonly<K['snapshot']>, given: Partial<K['outputs']>, deps: K['deps']): Promise<StepResult<unknown>>;
}

/** Types a step by what it needs: `run` gets just the outputs of these. */
export function stepOf<K extends Kind>() {
  type Name = keyof K['outputs'] & string;
  return <N extends Name, const Needs extends readonly Name[]>(step: {
    name: N;
    condition?: K['condition'];
    needs: Needs;
    run(
      snapshot: Readonly<K['snapshot']>,
      given: Readonly<Pick<K['outputs'], Needs[number]>>,
      deps: K['deps'],
    ): Promise<StepResult<K['outputs'][N]>>;
  }): Step<K> => ({ condition: undefined, ...step }) as unknown as Step<K>;
}

/** The conditions that a list of steps speaks for, in its order. */
export function conditionsOf<K extends Kind>(steps: readonly Step<K>[]): K['condition'][] {
  return [...new Set(steps.flatMap(({ condition }) => condition ?? []))];
}

/** @throws where a name is there twice, or a step needs one that is not before it */
export function checkSteps<K extends Kind>(steps: readonly Step<K>[]): void {
  const before = new Set<string>();
  for (const { name, needs } of steps) {
    if (before.has(name)) throw new BankhouseError('steps_wrong', `The step ${name} is there twice.`);
    const missing = needs.find((need) => !before.has(need));
    if (missing !== undefined) {
      throw new BankhouseError('steps_wrong', `The step ${name} needs ${missing}, which does not come before it.`);
    }
    before.add(name);
  }
}
