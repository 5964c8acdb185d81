import { BANK_LABEL } from '@bankhouse/core';
import type { KubeObject, ObjectMeta } from '@bankhouse/kube';

/** A bank's pod as the cache keeps it. */
export interface StoredPod extends KubeObject {
  metadata: ObjectMeta;
  spec?: { containers: { name: string; image?: string }[] };
  status?: PodStatus;
}

export interface PodStatus {
  phase?: string;
  reason?: string;
  message?: string;
  conditions?: { type: string; status: string; reason?: string; message?: string }[];
  containerStatuses?: ContainerStatus[];
}

export interface ContainerStatus {
  name: string;
  ready?: boolean;
  restartCount?: number;
  state?: ContainerState;
  lastState?: ContainerState;
}

export interface ContainerState {
  waiting?: { reason?: string; message?: string };
  terminated?: { reason?: string; message?: string; exitCode?: number };
}

/** For the reflector: who it is, what it runs, and what the kubelet says of it. */
export function trimPod({ metadata, spec, status }: StoredPod): StoredPod {
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp, labels } = metadata;
  const bank = labels?.[BANK_LABEL];
  return {
    metadata: {
      name,
      namespace,
      uid,
      resourceVersion,
      creationTimestamp,
      deletionTimestamp,
      ...(bank === undefined ? {} : { labels: { [BANK_LABEL]: bank } }),
    },
    spec: {
      containers: (spec?.containers ?? []).map(({ name, image }) => ({
        name,
        ...(image === undefined ? {} : { image }),
      })),
    },
    ...(status === undefined ? {} : { status: trimStatus(status) }),
  };
}

function trimStatus({ phase, reason, message, conditions, containerStatuses }: PodStatus): PodStatus {
  return {
    ...(phase === undefined ? {} : { phase }),
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
    conditions: (conditions ?? [])
      .filter(({ type }) => type === 'Ready' || type === 'PodScheduled')
      .map(({ type, status, reason, message }) => ({
        type,
        status,
        ...(reason === undefined ? {} : { reason }),
        ...(message === undefined ? {} : { message }),
      })),
    containerStatuses: (containerStatuses ?? []).map(({ name, ready, restartCount, state, lastState }) => ({
      name,
      ...(ready === undefined ? {} : { ready }),
      ...(restartCount === undefined ? {} : { restartCount }),
      ...(state === undefined ? {} : { state: trimState(state) }),
      ...(lastState === undefined ? {} : { lastState: trimState(lastState) }),
    })),
  };
}

/** Without times and ids, which change without news. */
function trimState({ waiting, terminated }: ContainerState): ContainerState {
  return {
    ...(waiting === undefined ? {} : { waiting: { reason: waiting.reason ?? '', message: waiting.message ?? '' } }),
    ...(terminated === undefined
      ? {}
      : {
          terminated: {
            reason: terminated.reason ?? '',
            message: terminated.message ?? '',
            exitCode: terminated.exitCode ?? 0,
          },
        }),
  };
}

/** Of the container that is the bank server. */
const CONTAINER = 'server';

/**
 * The image that answers calls now: of the pods that are ready; while old and new ones are, the old one, until it answers no more.
 * `undefined` where none is.
 *
 * @param wanted the image that pods are to run
 */
export function answeringImage(pods: readonly StoredPod[], wanted: string | undefined): string | undefined {
  const images = pods
    .filter(({ metadata, status }) => metadata.deletionTimestamp === undefined && isReady(status))
    .flatMap(({ spec }) => spec?.containers.find(({ name }) => name === CONTAINER)?.image ?? []);
  return images.find((image) => image !== wanted) ?? images[0];
}

function isReady(status: PodStatus | undefined): boolean {
  return status?.conditions?.some(({ type, status: holds }) => type === 'Ready' && holds === 'True') === true;
}
