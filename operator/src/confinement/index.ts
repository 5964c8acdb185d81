export { applyPolicies } from './policies.ts';
export { type ConfinementDeps, createConfinementReconciler } from './reconciler.ts';
