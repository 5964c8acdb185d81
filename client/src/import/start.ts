import { BankhouseError } from '@bankhouse/core';
import type { Summary } from './check.ts';

/** A row of bank.imports: how far an import has come. */
export interface ImportState {
  exportedBank: string;
  exportedAt: string;
  rows: number;
  /** Rolling digest of the file after them; '' before the first checkpoint. */
  digest: string;
  finished: boolean;
}

export interface Situation {
  bank: string;
  file: string;
  summary: Summary;
  state: ImportState | undefined;
  /** Tables that have rows of the bank already; vaults don't count, since a Bank brings them along. */
  occupied: readonly string[];
  resume: boolean;
}

export type Start = { kind: 'begin' } | { kind: 'go on'; rows: number; digest: string } | { kind: 'done' };

/**
 * | import before | bank     | --resume | then                                  |
 * | ------------- | -------- | -------- | ------------------------------------- |
 * | none, done    | empty    | any      | begin                                 |
 * | none, done    | not      | no       | refuse: bank_not_empty                |
 * | none, other   | not      | yes      | refuse: bank_not_empty                |
 * | done, same    | not      | yes      | done: its last word was lost          |
 * | unfinished    | any      | no       | refuse: import_unfinished             |
 * | unfinished    | any      | yes      | go on, or begin where nothing is there |
 *
 * @throws BankhouseError `bank_not_empty`, `import_unfinished`
 */
export function decideStart({ bank, file, summary, state, occupied, resume }: Situation): Start {
  if (state !== undefined && !state.finished) {
    if (!resume && state.rows > 0) {
      throw new BankhouseError(
        'import_unfinished',
        `An import into ${bank} (of ${state.exportedBank}, exported at ${state.exportedAt}) stopped after ${state.rows} rows; go on with: bankhouse import ${file} --bank ${bank} --resume`,
      );
    }
    if (state.rows > 0) return { kind: 'go on', rows: state.rows, digest: state.digest };
  }
  if (occupied.length === 0) return { kind: 'begin' };
  if (resume && state?.finished === true && state.digest === summary.digest) return { kind: 'done' };
  throw new BankhouseError(
    'bank_not_empty',
    `Bank ${bank} is not empty: it has ${occupied.join(', ')}. An import needs an empty one; apply a new Bank and name it by --bank.`,
  );
}
