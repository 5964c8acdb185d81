export { summarize, toConditions, verdictsOf } from './conditions.ts';
export { type Conclusion, createReconciler, type StatusWriter } from './reconciler.ts';
export { type Ended, type Report, runSteps } from './run-steps.ts';
export { conditionsOf, type Kind, type Step, StepFailure, type StepResult, stepOf } from './step.ts';
