export { MigrationError, type MigrationErrorCode } from './errors.ts';
export type { Part, RepeatableFile, TableFile } from './files.ts';
export { brokenPromises, FROZEN, freeze, printFrozen, readFrozen, readParts } from './frozen.ts';
export { committedFrozen, rewrittenHistory } from './frozen-history.ts';
export { lintPart } from './lint.ts';
export { type MigrateOptions, migrate, type ServicePasswords } from './migrate.ts';
export { describeSchema } from './snapshot.ts';
export { statementsOf } from './text.ts';
