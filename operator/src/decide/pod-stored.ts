import { BANK_LABEL, bankOfPod, CLASS_LABEL, field, listOf, textOf } from '@bankhouse/core';
import type { KubeObject, ObjectMeta } from '@bankhouse/kube';

/** Why a container waits, how it ran or ended; the newest first. */
export type ContainerState =
  | { readonly kind: 'waiting'; readonly reason: string; readonly message: string }
  | { readonly kind: 'running'; readonly since: number | undefined }
  | { readonly kind: 'ended'; readonly reason: string; readonly exitCode: number | undefined; readonly message: string }
  | { readonly kind: 'unknown' };

export interface StoredContainer {
  readonly name: string;
  readonly isInit: boolean;
  /** As the pod's spec has it. */
  readonly image: string;
  readonly isReady: boolean;
  /** Its startup probe succeeded. */
  readonly isStarted: boolean;
  readonly state: ContainerState;
  /** How it ended the time before. */
  readonly before: ContainerState;
}

/** A condition of a Pod; `since` in milliseconds since 1970. */
export interface PodCondition {
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly since: number | undefined;
}

/** A Pod as the cache keeps it: a few KiB at most, whatever was sent. Times are milliseconds since 1970. */
export interface StoredPod extends KubeObject {
  /**
   * Of the labels it has `CLASS_LABEL`, and `BANK_LABEL` if the pod serves that bank by its owner too (`bankOfPod`): else it is nobody's to
   * judge.
   */
  readonly metadata: ObjectMeta;
  /** Label `pod-template-hash`: pods of one template share it. */
  readonly template: string;
  readonly createdAt: number | undefined;
  readonly phase: string;
  /** Why it failed as a whole, such as `Evicted`. */
  readonly reason: string;
  readonly message: string;
  readonly conditions: Readonly<Record<PodConditionType, PodCondition | undefined>>;
  /** Init containers first, as they run. */
  readonly containers: readonly StoredContainer[];
}

const CONDITIONS = ['Ready', 'PodScheduled', 'PodReadyToStartContainers'] as const;
export type PodConditionType = (typeof CONDITIONS)[number];

const MAX_CONTAINERS = 16;
const MAX_WORD = 64;
const MAX_NAME = 253;
const MAX_IMAGE = 512;
const MAX_MESSAGE = 1024;

/** For the reflector. Whatever the object is, this doesn't throw: one object must not stop the watch (K2). */
export function trimPod(object: unknown): StoredPod {
  const status = field(object, 'status');
  return {
    metadata: metadataOf(object),
    template: word(field(object, 'metadata', 'labels', 'pod-template-hash')),
    createdAt: timeOf(field(object, 'metadata', 'creationTimestamp')),
    phase: word(field(status, 'phase')),
    reason: word(field(status, 'reason')),
    message: head(field(status, 'message'), MAX_MESSAGE),
    conditions: {
      Ready: conditionOf(status, 'Ready'),
      PodScheduled: conditionOf(status, 'PodScheduled'),
      PodReadyToStartContainers: conditionOf(status, 'PodReadyToStartContainers'),
    },
    containers: [
      ...containersOf(object, 'initContainers', 'initContainerStatuses'),
      ...containersOf(object, 'containers', 'containerStatuses'),
    ].slice(0, MAX_CONTAINERS),
  };
}

function metadataOf(object: unknown): ObjectMeta {
  const text = (name: string) => head(field(object, 'metadata', name), MAX_NAME);
  const [namespace, uid, resourceVersion, deletionTimestamp] = [
    text('namespace'),
    text('uid'),
    text('resourceVersion'),
    text('deletionTimestamp'),
  ];
  const labels = {
    [BANK_LABEL]: bankOfPod(object)?.slice(0, MAX_NAME),
    [CLASS_LABEL]: textOf(field(object, 'metadata', 'labels', CLASS_LABEL))?.slice(0, MAX_NAME),
  };
  const told = Object.entries(labels).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return {
    name: text('name'),
    ...(told.length === 0 ? {} : { labels: Object.fromEntries(told) }),
    ...(namespace === '' ? {} : { namespace }),
    ...(uid === '' ? {} : { uid }),
    ...(resourceVersion === '' ? {} : { resourceVersion }),
    ...(deletionTimestamp === '' ? {} : { deletionTimestamp }),
  };
}

function conditionOf(status: unknown, type: PodConditionType): PodCondition | undefined {
  const found = listOf(field(status, 'conditions')).find((condition) => field(condition, 'type') === type);
  if (found === undefined) return undefined;
  return {
    status: word(field(found, 'status')),
    reason: word(field(found, 'reason')),
    message: head(field(found, 'message'), MAX_MESSAGE),
    since: timeOf(field(found, 'lastTransitionTime')),
  };
}

function containersOf(object: unknown, wanted: string, told: string): StoredContainer[] {
  const statuses = listOf(field(object, 'status', told));
  return listOf(field(object, 'spec', wanted))
    .slice(0, MAX_CONTAINERS)
    .map((container) => {
      const name = head(field(container, 'name'), MAX_NAME);
      const status = statuses.find((candidate) => field(candidate, 'name') === name);
      return {
        name,
        isInit: wanted === 'initContainers',
        image: head(field(container, 'image'), MAX_IMAGE),
        isReady: field(status, 'ready') === true,
        isStarted: field(status, 'started') === true,
        state: stateOf(field(status, 'state')),
        before: stateOf(field(status, 'lastState')),
      };
    });
}

function stateOf(state: unknown): ContainerState {
  const waiting = field(state, 'waiting');
  if (waiting !== undefined) {
    return {
      kind: 'waiting',
      reason: word(field(waiting, 'reason')),
      message: head(field(waiting, 'message'), MAX_MESSAGE),
    };
  }
  const running = field(state, 'running');
  if (running !== undefined) return { kind: 'running', since: timeOf(field(running, 'startedAt')) };
  const ended = field(state, 'terminated');
  if (ended === undefined) return { kind: 'unknown' };
  const exitCode = field(ended, 'exitCode');
  return {
    kind: 'ended',
    reason: word(field(ended, 'reason')),
    exitCode: typeof exitCode === 'number' && Number.isSafeInteger(exitCode) ? exitCode : undefined,
    // Its last lines are what it ended of.
    message: (textOf(field(ended, 'message')) ?? '').slice(-MAX_MESSAGE),
  };
}

function word(value: unknown): string {
  return head(value, MAX_WORD);
}

function head(value: unknown, length: number): string {
  return (textOf(value) ?? '').slice(0, length);
}

function timeOf(value: unknown): number | undefined {
  const time = Date.parse(textOf(value) ?? '');
  return Number.isNaN(time) ? undefined : time;
}
