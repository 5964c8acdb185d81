import { BankhouseError } from '@bankhouse/core';

/**
 * | code                   | what                                                              | helps                      |
 * |------------------------|-------------------------------------------------------------------|----------------------------|
 * | `database_unreachable` | no connection, or it broke                                        | trying again               |
 * | `database_refused`     | it answers, and wants another user, password or database          | configuration              |
 * | `migration_busy`       | another run, or a table in use, for longer than we wait           | trying again               |
 * | `migration_failed`     | SQL failed                                                        | the message; trying again  |
 * | `owner_unfit`          | the role lacks a right, or Postgres is too old                    | configuration              |
 * | `migrations_invalid`   | the folder: a part that is not there, a gap, a number given twice | another image              |
 * | `migration_changed`    | the text of an applied file is another now                        | another image, or database |
 * | `migration_missing`    | an applied file is not in the folder, though later ones are       | another image, or database |
 * | `migration_gap`        | a file was never applied, though later ones were                  | another image, or database |
 * | `schema_too_new`       | a later release took away what this one still uses                | a newer image              |
 * | `schema_foreign`       | made before the first release, in another layout                  | another database           |
 */
export type MigrationErrorCode =
  | 'database_unreachable'
  | 'database_refused'
  | 'migration_busy'
  | 'migration_failed'
  | 'owner_unfit'
  | 'migrations_invalid'
  | 'migration_changed'
  | 'migration_missing'
  | 'migration_gap'
  | 'schema_too_new'
  | 'schema_foreign';

const LASTING: ReadonlySet<string> = new Set<MigrationErrorCode>([
  'owner_unfit',
  'migrations_invalid',
  'migration_changed',
  'migration_missing',
  'migration_gap',
  'schema_too_new',
  'schema_foreign',
]);

export class MigrationError extends BankhouseError {
  declare readonly code: MigrationErrorCode;

  constructor(code: MigrationErrorCode, message: string, cause?: unknown) {
    super(code, message, cause === undefined ? {} : { cause });
    this.name = 'MigrationError';
  }

  /** Whether trying again as it is can't help. */
  get lasting(): boolean {
    return LASTING.has(this.code);
  }
}
