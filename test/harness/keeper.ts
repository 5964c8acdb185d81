import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKeeper, type Keeper, type KeeperOptions } from '@bankhouse/control';
import { createLogger, createRegistry } from '@bankhouse/core';

const MIGRATIONS = join(import.meta.dirname, '../../migrations');

/** Of the tenants' part. */
export const GENERATION = Number(
  /^tenants generation (\d+)/m.exec(readFileSync(join(MIGRATIONS, 'frozen.txt'), 'utf8'))?.[1],
);

/** Who keeps databases, at work in this process, by the migrations of this version unless others are given. */
export function startKeeper({
  migrationsDir = MIGRATIONS,
  ...options
}: Pick<KeeperOptions, 'databaseUrl' | 'servers'> &
  Partial<Pick<KeeperOptions, 'logger'>> & { migrationsDir?: string | undefined }): Keeper {
  const keeper = createKeeper({
    migrationsDir,
    logger: createLogger({ component: 'test', level: 'fatal' }),
    registry: createRegistry('test'),
    ...options,
  });
  keeper.start();
  return keeper;
}

/** A folder of what a release before this one had: a generation less. To be removed. */
export function migrationsBefore(): string {
  const folder = mkdtempSync(join(tmpdir(), 'bankhouse-older-'));
  cpSync(MIGRATIONS, folder, { recursive: true });
  const frozen = join(folder, 'frozen.txt');
  const text = readFileSync(frozen, 'utf8');
  writeFileSync(frozen, text.replace(`tenants generation ${GENERATION}`, `tenants generation ${GENERATION - 1}`));
  return folder;
}
