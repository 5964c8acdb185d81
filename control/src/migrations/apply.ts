import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '@bankhouse/core';
import pg from 'pg';
import { MigrationError } from './errors.ts';
import { type Part, RIGHTS, type TableFile } from './files.ts';
import type { Plan } from './plan.ts';
import { type Entry, forgetFunctions, recordRepeatable, recordTable } from './record.ts';
import { isBroken, isContention, settle } from './session.ts';
import { lineAt, type Statement, statementsOf } from './text.ts';

/** How to wait for what others use. A lock that is waited for makes everybody wait who comes after: so not for long, but often. */
export interface Patience {
  /** The longest wait for one lock. */
  lockTimeoutMs: number;
  attempts: number;
  /** Before the second attempt; then twice as long each time, up to fifteen seconds. */
  pauseMs: number;
}

export const PATIENCE: Patience = { lockTimeoutMs: 3_000, attempts: 12, pauseMs: 1_000 };

const LONGEST_PAUSE_MS = 15_000;
const STILL_EVERY_MS = 30_000;

export interface Applying {
  client: pg.Client;
  entry: Entry;
  patience: Patience;
  log: (message: string) => void;
  /** Throws when this run no longer keeps other runs out. */
  check: () => void;
  /** Ends every transaction: what files give that this database must not have is never seen. */
  closing?: string | undefined;
}

/** @throws MigrationError `migration_failed`: nothing of the file stays; `migration_busy` */
export async function applyTable(applying: Applying, file: TableFile): Promise<void> {
  const { client, entry } = applying;
  const path = `${entry.part}/tables/${file.name}`;
  if (!file.transaction) return applyStatements(applying, file, path);
  await patiently(applying, path, () =>
    inTransaction(client, async () => {
      await run(client, path, file.text);
      await recordTable(client, entry, file);
      if (applying.closing !== undefined) await client.query(applying.closing);
    }),
  );
}

/**
 * Each statement by itself, outside a transaction. All of them have to bear being repeated; and an index that an earlier try left
 * half built, which `if not exists` would take for one, is dropped.
 */
async function applyStatements(applying: Applying, file: TableFile, path: string): Promise<void> {
  const { client, entry } = applying;
  for (const statement of statementsOf(file.text)) {
    await patiently(applying, path, async () => {
      await dropHalfBuilt(applying, statement);
      // Waiting for all who use the table is what `concurrently` does, and nobody waits behind it.
      if (/ concurrently\b/.test(statement.code)) await client.query('set lock_timeout = 0');
      await run(client, path, statement.text, statement.line);
    });
  }
  await recordTable(client, entry, file);
}

async function dropHalfBuilt({ client, log }: Applying, { code }: Statement): Promise<void> {
  const made = /^create (?:unique )?index concurrently if not exists (\S+) on (?:only )?([^\s(]+)/.exec(code);
  if (made === null) return;
  const [, index = '', table = ''] = made;
  // Whoever builds on this table has this lock: the server may still be at it, on behalf of a run that is gone.
  await inTransaction(client, () => client.query(`lock table ${table} in share update exclusive mode`));
  const { rows } = await client.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name
       from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
            join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where i.indrelid = $2::regclass and c.relname = (parse_ident($1))[1] and not i.indisvalid`,
    [index, table],
  );
  if (rows[0] === undefined) return;
  log(`Dropping ${rows[0].name}, which an earlier try left half built.`);
  await client.query('set lock_timeout = 0');
  await client.query(`drop index concurrently ${rows[0].name}`);
}

/**
 * The functions whose text changed, and the rights, in one transaction. Each file runs twice: first unchecked, so that functions
 * may call each other whatever the order of files; then checked, so that a body which names what is not there fails here.
 */
export async function applyFunctions(
  applying: Applying,
  part: Part,
  { files, gone }: NonNullable<Plan['functions']>,
): Promise<void> {
  const { client, entry } = applying;
  await patiently(applying, `${part.name}/functions`, () =>
    inTransaction(client, async () => {
      for (const checked of ['off', 'on']) {
        await client.query(`set local check_function_bodies = ${checked}`);
        for (const file of files) await run(client, `${part.name}/functions/${file.name}`, file.text);
      }
      await run(client, `${part.name}/${RIGHTS}`, part.rights.text);
      for (const file of files) await recordRepeatable(client, entry, 'function', file);
      await forgetFunctions(client, part.name, gone);
      await recordRepeatable(client, entry, 'rights', part.rights);
      if (applying.closing !== undefined) await client.query(applying.closing);
    }),
  );
}

async function inTransaction(client: pg.Client, work: () => Promise<unknown>): Promise<void> {
  await client.query('begin');
  try {
    await work();
    await client.query('commit');
  } catch (error) {
    // A broken connection has rolled back by itself, and its error is the one to tell.
    await client.query('rollback').catch(() => {});
    throw error;
  }
}

/** @param line of the file in which the text begins */
async function run(client: pg.Client, path: string, text: string, line = 1): Promise<void> {
  try {
    await client.query(text);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || isBroken(error) || isContention(error)) throw error;
    const place = error.position === undefined ? '' : `:${lineAt(text, Number(error.position) - 1) + line - 1}`;
    const hint =
      error.code === '42P13'
        ? ' (what older servers call keeps its result and names of arguments: give the new one another name or other types)'
        : '';
    throw new MigrationError('migration_failed', `${path}${place} failed: ${error.message}${hint}`, error);
  }
}

/** Again and again while others hold what is needed; says so, and what takes long. */
async function patiently(applying: Applying, path: string, work: () => Promise<void>): Promise<void> {
  const { client, patience, log } = applying;
  const start = performance.now();
  const still = setInterval(() => {
    log(`Still at ${path}, for ${Math.round((performance.now() - start) / 1000)} s.`);
  }, STILL_EVERY_MS);
  try {
    for (let attempt = 1; ; attempt += 1) {
      applying.check();
      await settle(client, patience.lockTimeoutMs);
      try {
        return await work();
      } catch (error) {
        if (!isContention(error)) throw error;
        if (attempt >= patience.attempts) {
          const message = `${path} could not be applied in ${attempt} attempts: others use what it changes (${messageOf(error)}).`;
          throw new MigrationError('migration_busy', message, error);
        }
        const pauseMs = Math.min(patience.pauseMs * 2 ** (attempt - 1), LONGEST_PAUSE_MS);
        log(
          `${path} has to wait, as others use what it changes (${messageOf(error)}): attempt ${attempt} of ${patience.attempts}, the next in ${pauseMs / 1000} s.`,
        );
        await sleep(pauseMs);
      }
    }
  } finally {
    clearInterval(still);
  }
}
