export type { BankDeps, BankKind, BankSnapshot } from './kind.ts';
export { CLEANUP, CONDITIONS, createBankReconciler, transitionOf, UPKEEP } from './reconciler.ts';
