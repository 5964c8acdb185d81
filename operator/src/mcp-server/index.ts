export { createMcpServerReconciler, type ServerDeps } from './reconciler.ts';
