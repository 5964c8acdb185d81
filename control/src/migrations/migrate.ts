import { messageOf, scramVerifier } from '@bankhouse/core';
import type pg from 'pg';
import manifest from '../../package.json' with { type: 'json' };
import { type Applying, applyFunctions, applyTable, PATIENCE, type Patience } from './apply.ts';
import { MigrationError } from './errors.ts';
import { type Part, RIGHTS } from './files.ts';
import { readParts } from './frozen.ts';
import { planFor } from './plan.ts';
import { lockRecord, makeRecord, readRecord } from './record.ts';
import { checkOwner, connect, isBroken, settle } from './session.ts';

/** In this order; a database for banks of their own has the tenants' part alone. */
const PARTS: readonly string[] = ['tenants', 'control'];

/** The service roles that the migrations make, NOLOGIN until a password is set here. */
const SERVICE_ROLES = {
  operator: 'bankhouse_operator',
  control: 'bankhouse_control',
  gateway: 'bankhouse_gateway',
} as const;

const SAY_WAITING_MS = 10_000;

export type ServicePasswords = Readonly<Partial<Record<keyof typeof SERVICE_ROLES, string>>>;

export interface MigrateOptions {
  /** As the owner: a role that may create in the database and has CREATEROLE. It need not be a superuser. */
  databaseUrl: string;
  /** Folder of a folder for each part: `tables/NNNN_name.sql`, `functions/name.sql`, `rights.sql`. */
  migrationsDir: string;
  /** Names of the parts that this database has, in the order in which they are applied. Default: tenants, control. */
  parts?: readonly string[];
  /** A service role with a password may log in from then on; others are left as they are. */
  passwords?: ServicePasswords;
  /** One sentence per step; never a secret. */
  log: (message: string) => void;
  /** How long to wait for the database to accept connections. */
  connectTimeoutMs?: number;
  /** How long to wait for another run to end. Default: ten minutes. */
  runTimeoutMs?: number;
  patience?: Partial<Patience>;
  /** SQL that ends every transaction: takes back what files give and this database must not have, before anybody sees it. */
  closing?: string;
}

/**
 * Brings the database to the newest schema and sets the service roles' passwords. Safe to run again and at once from several
 * places: one goes first. Safe while servers call: docs/adr/0016-migrations.md.
 *
 * @returns what was applied now, as paths from the folder
 * @throws MigrationError
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const parts = readParts(options.migrationsDir, options.parts ?? PARTS);
  const timeoutMs = options.connectTimeoutMs ?? 10_000;
  const guard = await connect(options.databaseUrl, timeoutMs);
  try {
    await checkOwner(guard);
    const check = await keepOthersOut(guard, options);
    const client = await connect(options.databaseUrl, timeoutMs);
    try {
      const applied = await applyAll(client, parts, check, options);
      check();
      await settle(client, options.patience?.lockTimeoutMs ?? PATIENCE.lockTimeoutMs);
      await setPasswords(client, options.passwords ?? {});
      await chooseSimilarity(client, parts, options);
      options.log(
        applied.length === 0
          ? 'The schema is up to date.'
          : `The schema is up to date: ${applied.length} files were applied.`,
      );
      return applied;
    } finally {
      await client.end();
    }
  } catch (error) {
    if (error instanceof MigrationError) throw error;
    if (!isBroken(error)) {
      throw new MigrationError('migration_failed', `The migrations failed: ${messageOf(error)}`, error);
    }
    throw new MigrationError(
      'database_unreachable',
      `The connection to the database broke: ${messageOf(error)}`,
      error,
    );
  } finally {
    await guard.end();
  }
}

/** @returns throws once others are no longer kept out, because the connection broke */
async function keepOthersOut(guard: pg.Client, options: MigrateOptions): Promise<() => void> {
  let lost: unknown;
  guard.on('error', (error) => {
    lost = error;
  });
  await settle(guard, 0);
  await makeRecord(guard);
  await lockRecord(guard, {
    everyMs: SAY_WAITING_MS,
    waitMs: options.runTimeoutMs ?? 600_000,
    onWait: () => options.log('Another run of the migrations is at work; waiting for its end.'),
  });
  return () => {
    if (lost !== undefined) throw lost;
  };
}

async function applyAll(
  client: pg.Client,
  parts: readonly Part[],
  check: () => void,
  options: MigrateOptions,
): Promise<string[]> {
  const done: string[] = [];
  try {
    for (const part of parts) {
      const applying: Applying = {
        client,
        entry: { part: part.name, generation: part.generation, version: manifest.version },
        patience: { ...PATIENCE, ...options.patience },
        log: options.log,
        check,
        closing: options.closing,
      };
      await applyPart(applying, part, (path) => {
        done.push(path);
        options.log(`Applied ${path}.`);
      });
    }
    return done;
  } catch (error) {
    if (!(error instanceof MigrationError) || done.length === 0) throw error;
    const kept = `Applied before it, and kept: ${done.join(', ')}.`;
    throw new MigrationError(error.code, `${error.message.replace(/\.?$/, '.')} ${kept}`, error);
  }
}

async function applyPart(applying: Applying, part: Part, done: (path: string) => void): Promise<void> {
  const plan = planFor(part, await readRecord(applying.client, part.name));
  for (const file of plan.tables) {
    await applyTable(applying, file);
    done(`${part.name}/tables/${file.name}`);
  }
  if (plan.newer !== undefined) {
    applying.log(
      `The part ${part.name} is of a newer release (generation ${plan.newer}, and ours is ${part.generation}), which works with this one: its functions are left as they are.`,
    );
  }
  if (plan.functions === undefined) return;
  await applyFunctions(applying, part, plan.functions);
  for (const { name } of plan.functions.files) done(`${part.name}/functions/${name}`);
  done(`${part.name}/${RIGHTS}`);
}

/** Each time, so that pgvector counts from the first run after it was installed (R3.12). */
async function chooseSimilarity(client: pg.Client, parts: readonly Part[], options: MigrateOptions): Promise<void> {
  if (!parts.some(({ name }) => name === 'tenants')) return;
  const { rows: there } = await client.query(`select where to_regprocedure('bank.choose_similarity()') is not null`);
  if (there.length === 0) return;
  const { rows } = await client.query<{ by: string }>('select bank.choose_similarity() as by');
  options.log(`Embeddings are compared by ${rows[0]?.by}.`);
}

async function setPasswords(client: pg.Client, passwords: ServicePasswords): Promise<void> {
  for (const [service, role] of Object.entries(SERVICE_ROLES)) {
    const password = passwords[service as keyof typeof SERVICE_ROLES];
    if (password === undefined) continue;
    const verifier = client.escapeLiteral(await scramVerifier(password));
    await client.query(`alter role ${client.escapeIdentifier(role)} login password ${verifier}`);
  }
}
