import { isIP } from 'node:net';
import { BANK_SERVER_CONTAINER, bankOfPod, field, listOf, textOf } from '@bankhouse/core';
import type { KubeObject, ObjectMeta } from '@bankhouse/kube';

/** What counts of a Bank. */
export interface RoutedBank extends KubeObject {
  /** The id in force. */
  readonly id: string;
  readonly isSuspended: boolean;
  /** Accepted under this id, by the operator's word in the status, and not being deleted. */
  readonly isAccepted: boolean;
  readonly keyGeneration: number;
  /** Images that have proven themselves to be this bank's, by the operator's word in the status. */
  readonly provenImages: readonly string[];
}

/** What counts of a Pod. */
export interface RoutedPod extends KubeObject {
  /** The bank that it serves by its labels and its owner; undefined: none. */
  readonly bank?: string;
  /** Where calls can go; undefined: nowhere (yet). */
  readonly target?: { readonly ip: string; readonly isServing: boolean; readonly image?: string };
}

/** A Bank as the table keeps it. Whatever the object is, this doesn't throw: one object must not stop the watch. */
export function readBank(object: unknown): RoutedBank {
  const metadata = readMetadata(object);
  const spec = field(object, 'spec');
  const status = field(object, 'status');
  const id = textOf(field(spec, 'id')) ?? metadata.name;
  const generation = field(status, 'keyGeneration');
  return {
    metadata,
    id,
    isSuspended: field(spec, 'suspend') === true,
    isAccepted:
      conditionOf(status, 'Accepted')?.status === 'True' &&
      field(status, 'id') === id &&
      metadata.uid !== undefined &&
      field(object, 'metadata', 'deletionTimestamp') === undefined,
    keyGeneration:
      typeof generation === 'number' && Number.isSafeInteger(generation) && generation >= 0 ? generation : 1,
    provenImages: listOf(field(status, 'provenImages')).filter((image) => typeof image === 'string'),
  };
}

/**
 * A Pod as the table keeps it. Whatever the object is, this doesn't throw.
 *
 * | Pod                                                                        | calls                         |
 * |----------------------------------------------------------------------------|-------------------------------|
 * | deleted or being deleted, no address, not Running, not of a bank's own ReplicaSet | never                  |
 * | Ready                                                                      | go there                      |
 * | its server runs, and has not been ready since it started                   | go there where no pod is Ready |
 * | was ready and is no more: sick, or its node is lost                        | never                         |
 *
 * For what the owner says see `bankOfPod`; the namespace, the constant port and `pods/status` (by default the kubelet's alone) keep
 * everybody else out. That a pod is who it says is for the seal to find, and for the proof in its answer: who has not the key of this
 * incarnation can't open the one nor make the other.
 */
export function readPod(object: unknown): RoutedPod {
  const metadata = readMetadata(object);
  const bank = bankOfPod(object);
  const target = bank === undefined ? undefined : targetOf(object);
  return { metadata, ...(bank === undefined ? {} : { bank }), ...(target === undefined ? {} : { target }) };
}

/** As a header can have it, and a Bank's status. */
const IMAGE_ID = /^[\x21-\x7e]{1,512}$/;

function targetOf(pod: unknown): RoutedPod['target'] {
  if (field(pod, 'metadata', 'deletionTimestamp') !== undefined) return undefined;
  const status = field(pod, 'status');
  const ip = textOf(field(status, 'podIP'));
  if (ip === undefined || isIP(ip) === 0 || ip.includes('%') || field(status, 'phase') !== 'Running') return undefined;
  const server = listOf(field(status, 'containerStatuses')).find((it) => field(it, 'name') === BANK_SERVER_CONTAINER);
  const image = textOf(field(server, 'imageID'));
  const at = { ip, ...(image !== undefined && IMAGE_ID.test(image) ? { image } : {}) };
  const ready = conditionOf(status, 'Ready');
  if (ready?.status === 'True') return { ...at, isServing: true };
  return isStarting(server, ready?.lastTransitionTime) ? { ...at, isServing: false } : undefined;
}

/** @param unreadySince when the pod became unready: before its server started, or at a later failure of a probe or the node */
function isStarting(server: unknown, unreadySince: string | undefined): boolean {
  const startedAt = Date.parse(textOf(field(server, 'state', 'running', 'startedAt')) ?? '');
  if (Number.isNaN(startedAt)) return false;
  return unreadySince === undefined || Date.parse(unreadySince) <= startedAt;
}

function readMetadata(object: unknown): ObjectMeta {
  const metadata = field(object, 'metadata');
  const [namespace, uid, resourceVersion] = ['namespace', 'uid', 'resourceVersion'].map((name) =>
    textOf(field(metadata, name)),
  );
  return {
    name: textOf(field(metadata, 'name')) ?? '',
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}

function conditionOf(
  status: unknown,
  type: string,
): { status: unknown; lastTransitionTime: string | undefined } | undefined {
  const found = listOf(field(status, 'conditions')).find((condition) => field(condition, 'type') === type);
  if (found === undefined) return undefined;
  return { status: field(found, 'status'), lastTransitionTime: textOf(field(found, 'lastTransitionTime')) };
}
