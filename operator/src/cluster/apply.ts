import { FIELD_MANAGER } from '@bankhouse/core';
import {
  APPLY_PATCH_TYPE,
  isApiError,
  type KubeObject,
  keyOf,
  METADATA_ACCEPT,
  type ObjectMeta,
  type Transport,
} from '@bankhouse/kube';
import { fails, starting } from '../decide/verdict.ts';
import { StepFailure } from '../reconcile/index.ts';
import type { Child, ChildKind } from '../resources/index.ts';
import type { FreshCache } from './fresh-cache.ts';
import { isOwnedBy, type Owner } from './owner.ts';
import { childPath, type StoredChild, trimChild, wantedDigest } from './stored.ts';

export type Applied = 'created' | 'configured' | 'unchanged';

export type ChildCaches = Readonly<Record<ChildKind, FreshCache<StoredChild>>>;

export interface ChildKey {
  kind: ChildKind;
  namespace: string;
  name: string;
}

/** The one writer of children. */
export interface Applier {
  /**
   * Makes the child as wanted by server-side apply, or does nothing at all when it is so already. Takes over fields that
   * somebody else changed; fields that we don't name stay as they are. Two applies of one child run one after the other.
   *
   * @param options.isThere what `isThere` has just said, so that it is not asked again
   * @throws StepFailure `NotOwned` where an object of that name is there and not the owner's: it is left as it is, and unread
   */
  apply(owner: Owner, child: Child, options?: { isThere?: boolean }): Promise<Applied>;
  /** Whether the owner's child is there, by its metadata alone. @throws StepFailure as `apply` */
  isThere(owner: Owner, key: ChildKey): Promise<boolean>;
  /** Whether an apply would find nothing to do. */
  isAsWanted(owner: Owner, child: Child): boolean;
  /**
   * Deletes the child if it is there and the owner's. `going`: it is still there, until something else has ended. In one row with the
   * applies of that child.
   *
   * @param options.unless asked when its turn has come: then it stays, and is `going` no more than before
   */
  remove(
    owner: Owner,
    key: ChildKey,
    options?: { propagation?: 'Background' | 'Foreground'; unless?: () => boolean },
  ): Promise<'gone' | 'going' | 'kept'>;
}

export function createApplier(transport: Transport, caches: ChildCaches): Applier {
  /**
   * Pairs of digests that an apply left: it wanted the first and got the second, because the API server writes some value in
   * another form. Seen again, that pair is no difference; otherwise it would be applied for ever.
   */
  const settled = new Map<string, string>();
  /** What is under way, by path. */
  const underWay = new Map<string, Promise<unknown>>();

  /** One after the other on each path. */
  async function inTurn<T>(path: string, work: () => Promise<T>): Promise<T> {
    const before = underWay.get(path);
    const turn = (async () => {
      await before?.catch(() => {});
      return work();
    })();
    underWay.set(path, turn);
    try {
      return await turn;
    } finally {
      if (underWay.get(path) === turn) underWay.delete(path);
    }
  }

  /** Metadata of what has the name, from the cache, which holds only what carries our label, else from the API server. */
  async function find({ kind, namespace, name }: ChildKey): Promise<ObjectMeta | undefined> {
    const cached = caches[kind].get(`${namespace}/${name}`);
    if (cached !== undefined) return cached.metadata;
    try {
      const path = childPath(kind, namespace, name);
      return (await transport.request<KubeObject>('GET', path, { accept: METADATA_ACCEPT })).metadata;
    } catch (error) {
      if (isApiError(error, 'not_found')) return undefined;
      throw error;
    }
  }

  async function isThere(owner: Owner, key: ChildKey): Promise<boolean> {
    const found = await find(key);
    if (found === undefined) return false;
    if (isOwnedBy(found, owner)) return true;
    throw found.deletionTimestamp === undefined ? notOwned(owner, key) : stillGoing(key);
  }

  function isSo(child: Child, wanted: string): boolean {
    const current = caches[child.kind].get(keyOf(child));
    if (current === undefined) return false;
    return current.ownedDigest === wanted || settled.get(`${current.metadata.uid} ${wanted}`) === current.ownedDigest;
  }

  async function removeNow(owner: Owner, { kind, namespace, name }: ChildKey, propagation: string) {
    const current = caches[kind].get(`${namespace}/${name}`);
    if (current === undefined || !isOwnedBy(current.metadata, owner)) return 'gone';
    if (current.metadata.deletionTimestamp !== undefined) return 'going';
    try {
      const answer = await transport.request<KubeObject>('DELETE', childPath(kind, namespace, name), {
        body: { propagationPolicy: propagation, preconditions: { uid: current.metadata.uid } },
      });
      // What still has finalizers is answered as it now is; what is gone by a Status.
      if (answer.metadata?.deletionTimestamp === undefined) {
        caches[kind].removed(current);
        return 'gone';
      }
      caches[kind].wrote(trimChild(kind, answer));
      return 'going';
    } catch (error) {
      if (!isApiError(error, 'not_found', 'conflict')) throw error;
      return 'gone';
    }
  }

  async function applyNow(owner: Owner, child: Child, known: boolean | undefined): Promise<Applied> {
    const key = { kind: child.kind, namespace: child.metadata.namespace, name: child.metadata.name };
    const wasThere = known ?? (await isThere(owner, key));
    const wanted = wantedDigest(child);
    if (isSo(child, wanted)) return 'unchanged';
    const answer = await transport.request<KubeObject>('PATCH', childPath(key.kind, key.namespace, key.name), {
      body: child,
      contentType: APPLY_PATCH_TYPE,
      query: { fieldManager: FIELD_MANAGER, force: true },
    });
    const stored = trimChild(child.kind, answer);
    caches[child.kind].wrote(stored);
    if (stored.ownedDigest !== wanted) settled.set(`${stored.metadata.uid} ${wanted}`, stored.ownedDigest);
    return wasThere ? 'configured' : 'created';
  }

  return {
    isThere,

    isAsWanted(owner, child) {
      const current = caches[child.kind].get(keyOf(child));
      return current !== undefined && isOwnedBy(current.metadata, owner) && isSo(child, wantedDigest(child));
    },

    apply: (owner, child, options) =>
      inTurn(childPath(child.kind, child.metadata.namespace, child.metadata.name), () =>
        applyNow(owner, child, options?.isThere),
      ),

    remove: (owner, key, { propagation = 'Background', unless } = {}) =>
      inTurn(childPath(key.kind, key.namespace, key.name), async () =>
        unless?.() === true ? 'kept' : removeNow(owner, key, propagation),
      ),
  };
}

function notOwned(owner: Owner, { kind, namespace, name }: ChildKey): StepFailure {
  const message = `The ${kind} "${name}" in the namespace ${namespace} was not made for ${owner.kind === 'Namespace' ? "the namespace's banks" : `this ${owner.kind}`}; delete it, and the operator goes on by itself.`;
  return new StepFailure(fails('NotOwned', message), 'retry');
}

/** Of a Bank before: it goes by itself. */
function stillGoing({ kind, name }: ChildKey): StepFailure {
  const message = `An earlier ${kind} "${name}" is still being deleted.`;
  return new StepFailure(starting('StillDeleting', message), 'retry');
}
