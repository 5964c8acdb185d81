import { FIELD_MANAGER } from '@bankhouse/core';
import { APPLY_PATCH_TYPE, isApiError, type KubeObject, keyOf, type Transport } from '@bankhouse/kube';
import type { Child, ChildKind } from '../resources/index.ts';
import type { FreshCache } from './fresh-cache.ts';
import { childPath, type StoredChild, trimChild, wantedDigest } from './stored.ts';

export type Applied = 'created' | 'configured' | 'unchanged';

export type ChildCaches = Readonly<Record<ChildKind, FreshCache<StoredChild>>>;

/** The one writer of children. */
export interface Applier {
  /**
   * Makes the child as wanted by server-side apply, or does nothing at all when it is so already. Takes over fields that
   * somebody else changed; fields that we don't name stay as they are.
   */
  apply(child: Child): Promise<Applied>;
  /** Deletes the child if it is there and belongs to the owner; says whether there was anything to delete. */
  remove(kind: ChildKind, key: { namespace: string; name: string }, ownerUid: string): Promise<boolean>;
}

export function createApplier(transport: Transport, caches: ChildCaches): Applier {
  /**
   * Pairs of digests that an apply left: it wanted the first and got the second, because the API server writes some value in
   * another form. Seen again, that pair is no difference; otherwise it would be applied for ever.
   */
  const settled = new Map<string, string>();

  return {
    async apply(child) {
      const current = caches[child.kind].get(keyOf(child));
      const wanted = wantedDigest(child);
      if (current !== undefined) {
        if (current.ownedDigest === wanted) return 'unchanged';
        if (settled.get(`${current.metadata.uid} ${wanted}`) === current.ownedDigest) return 'unchanged';
      }
      const path = childPath(child.kind, child.metadata.namespace, child.metadata.name);
      const answer = await transport.request<KubeObject>('PATCH', path, {
        body: child,
        contentType: APPLY_PATCH_TYPE,
        query: { fieldManager: FIELD_MANAGER, force: true },
      });
      const stored = trimChild(child.kind, answer);
      caches[child.kind].wrote(stored);
      if (stored.ownedDigest !== wanted) settled.set(`${stored.metadata.uid} ${wanted}`, stored.ownedDigest);
      return current === undefined ? 'created' : 'configured';
    },

    async remove(kind, key, ownerUid) {
      const current = caches[kind].get(`${key.namespace}/${key.name}`);
      if (current === undefined) return false;
      if (current.metadata.ownerReferences?.some((owner) => owner.uid === ownerUid) !== true) return false;
      if (current.metadata.deletionTimestamp !== undefined) return true;
      try {
        await transport.request('DELETE', childPath(kind, key.namespace, key.name), {
          body: { propagationPolicy: 'Background', preconditions: { uid: current.metadata.uid } },
        });
      } catch (error) {
        if (!isApiError(error, 'not_found', 'conflict')) throw error;
      }
      return true;
    },
  };
}
