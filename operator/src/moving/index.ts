export { MoveError, type MoveErrorCode } from './errors.ts';
export {
  abortMove,
  eraseLeft,
  type Moved,
  type MoveOptions,
  type MoveProgress,
  type MoveStep,
  moveBank,
} from './move.ts';
