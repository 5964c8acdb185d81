import { type Bank, bankIdOf, childLabels, childName } from '@bankhouse/core';
import type { ObjectMeta } from '@bankhouse/kube';
import { ownerOf, ownerReference } from '../cluster/owner.ts';

/** Kinds of children, in the order in which they are made: what confines a pod comes before the pod. */
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

/** What builders need of a Bank. */
export type BankIdentity = Pick<Bank, 'metadata' | 'spec'>;

/** Metadata of every child: named after the bank's id, in the Bank's namespace, owned by the Bank. */
export function childMetadata(bank: BankIdentity): Child['metadata'] {
  const id = bankIdOf(bank);
  return {
    name: childName(id),
    namespace: bank.metadata.namespace ?? '',
    labels: childLabels(id),
    ownerReferences: [ownerReference(ownerOf('Bank', bank))],
  };
}
