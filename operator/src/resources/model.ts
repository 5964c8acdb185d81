import {
  type Bank,
  type BankClass,
  bankIdOf,
  childLabels,
  childName,
  MANAGED_BY,
  MANAGED_BY_LABEL,
} from '@bankhouse/core';
import type { ObjectMeta } from '@bankhouse/kube';
import { type Owner, ownerOf, ownerReference } from '../cluster/owner.ts';

/**
 * Kinds of children, in the order in which they are made: what confines a pod comes before the pod. ServiceAccounts and Services are of
 * the version before, and no more made (ADR 17).
 */
export const CHILD_KINDS = [
  'ServiceAccount',
  'Secret',
  'NetworkPolicy',
  'Service',
  'PodDisruptionBudget',
  'Deployment',
] as const;
export type ChildKind = (typeof CHILD_KINDS)[number];

/** A child as it shall be: only fields that we decide on, so that all else is left to the API server and to others. */
export type Child<Body = unknown> = {
  apiVersion: string;
  kind: ChildKind;
  metadata: ObjectMeta & { namespace: string };
} & Body;

/** What builders need of a Bank, and of its class. */
export type BankIdentity = Pick<Bank, 'metadata' | 'spec'>;
export type ClassIdentity = Pick<BankClass, 'spec'> & { metadata: { name: string } };

/** Metadata of a bank's own child: named after the bank's id, in the Bank's namespace, owned by the Bank. */
export function childMetadata(bank: BankIdentity): Child['metadata'] {
  const id = bankIdOf(bank);
  return {
    name: childName(id),
    namespace: bank.metadata.namespace ?? '',
    labels: childLabels(id),
    ownerReferences: [ownerReference(ownerOf('Bank', bank))],
  };
}

/**
 * Metadata of what the banks of a class share in a namespace. The namespace owns it: it is there for as long as the pods can be, whatever
 * becomes of the class (ADR 17).
 */
export function sharedMetadata(namespace: Owner, name: string): Child['metadata'] {
  return {
    name,
    namespace: namespace.name,
    labels: { [MANAGED_BY_LABEL]: MANAGED_BY },
    ownerReferences: [ownerReference(namespace)],
  };
}
