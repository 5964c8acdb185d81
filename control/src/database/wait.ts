import { type Logger, messageOf } from '@bankhouse/core';
import pg from 'pg';
import { type Database, DatabaseUnavailableError } from './pool.ts';

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 2_000;
const REPEAT_EVERY_MS = 15_000;

/** Why the schema can't be used yet, as a sentence for the log. */
export function whyNotReady(error: unknown): string {
  const reason = error instanceof DatabaseUnavailableError ? error.cause : error;
  if (reason instanceof pg.DatabaseError) {
    if (/^(42P01|3F000|42501)$/.test(reason.code ?? ''))
      return 'the schema is not there yet; the migration job makes it';
    if (/^28/.test(reason.code ?? '')) {
      return 'it refuses our role; the migration job lets it in, with the password of the Secret for database roles';
    }
  }
  return `it can't be reached (${messageOf(reason)})`;
}

/** Resolves when the schema answers; until then says why not, at once and then every 15 seconds or when the reason changes. */
export async function waitForSchema(
  database: Database,
  options: { log: Logger; delay: (ms: number) => Promise<void>; now: () => number; signal: AbortSignal },
): Promise<void> {
  let said = '';
  let saidAt = Number.NEGATIVE_INFINITY;
  let delayMs = FIRST_DELAY_MS;
  while (!options.signal.aborted) {
    try {
      await database.query('select from control.revoked_tokens, control.bank_epochs, control.bank_directory limit 0');
      if (said !== '') options.log.info('the database is there');
      return;
    } catch (error) {
      const reason = whyNotReady(error);
      if (reason !== said || options.now() - saidAt >= REPEAT_EVERY_MS) {
        options.log.warn({ reason }, 'waiting for the database');
        said = reason;
        saidAt = options.now();
      }
    }
    await options.delay(delayMs);
    delayMs = Math.min(delayMs * 2, MAX_DELAY_MS);
  }
}
