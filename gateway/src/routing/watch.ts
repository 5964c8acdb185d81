import { BANK_LABEL, type Logger } from '@bankhouse/core';
import {
  createScopedReflector,
  type KubeObject,
  type Reflector,
  type ReflectorMetrics,
  type Transport,
} from '@bankhouse/kube';
import type { BankTable, EndpointSlice, RoutedBank } from './table.ts';

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
  const banks: Reflector<KubeObject & RoutedBank> = createScopedReflector(
    {
      ...shared,
      name: 'banks',
      path: '/apis/bankhouse.dev/v1alpha1/banks',
      trim: trimBank,
      onChange: (key, { kind, object }) => table.setBank(key, kind === 'deleted' ? undefined : object),
    },
    namespaces,
  );
  const slices: Reflector<KubeObject & EndpointSlice> = createScopedReflector(
    {
      ...shared,
      name: 'endpointslices',
      path: '/apis/discovery.k8s.io/v1/endpointslices',
      labelSelector: BANK_LABEL,
      trim: trimSlice,
      onChange: (key, { kind, object }) => table.setSlice(key, kind === 'deleted' ? undefined : object),
    },
    namespaces,
  );
  return {
    start() {
      banks.start();
      slices.start();
    },
    get isSynced() {
      return banks.isSynced && slices.isSynced;
    },
    synced: Promise.all([banks.synced, slices.synced]).then(() => {}),
    async stop() {
      await Promise.all([banks.stop(), slices.stop()]);
    },
  };
}

function trimMetadata({ name, namespace, uid, resourceVersion, labels, deletionTimestamp }: KubeObject['metadata']) {
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(labels === undefined ? {} : { labels }),
    ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
  };
}

function trimBank(bank: KubeObject & RoutedBank): KubeObject & RoutedBank {
  const { id, suspend } = bank.spec;
  const accepted = bank.status?.conditions?.filter(({ type }) => type === 'Accepted');
  return {
    metadata: trimMetadata(bank.metadata),
    spec: { suspend, ...(id === undefined ? {} : { id }) },
    status: {
      ...(accepted === undefined ? {} : { conditions: accepted }),
      ...(bank.status?.keyGeneration === undefined ? {} : { keyGeneration: bank.status.keyGeneration }),
    },
  };
}

function trimSlice(slice: KubeObject & EndpointSlice): KubeObject & EndpointSlice {
  return {
    metadata: trimMetadata(slice.metadata),
    addressType: slice.addressType,
    endpoints: (slice.endpoints ?? []).map(({ addresses, conditions }) => ({
      addresses,
      ...(conditions === undefined ? {} : { conditions }),
    })),
    ports: slice.ports ?? [],
  };
}
