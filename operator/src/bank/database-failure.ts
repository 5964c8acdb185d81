import { DatabaseError, type Gate } from '../database/index.ts';
import { fails, type Verdict } from '../decide/verdict.ts';
import { StepFailure } from '../reconcile/index.ts';

const REASONS: Readonly<Record<string, string>> = {
  unreachable: 'Unreachable',
  access_refused: 'AccessRefused',
  not_migrated: 'NotMigrated',
  id_taken: 'IdTaken',
  busy: 'Busy',
};

/** While the database is away nobody tries: the pass comes back when the one that asks finds it again. */
export function awayFailure(error: unknown, database: Gate, key: string): StepFailure {
  if (database.isAway) {
    database.wakeWhenBack(key);
    return new StepFailure({ ...explain(error), isShared: true }, 'wait', { cause: error });
  }
  return new StepFailure(explain(error), 'retry', { cause: error });
}

function explain(error: unknown): Verdict {
  if (error instanceof DatabaseError) return fails(REASONS[error.code] ?? 'DatabaseFailed', error.message);
  return fails('DatabaseFailed', 'The database step failed; the operator tries again by itself.');
}
