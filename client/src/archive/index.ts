export { type Catalog, type Column, readCatalog, tablesIn } from './catalog.ts';
export { Chain, sha256 } from './chain.ts';
export {
  type Checkpoint,
  DamagedError,
  type End,
  FORMAT,
  FORMAT_VERSION,
  type Header,
  headerLine,
  isCheckpointDue,
  MAX_LINE_BYTES,
  withMember,
} from './format.ts';
export { type Line, readArchive } from './reader.ts';
export { EXPORTED, type ExportedTable, flatten, NOT_EXPORTED } from './tables.ts';
