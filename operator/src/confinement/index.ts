export { type ConfinementDeps, createConfinementReconciler } from './reconciler.ts';
