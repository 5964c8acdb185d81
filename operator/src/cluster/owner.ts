import { API_VERSION } from '@bankhouse/core';
import type { ObjectMeta, OwnerReference } from '@bankhouse/kube';

/** What has children: an object of ours, or the namespace for what its banks share. */
export interface Owner {
  apiVersion: string;
  kind: 'Bank' | 'McpServer' | 'Namespace';
  /** None where it is cluster-scoped. */
  namespace?: string | undefined;
  name: string;
  uid: string;
}

export function ownerOf(kind: Exclude<Owner['kind'], 'Namespace'>, { metadata }: { metadata: ObjectMeta }): Owner {
  const { namespace, name, uid = '' } = metadata;
  return { apiVersion: API_VERSION, kind, namespace, name, uid };
}

export function namespaceOwner(name: string, uid: string): Owner {
  return { apiVersion: 'v1', kind: 'Namespace', name, uid };
}

/** The reference that every child carries; the garbage collector goes by it, and so do we. */
export function ownerReference({ apiVersion, kind, name, uid }: Owner): OwnerReference {
  const reference = { apiVersion, kind, name, uid, controller: true };
  // Who is to block a deletion needs a right on the owner, and a namespace waits for its content anyway.
  return kind === 'Namespace' ? reference : { ...reference, blockOwnerDeletion: true };
}

/** Whether the object is the owner's child: by uid, because a name may have passed to another. */
export function isOwnedBy(
  { ownerReferences }: Pick<ObjectMeta, 'ownerReferences'>,
  owner: Pick<Owner, 'uid'>,
): boolean {
  return (
    owner.uid !== '' &&
    ownerReferences?.some(({ uid, controller }) => controller === true && uid === owner.uid) === true
  );
}
