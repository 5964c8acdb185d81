export { createEraser, type Eraser } from './eraser.ts';
export { createErasingMetrics, type ErasingMetrics } from './metrics.ts';
