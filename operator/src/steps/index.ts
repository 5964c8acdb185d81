import { accepted } from './accepted.ts';
import { children, deleteChildren } from './children.ts';
import { credentials } from './credentials.ts';
import { database, deleteFromDatabase } from './database.ts';
import { holdFinalizer, releaseFinalizer } from './finalizer.ts';
import { serving } from './serving.ts';
import type { Step } from './step.ts';

export { DONE, type Means, type Pass, type Step, type StepResult } from './step.ts';

/** A bank that shall be. */
export const UPKEEP: readonly Step[] = [accepted, holdFinalizer, credentials, database, children, serving];
/** A bank that shall go; each step only after the one before it succeeded. */
export const FAREWELL: readonly Step[] = [deleteChildren, deleteFromDatabase, releaseFinalizer];
