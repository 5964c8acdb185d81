import { API_VERSION } from '@bankhouse/core';
import type { ObjectMeta, OwnerReference } from '@bankhouse/kube';

/** An object of ours that has children; those of a BankClass are in the namespaces of its banks. */
export interface Owner {
  apiVersion: string;
  kind: 'Bank' | 'BankClass' | 'McpServer';
  /** None where it is cluster-scoped. */
  namespace?: string | undefined;
  name: string;
  uid: string;
}

export function ownerOf(kind: Owner['kind'], { metadata }: { metadata: ObjectMeta }): Owner {
  const { namespace, name, uid = '' } = metadata;
  return { apiVersion: API_VERSION, kind, namespace, name, uid };
}

/** The reference that every child carries; the garbage collector goes by it, and so do we. */
export function ownerReference({ apiVersion, kind, name, uid }: Owner): OwnerReference {
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
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
