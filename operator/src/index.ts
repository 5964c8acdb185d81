export { configSchema, type EgressPeer, type OperatorConfig } from './config.ts';
export {
  type BankCredentials,
  type BankRecord,
  type BankState,
  type Claimed,
  createDatabase,
  type Database,
  DatabaseError,
  type Erased,
  type IdClaim,
} from './database/index.ts';
export { createOperator, type Operator, type OperatorOptions } from './operator.ts';
export { createFrontDoor, type FrontDoor } from './probe/index.ts';
export { type ReleaseOptions, release } from './release/index.ts';
export type { Settings } from './settings.ts';
export { createWatchdog, type Watchdog, type WatchdogOptions } from './watchdog/index.ts';
