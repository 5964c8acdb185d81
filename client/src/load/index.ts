export {
  type LoadOptions,
  listVaults,
  loadRecordings,
  type NumberedLine,
  numbered,
  type Progress,
  readLines,
} from './load.ts';
