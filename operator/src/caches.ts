import type { Bank, BankClass, McpServer } from '@bankhouse/core';
import { type KubeObject, METADATA_ACCEPT, type Transport } from '@bankhouse/kube';
import type { ChildCaches } from './cluster/apply.ts';
import type { FreshCache } from './cluster/fresh-cache.ts';
import type { StoredPod } from './decide/pods.ts';

/** Copies of what the API server has. */
export interface Caches {
  banks: FreshCache<Bank>;
  classes: FreshCache<BankClass>;
  mcpServers: FreshCache<McpServer>;
  children: ChildCaches;
  /** Of banks. */
  pods: FreshCache<StoredPod>;
  /** Metadata alone. */
  namespaces: FreshCache<KubeObject>;
}

export interface Namespaces {
  /** From the cache; asked for where a Bank is heard of before its namespace is. */
  get(name: string): Promise<{ uid: string; labels: Readonly<Record<string, string>> }>;
}

export function createNamespaces(transport: Transport, cache: Pick<Caches['namespaces'], 'get'>): Namespaces {
  return {
    async get(name) {
      const path = `/api/v1/namespaces/${name}`;
      const { metadata } =
        cache.get(name) ?? (await transport.request<KubeObject>('GET', path, { accept: METADATA_ACCEPT }));
      return { uid: metadata.uid ?? '', labels: metadata.labels ?? {} };
    },
  };
}
