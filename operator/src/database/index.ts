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
  type IdClaim,
} from './database.ts';
export { createDatabaseGate, type DatabaseGate } from './gate.ts';
