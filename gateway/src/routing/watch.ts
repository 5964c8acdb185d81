import { BANK_POD_SELECTOR, type Logger } from '@bankhouse/core';
import { createScopedReflector, type Reflector, type ReflectorMetrics, type Transport } from '@bankhouse/kube';
import { type RoutedBank, type RoutedPod, readBank, readPod } from './objects.ts';
import type { BankTable } from './table.ts';

export interface RoutingWatch {
  start(): void;
  readonly isSynced: boolean;
  readonly synced: Promise<void>;
  stop(): Promise<void>;
}

/** Fills the table from the API server, with no more of each object than is read. */
export function watchRoutes(options: {
  table: BankTable;
  transport: Transport;
  /** Where banks are served; empty: everywhere. */
  namespaces?: readonly string[];
  logger: Logger;
  metrics?: ReflectorMetrics;
}): RoutingWatch {
  const { table, namespaces = [], ...shared } = options;
  const banks: Reflector<RoutedBank> = createScopedReflector(
    {
      ...shared,
      name: 'banks',
      path: '/apis/bankhouse.dev/v1alpha1/banks',
      trim: readBank,
      onChange: (key, { kind, object }) => table.setBank(key, kind === 'deleted' ? undefined : object),
    },
    namespaces,
  );
  const pods: Reflector<RoutedPod> = createScopedReflector(
    {
      ...shared,
      name: 'pods',
      path: '/api/v1/pods',
      labelSelector: BANK_POD_SELECTOR,
      trim: readPod,
      onChange: (key, { kind, object }) => table.setPod(key, kind === 'deleted' ? undefined : object),
    },
    namespaces,
  );
  return {
    start() {
      banks.start();
      pods.start();
    },
    get isSynced() {
      return banks.isSynced && pods.isSynced;
    },
    synced: Promise.all([banks.synced, pods.synced]).then(() => {}),
    async stop() {
      await Promise.all([banks.stop(), pods.stop()]);
    },
  };
}
