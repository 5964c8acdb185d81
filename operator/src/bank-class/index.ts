export { type ClassDeps, createClassReconciler } from './reconciler.ts';
