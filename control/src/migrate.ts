import { BankhouseError, messageOf, scramVerifier } from '@bankhouse/core';
import { runner } from 'node-pg-migrate';
import pg from 'pg';

/** The service roles that the migrations make, NOLOGIN until a password is set here. */
const SERVICE_ROLES = {
  operator: 'bankhouse_operator',
  control: 'bankhouse_control',
  gateway: 'bankhouse_gateway',
} as const;

export type ServicePasswords = Readonly<Partial<Record<keyof typeof SERVICE_ROLES, string>>>;

export interface MigrateOptions {
  /** As the owner: a role that may create in the database and has CREATEROLE. It need not be a superuser. */
  databaseUrl: string;
  /** Folder of `NNNN_name.sql`. */
  migrationsDir: string;
  /** A service role with a password may log in from then on; others are left as they are. */
  passwords?: ServicePasswords;
  /** One sentence per step; never a secret. */
  log: (message: string) => void;
  /** How long to wait for the database to accept connections. */
  connectTimeoutMs?: number;
}

/** `code` is `database_unreachable`, `database_refused`, `owner_unfit` or `migration_failed`. */
export class MigrationError extends BankhouseError {
  constructor(
    code: 'database_unreachable' | 'database_refused' | 'owner_unfit' | 'migration_failed',
    message: string,
    cause: unknown,
  ) {
    super(code, message, { cause });
    this.name = 'MigrationError';
  }
}

/**
 * Brings the database to the newest schema, all in one transaction, and sets the service roles' passwords. Safe to run again
 * and at once from several places: an advisory lock lets one go first.
 *
 * @returns names of the migrations that were applied now
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const client = await connect(options);
  try {
    await checkOwner(client);
    // The runner's own lock ends before the passwords, and two ALTER ROLE at once fail. Given back with the connection.
    await client.query("select pg_advisory_lock(hashtext('bankhouse'), hashtext('migrate'))");
    const applied = await apply(client, options);
    await setPasswords(client, options.passwords ?? {});
    await chooseSimilarity(client, options);
    options.log(applied.length === 0 ? 'The schema is up to date.' : `Applied ${applied.length} migrations.`);
    return applied;
  } finally {
    await client.end();
  }
}

async function connect(options: MigrateOptions): Promise<pg.Client> {
  const { host, pathname } = new URL(options.databaseUrl);
  const client = new pg.Client({
    connectionString: options.databaseUrl,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 10_000,
    application_name: 'bankhouse-migrate',
  });
  try {
    await client.connect();
    return client;
  } catch (error) {
    // Class 28: the server answered and refuses this user or password; 3D000: it has no such database.
    const refused = error instanceof pg.DatabaseError && /^(28|3D000)/.test(error.code ?? '');
    const [code, what] = refused
      ? (['database_refused', 'refuses the sign-in'] as const)
      : (['database_unreachable', "can't be reached"] as const);
    throw new MigrationError(
      code,
      `The database at ${host}${pathname} ${what} (${messageOf(error)}); compare DATABASE_URL and DATABASE_PASSWORD.`,
      error,
    );
  }
}

async function checkOwner(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ name: string; version: number; roles: boolean; creates: boolean }>(
    `select current_user::text as name, current_setting('server_version_num')::int as version,
            rolcreaterole or rolsuper as roles,
            has_database_privilege(current_user, current_database(), 'CREATE') as creates
       from pg_catalog.pg_roles where rolname = current_user`,
  );
  const found = rows[0];
  if (found === undefined) return;
  const problem =
    found.version < 150_000
      ? `Bankhouse needs PostgreSQL 15 or newer, and this is ${Math.floor(found.version / 10_000)}`
      : !found.roles
        ? `The role ${found.name} needs CREATEROLE, because every bank gets a role of its own: ALTER ROLE ${found.name} CREATEROLE`
        : !found.creates
          ? `The role ${found.name} may not create schemas in this database: make it the database's owner`
          : undefined;
  if (problem !== undefined) throw new MigrationError('owner_unfit', `${problem}.`, undefined);
}

async function apply(client: pg.Client, options: MigrateOptions): Promise<string[]> {
  const quiet = () => {};
  try {
    const applied = await runner({
      dbClient: client,
      dir: options.migrationsDir,
      direction: 'up',
      // The table of what was applied stands in a schema that no other role may enter.
      migrationsTable: 'applied',
      migrationsSchema: 'bankhouse_migrations',
      createMigrationsSchema: true,
      singleTransaction: true,
      advisoryLockMode: 'wait',
      logger: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    });
    for (const { name } of applied) options.log(`Applied ${name}.`);
    return applied.map(({ name }) => name);
  } catch (error) {
    throw new MigrationError(
      'migration_failed',
      `A migration failed, and nothing was changed: ${messageOf(error)}`,
      error,
    );
  }
}

/** Each time, so that pgvector counts from the first run after it was installed (R3.12). */
async function chooseSimilarity(client: pg.Client, options: MigrateOptions): Promise<void> {
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
