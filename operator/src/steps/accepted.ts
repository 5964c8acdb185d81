import { accept } from '../decide/accept.ts';
import { DONE, type Step } from './step.ts';

/** Is the id free, and which class is in force? Nothing is made for a bank that isn't accepted, nothing taken away either. */
export const accepted: Step = async (pass) => {
  const { bank, sameId, classes } = pass.snapshot;
  const acceptance = accept({ bank, sameId, classes });
  pass.verdicts.Accepted = acceptance.verdict;
  if (acceptance.kind === 'rejected') return { kind: 'stalled' };
  pass.bankClass = acceptance.bankClass;
  return DONE;
};
