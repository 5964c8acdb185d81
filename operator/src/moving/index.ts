export { MoveError, type MoveErrorCode } from './errors.ts';
export { createMovingMetrics, type MovingMetrics } from './metrics.ts';
export {
  abortMove,
  eraseLeft,
  type Moved,
  type MoveOptions,
  type MoveProgress,
  type MoveStep,
  moveBank,
} from './move.ts';
export { createMover, type Mover, type MoverOptions, type MoveState } from './mover.ts';
