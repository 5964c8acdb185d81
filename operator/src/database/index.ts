export {
  type BankCredentials,
  type BankRecord,
  type BankState,
  type Claimed,
  createDatabase,
  type Database,
  DatabaseError,
  type DatabaseErrorCode,
  type Erased,
  type GoingDatabase,
  type IdClaim,
  isMissing,
  type Move,
  type Moves,
  type OwnDatabase,
  type TenantDatabase,
} from './database.ts';
export { createDatabaseGate, type DatabaseGate, type Gate, type TenantGate } from './gate.ts';
