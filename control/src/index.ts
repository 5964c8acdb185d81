export { type ControlConfig, configSchema } from './config.ts';
export { createKeeper, type Keeper, type KeeperOptions, type KeptServer } from './databases/index.ts';
export { type MigrateOptions, MigrationError, migrate, type ServicePasswords } from './migrations/index.ts';
export { type ControlProcess, startControl } from './process.ts';
