import type { Verdicts } from './conditions.ts';
import type { Verdict } from './verdict.ts';

export type Phase = 'Rejected' | 'Deleting' | 'Suspended' | 'Ready' | 'Starting' | 'Failing';

/**
 * One word for people:
 *
 * | word      | when                                                                  |
 * |-----------|-----------------------------------------------------------------------|
 * | Deleting  | it has a deletion timestamp                                           |
 * | Rejected  | not accepted: its id, or its class                                    |
 * | Suspended | `spec.suspend`                                                        |
 * | Ready     | every condition holds                                                 |
 * | Starting  | what is missing comes by itself                                       |
 * | Failing   | something is wrong; the message of Ready says what                    |
 */
export function phaseOf(bank: { deleting: boolean; suspended: boolean }, verdicts: Verdicts, ready: Verdict): Phase {
  if (bank.deleting) return 'Deleting';
  if (verdicts.Accepted.status === 'False') return 'Rejected';
  const database = verdicts.DatabaseReady;
  if (bank.suspended && (database.status === 'True' || database.inProgress === true)) return 'Suspended';
  if (ready.status === 'True') return 'Ready';
  return ready.inProgress === true ? 'Starting' : 'Failing';
}
