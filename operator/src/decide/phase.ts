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
export function phaseOf(
  bank: { deleting: boolean; suspended: boolean },
  verdicts: { accepted: Verdict | undefined; database: Verdict | undefined; ready: Verdict },
): Phase {
  if (bank.deleting) return 'Deleting';
  const { accepted, database, ready } = verdicts;
  if (accepted?.status === 'False') return REASONS_OF_OURS.has(accepted.reason) ? 'Failing' : 'Rejected';
  if (bank.suspended && (database?.status === 'True' || database?.inProgress === true)) return 'Suspended';
  if (ready.status === 'True') return 'Ready';
  return ready.inProgress === true ? 'Starting' : 'Failing';
}

/** Why an id could not be asked for: no fault of the Bank's, so that it isn't rejected. */
const REASONS_OF_OURS = new Set([
  'Unreachable',
  'AccessRefused',
  'NotMigrated',
  'Busy',
  'DatabaseFailed',
  'StepFailed',
  'RequestRefused',
]);
