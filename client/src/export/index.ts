export { type ExportOptions, type ExportProgress, type ExportResult, exportBank } from './export.ts';
