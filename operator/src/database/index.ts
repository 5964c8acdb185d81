export {
  type BankCredentials,
  type BankRecord,
  type BankState,
  createDatabase,
  type Database,
  DatabaseError,
  type DatabaseErrorCode,
} from './database.ts';
