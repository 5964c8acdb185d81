import { CLASS_LABEL, MANAGED_BY, MANAGED_BY_LABEL } from '@bankhouse/core';
import type { KubeObject, ObjectMeta } from '@bankhouse/kube';
import type { Child, ChildKind } from '../resources/index.ts';
import { digestOf, ownedPart } from './owned.ts';

/** Collections of the children, by kind. */
export const CHILD_API: Readonly<Record<ChildKind, { prefix: string; plural: string }>> = {
  ServiceAccount: { prefix: '/api/v1', plural: 'serviceaccounts' },
  Secret: { prefix: '/api/v1', plural: 'secrets' },
  Service: { prefix: '/api/v1', plural: 'services' },
  Deployment: { prefix: '/apis/apps/v1', plural: 'deployments' },
  NetworkPolicy: { prefix: '/apis/networking.k8s.io/v1', plural: 'networkpolicies' },
  PodDisruptionBudget: { prefix: '/apis/policy/v1', plural: 'poddisruptionbudgets' },
};

/** Only what carries our label is watched; a child that loses it looks deleted, and is then applied again. */
export const CHILD_SELECTOR = `${MANAGED_BY_LABEL}=${MANAGED_BY}`;

export function childPath(kind: ChildKind, namespace: string, name: string): string {
  const { prefix, plural } = CHILD_API[kind];
  return `${prefix}/namespaces/${namespace}/${plural}/${name}`;
}

/** What a Deployment says about its pods. */
export interface DeploymentStatus {
  observedGeneration?: number;
  replicas?: number;
  updatedReplicas?: number;
  availableReplicas?: number;
  conditions?: { type: string; status: string; reason?: string; message?: string }[];
}

/** A child as the cache keeps it: who it is, of its labels the class that it is confined as, a digest of what we own of it, and the few values that decisions need. */
export interface StoredChild extends KubeObject {
  metadata: ObjectMeta;
  ownedDigest: string;
  /** Of a Secret: its data, base64. */
  data?: Record<string, string>;
  /** Of a Deployment. */
  status?: DeploymentStatus;
}

/** For the reflector: an object of the API server as it is kept. */
export function trimChild(kind: ChildKind, object: KubeObject & Partial<StoredChild>): StoredChild {
  const { name, namespace, uid, resourceVersion, generation, deletionTimestamp, ownerReferences } = object.metadata;
  const className = object.metadata.labels?.[CLASS_LABEL];
  const metadata: ObjectMeta = { name, ...(className === undefined ? {} : { labels: { [CLASS_LABEL]: className } }) };
  Object.assign(metadata, present({ namespace, uid, resourceVersion, generation, deletionTimestamp, ownerReferences }));
  return {
    metadata,
    ownedDigest: digestOf(ownedPart(object)),
    ...(kind === 'Secret' && object.data !== undefined ? { data: object.data } : {}),
    ...(kind === 'Deployment' && object.status !== undefined ? { status: trimStatus(object.status) } : {}),
  };
}

function trimStatus(status: DeploymentStatus): DeploymentStatus {
  const { observedGeneration, replicas, updatedReplicas, availableReplicas, conditions } = status;
  const told = conditions?.map(({ type, status, reason, message }) => present({ type, status, reason, message }));
  return present({
    observedGeneration,
    replicas,
    updatedReplicas,
    availableReplicas,
    conditions: told,
  }) as DeploymentStatus;
}

/** Digest of a wanted child, to compare with `ownedDigest`: everything but what says which object it is. */
export function wantedDigest(child: Child): string {
  const { apiVersion: _, kind: __, metadata, ...body } = child;
  const { labels, annotations, ownerReferences } = metadata;
  return digestOf({ ...body, metadata: { labels, annotations, ownerReferences } });
}

function present<T extends Record<string, unknown>>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
