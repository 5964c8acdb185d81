export { digest } from './digest.ts';
export { Fault, main } from './fault.ts';
export {
  ADMIN_KEY_FILE,
  ADMIN_URL_FILE,
  BIN,
  binary,
  CA_FILE,
  FRONT_DOOR_STATE,
  KUBECONFIG,
  LOGS,
  NODE_STATE,
  PLATFORM_FILE,
  ROOT,
  STATE,
} from './paths.ts';
export { type Step, say, step } from './progress.ts';
export { type Ran, type RunOptions, run, tryRun } from './run.ts';
export { until } from './until.ts';
