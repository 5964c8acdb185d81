export { checkArchive, type Summary } from './check.ts';
export { type ImportOptions, type ImportResult, importBank } from './import.ts';
