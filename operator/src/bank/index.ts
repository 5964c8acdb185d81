export type { BankDeps, BankKind, BankSnapshot } from './kind.ts';
export { asksToMove, takeMoveOff } from './moving.ts';
export { CLEANUP, CONDITIONS, createBankReconciler, transitionOf, UPKEEP } from './reconciler.ts';
